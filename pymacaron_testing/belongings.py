"""Things that one user made for another one to try, and what they are recognised by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymacaron_testing.declared import branches_of
from pymacaron_testing.disclosure import Trace, texts_of
from pymacaron_testing.kinds import body_schema, properties_of
from pymacaron_testing.things import Thing, make_thing, plain_case, read_thing

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.kinds import Kind
    from pymacaron_testing.suite import Suite

OWNER, STRANGER = 0, 1
_MOST_TRACES = 200
_PARAMETER = re.compile(r"\{([^{}]+)\}")
_PUBLIC_FLAG = re.compile(r"public|shared|published|visible|listed|open$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Traces:
    """All things of a kind that the owner made. known: texts that do not tell one of them from others."""

    items: tuple[Trace, ...]
    known: frozenset[str]


def make_private(suite: Suite, kind: Kind, parents: dict[str, str] | None = None) -> Thing | str:
    """Make a thing of the owner that is not published by a property of its own; return why none could be made."""
    if kind.creator is not None:
        suite.sample(kind.creator)  # shows what requests succeed
    thing = make_thing(suite, kind, user=OWNER, parents=parents)
    if isinstance(thing, str):
        return thing
    changes = find_concealing(thing.sent_fields, _body_properties(suite, kind))
    if not changes:
        return thing
    fields = {**thing.sent_fields, **changes}
    wrapped = {kind.body_wrapper: fields} if kind.body_wrapper else fields
    case = suite.generator.with_part(thing.exchange.case, "body", wrapped)
    body = suite.generator.values_of(suite.make_distinct(case)).get("body")
    return make_thing(suite, kind, user=OWNER, parents=parents, body=body)


def find_concealing(fields: JsonObject, properties: dict[str, JsonObject]) -> JsonObject:
    """Return the changes that keep a thing private where its own properties say who may see it."""
    changes: JsonObject = {}
    for name, rules in properties.items():
        members = rules.get("enum")
        if isinstance(members, list) and "private" in members:
            changes[name] = "private"
        elif rules.get("type") == "boolean" and _PUBLIC_FLAG.search(name):
            changes[name] = False
        elif rules.get("type") == "boolean" and name.lower() in {"private", "is_private", "isprivate", "hidden"}:
            changes[name] = True
    return {name: value for name, value in changes.items() if fields.get(name) != value}


def trace_of(thing: Thing) -> Trace:
    """Return what *thing* is recognised by."""
    kind = thing.kind
    key = thing.path_values.get(kind.key) or kind.read_key(thing.answered) or ""
    return _trace(kind, key, thing.sent_fields, thing.answered)


def find_traces(suite: Suite, kind: Kind, *things: Thing) -> Traces:
    """Return what the things are recognised by that the owner made so far, *things* first."""
    found = [trace_of(thing) for thing in things]
    properties = _body_properties(suite, kind)
    exchanges = suite.sample(kind.creator) if kind.creator else []
    for exchange in [one for one in exchanges if one.is_success][-_MOST_TRACES:]:
        answered = kind.read_thing(exchange.read_json()) or {}
        body = suite.generator.values_of(exchange.case).get("body")
        sent = body.get(kind.body_wrapper) if kind.body_wrapper and isinstance(body, dict) else body
        key = kind.read_key(answered)
        if key and isinstance(sent, dict) and not find_concealing(sent, properties):
            found.append(_trace(kind, key, sent, answered))
    counts = Counter(text for trace in found for text in set(texts_of(trace.fields)))
    named = set(_named_texts(body_schema(kind.creator), suite.api.document))
    return Traces(tuple(found), frozenset({text for text, count in counts.items() if count > 1} | named))


def place(thing: Thing, operation: Operation) -> dict[str, str]:
    """Return the path values of *thing* by the names that *operation*, of its path or below, has for them."""
    ours, theirs = (_PARAMETER.findall(path) for path in (thing.kind.item_path, operation.path))
    return {**thing.path_values, **{name: thing.path_values[own] for own, name in zip(ours, theirs, strict=False)}}


def act(suite: Suite, thing: Thing, operation: Operation, user: int, number: int = 0) -> Exchange | None:
    """Send a valid request of *operation* about *thing* as *user*; None where there is no such request.

    number: of several requests that are as good, those that say most come first.
    """
    cases = find_cases(suite, operation)
    if number >= len(cases):
        return None
    return suite.send_apart(suite.make_distinct(cases[number]), place(thing, operation), user=user)


def find_cases(suite: Suite, operation: Operation) -> list[Case]:
    """Return valid cases of *operation* without its optional parameters, those with the largest bodies first."""
    found = suite.find_successes(operation) or [case for case in [plain_case(suite, operation)] if case]
    required = {(one.location, one.name.lower()) for one in operation.parameters if one.is_required}
    bare: list[Case] = []
    for case in found:
        for location, values in suite.generator.values_of(case).items():
            if location != "body":
                kept = {name: value for name, value in values.items() if (location, name.lower()) in required}
                case = suite.generator.with_part(case, location, kept)  # noqa: PLW2901 - one part after the other
        bare.append(case)
    return sorted(bare, key=lambda case: -_size_of(suite.generator.values_of(case).get("body")))


def _size_of(body: Json) -> int:
    return len(body) if isinstance(body, dict) else 0


def read_fields(suite: Suite, thing: Thing) -> JsonObject | None:
    """Return the properties of *thing* as its owner reads them; None where he cannot."""
    exchange = read_thing(suite, thing)
    if exchange is None or not exchange.is_success:
        return None
    return thing.kind.read_thing(exchange.read_json())


def _body_properties(suite: Suite, kind: Kind) -> dict[str, JsonObject]:
    """Return the properties that the creator of *kind* takes."""
    properties = properties_of(body_schema(kind.creator), suite.api.document)
    return properties_of(properties.get(kind.body_wrapper), suite.api.document) if kind.body_wrapper else properties


def _trace(kind: Kind, key: str, sent: JsonObject, answered: JsonObject) -> Trace:
    fields = {name: value for name, value in sent.items() if answered.get(name, value) == value}
    return Trace(kind.key_field, key, fields)


def _named_texts(schema: JsonObject | None, document: JsonObject) -> Iterator[str]:
    """Yield the texts that the document itself gives for values."""
    for branch in branches_of(schema or {}, document):
        for key in ("enum", "const", "default", "example", "examples"):
            yield from texts_of(branch.get(key))
        for rules in branch.get("properties", {}).values():
            if isinstance(rules, dict):
                yield from _named_texts({key: value for key, value in rules.items() if key != "properties"}, document)


def find_target(kinds: tuple[Kind, ...], operation: Operation) -> Kind | None:
    """Return the kind whose thing *operation* is about: its path names it, or something of it without a key."""
    path = operation.path.rstrip("/")
    for kind in sorted(kinds, key=lambda kind: -len(kind.item_path)):
        item = kind.item_path.rstrip("/")
        if item and (path == item or (path.startswith(f"{item}/") and "{" not in path[len(item) :])):
            return kind
    return None
