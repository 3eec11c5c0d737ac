"""An operation that promises a success gives one to some valid request."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pymacaron_testing.confirm import Outcome
from pymacaron_testing.kinds import find_parent
from pymacaron_testing.things import make_thing
from pymacaron_testing.wire import READ_ONLY, TIME_RAN_OUT, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_SUCCESS = "2"
_UNAUTHORISED = 401
_CONFLICT = 409
_ABSENT = {404, 410}
_MAX_NEW_THINGS = 3


def check_first_success(suite: Suite, operation: Operation, exchanges: list[Exchange]) -> Outcome:
    """Return a failure if the document declares a 2xx and none of *exchanges* got one, nor a request to a new thing."""
    declared = [status for status in operation.statuses if status.startswith(_SUCCESS)]
    if not declared or any(exchange.is_success for exchange in exchanges):
        return Outcome()
    exchanges = [exchange for exchange in exchanges if exchange.case.is_valid]
    for exchange in _ask_new_things(suite, operation):
        if exchange.is_success:
            return Outcome()
        exchanges.append(exchange)
    excuse = _find_excuse(suite, operation, exchanges)
    if excuse:
        return Outcome(not_run=f"it never succeeded: {excuse}")
    counts = Counter(str(exchange.status) if exchange.response is not None else "no answer" for exchange in exchanges)
    seen = ", ".join(f"{count} times {status}" for status, count in counts.most_common())
    detail = f"none of {len(exchanges)} valid requests got a 2xx ({seen}); this is the last one"
    if counts.most_common(1)[0][0] == str(_UNAUTHORISED):
        detail += ". Say who asks: --pymacaron-auth 'Header: value', or pytest_pymacaron_auth in conftest.py"
    failure = suite.build_failure(
        exchanges[-1],
        "never_succeeded",
        promise=f"{name_of(operation)} answers {' or '.join(declared)} to a valid request",
        pointer=f"{operation.pointer}/responses",
        detail=detail,
    )
    return Outcome((failure,))


def _ask_new_things(suite: Suite, operation: Operation) -> Iterator[Exchange]:
    """Send valid requests of *operation*, each to a thing that nothing else has used: others may be closed by now."""
    kind = find_parent(suite.kinds, operation.path)
    if kind is None or kind.creator is None or not suite.may_send(kind.creator):
        return
    for number, case in enumerate(suite.draw(operation, _MAX_NEW_THINGS)):
        thing = make_thing(suite, kind) if suite.may_go_on(operation) else ""
        if isinstance(thing, str):
            return
        yield suite.send_apart(suite.humanise(case, number), thing.path_values)


def _find_excuse(suite: Suite, operation: Operation, exchanges: list[Exchange]) -> str:
    """Return why no request of *operation* could succeed in this run; empty if one could have."""
    if operation.operation_id in suite.cut_short:
        return TIME_RAN_OUT
    if suite.profile == "live" and "{" in operation.path and all(one.status in _ABSENT for one in exchanges):
        return f"nothing that its path names is known, and {READ_ONLY}"
    if "{" in operation.path and exchanges[-1].status == _CONFLICT and str(_CONFLICT) in operation.statuses:
        return f"the state of what it acts on does not allow it, as {_CONFLICT} in the document says"
    return ""
