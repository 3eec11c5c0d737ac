"""Numbers that count what is done are right also when it is done at the same time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pymacaron_testing.bodies import fields_of, with_changes
from pymacaron_testing.kinds import Kind
from pymacaron_testing.pages import look_at
from pymacaron_testing.scenario import Patience, Played, do_at_once
from pymacaron_testing.things import Thing, make_thing, plain_case, renew
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymacaron.json_types import JsonObject
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.suite import Suite

_AT_ONCE = 8
_ROUNDS = 2


def play_child_counters(suite: Suite, kind: Kind, patience: Patience) -> Played:
    """Make things below one: its numbers that grow by one with each have grown by all when several are made at once."""
    creator = kind.creator
    parent_kind = next((other for other in suite.kinds if other.item_path == kind.parent), None)
    parent = make_thing(suite, parent_kind) if parent_kind is not None else "nothing to belong to"
    if isinstance(parent, str) or creator is None:
        return Played()
    first = make_thing(suite, kind, parents=parent.path_values)
    recipe = suite.recipes.get(creator.operation_id)
    if isinstance(first, str) or recipe is None:
        return Played()
    values = {name: first.path_values[name] for name in kind.parent_keys}
    return _count(suite, parent, creator, lambda: suite.prepare_apart(renew(suite, recipe), values), patience)


def find_actions(api: Api, kinds: tuple[Kind, ...], kind: Kind) -> list[Operation]:
    """Return the operations that do something with one thing: ``POST /pets/{id}/feed``."""
    before = kind.item_path.rstrip("/") + "/"
    creators = {other.creator.operation_id for other in kinds if other.creator is not None}
    return [
        operation
        for operation in api.operations
        if kind.item_path
        and operation.method.upper() in {"POST", "PUT"}
        and operation.path.startswith(before)
        and "{" not in operation.path[len(before) :]
        and operation.operation_id not in creators
    ]


def play_action_counters(suite: Suite, kind: Kind, action: Operation, patience: Patience) -> Played:
    """Do something with a thing several times at once: numbers that grow by it have grown by all."""
    thing = make_thing(suite, kind)
    case = _count_one(suite, kind, action)
    if isinstance(thing, str) or case is None:
        return Played()
    return _count(suite, thing, action, lambda: suite.prepare_apart(case, thing.path_values), patience)


def _count_one(suite: Suite, kind: Kind, action: Operation) -> Case | None:
    """Return a request whose whole numbers are 1 where they may be: there may be nothing to take away."""
    case = plain_case(suite, action)
    if case is None:
        return None
    for field in fields_of(suite, kind, action):
        if "integer" in field.types and not field.is_reference:
            case = with_changes(suite, kind, case, {field.path: 1}) or case
    return case


def _count(
    suite: Suite, thing: Thing, operation: Operation, prepare: Callable[[], Callable[[], Exchange]], patience: Patience
) -> Played:
    states: list[JsonObject] = [look_at(suite, thing).value or {}]
    for _ in range(_ROUNDS):
        if not prepare()().is_success:
            return Played()
        states.append(look_at(suite, thing).value or {})
    steps = _find_steps(states)
    if not steps:
        return Played()
    done = sum(exchange.is_success for exchange in do_at_once([prepare() for _ in range(_AT_ONCE)]))
    seen: list[JsonObject] = []

    def is_right() -> bool:
        seen[:] = [look_at(suite, thing).value or {}]
        return all(seen[0].get(name) == states[-1][name] + done * step for name, step in steps.items())

    look = look_at(suite, thing)
    if patience.wait_until(is_right) or look.exchange is None:
        return Played()
    words = [
        f"{name} was {states[-1][name]}, grows by {step} and is {seen[0].get(name)} after {done} at the same time"
        for name, step in steps.items()
        if seen[0].get(name) != states[-1][name] + done * step
    ]
    failure = suite.build_failure(
        look_at(suite, thing).exchange or look.exchange,
        "lost_count",
        promise=f"each {name_of(operation)} counts, also at the same time",
        pointer=operation.pointer,
        detail="; ".join(words),
    )
    return Played((failure,))


def _find_steps(states: list[JsonObject]) -> dict[str, int]:
    """Return the whole numbers that changed by the same step each time: name -> step."""
    steps: dict[str, int] = {}
    for name in states[0]:
        values = [state.get(name) for state in states]
        whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
        found = {later - earlier for earlier, later in pairwise(whole)}
        if len(whole) == len(states) and len(found) == 1 and found != {0}:
            steps[name] = found.pop()
    return steps
