"""What is called exact is: a model that nobody stands beside accepts what jsonschema-rs accepts."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from pymacaron.codegen import load_models
from pymacaron.exactness import exactness_of
from pymacaron.json_types import Json, JsonObject
from pymacaron.judge import REF, judge_of
from pymacaron.spec import parse_spec
from pymacaron.validation import JsonReader

NAMES = [
    "a",
    "b",
    "class",
    "a-b",
    "a_b",
    "__proto__",
    "toString",
    "self",
    "model_config",
    "\u00e9",
    "_x",
    "root",
    "x y",
]
FORMATS = ["date-time", "date", "uuid", "email", "uri", "ipv4", "byte", "decimal", "hostname", "password", "regex"]
VALUES: list[Json] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        1.0,
        1.5,
        2**31,
        2**53 + 1,
        1e300,
        "",
        "a",
        "aa",
        "1",
        "12",
        "\u00e9\n",
        "2026-01-31",
    ),
    *("123e4567-e89b-12d3-a456-426614174000", "a@b.cd", "http://a", "1.2.3.4", "UGV0cw==", "2026-01-31T10:00:00Z"),
    *(
        [],
        {},
        [None],
        ["a"],
        [1, 1.0],
        [[], []],
        {"a": 1},
        {"a": "a", "b": 1},
        {"": None},
        {"__proto__": 1, "class": {}},
    ),
]
OBJECT: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}}
EXACT: list[Any] = [
    pytest.param({}, id="anything"),
    pytest.param(OBJECT | {"required": ["a"], "additionalProperties": False, "description": "x"}, id="object"),
    pytest.param({"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}, id="map"),
    pytest.param({"type": "array", "items": {"type": ["string", "null"], "maxLength": 3}, "maxItems": 2}, id="array"),
    pytest.param({"type": "string", "pattern": "^[a-z]+$", "default": "a"}, id="pattern"),
    pytest.param({"type": "string", "enum": ["a", "b"]}, id="enum of texts"),
    pytest.param({"type": "string", "format": "uuid"}, id="format"),
    pytest.param({"type": "string", "format": "of-our-own", "enum": ["a"]}, id="format that is an annotation"),
    pytest.param({"allOf": [OBJECT, {"type": "object", "required": ["b"], "properties": {"b": {}}}]}, id="allOf"),
    pytest.param({"anyOf": [OBJECT, {"type": "null"}]}, id="nullable object"),
    pytest.param({"oneOf": [{"type": "integer"}, {"type": "string"}]}, id="oneOf of different types"),
]
JUDGED: list[Any] = [
    pytest.param({"properties": {"a": {}}}, id="no type"),
    pytest.param({"type": "integer", "enum": [1, 2]}, id="enum of numbers"),
    pytest.param({"type": "number", "multipleOf": 0.1}, id="multipleOf"),
    pytest.param({"type": "string", "pattern": "a(?=b)"}, id="look-around"),
    pytest.param({"type": "string", "format": "date", "minLength": 3}, id="bounds beside a format"),
    pytest.param({"oneOf": [{"type": "integer"}, {"type": "number"}]}, id="oneOf of types that overlap"),
    pytest.param({"allOf": [OBJECT | {"additionalProperties": False}, OBJECT]}, id="closed part"),
    pytest.param(OBJECT | {"if": {}}, id="if"),
    pytest.param({"type": "array", "uniqueItems": True}, id="uniqueItems"),
    pytest.param({"type": "object", "properties": {"a": False}}, id="property that may not be there"),
    pytest.param({"$ref": f"{REF}Nobody"}, id="reference to nothing"),
    pytest.param(False, id="nothing"),
]


@pytest.mark.parametrize("schema", EXACT)
def test_models_that_say_everything(schema: Any) -> None:
    """Ordinary schemas need no second opinion."""
    assert exactness_of({}, "request").is_exact(schema)


@pytest.mark.parametrize("schema", JUDGED)
def test_models_that_do_not(schema: Any) -> None:
    """What models cannot say, or say otherwise, is judged."""
    assert not exactness_of({}, "request").is_exact(schema)


def draw_plain(rng: random.Random) -> JsonObject:
    """Return a random schema of a text, a number or the like."""
    text = {"minLength": rng.randrange(3), "maxLength": rng.randrange(2, 5), "format": rng.choice(FORMATS)}
    text |= {"pattern": rng.choice(["^a+$", "[0-9]", r"^\d{2}$"])}
    number = {"minimum": rng.choice([0, 1]), "exclusiveMaximum": 10, "format": rng.choice(["int32", "int64"])}
    choices: list[JsonObject] = [
        {"type": "string", **{key: text[key] for key in rng.sample(sorted(text), rng.randrange(2))}},
        {"type": "integer", **{key: number[key] for key in rng.sample(sorted(number), rng.randrange(3))}},
        {"type": "number", **{key: number[key] for key in rng.sample(sorted(number), rng.randrange(3))}},
        rng.choice([{}, {"type": "boolean"}, {"enum": ["a", None]}, {"type": ["string", "integer"]}]),
    ]
    return rng.choice(choices)


def draw_object(rng: random.Random, depth: int, names: list[str]) -> JsonObject:
    """Return a random schema of an object with properties, sometimes one that extends another schema."""
    properties = {name: draw_schema(rng, depth - 1, names) for name in rng.sample(NAMES, rng.randrange(1, 4))}
    schema: JsonObject = {"type": "object", "properties": properties, "required": rng.sample(sorted(properties), 1)}
    if rng.random() < 0.3:
        schema["additionalProperties"] = rng.choice([False, draw_schema(rng, depth - 1, names)])
    parent = {"$ref": REF + rng.choice(names)}
    return {"allOf": [parent, schema]} if rng.random() < 0.2 else schema


def draw_schema(rng: random.Random, depth: int, names: list[str], *, is_named: bool = False) -> JsonObject:
    """Return a random schema that often is exact."""
    kind = rng.random()
    if not depth or kind < 0.2:
        return draw_plain(rng)
    if kind < 0.4 and not is_named:
        return {"$ref": REF + rng.choice(names)}
    if kind < 0.7:
        return draw_object(rng, depth, names)
    key = rng.choice(["anyOf", "oneOf", "items", "additionalProperties"])
    inner = draw_schema(rng, depth - 1, names)
    if key in {"anyOf", "oneOf"}:
        return {key: [inner, draw_schema(rng, depth - 1, names)]}
    return {"type": "array" if key == "items" else "object", key: inner}


def draw_value(rng: random.Random, depth: int) -> Json:
    """Return a random JSON value, often an object with properties that schemas name."""
    if depth and rng.random() < 0.6:
        names = rng.sample(NAMES, rng.randrange(4))
        return {name: draw_value(rng, depth - 1) for name in names}
    return rng.choice(VALUES)


@pytest.mark.parametrize("seed", range(8))
def test_random_schemas(seed: int) -> None:
    """Models that are called exact agree with jsonschema-rs on every value."""
    rng = random.Random(seed)
    names = [f"S{number}" for number in range(20)]
    schemas = {name: draw_schema(rng, 3, names, is_named=True) for name in names}
    info = {"title": "Random", "version": "1"}
    api = parse_spec(json.dumps({"openapi": "3.1.0", "info": info, "paths": {}, "components": {"schemas": schemas}}))
    models = load_models(api, None, may_write=False)
    exact = [name for name in names if exactness_of(api.schemas, "request").is_exact(api.schemas[name])]
    assert exact
    for name in exact:
        judge = judge_of(api.schemas).compile({"$ref": REF + name})
        reader = JsonReader(models[name])
        for value in [*VALUES, *(draw_value(rng, 3) for _ in range(60))]:
            faults: list[str] = []
            reader.read(json.dumps(value).encode(), faults)
            assert (not faults) == judge.is_valid(value), (api.schemas[name], value, faults)
