"""The outcome of a comparison, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby

from pymacaron.diff.change import SEVERITIES, Change

_INDENT = 15


def render_text(old: str, new: str, changes: Sequence[Change]) -> str:
    """Return *changes* as lines, grouped by operation, and a summary. old, new: what the documents are called."""
    lines = []
    for operation, group in groupby(changes, key=lambda change: change.operation):
        lines += [operation or "The document", *(line for change in group for line in _render_change(change)), ""]
    return "\n".join([*lines, _summarize(old, new, changes)])


def render_json(old: str, new: str, changes: Sequence[Change]) -> str:
    """Return ``{old, new, breaking, undecided, non_breaking, changes: [Change.to_dict()]}`` as JSON text."""
    counts = {severity.replace("-", "_"): _count(changes, severity) for severity in SEVERITIES}
    data = {"old": old, "new": new, **counts, "changes": [change.to_dict() for change in changes]}
    return json.dumps(data, indent=2, ensure_ascii=False)


def _render_change(change: Change) -> Iterator[str]:
    yield f"  {change.severity:<{_INDENT - 2}}{change.sentence}"
    if change.severity != "non-breaking":
        places = " -> ".join(place for place in (change.old_place, change.new_place) if place)
        yield f"{'':{_INDENT}}{places}"


def _summarize(old: str, new: str, changes: Sequence[Change]) -> str:
    if not changes:
        return f"No changes from {old} to {new}."
    counts = ", ".join(f"{_count(changes, severity)} {severity}" for severity in SEVERITIES)
    return f"From {old} to {new}: {counts}."


def _count(changes: Sequence[Change], severity: str) -> int:
    return sum(change.severity == severity for change in changes)
