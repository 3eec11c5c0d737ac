"""What changed between two documents: `compare(old, new)`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

from pymacaron.diff.bodies import compare_answers, compare_request_bodies
from pymacaron.diff.change import Change, sort_changes
from pymacaron.diff.operations import (
    compare_documents,
    compare_operation,
    match_operations,
    tell_added,
    tell_removed,
)
from pymacaron.diff.pair import Documents
from pymacaron.diff.parameters import compare_parameters
from pymacaron.spec import Api


def compare(old: Api, new: Api, *, today: date | None = None) -> tuple[Change, ...]:
    """Return what is different in *new*, the worst of each operation first, operations in the order of *old*.

    today: the day by which ``x-sunset`` is judged; by default this day, in UTC. What says nothing to clients is left
    out: titles, descriptions, examples, tags, the document's version, names of schemas.
    """
    return sort_changes(list(_compare(Documents.of(old, new), today or datetime.now(UTC).date())))


def _compare(documents: Documents, today: date) -> Iterator[Change]:
    yield from compare_documents(documents)
    pairs, removed, added = match_operations(documents)
    for pair in pairs:
        yield from compare_operation(pair)
        yield from compare_parameters(pair)
        yield from compare_request_bodies(pair)
        yield from compare_answers(pair)
    for operation in removed:
        yield tell_removed(documents, operation, today)
    for operation in added:
        yield tell_added(documents, operation)
