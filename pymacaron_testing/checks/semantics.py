"""What a list's parameters mean by their names: sizes, pages, totals, order and filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pymacaron_testing.checks.filters import check_filters, check_text
from pymacaron_testing.checks.page_parts import check_position, check_sizes, check_totals, check_walk
from pymacaron_testing.checks.responses import judge_answers
from pymacaron_testing.checks.sorting import check_sorting
from pymacaron_testing.confirm import Outcome, merge_outcomes
from pymacaron_testing.paging import find_listing
from pymacaron_testing.scenario import Patience, Played, play
from pymacaron_testing.stage import Stage, again, set_stage

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_CHECKS: tuple[Callable[[Stage], Iterator[Failure]], ...] = (
    check_sizes,
    check_walk,
    check_totals,
    check_position,
    check_sorting,
    check_filters,
    check_text,
)


def applies_semantics(api: Api, operation: Operation) -> bool:
    """Tell whether *operation* answers a list that parameters of its query select from."""
    has_query = any(parameter.location == "query" for parameter in operation.parameters)
    return has_query and find_listing(api, (), operation) is not None


def check_semantics(suite: Suite, operation: Operation) -> Outcome:
    """Make things for the list to show, then ask for parts of it and compare them with the whole."""
    listing = find_listing(suite.api, suite.kinds, operation)
    if listing is None:
        return Outcome(not_run="it answers no list")
    suite.apart.clear()
    stage = set_stage(suite, listing)
    if isinstance(stage, str):
        return Outcome(not_run=stage)
    outcomes = []
    for check in _CHECKS:
        if not suite.may_go_on(operation):
            break
        outcomes.append(play(_scenario(stage, check)))
    answers = judge_answers(suite, suite.apart)
    return merge_outcomes(*outcomes, *([answers] if answers.failures or answers.flaky else []))


def _scenario(stage: Stage, check: Callable[[Stage], Iterator[Failure]]) -> Callable[[Patience], Played]:
    """Return what plays *check*: the first time with the list as it was seen, then with the list as it is by then."""
    stages: list[Stage | str] = [stage]

    def play_check(patience: Patience) -> Played:
        del patience
        seen = stages.pop() if stages else again(stage)
        return Played(tuple(check(seen))) if isinstance(seen, Stage) else Played(gap=seen)

    return play_check
