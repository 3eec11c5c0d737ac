"""The state behind the operations: what is created, changed and deleted is so from then on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.counters import find_actions, play_action_counters, play_child_counters
from pymacaron_testing.checks.deleted import play_deleted
from pymacaron_testing.checks.duplicates import declares_conflict, play_duplicates
from pymacaron_testing.checks.idempotency import find_key_parameter, play_idempotency
from pymacaron_testing.checks.listed import play_listed
from pymacaron_testing.checks.refused_writes import play_refused_change, play_refused_creation
from pymacaron_testing.checks.responses import judge_answers
from pymacaron_testing.checks.stored import play_stored
from pymacaron_testing.checks.unique_ids import has_keys, play_at_once, play_reuse
from pymacaron_testing.checks.updated import play_updated
from pymacaron_testing.checks.versions import play_versions, takes_versions
from pymacaron_testing.confirm import Outcome, merge_outcomes
from pymacaron_testing.hints import load_hints
from pymacaron_testing.kinds import Kind, find_kinds, find_singletons
from pymacaron_testing.scenario import Patience, Played, play
from pymacaron_testing.wire import TIME_RAN_OUT

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.suite import Suite

Scenario = tuple[Callable[[Patience], Played], int]

_MANY_TRIES = 3
# The kinds of the document that was asked for last: each of its operations is asked for one after the other.
_kinds: dict[str, tuple[Kind, ...]] = {}


def applies_state(api: Api, operation: Operation) -> bool:
    """Tell whether *operation* creates, changes, deletes or lists things that the document tells how to create."""
    if api.sha256 not in _kinds:
        _kinds.clear()
        _kinds[api.sha256] = (*find_kinds(api, load_hints(api, api.source)), *find_singletons(api))
    return any(_has_part(api, _kinds[api.sha256], kind, operation) for kind in _kinds[api.sha256])


def check_state(suite: Suite, operation: Operation) -> Outcome:
    """Play what shows whether *operation* keeps the state of its kind."""
    outcomes: list[Outcome] = []
    suite.apart.clear()
    for kind in (*suite.kinds, *find_singletons(suite.api)):
        if _has_part(suite.api, suite.kinds, kind, operation):
            outcomes += _check_part(suite, kind, operation)
    answers = judge_answers(suite, suite.apart)
    return merge_outcomes(*outcomes, *([answers] if answers.failures or answers.flaky else []))


def _has_part(api: Api, kinds: tuple[Kind, ...], kind: Kind, operation: Operation) -> bool:
    if kind.creator is None:
        return not kind.key and operation in kind.updaters
    parts = (kind.creator, *kind.updaters, kind.deleter, kind.lister, *find_actions(api, kinds, kind))
    return any(operation == part for part in parts)


def _check_part(suite: Suite, kind: Kind, operation: Operation) -> Iterator[Outcome]:
    """Yield what each check of the part that *operation* has in *kind* finds, while there is time."""
    for scenario, tries in _scenarios(suite, kind, operation):
        if not suite.may_go_on(operation):
            yield Outcome(gaps=(f"not all of the state was looked at: {TIME_RAN_OUT}",))
            return
        yield play(scenario, tries=tries)


def _scenarios(suite: Suite, kind: Kind, operation: Operation) -> Iterator[Scenario]:
    """Yield the scenarios of *operation*, and how often each is played again for a failure."""
    if operation == kind.creator:
        yield from _creation(suite, kind, operation)
    if operation in kind.updaters:
        yield partial(play_updated, suite, kind, operation), 1
    if operation in kind.updaters and kind.creator is not None:
        yield partial(play_refused_change, suite, kind, operation), 1
        if takes_versions(operation):
            yield partial(play_versions, suite, kind, operation), 1
    if operation == kind.deleter:
        yield partial(play_deleted, suite, kind), 1
    if operation == kind.lister:
        yield partial(play_listed, suite, kind), 1
    if kind.creator is not None and operation in find_actions(suite.api, suite.kinds, kind):
        yield partial(play_action_counters, suite, kind, operation), _MANY_TRIES


def _creation(suite: Suite, kind: Kind, creator: Operation) -> Iterator[Scenario]:
    yield partial(play_stored, suite, kind), 1
    yield partial(play_refused_creation, suite, kind), 1
    if find_key_parameter(creator):
        yield partial(play_idempotency, suite, kind), 1
    if declares_conflict(creator):
        yield partial(play_duplicates, suite, kind), 2
    if has_keys(kind):
        yield partial(play_at_once, suite, kind), _MANY_TRIES
    if has_keys(kind) and kind.deleter is not None:
        yield partial(play_reuse, suite, kind), 1
    if kind.parent:
        yield partial(play_child_counters, suite, kind), _MANY_TRIES
