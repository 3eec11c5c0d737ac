"""No change that refuses what was accepted goes untold, and none is called breaking that refuses nothing."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from pymacaron.diff import Change, compare
from pymacaron.exceptions import SpecError
from pymacaron.spec import Api, parse_spec

NAMES = ("a", "b", "c")
TEXTS = ("", "a", "ab", "abc", "2026-01-31", "2026-01-31T10:00:00Z")
SCALARS: list[Any] = [None, True, False, -1, 0, 1, 2, 3, 4, 0.5, 1.5, *TEXTS]
VALUES: list[Any] = [
    *SCALARS,
    [],
    *([value] for value in SCALARS),
    *map(list, itertools.product((0, 1, "a", None), repeat=2)),
    ["a", "ab", 1],
    *({}, {"a": {}}, {"b": {"a": 1}}, {"a": []}, {"a": [1, 1]}, {"a": {"a": "a", "b": 0}}),
    *({name: value} for name in NAMES for value in SCALARS),
    *({"a": one, "b": two} for one in ("a", 1, None, 0.5) for two in ("a", 1, 3, True)),
    *({"a": one, "b": two, "c": 1} for one in ("ab", 2) for two in ("abc", 0)),
]

texts = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "enum": st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3, unique=True),
        "pattern": st.sampled_from(["^a", "b$", "^[ab]*$"]),
        "format": st.sampled_from(["date", "date-time", "nickname"]),
    },
)
numbers = st.fixed_dictionaries(
    {"type": st.sampled_from(["integer", "number", ["integer", "null"]])},
    optional={
        "minimum": st.integers(-1, 3),
        "maximum": st.integers(0, 4),
        "exclusiveMinimum": st.integers(-1, 2),
        "multipleOf": st.sampled_from([1, 2]),
        "format": st.sampled_from(["int32", "int64"]),
    },
)
others = st.sampled_from(
    [{}, {"type": "boolean"}, {"type": "null"}, {"const": 1}, {"enum": [1, "a", None]}, {"not": {}}]
)


def nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    some = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": properties},
            optional={
                "required": st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True),
                "additionalProperties": st.one_of(st.booleans(), inner),
                "maxProperties": st.integers(0, 3),
                "dependentRequired": st.just({"a": ["b"]}),
                "patternProperties": st.fixed_dictionaries({"^c": inner}),
            },
        ),
        st.fixed_dictionaries(
            {"type": st.just("array")},
            optional={
                "items": inner,
                "minItems": st.integers(0, 2),
                "maxItems": st.integers(0, 3),
                "uniqueItems": st.booleans(),
                "prefixItems": some,
                "contains": inner,
            },
        ),
        st.fixed_dictionaries({"oneOf": some}),
        st.fixed_dictionaries({"anyOf": some}),
        st.fixed_dictionaries({"allOf": some}),
        st.fixed_dictionaries({"type": st.just("object"), "anyOf": some}, optional={"properties": properties}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"if": inner, "then": inner}),
    )


schemas = st.recursive(st.one_of(texts, numbers, others), nest, max_leaves=6)


def places(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the schema and all those inside of it."""
    if isinstance(schema, list):
        for inner in schema:
            yield from places(inner)
    if isinstance(schema, dict):
        yield schema
        for key in ("items", "additionalProperties", "oneOf", "anyOf", "allOf", "not", "if", "then", "contains"):
            yield from places(schema.get(key))
        for inner in schema.get("properties", {}).values():
            yield from places(inner)


@st.composite
def mutants(draw: st.DrawFn) -> tuple[Any, Any]:
    """Return a schema, and the same with one place of it changed."""
    old = draw(schemas)
    new = copy.deepcopy(old)
    place = draw(st.sampled_from(list(places(new))))
    if place and draw(st.booleans()):
        del place[draw(st.sampled_from(sorted(place)))]
    else:
        other = draw(schemas)
        if draw(st.booleans()):
            place.clear()
        place.update(copy.deepcopy(other))
    return old, new


def read(schema: Any, *, is_request: bool) -> Api:
    media = {"content": {"application/json": {"schema": schema}}}
    operation: dict[str, Any] = {"responses": {"200": {"description": "All."}}}
    if is_request:
        operation["requestBody"] = media
    else:
        operation["responses"]["200"] |= media
    document = {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": {"/t": {"post": operation}}}
    return parse_spec(json.dumps(document), source="t.json")


def is_declared(value: Any, schema: Any) -> bool:
    """Tell whether *value* has no property but those that *schema* names somewhere."""
    named = {name for place in places(schema) for name in place.get("properties", {})}
    if isinstance(value, dict):
        return named >= value.keys() and all(is_declared(inner, schema) for inner in value.values())
    return not isinstance(value, list) or all(is_declared(inner, schema) for inner in value)


@pytest.mark.parametrize("is_request", [True, False], ids=["requests", "answers"])
@given(pair=mutants())
@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_nothing_goes_untold(pair: tuple[Any, Any], *, is_request: bool) -> None:
    """Whatever jsonschema-rs lets through on one side only is told; what it proves to be harmless is not breaking."""
    old, new = pair
    try:
        changes = compare(read(old, is_request=is_request), read(new, is_request=is_request))
    except SpecError:  # bounds that are the wrong way round
        reject()
    allowing, demanding = (old, new) if is_request else (new, old)
    allows = Draft202012Validator(allowing, validate_formats=True)
    demands = Draft202012Validator(demanding, validate_formats=True)
    found = [value for value in VALUES if allows.is_valid(value) and not demands.is_valid(value)]
    told = [change for change in changes if change.severity != "non-breaking"]
    assert changes or not found
    assert told or not [value for value in found if is_declared(value, allowing)]
    breaking = [change for change in changes if change.severity == "breaking"]
    assert not breaking or is_about_formats(breaking, pair) or not is_proven(demanding, allowing)


def is_proven(demanding: Any, allowing: Any) -> bool:
    """Tell whether every value that *allowing* takes is proven to be taken by *demanding*."""
    canonical = [jsonschema_rs.canonicalize(one, validate_formats=True) for one in (demanding, allowing)]
    return str(canonical[0].covers(canonical[1])) == "yes"


def is_about_formats(breaking: list[Change], pair: tuple[Any, Any]) -> bool:
    """Tell whether the claim may be about formats that JSON Schema does not know."""
    return "int32" in json.dumps(pair) or "int64" in json.dumps(pair) or all("format" in one.rule for one in breaking)
