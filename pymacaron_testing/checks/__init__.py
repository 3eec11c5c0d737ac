"""What is looked at in an operation: one group a file, all of them listed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pymacaron_testing.checks.absent import check_absent, check_nowhere
from pymacaron_testing.checks.access import applies_access, check_access
from pymacaron_testing.checks.auth import applies_auth, check_auth
from pymacaron_testing.checks.boundaries import check_boundaries
from pymacaron_testing.checks.conditional import check_conditional
from pymacaron_testing.checks.content_types import check_content_types
from pymacaron_testing.checks.cors import check_cors
from pymacaron_testing.checks.echo import check_echo
from pymacaron_testing.checks.error_bodies import check_broken_bodies, check_error_bodies
from pymacaron_testing.checks.head import check_head
from pymacaron_testing.checks.latency import check_latency, check_slow_values
from pymacaron_testing.checks.leaks import check_leaks
from pymacaron_testing.checks.location import check_location
from pymacaron_testing.checks.malformed import check_malformed
from pymacaron_testing.checks.methods import check_methods
from pymacaron_testing.checks.read_only import check_read_only
from pymacaron_testing.checks.representations import check_representations
from pymacaron_testing.checks.requests import check_requests
from pymacaron_testing.checks.responses import check_responses
from pymacaron_testing.checks.semantics import applies_semantics, check_semantics
from pymacaron_testing.checks.state import applies_state, check_state
from pymacaron_testing.checks.stateful import applies_stateful, check_stateful
from pymacaron_testing.confirm import Outcome, merge_outcomes
from pymacaron_testing.wire import NotSentError

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.suite import Suite


Check = Callable[["Suite", "Operation"], Outcome]


def _always(_api: Api, _operation: Operation) -> bool:
    return True


def _join(*checks: Check, is_led: bool = False) -> Check:
    """Return a check that makes all of *checks*, as long as there is time; of one cause the first to find it tells.

    is_led: where the first one could judge nothing, the others' silence is no verdict.
    """

    def check(suite: Suite, operation: Operation) -> Outcome:
        first, *others = checks
        outcomes = [first(suite, operation)]
        for other in others:
            if not suite.may_go_on(operation):
                break
            try:
                outcomes.append(other(suite, operation))
            except NotSentError as error:
                outcomes.append(Outcome(not_run=f"not all requests were sent: {error}"))
                break
        merged = merge_outcomes(*outcomes)
        if is_led and outcomes[0].not_run and not merged.failures:
            return replace(merged, not_run=outcomes[0].not_run)
        by_cause = {failure.cause: failure for failure in reversed(merged.failures)}
        return replace(merged, failures=tuple(reversed(by_cause.values())))

    return check


def _check_lists(suite: Suite, operation: Operation) -> Outcome:
    """Ask for lists in many ways; where some of them took long their time is over, and the run's may be soon."""
    found, slow = check_semantics(suite, operation), check_slow_values(suite, operation)
    return merge_outcomes(found, slow) if slow.failures or slow.not_run else found


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of checks.

    applies: whether an operation gets an item of this group. weight: its share of a limited time, beside other groups.
    phase: groups of a phase run for all operations before those of the next one do. needs_memory: nothing can be told
    of a target that keeps nothing, a mock.
    """

    name: str
    check: Callable[[Suite, Operation], Outcome]
    applies: Callable[[Api, Operation], bool] = _always
    weight: float = 1.0
    phase: int = 1
    needs_memory: bool = False


_RESPONSES = _join(check_responses, check_leaks, check_error_bodies, check_head, check_location, is_led=True)
_REQUESTS = _join(check_requests, check_echo, check_boundaries, check_malformed, check_broken_bodies, check_read_only)
_PROTOCOL = _join(
    check_methods,
    check_absent,
    check_nowhere,
    check_cors,
    check_content_types,
    check_representations,
    check_conditional,
    is_led=True,
)

GROUPS = (
    Group("responses", _RESPONSES, weight=4.0),
    Group("requests", _REQUESTS, weight=2.0),
    Group("auth", check_auth, applies_auth, phase=0),
    Group("access", check_access, applies_access, phase=0, needs_memory=True),
    Group("protocol", _PROTOCOL, phase=0),
    Group("state", check_state, applies_state, weight=2.0, phase=0, needs_memory=True),
    Group("semantics", _check_lists, applies_semantics, weight=2.0, phase=0, needs_memory=True),
    Group("latency", check_latency),
    Group("stateful", check_stateful, applies_stateful, phase=2, needs_memory=True),
)

__all__ = ["GROUPS", "Group"]
