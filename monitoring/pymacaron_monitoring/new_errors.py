"""Errors that a release meets and the running one does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

from pymacaron_monitoring.families import ERROR_KINDS
from pymacaron_monitoring.verdict import Reason

LEAST_TIMES = 2
"""So often a new error must come until it fails a release: what came once may be rarer than the running one is old."""

Kinds = Mapping[tuple[str, str], float]
"""Operation id and kind of an error -> how often it came."""


def judge_errors(
    candidate: tuple[str, str], running: str, labels: Mapping[str, str], *, is_live: bool
) -> Iterator[Reason]:
    """Yield the unexpected errors that came between the *candidate*'s pages and are not on the *running* one's.

    Both are texts of ``/metrics``; a release that counts no kinds of errors is a note. labels: operation id ->
    ``GET /pets/{id}``. is_live: whether users met them, not tests.
    """
    before, after, known = (read_kinds(text) for text in (*candidate, running))
    missing = [who for who, text in (("new", candidate[1]), ("running", running)) if not _counts_kinds(text)]
    if missing:
        text = f"Errors: the {missing[0]} release has no {ERROR_KINDS.name}, so whether there are new ones is unknown"
        yield Reason("note", text)
        return
    new = {key: count - before.get(key, 0) for key, count in after.items() if key not in known}
    new = {key: count for key, count in new.items() if count > 0}
    for (operation_id, kind), count in new.items():
        label = labels.get(operation_id)
        times = "once" if count == 1 else f"{count:,.0f} times"
        text = f"{label or operation_id or 'Outside operations'}: {kind} {times}, which the running release never met"
        yield Reason("fail" if count >= LEAST_TIMES else "note", text, label, {"hits": count, "running_hits": 0})
    if not new:
        text = "Errors: none that the running release does not know" if is_live else "Errors in the tests: none new"
        yield Reason("pass", text, numbers={"hits": 0})


def read_kinds(page: str) -> Kinds:
    """Return the counts of kinds of errors on a page. Raises ValueError with what is wrong for what is no such page."""
    return {
        (sample.labels.get("operation_id", ""), sample.labels.get("kind", "")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == ERROR_KINDS.name
    }


def _counts_kinds(page: str) -> bool:
    return f"# TYPE {ERROR_KINDS.name} " in page
