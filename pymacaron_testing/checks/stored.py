"""What creates a thing stores it as it was sent, and answers it as it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pymacaron_testing.bodies import Changes, complete, fields_of, find_variants, with_changes
from pymacaron_testing.kinds import Kind, answer_schema, inside
from pymacaron_testing.own_values import find_assigned, find_moving
from pymacaron_testing.pages import Look, look_at
from pymacaron_testing.sameness import find_changed, find_lost, is_lost, is_volatile
from pymacaron_testing.scenario import Patience, Played
from pymacaron_testing.things import Thing, make_thing, renew
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron_testing.exchange import Case
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_MAX_SINGLE = 12


def play_stored(suite: Suite, kind: Kind, patience: Patience) -> Played:
    """Create things, plain ones, full ones and ones with telling values; read each back and compare."""
    plain = make_thing(suite, kind)
    if isinstance(plain, str):
        return Played(gap=f"whether a new {kind.name} is stored: {plain}")
    if look_at(suite, plain).exchange is None:
        return Played(gap=f"whether a new {kind.name} is stored: nothing in the document reads it back")
    failures = {failure.cause: failure for failure in judge_stored(suite, plain, patience)}
    for thing in _make_variants(suite, plain):
        for failure in judge_stored(suite, thing, patience):
            failures.setdefault(failure.cause, failure)
        if not suite.may_go_on(plain.exchange.case.operation):
            break
    return Played(tuple(failures.values()))


def judge_stored(suite: Suite, thing: Thing, patience: Patience) -> Iterator[Failure]:
    """Read *thing* back and yield what is not as it was sent, or not as it was answered."""
    seen: list[Look] = []

    def is_fine() -> bool:
        seen.append(look_at(suite, thing))
        return not find_differences(suite, thing, seen[-1])

    patience.wait_until(is_fine)
    look = seen[-1]
    if look.exchange is None:
        return
    creator = thing.exchange.case.operation
    for name, words in find_differences(suite, thing, look).items():
        yield suite.build_failure(
            look.exchange,
            "stored",
            promise=f"what {name_of(creator)} makes is there as it was sent and answered",
            pointer=creator.pointer,
            cause=(name,),
            detail=words,
        )


def find_differences(suite: Suite, thing: Thing, look: Look) -> dict[str, str]:
    """Return what differs between *thing* as it was sent or answered and as it is seen: property -> words."""
    kind, exchange = thing.kind, look.exchange
    if exchange is None:
        return {}
    if look.value is None:
        is_told = exchange.is_success or exchange.status in {404, 410}
        return {"": f"the new {kind.name} {kind.read_key(thing.answered) or ''} is not there"} if is_told else {}
    ignore = suite.hints.of(exchange.case.operation).ignore | suite.hints.of(thing.exchange.case.operation).ignore
    reader = exchange.case.operation
    schema = inside(answer_schema(reader), kind.answer_wrapper, suite.api.document) if not look.is_listed else None
    declared = schema or inside(answer_schema(thing.exchange.case.operation), kind.answer_wrapper, suite.api.document)
    found = find_lost(thing.sent_fields, look.value, declared, suite.api.document, ignore)
    nothing = {name for name in found if not is_lost(thing.sent_fields[name])}
    if nothing:
        found = {name: words for name, words in found.items() if name not in nothing & find_assigned(suite, thing)}
    both = thing.answered.keys() & look.value.keys() - ignore - found.keys()
    changed = find_changed(thing.answered, look.value, frozenset(name for name in both if not is_volatile(name)))
    if changed:
        changed = {name: words for name, words in changed.items() if name not in find_moving(suite, thing)}
    return {**{name: f"in the answer to the creation {words}" for name, words in changed.items()}, **found}


def _make_variants(suite: Suite, plain: Thing) -> Iterator[Thing]:
    """Yield things with all properties and telling values; where a set of these is refused, with one at a time."""
    kind = plain.kind
    assert kind.creator is not None
    recipe = suite.recipes.get(kind.creator.operation_id)
    if recipe is None:
        return
    fields = fields_of(suite, kind, kind.creator)
    full = complete(suite, kind, recipe, fields)
    yield from _make(suite, plain, full, {})
    singles = 0
    for changes in find_variants(suite, kind, full, fields):
        made = list(_make(suite, plain, full, changes))
        yield from made
        for path, value in changes.items() if not made and len(changes) > 1 else ():
            singles += 1
            if singles <= _MAX_SINGLE:
                yield from _make(suite, plain, full, {path: value})


def _make(suite: Suite, plain: Thing, full: Case, changes: Changes) -> Iterator[Thing]:
    """Yield a thing like *full* with *changes*, if it can be made."""
    kind = plain.kind
    case = with_changes(suite, kind, renew(suite, full), changes)
    if case is None:
        return
    body = suite.generator.values_of(case)["body"]
    thing = make_thing(suite, kind, parents=plain.path_values, body=body)
    if isinstance(thing, Thing):
        yield thing
