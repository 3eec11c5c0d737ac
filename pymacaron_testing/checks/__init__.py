"""What is looked at in an operation: one group a file, all of them listed here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymacaron_testing.checks.access import applies_access, check_access
from pymacaron_testing.checks.auth import applies_auth, check_auth
from pymacaron_testing.checks.methods import applies_methods, check_methods
from pymacaron_testing.checks.requests import check_requests
from pymacaron_testing.checks.responses import check_responses
from pymacaron_testing.checks.state import applies_state, check_state
from pymacaron_testing.checks.stateful import applies_stateful, check_stateful

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.confirm import Outcome
    from pymacaron_testing.suite import Suite


def _always(_api: Api, _operation: Operation) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of checks.

    applies: whether an operation gets an item of this group. weight: its share of a limited time, beside other groups.
    phase: groups of a phase run for all operations before those of the next one do.
    """

    name: str
    check: Callable[[Suite, Operation], Outcome]
    applies: Callable[[Api, Operation], bool] = _always
    weight: float = 1.0
    phase: int = 1


GROUPS = (
    Group("responses", check_responses, weight=4.0, phase=0),
    Group("requests", check_requests, phase=0),
    Group("auth", check_auth, applies_auth),
    Group("access", check_access, applies_access),
    Group("methods", check_methods, applies_methods),
    Group("state", check_state, applies_state, weight=2.0),
    Group("stateful", check_stateful, applies_stateful, phase=2),
)

__all__ = ["GROUPS", "Group"]
