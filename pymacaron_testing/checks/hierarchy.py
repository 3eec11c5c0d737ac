"""What belongs to one thing is not found below another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymacaron_testing.belongings import OWNER, act, find_traces, make_private, read_fields
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.disclosure import is_shown
from pymacaron_testing.things import Thing
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.kinds import Kind
    from pymacaron_testing.suite import Suite

_SAFE = {"GET", "HEAD"}


def check_hierarchy(suite: Suite, kind: Kind, operation: Operation) -> Outcome:
    """Ask for a thing of *kind* with another parent in the path: it is not there (RESTler's hierarchy rule)."""
    parent = next((other for other in suite.kinds if other.item_path == kind.parent), None)
    if parent is None or kind.parent not in operation.path or len(kind.parent) >= len(kind.item_path):
        return Outcome()
    other = make_private(suite, parent)
    if isinstance(other, str):
        return Outcome(gaps=(f"a {kind.name} below another {parent.name} was not tried: {other}",))
    found = [_try_once(suite, kind, operation, other.path_values)]
    if found[0] is not None:
        found.append(_try_once(suite, kind, operation, other.path_values))
    if found[-1] is None or found[0] is None:
        return Outcome(flaky=(f"a {kind.name} was found below another {parent.name} once",) if found[0] else ())
    name = name_of(operation)
    failure = suite.build_failure(
        found[0],
        "wrong_parent",
        promise=f"{name} answers 404 where the {kind.name} belongs to another {parent.name} than the path names",
        pointer=operation.pointer,
    )
    return Outcome((failure.times(2),))


def _try_once(suite: Suite, kind: Kind, operation: Operation, other: Mapping[str, str]) -> Exchange | None:
    """Return the exchange that reached a thing below the parent that *other* names; None if it was not reached."""
    thing = make_private(suite, kind)
    if isinstance(thing, str):
        return None
    moved = Thing(kind, {**thing.path_values, **other}, thing.sent, thing.answered, thing.exchange, thing.user)
    if moved.path_values == thing.path_values:
        return None
    before = read_fields(suite, thing)
    exchange = act(suite, moved, operation, OWNER)
    if exchange is None or not exchange.is_success:
        return None
    if operation.method.upper() in _SAFE:
        traces = find_traces(suite, kind, thing)
        return exchange if is_shown(traces.items[0], exchange.read_json(), traces.known) else None
    return exchange if before is not None and read_fields(suite, thing) != before else None
