"""Things of a kind made, read and listed on the target, apart from those that the cases of operations use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pymacaron_testing.fields import keep_references
from pymacaron_testing.freshen import vary
from pymacaron_testing.kinds import find_parent
from pymacaron_testing.resources import normalise
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.kinds import Kind
    from pymacaron_testing.suite import Suite

_MAX_TRIES = 6
_PARAMETER = re.compile(r"\{[^{}]+\}")


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing that was made.

    path_values: what names it in item_path, and those that it belongs to; also those of its creator's path. sent: the
    JSON body that made it, wrapper and all. answered: the thing as the answer had it, {} where that had none.
    exchange: the request that made it. user: its number in ``suite.wire.users``.
    """

    kind: Kind
    path_values: Mapping[str, str]
    sent: Json
    answered: JsonObject
    exchange: Exchange
    user: int = 0

    @property
    def sent_fields(self) -> JsonObject:
        """The properties that were sent, without the wrapper."""
        body = self.sent.get(self.kind.body_wrapper) if self.kind.body_wrapper else self.sent
        return body if isinstance(body, dict) else {}


def make_thing(
    suite: Suite, kind: Kind, *, user: int = 0, parents: Mapping[str, str] | None = None, body: Json = None
) -> Thing | str:
    """Make a new thing of *kind*; return why none could be made otherwise.

    user: who makes it, its number in ``suite.wire.users``. parents: path values of what it belongs to, otherwise a
    thing of that user is made for it, the same one for all. body: to send, otherwise a valid one that is like no
    other. The things are not learnt: nothing else uses them.

    Raises: TargetLostError.
    """
    creator = kind.creator
    if creator is None:
        return f"nothing in the document creates a {kind.name}"
    values = _find_parents(suite, kind, user) if parents is None else parents
    if isinstance(values, str):
        return values
    values = {name: values[name] for name in kind.parent_keys if name != kind.key and name in values}
    last: Exchange | None = None
    for case in _cases(suite, creator, body):
        placed = {**values, **_choose_key(suite, kind, case)}
        last = suite.send_apart(case, placed, user=user)
        if not last.is_success:
            continue
        thing = _read_thing(suite, kind, last, placed, user)
        if isinstance(thing, Thing) and body is None:
            suite.recipes.setdefault(creator.operation_id, case)
        return thing
    if last is None:
        return f"no valid request of {name_of(creator)} could be generated"
    return f"{name_of(creator)} answered {last.status or last.error} to every valid request"


def read_made(suite: Suite, kind: Kind, exchange: Exchange, placed: Mapping[str, str], *, user: int = 0) -> Thing | str:
    """Return the thing that *exchange* made, with the path values *placed*; why there is none otherwise."""
    if not exchange.is_success:
        return f"it answered {exchange.status or exchange.error}"
    return _read_thing(suite, kind, exchange, placed, user)


def read_thing(suite: Suite, thing: Thing, *, user: int | None = None) -> Exchange | None:
    """Read *thing* as its maker, or as *user*; None where the document has no reader or no request for it."""
    return act_on(suite, thing, thing.kind.reader, user=user)


def delete_thing(suite: Suite, thing: Thing, *, user: int | None = None) -> Exchange | None:
    """Delete *thing* as its maker, or as *user*; None where the document has no way."""
    return act_on(suite, thing, thing.kind.deleter, user=user)


def list_things(suite: Suite, thing: Thing, *, user: int | None = None) -> Exchange | None:
    """Get the list in which *thing* should stand, its first page where it has some; None without a lister."""
    return act_on(suite, thing, thing.kind.lister, user=user)


def act_on(suite: Suite, thing: Thing, operation: Operation | None, *, user: int | None = None) -> Exchange | None:
    """Send a plain valid request of *operation* with the path values of *thing*; None where there is no such."""
    case = plain_case(suite, operation) if operation is not None else None
    if case is None:
        return None
    return suite.send_apart(case, thing.path_values, user=thing.user if user is None else user)


def plain_case(suite: Suite, operation: Operation) -> Case | None:
    """Return a valid case of *operation* without its optional parameters, the same one each time."""
    if operation.operation_id not in suite.plain_cases:
        found = [case for case in suite.draw(operation, 2) if case.is_valid and not case.is_probe]
        suite.plain_cases[operation.operation_id] = _strip(suite, found[0]) if found else None
    return suite.plain_cases[operation.operation_id]


def renew(suite: Suite, case: Case) -> Case:
    """Return *case* with the texts of its body unlike all others, but for those that name other things."""
    distinct = suite.make_distinct(case)
    body = suite.generator.values_of(case).get("body")
    if not isinstance(body, dict):
        return distinct
    kept = keep_references(suite.generator.values_of(distinct)["body"], body)
    return suite.generator.with_part(distinct, "body", kept)


def _strip(suite: Suite, case: Case) -> Case:
    required = {(one.location, one.name.lower()) for one in case.operation.parameters if one.is_required}
    for location, values in suite.generator.values_of(case).items():
        if location != "body":
            kept = {name: value for name, value in values.items() if (location, name.lower()) in required}
            case = suite.generator.with_part(case, location, kept) if kept != values else case
    return case


def _cases(suite: Suite, creator: Operation, body: Json) -> Iterator[Case]:
    """Yield requests that may make a thing, each unlike all others, likeliest first."""
    recipe = suite.recipes.get(creator.operation_id)
    if body is not None:
        plain = recipe or plain_case(suite, creator)
        yield from [suite.generator.with_part(plain, "body", body)] if plain else []
        return
    if recipe is not None:
        yield renew(suite, recipe)
    for case in suite.find_successes(creator)[:2]:
        yield renew(suite, _strip(suite, case))
    for number, case in enumerate(suite.draw(creator, _MAX_TRIES)):
        yield suite.humanise(_strip(suite, suite.make_distinct(case)), number)


def _find_parents(suite: Suite, kind: Kind, user: int) -> dict[str, str] | str:
    """Return the path values of what a new thing of *kind* belongs to, or why there are none."""
    assert kind.creator is not None
    names = [name for name in kind.parent_keys if name != kind.key]
    if not names:
        return {}
    parent = find_parent(suite.kinds, kind.creator.path)
    known = suite.parents.get((kind.creator.path, user))
    if known is None and parent is not None and _is_above(parent, kind):
        made = make_thing(suite, parent, user=user)
        if isinstance(made, Thing):
            known = {**made.path_values}
            suite.parents[kind.creator.path, user] = known
    if known is None and user == 0:
        known = suite.find_path_values(kind.creator)
    if known is None or not set(names) <= known.keys():
        return f"nothing is known that a new {kind.name} could belong to"
    return {name: known[name] for name in names}


def _is_above(parent: Kind, kind: Kind) -> bool:
    """Tell whether *parent* can be made without knowing one of *kind*."""
    return parent.creator is not None and len(parent.parent_keys) < len(kind.parent_keys)


def _choose_key(suite: Suite, kind: Kind, case: Case) -> dict[str, str]:
    """Return the key of a new thing where the caller names it, as in ``PUT /files/{name}``."""
    if kind.creator is None or kind.key not in kind.parent_keys:
        return {}
    suite.key_number += 1
    chosen = vary(suite.generator.path_values(case)[kind.key], suite.run_salt + suite.key_number)
    return {kind.key: chosen}


def _read_thing(suite: Suite, kind: Kind, exchange: Exchange, placed: Mapping[str, str], user: int) -> Thing | str:
    """Return the thing that *exchange* made, or why nobody can tell what it is called."""
    assert kind.creator is not None
    answered = kind.read_thing(exchange.read_json())
    sent = suite.generator.values_of(exchange.case).get("body")
    values = dict(placed)
    if kind.key and kind.key not in values:
        key = kind.read_key(answered) or _read_location(kind, exchange)
        if key is None:
            key = _read_sent_key(kind, sent)
        if key is None:
            return f"the answer of {name_of(kind.creator)} does not tell the {kind.key} of the new {kind.name}"
        values[kind.key] = key
    by_name = {normalise(name): value for name, value in values.items()}
    for operation in kind.operations:
        for parameter in operation.parameters:
            if parameter.location == "path" and normalise(parameter.name) in by_name:
                values.setdefault(parameter.name, by_name[normalise(parameter.name)])
    return Thing(kind, values, sent, answered or {}, exchange, user)


def _read_location(kind: Kind, exchange: Exchange) -> str | None:
    """Return the key of a new thing as the ``Location`` header names it."""
    location = exchange.response.headers.get("Location", "") if exchange.response is not None else ""
    before = kind.item_path.rstrip("/").rpartition("/")[0]
    pattern = "[^/?#]+".join(re.escape(part) for part in _PARAMETER.split(before))
    match = re.search(pattern + r"/([^/?#]+)/?(?:[?#].*)?$", location)
    return unquote(match.group(1)) if match else None


def _read_sent_key(kind: Kind, sent: Json) -> str | None:
    """Return the key of a new thing where the caller chose it in the body, a username say."""
    body = sent.get(kind.body_wrapper) if kind.body_wrapper and isinstance(sent, dict) else sent
    if not isinstance(body, dict):
        return None
    found = next((value for name, value in body.items() if normalise(name) == normalise(kind.key)), None)
    return found if isinstance(found, str) and found else None
