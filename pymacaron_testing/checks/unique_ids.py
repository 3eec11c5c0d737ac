"""New things get ids of their own: after a deletion, and when several are made at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pymacaron_testing.kinds import Kind
from pymacaron_testing.pages import look_at
from pymacaron_testing.sameness import find_changed, is_volatile
from pymacaron_testing.scenario import Patience, Played, do_at_once
from pymacaron_testing.things import Thing, delete_thing, make_thing, read_made, renew
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

AT_ONCE = 8
_SERVER_ERROR = 500


def play_reuse(suite: Suite, kind: Kind, patience: Patience) -> Played:
    """Make three things, delete the first, make a fourth: it is none of those that are left, and replaces none."""
    del patience
    made = [make_thing(suite, kind) for _ in range(3)]
    things = [thing for thing in made if isinstance(thing, Thing)]
    if len(things) < len(made):
        return Played(gap=f"whether ids are used again: {next(thing for thing in made if isinstance(thing, str))}")
    before = {name_key(thing): look_at(suite, thing).value for thing in things[1:]}
    if len({name_key(thing) for thing in things}) < len(things):
        detail = f"two that were made one after the other have the key {name_key(things[-1])}"
        return Played((_build(suite, kind, things[-1].exchange, "reused_id", detail),))
    answer = delete_thing(suite, things[0])
    if answer is None or not answer.is_success:
        return Played(gap=f"whether ids are used again: no {kind.name} could be deleted")
    failure = _make_another(suite, kind, things[1:], before)
    return Played((failure,) if failure else ())


def _make_another(
    suite: Suite, kind: Kind, left: list[Thing], before: Mapping[str, JsonObject | None]
) -> Failure | None:
    """Make a thing beside those that are *left*, which were seen as in *before*."""
    new = make_thing(suite, kind)
    if isinstance(new, str):
        return None
    if name_key(new) in before:
        detail = f"another {kind.name} that was not deleted has the key {name_key(new)} too"
        return _build(suite, kind, new.exchange, "reused_id", detail)
    for thing in left:
        look = look_at(suite, thing)
        was = before[name_key(thing)]
        if was is not None and look.value is not None and look.exchange is not None:
            names = frozenset(name for name in thing.sent_fields if not is_volatile(name))
            spoilt = find_changed(was, look.value, names)
            if spoilt:
                return _build(suite, kind, look.exchange, "reused_id", "; ".join(spoilt.values()))
    return None


def play_at_once(suite: Suite, kind: Kind, patience: Patience) -> Played:
    """Make several things at the same time: each has an id of its own, is stored as it was sent, and none fails."""
    del patience
    first = make_thing(suite, kind)
    assert kind.creator is not None
    recipe = suite.recipes.get(kind.creator.operation_id)
    if isinstance(first, str) or recipe is None:
        return Played(
            gap=f"several new {kind.name} at the same time: {first if isinstance(first, str) else 'no request'}"
        )
    parents = {name: first.path_values[name] for name in kind.parent_keys if name != kind.key}
    sends = [suite.prepare_apart(renew(suite, recipe), parents) for _ in range(AT_ONCE)]
    exchanges = do_at_once(sends)
    failures: list[Failure] = []
    broken = next((exchange for exchange in exchanges if exchange.status >= _SERVER_ERROR), None)
    if broken is not None:
        failures.append(
            _build(suite, kind, broken, "concurrent_error", f"of {AT_ONCE} at the same time this one failed")
        )
    things = [thing for exchange in exchanges if isinstance(thing := read_made(suite, kind, exchange, parents), Thing)]
    counts = Counter(name_key(thing) for thing in things)
    double = next((thing for thing in things if counts[name_key(thing)] > 1), None)
    if double is not None:
        detail = f"{counts[name_key(double)]} of {len(things)} made at the same time have the key {name_key(double)}"
        failures.append(_build(suite, kind, double.exchange, "double_id", detail))
        return Played(tuple(failures))
    for thing in things:
        look = look_at(suite, thing)
        if look.exchange is not None and look.value is None and look.exchange.status in {200, 404, 410}:
            detail = f"{kind.name} {name_key(thing)} of {len(things)} made at the same time is not there"
            failures.append(_build(suite, kind, look.exchange, "concurrent_loss", detail))
            break
    return Played(tuple(failures))


def name_key(thing: Thing) -> str:
    """Return what names *thing*, alone or in the list."""
    return thing.path_values.get(thing.kind.key) or thing.kind.read_key(thing.answered) or ""


def has_keys(kind: Kind) -> bool:
    """Tell whether the service gives each thing a key of its own."""
    return bool(kind.key_field) and kind.creator is not None and kind.creator.method.upper() == "POST"


def _build(suite: Suite, kind: Kind, exchange: Exchange, check: str, detail: str) -> Failure:
    assert kind.creator is not None
    return suite.build_failure(
        exchange,
        check,
        promise=f"each {kind.name} that {name_of(kind.creator)} makes is one of its own",
        pointer=kind.creator.pointer,
        detail=detail,
    )
