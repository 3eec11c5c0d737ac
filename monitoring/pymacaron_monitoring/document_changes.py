"""What a new document breaks for the clients of the running release, as reasons of a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pymacaron.diff import Change, compare
from pymacaron.spec import Api
from pymacaron_monitoring.verdict import Level, Reason


def judge_documents(
    published: Sequence[Api], documents: Sequence[Api], *, is_breaking_allowed: bool
) -> Iterator[Reason]:
    """Yield what *documents*, of the release that is judged, break of those that the running release publishes.

    Documents belong together by name. A change of which nothing shows whether it breaks a client is a note.
    """
    breaks: Level = "note" if is_breaking_allowed else "fail"
    by_name = {api.name: api for api in documents}
    for old in published:
        new = by_name.get(old.name)
        if new is None:
            text = f"Document {old.name}: the running release publishes it, the new one has none of that name"
            yield Reason(breaks, text)
            continue
        changes = compare(old, new)
        breaking = [change for change in changes if change.severity == "breaking"]
        for change in breaking:
            yield Reason(breaks, _describe(new, change), change.operation or None)
        unclear = [change for change in changes if change.severity == "undecided"]
        if unclear:
            more = f", and {len(unclear) - 1} more such changes" if len(unclear) > 1 else ""
            text = f"{_describe(new, unclear[0])} Whether it breaks anything depends on the clients{more}"
            yield Reason("note", text, unclear[0].operation or None)
        if not breaking:
            text = f"Document {new.name}: {len(changes)} changes from the running release's, none breaks a client"
            yield Reason("pass", text, numbers={"hits": 0, "total": len(changes)})


def _describe(api: Api, change: Change) -> str:
    return f"{change.operation or f'Document {api.name}'}: {change.sentence}"
