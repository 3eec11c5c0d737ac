"""What changes a thing stores what was sent and leaves the rest; what replaces it leaves nothing of the old one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymacaron_testing.bodies import Changes, complete, fields_of, find_variants, with_changes
from pymacaron_testing.fields import ordinary_value
from pymacaron_testing.generation import NOT_SENT
from pymacaron_testing.kinds import Kind, answer_schema, body_schema, inside, properties_of
from pymacaron_testing.own_values import find_assigned, find_moving, read_bare
from pymacaron_testing.pages import look_at, look_in_list
from pymacaron_testing.sameness import find_changed, find_lost, is_lost, is_same_answer, is_volatile
from pymacaron_testing.scenario import Patience, Played
from pymacaron_testing.things import Thing, make_thing, plain_case, renew
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.fields import Field
    from pymacaron_testing.suite import Suite

_IDENTIFIES = re.compile(r"mail|user.?name|login|password|token|key|role|secret|handle", re.IGNORECASE)
_REPLACES = re.compile(r"\breplac|\boverwrit|\bfull(?:y)? updat|left out|omitted", re.IGNORECASE)


@dataclass(slots=True)
class _Change:
    """A thing that is being changed. state: as it was last seen. fields: what the updater takes."""

    suite: Suite
    thing: Thing
    updater: Operation
    patience: Patience
    fields: list[Field]
    state: JsonObject
    failures: dict[tuple[str, ...], Failure] = field(default_factory=dict)

    @property
    def is_patch(self) -> bool:
        return self.updater.method.upper() == "PATCH"

    @property
    def names(self) -> frozenset[str]:
        """Properties that only callers set."""
        ignore = self.suite.hints.of(self.updater).ignore
        return frozenset(one.name for one in self.fields if len(one.path) == 1) - ignore


def play_updated(suite: Suite, kind: Kind, updater: Operation, patience: Patience) -> Played:
    """Change one property at a time, then many at once, and look what became of all of them."""
    thing = _make_full(suite, kind) if kind.creator is not None else _take(suite, kind)
    if isinstance(thing, str):
        return Played(gap=f"whether changes of a {kind.name} are stored: {thing}")
    seen = look_at(suite, thing)
    case = plain_case(suite, updater)
    if seen.value is None or case is None or not fields_of(suite, kind, updater):
        why = "no change could be generated" if seen.value else "it cannot be read back"
        return Played(gap=f"whether changes of a {kind.name} are stored: {why}")
    fields = [one for one in fields_of(suite, kind, updater) if kind.creator is not None or not _names_user(one)]
    change = _Change(suite, thing, updater, patience, fields, seen.value)
    base = _as_stored(change, case)
    if change.is_patch:
        _change_each(change, base)
    for changes in list(find_variants(suite, kind, base, change.fields)):
        if not suite.may_go_on(updater):
            break
        _change(change, with_changes(suite, kind, base, changes), changes)
    if kind.creator is None:
        suite.send_apart(base, thing.path_values)
    elif not change.is_patch:
        _leave_out(change, base)
    return Played(tuple(change.failures.values()))


def _take(suite: Suite, kind: Kind) -> Thing | str:
    """Return the one thing that there is of *kind*."""
    assert kind.reader is not None
    case = plain_case(suite, kind.reader)
    exchange = suite.send_apart(case, {}) if case is not None else None
    value = kind.read_thing(exchange.read_json()) if exchange is not None and exchange.is_success else None
    return "it cannot be read" if exchange is None or value is None else Thing(kind, {}, None, value, exchange)


def _names_user(one: Field) -> bool:
    """Tell whether a user may not be known any more once the property has changed."""
    return bool(_IDENTIFIES.search(one.name)) or one.rules.get("format") == "email"


def _make_full(suite: Suite, kind: Kind) -> Thing | str:
    """Return a new thing with all properties, or a plain one where that is refused."""
    plain = make_thing(suite, kind)
    if isinstance(plain, str) or kind.creator is None:
        return plain
    recipe = suite.recipes.get(kind.creator.operation_id)
    if recipe is None:
        return plain
    full = renew(suite, complete(suite, kind, recipe, fields_of(suite, kind, kind.creator)))
    made = make_thing(suite, kind, parents=plain.path_values, body=suite.generator.values_of(full).get("body"))
    return made if isinstance(made, Thing) else plain


def _as_stored(change: _Change, case: Case) -> Case:
    """Return *case* with the values that the thing has, where they are valid: it changes nothing."""
    kind, suite = change.thing.kind, change.suite
    filled = complete(suite, kind, case, change.fields)
    for one in change.fields:
        if len(one.path) == 1 and one.name in change.state and change.state[one.name] is not None:
            filled = with_changes(suite, kind, filled, {one.path: change.state[one.name]}) or filled
    return filled


def _change_each(change: _Change, base: Case) -> None:
    """Send every optional property alone, with an ordinary value that is new; the first again when all have one."""
    suite, kind = change.suite, change.thing.kind
    optional = [one for one in change.fields if not one.is_required and len(one.path) == 1]
    fresh = renew(suite, base)
    body = suite.generator.values_of(fresh)["body"]
    body = body[kind.body_wrapper] if kind.body_wrapper else body
    changed = [one for one in optional if not one.is_reference]
    for one in changed + changed[:1]:
        others: Changes = {other.path: NOT_SENT for other in optional if other is not one}
        value = _other_value(change, one, body.get(one.name))
        alone = with_changes(suite, kind, base, {**others, one.path: value}) if value is not None else None
        _change(change, alone, {one.path: value})


def _other_value(change: _Change, one: Field, fresh: Json) -> Json:
    """Return a value that the property does not have, None if there is none at hand."""
    now = change.state.get(one.name)
    for _ in range(3):
        change.suite.key_number += 1
        value = ordinary_value(one, change.suite.key_number)
        if value is not None and value != now:
            return value
    return fresh if fresh != now else None


def _change(change: _Change, case: Case | None, changes: Changes) -> None:
    """Send a change and note what it did not store, and what it changed besides."""
    if case is None or not _is_news(change, case):
        return
    before = change.state
    answer = change.suite.send_apart(case, change.thing.path_values)
    if not answer.is_success:
        return
    expected = _expect(change, case)
    after = _look_until(change, expected)
    if after is None:
        return
    change.state, exchange, listed = after
    lost = _find_lost(change, expected, change.state)
    kept = change.names - {path[0] for path in changes} - expected.keys() if change.is_patch else frozenset()
    spoilt = find_changed(before, change.state, kept)
    _note(change, exchange, "updated", lost, "stores what is sent")
    _note(change, exchange, "updated_others", spoilt, "leaves what is not sent as it is")
    answered = change.thing.kind.read_thing(answer.read_json()) or {}
    both = frozenset(name for name in answered.keys() & change.state.keys() - lost.keys() if not is_volatile(name))
    differing = find_changed(answered, change.state, both)
    if differing:
        moving = find_moving(change.suite, change.thing)
        differing = {name: words for name, words in differing.items() if name not in moving}
    _note(change, answer, "updated_answer", differing, "answers what it stores")
    _note(change, exchange, "updated_in_list", listed, "changes the thing in lists too")


def _is_news(change: _Change, case: Case) -> bool:
    return bool(_expect(change, case))


def _expect(change: _Change, case: Case) -> JsonObject:
    """Return the properties that *case* sends."""
    body = change.suite.generator.values_of(case).get("body")
    wrapper = change.thing.kind.body_wrapper
    inner = body.get(wrapper) if wrapper and isinstance(body, dict) else body
    return inner if isinstance(inner, dict) else {}


def _find_lost(change: _Change, expected: JsonObject, state: JsonObject) -> dict[str, str]:
    kind, document = change.thing.kind, change.suite.api.document
    reader = kind.reader or kind.creator
    schema = inside(answer_schema(reader), kind.answer_wrapper, document)
    lost = find_lost(expected, state, schema, document, change.suite.hints.of(change.updater).ignore)
    nothing = {name for name in lost if not is_lost(expected[name])}
    own = find_assigned(change.suite, change.thing) if nothing else frozenset()
    return {name: words for name, words in lost.items() if name not in nothing & own}


def _look_until(change: _Change, expected: JsonObject) -> tuple[JsonObject, Exchange, dict[str, str]] | None:
    """Look at the thing, alone and in its list, until both show what was sent, or for a second."""
    found: list[tuple[JsonObject, Exchange, dict[str, str]]] = []

    def is_fine() -> bool:
        look = look_at(change.suite, change.thing)
        if look.value is None or look.exchange is None:
            return True
        lost = _find_lost(change, expected, look.value)
        listed = _compare_list(change, look.value, expected) if change.thing.kind.reader else {}
        found[:] = [(look.value, look.exchange, listed)]
        return not lost and not listed

    change.patience.wait_until(is_fine)
    return found[0] if found else None


def _compare_list(change: _Change, state: JsonObject, expected: JsonObject) -> dict[str, str]:
    """Return what the list shows otherwise than the reader, of what was sent."""
    look = look_in_list(change.suite, change.thing)
    if look.value is None:
        return {}
    names = frozenset(expected.keys() & look.value.keys() & state.keys())
    return {f"{name} in the list": words for name, words in find_changed(state, look.value, names).items()}


def _note(change: _Change, exchange: Exchange, check: str, found: Mapping[str, str], promise: str) -> None:
    for name, words in found.items():
        failure = change.suite.build_failure(
            exchange,
            check,
            promise=f"{name_of(change.updater)} {promise}",
            pointer=change.updater.pointer,
            cause=(name,),
            detail=words,
        )
        change.failures.setdefault(failure.cause, failure)


def _leave_out(change: _Change, base: Case) -> None:
    """Replace the thing without its optional properties: they are gone, or have their defaults."""
    suite, kind = change.suite, change.thing.kind
    if not _is_sure_to_replace(change):
        return
    optional = [one for one in change.fields if not one.is_required and len(one.path) == 1]
    defaults = read_bare(suite, change.thing)
    whole = suite.send_apart(base, change.thing.path_values)
    seen = look_at(suite, change.thing).value if whole.is_success else None
    if defaults is None or seen is None:
        return
    change.state = seen
    for one in optional:
        old = change.state.get(one.name)
        case = with_changes(suite, kind, base, {one.path: NOT_SENT})
        if one.is_reference or old in (None, "", [], {}) or is_same_answer(old, defaults.get(one.name)) or not case:
            continue
        answer = suite.send_apart(case, change.thing.path_values)
        look = look_at(suite, change.thing) if answer.is_success else None
        if look is None or look.value is None or look.exchange is None:
            continue
        if one.name in look.value and is_same_answer(old, look.value[one.name]):
            words = {one.name: f"{one.name} was left out and is still {old!r}"}
            _note(change, look.exchange, "replaced", words, "replaces the thing: what is left out is gone or default")
        change.state = look.value
        restored = suite.send_apart(base, change.thing.path_values)
        if restored.is_success:
            change.state = look_at(suite, change.thing).value or change.state


def _is_sure_to_replace(change: _Change) -> bool:
    """Tell whether PUT takes whole things: its body has what the creator's has, and the document says or implies so."""
    kind, document, updater = change.thing.kind, change.suite.api.document, change.updater
    whole = properties_of(inside(body_schema(kind.creator), kind.body_wrapper, document), document).keys()
    taken = properties_of(inside(body_schema(updater), kind.body_wrapper, document), document).keys()
    has_patch = any(other.method.upper() == "PATCH" for other in kind.updaters)
    says_so = _REPLACES.search(f"{updater.summary} {updater.description}")
    has_required = any(one.is_required for one in change.fields)
    return whole <= taken and has_required and (has_patch or bool(says_so))
