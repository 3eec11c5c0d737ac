"""A request that is sent again with the same idempotency key makes nothing new."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pymacaron_testing.checks.unique_ids import name_key
from pymacaron_testing.kinds import Kind
from pymacaron_testing.scenario import Patience, Played, do_at_once
from pymacaron_testing.things import Thing, make_thing, read_made, renew
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.spec import Operation, Parameter
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_NAME = re.compile(r"idempotenc|^x-request-key$|^x-unique", re.IGNORECASE)
_AT_ONCE = 4


def find_key_parameter(operation: Operation) -> Parameter | None:
    """Return the header parameter that makes *operation* idempotent."""
    headers = (one for one in operation.parameters if one.location == "header")
    return next((one for one in headers if _NAME.search(one.name)), None)


def play_idempotency(suite: Suite, kind: Kind, patience: Patience) -> Played:
    """Send a request twice with one key, another one with that key, and one several times at once."""
    del patience
    creator = kind.creator
    assert creator is not None
    parameter = find_key_parameter(creator)
    first = make_thing(suite, kind)
    recipe = suite.recipes.get(creator.operation_id)
    if isinstance(first, str) or recipe is None or parameter is None:
        return Played(gap=f"idempotency keys: {first if isinstance(first, str) else 'no request'}")
    parents = {name: first.path_values[name] for name in kind.parent_keys if name != kind.key}
    case = _with_key(suite, renew(suite, recipe), parameter)
    one, again = (suite.send_apart(case, parents) for _ in range(2))
    made = _read(suite, kind, one, parents)
    if made is None:
        return Played(gap=f"idempotency keys: {name_of(creator)} answered {one.status}")
    if _is_other(_read(suite, kind, again, parents), made):
        return Played((_build(suite, kind, again, parameter, "a request that is sent again with the same key makes"),))
    body = suite.generator.values_of(renew(suite, recipe))["body"]
    other = replace(suite.generator.with_part(case, "body", body), is_probe=True)
    reused = suite.send_apart(other, parents)
    if _is_other(_read(suite, kind, reused, parents), made):
        return Played((_build(suite, kind, reused, parameter, "another request with the same key makes"),))
    return Played(_send_at_once(suite, kind, _with_key(suite, renew(suite, recipe), parameter), parents, parameter))


def _send_at_once(
    suite: Suite, kind: Kind, case: Case, parents: dict[str, str], parameter: Parameter
) -> tuple[Failure, ...]:
    exchanges = do_at_once([suite.prepare_apart(case, parents) for _ in range(_AT_ONCE)])
    made = [(exchange, thing) for exchange in exchanges if (thing := _read(suite, kind, exchange, parents))]
    for exchange, thing in made[1:]:
        if _is_other(thing, made[0][1]):
            words = "of several requests with the same key at the same time one makes"
            return (_build(suite, kind, exchange, parameter, words),)
    return ()


def _with_key(suite: Suite, case: Case, parameter: Parameter) -> Case:
    suite.key_number += 1
    number = suite.run_salt * 100_000 + suite.key_number
    is_uuid = parameter.schema.get("format") == "uuid"
    key = f"00000000-0000-4000-8000-{number % 16**12:012x}" if is_uuid else f"key-{number}"
    longest = parameter.schema.get("maxLength", len(key))
    headers = suite.generator.values_of(case).get("header", {})
    return suite.generator.with_part(case, "header", {**headers, parameter.name: key[-longest:]})


def _read(suite: Suite, kind: Kind, exchange: Exchange, parents: dict[str, str]) -> Thing | None:
    thing = read_made(suite, kind, exchange, parents)
    return thing if isinstance(thing, Thing) else None


def _is_other(thing: Thing | None, first: Thing) -> bool:
    return thing is not None and name_key(thing) != name_key(first)


def _build(suite: Suite, kind: Kind, exchange: Exchange, parameter: Parameter, words: str) -> Failure:
    assert kind.creator is not None
    return suite.build_failure(
        exchange,
        "idempotency_key",
        promise=f"{name_of(kind.creator)}: {words} no second {kind.name} ({parameter.name})",
        pointer=parameter.pointer,
    )
