"""What is wrong with a value is found, and said without showing the value."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from pymacaron.codegen import load_models
from pymacaron.json_types import JsonObject
from pymacaron.judge import Direction
from pymacaron.model import PymacaronBaseModel
from pymacaron.spec import parse_spec
from pymacaron.validation import JsonReader, SchemaCheck

SCHEMAS: dict[str, JsonObject] = {
    "Node": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}},
    "Tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    "Tagged": {"type": "object", "properties": {"tags": {"$ref": "#/components/schemas/Tags"}}},
}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(None, id="no schema"),
        pytest.param({"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}}, id="plain"),
        pytest.param({"$ref": "#/components/schemas/Node"}, id="recursive"),
        pytest.param(
            {"type": "object", "properties": {"not": {"type": "string"}, "oneOf": True}},
            id="properties called like keywords",
        ),
        pytest.param({"default": {"not": 1}, "examples": [{"oneOf": 3}]}, id="values, no schemas"),
        pytest.param({"x-own": {"oneOf": 3}}, id="extension"),
    ],
)
def test_models_say_everything(schema: dict[str, Any] | None) -> None:
    """A schema without keywords beyond models needs no check."""
    assert SchemaCheck.build(schema, SCHEMAS) is None


@pytest.mark.parametrize(
    ("schema", "value", "faults"),
    [
        pytest.param({"minProperties": 1}, {}, ["/: breaks minProperties"], id="minProperties"),
        pytest.param(
            {"$ref": "#/components/schemas/Tagged"}, {"tags": ["a", "a"]}, ["/tags: breaks uniqueItems"], id="$ref"
        ),
        pytest.param({"oneOf": [{"type": "integer"}, {"minimum": 2}]}, 3, ["/: breaks oneOf"], id="oneOf"),
        pytest.param({"allOf": [{"not": {"const": 1}}]}, 1, ["/: breaks not"], id="not"),
        pytest.param(
            {"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, ["/b: breaks required"], id="if then"
        ),
        pytest.param(
            {"dependentRequired": {"a": ["b"]}},
            {"a": "secret"},
            ["/: breaks dependentRequired"],
            id="dependentRequired",
        ),
        pytest.param({"prefixItems": [{"type": "integer"}]}, ["secret"], ["/0: breaks type"], id="prefixItems"),
        pytest.param({"not": {"minimum": 0}}, 10**30, ["/: breaks not"], id="huge number"),
    ],
)
def test_faults(schema: dict[str, Any], value: object, faults: list[str]) -> None:
    """A fault is told by its place and the keyword that it breaks."""
    check = SchemaCheck.build(schema, SCHEMAS)
    assert check is not None
    assert check.find_faults(value) == faults


@pytest.mark.parametrize(
    ("direction", "value", "faults"),
    [
        pytest.param("request", {"secret": "x"}, [], id="read-only in a request"),
        pytest.param("response", {"id": 1}, [], id="write-only in an answer"),
        pytest.param("request", {"id": 1}, ["/secret: breaks required"], id="write-only in a request"),
        pytest.param(
            "response",
            {"secret": "x"},
            ["/id: breaks required", "/secret: breaks writeOnly"],
            id="read-only in an answer",
        ),
    ],
)
def test_directions(direction: Direction, value: object, faults: list[str]) -> None:
    """Read-only properties are not demanded in requests, write-only ones not in answers."""
    schema = {
        "minProperties": 1,
        "required": ["id", "secret"],
        "properties": {"id": {"readOnly": True}, "secret": {"writeOnly": True}},
    }
    check = SchemaCheck.build(schema, {}, direction=direction)
    assert check is not None
    assert check.find_faults(value) == faults


def make_reader(schema: Any) -> JsonReader:
    """Return what reads bodies of *schema*, with the model that is generated for it."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Things", "version": "1"},
        "paths": {},
        "components": {"schemas": SCHEMAS | {"Thing": schema}},
    }
    api = parse_spec(json.dumps(document))
    models = load_models(api, None, may_write=False)
    return JsonReader(models["Thing"], SchemaCheck.build(api.schemas["Thing"], api.schemas))


def read(schema: Any, text: str | bytes) -> tuple[Any, list[str]]:
    """Return what a body of *schema* becomes, and its faults."""
    faults: list[str] = []
    value = make_reader(schema).read(text.encode() if isinstance(text, str) else text, faults)
    return (value.to_json() if isinstance(value, PymacaronBaseModel) else value), faults


OPEN_OBJECT = {"type": "object", "properties": {"a": {}, "b": {"type": "integer"}}, "additionalProperties": True}


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        pytest.param({"type": "integer"}, "1.0", 1, id="whole number"),
        pytest.param({"type": "integer"}, "1e2", 100, id="whole number with an exponent"),
        pytest.param({"type": "integer"}, "123456789012345678901234567890", 123456789012345678901234567890, id="big"),
        pytest.param({"type": "integer"}, "-0", 0, id="minus zero"),
        pytest.param({"type": "number", "multipleOf": 0.01}, "4.02", 4.02, id="multiple of a fraction"),
        pytest.param({"type": "integer", "enum": [1, 2]}, "1.0", 1, id="whole number of an enum"),
        pytest.param({"enum": [[1], {"a": 2}]}, '{"a": 2.0}', {"a": 2.0}, id="object of an enum"),
        pytest.param({"type": "string", "maxLength": 1}, '"\U0001f600"', "\U0001f600", id="length in code points"),
        pytest.param(OPEN_OBJECT, '{"b": 1, "b": 2}', {"b": 2}, id="the last of equal names"),
        pytest.param(OPEN_OBJECT, '{"a": ["123e4567", 1e20]}', {"a": ["123e4567", 1e20]}, id="no large number"),
        pytest.param(OPEN_OBJECT | {"minProperties": 1}, '{"b": 1, "b": 2}', {"b": 2}, id="judged as it is read"),
        pytest.param(
            {"type": "object", "properties": {"a": {"default": 0}, "b": {"type": "array", "default": []}}},
            "{}",
            {},
            id="defaults are not said to be sent",
        ),
    ],
)
def test_values(schema: Any, text: str, expected: object) -> None:
    """JSON becomes the value that JSON Schema takes it for."""
    assert read(schema, text) == (expected, [])


@pytest.mark.parametrize(
    ("schema", "text", "faults"),
    [
        pytest.param({"type": "integer"}, '"1"', ["body /: Input should be a valid integer"], id="text"),
        pytest.param(
            {"type": "integer", "enum": [1, 2]}, "true", ["body /: breaks type", "body /: breaks enum"], id="true"
        ),
        pytest.param({"const": {"a": 1}}, '{"a": true}', ["body /: breaks const"], id="nor deep inside"),
        pytest.param(
            {"type": "number", "multipleOf": 0.01},
            "4.021",
            ["body /: Input should be a multiple of 0.01"],
            id="no multiple",
        ),
        pytest.param({"type": "string", "pattern": "a(?=b)"}, '"ac"', ["body /: breaks pattern"], id="look-ahead"),
        pytest.param({"format": "uri"}, '"x y"', ["body /: breaks format uri"], id="format without a type"),
        pytest.param({"not": {}}, "1", ["body /: breaks not"], id="nothing is right"),
        pytest.param(
            {"type": "object"},
            "[1",
            ["body /: Invalid JSON: EOF while parsing a list at line 1 column 2"],
            id="cut off",
        ),
        pytest.param({}, "NaN", ["body: expected value at line 1 column 1"], id="NaN"),
        pytest.param({"type": "object"}, '{"a": 1e400}', ["body: a number is too large"], id="number too large inside"),
        pytest.param({"minimum": 1}, "1e400", ["body: a number is too large"], id="number too large to judge"),
        pytest.param({}, '["e400", -12.5E+400]', ["body: a number is too large"], id="number too large after a text"),
        pytest.param({}, f'["{"e400" * 99}", 1e400]', ["body: a number is too large"], id="after many texts"),
        pytest.param({"type": "object"}, f'{{"a":{"9" * 400}.5}}', ["body: a number is too large"], id="long number"),
        pytest.param(
            {"type": "object", "required": ["a/b"], "properties": {"a/b": {"type": "array", "uniqueItems": True}}},
            '{"a/b": [1, 1.0]}',
            ["body /a~1b: breaks uniqueItems"],
            id="pointer",
        ),
        pytest.param(
            {"type": "object", "properties": {"n": {"type": "integer"}, "t": {"uniqueItems": True}}},
            '{"n": "secret", "t": [1, 1]}',
            ["body /n: Input should be a valid integer"],
            id="the model's words where it knows",
        ),
    ],
)
def test_wrong_values(schema: Any, text: str, faults: list[str]) -> None:
    """What the schema does not accept is refused, with its place and reason and without the value."""
    assert read(schema, text) == (None, faults)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'"\\ud800"', id="half a surrogate pair"),
        pytest.param(b'{"\\udc00": 1}', id="half a surrogate pair as a name"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="nested without end"),
        pytest.param(b'{"a":' * 100_000, id="objects without end"),
        pytest.param(b"9" * 5000, id="number of 5,000 digits"),
    ],
)
@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"items": {"$ref": "#/components/schemas/Tags"}, "minItems": 1}]
)
def test_hostile_texts(schema: Any, text: bytes) -> None:
    """What cannot be read is refused and harms nothing."""
    value, faults = read(schema, text)
    assert value is None
    assert len(faults) == 1


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        pytest.param({"properties": {"a": {"type": "integer"}}}, "3", 3, id="number where only properties are said"),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {"properties": {"b": {}}}, "c": {"type": "string", "format": "date"}},
            },
            '{"a": 1, "c": "2026-01-31"}',
            {"a": 1, "c": "2026-01-31"},
            id="all of the body, when a part has no place",
        ),
        pytest.param({"anyOf": [{"minimum": 2}, {"type": "string"}]}, "null", None, id="null"),
    ],
)
def test_plain_data(schema: Any, text: str, expected: object) -> None:
    """What the schema accepts and the model cannot hold reaches the handler as plain JSON data."""
    assert read(schema, text) == (expected, [])


KINDS: dict[str, Any] = {
    kind: {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"type": "string", "const": kind.lower()}, "a": {"type": "integer"}},
    }
    for kind in ("Cat", "Dog")
}


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        pytest.param({"kind": "cow"}, ["body /: 'kind' should be one of 'cat', 'dog'"], id="unknown value"),
        pytest.param({}, ["body /: Unable to extract tag using discriminator 'kind'"], id="no value"),
        pytest.param({"kind": "dog", "a": "x"}, ["body /dog/a: Input should be a valid integer"], id="wrong inside"),
        pytest.param({"kind": "dog", "a": 1}, [], id="right"),
    ],
)
def test_faults_of_a_discriminator(body: dict[str, Any], faults: list[str]) -> None:
    """The value of a discriminator that names no class is a fault of its own, and is not shown."""
    references = [{"$ref": f"#/components/schemas/{kind}"} for kind in KINDS]
    mapping = {kind.lower(): f"#/components/schemas/{kind}" for kind in KINDS}
    animal = {"oneOf": references, "discriminator": {"propertyName": "kind", "mapping": mapping}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Animals", "version": "1"},
        "paths": {},
        "components": {"schemas": KINDS | {"Animal": animal}},
    }
    api = parse_spec(json.dumps(document))
    assert SchemaCheck.build(api.schemas["Animal"], api.schemas) is None
    found: list[str] = []
    reader = JsonReader(load_models(api, None, may_write=False)["Animal"])
    value = reader.read(json.dumps(body).encode(), found)
    assert found == faults
    assert faults or type(value).__name__ == "Dog"


NAMED_IN_PYTHON = {"type": "object", "required": ["class"], "properties": {"class": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "right", "wrong", "place"),
    [
        pytest.param(NAMED_IN_PYTHON, {"class": "a"}, {"class_": "a"}, "/class", id="outside"),
        pytest.param(
            {"type": "object", "properties": {"inner": NAMED_IN_PYTHON}},
            {"inner": {"class": "a"}},
            {"inner": {"class_": "a"}},
            "/inner/class",
            id="inside",
        ),
    ],
)
def test_properties_have_the_names_of_the_document(schema: JsonObject, right: Any, wrong: Any, place: str) -> None:
    """What a property is called in Python is no name for callers."""
    assert read(schema, json.dumps(right)) == (right, [])
    assert read(schema, json.dumps(wrong))[1] == [f"body {place}: Field required"]


def test_properties_that_count_are_kept() -> None:
    """Where unnamed properties make an object right, its instance keeps them."""
    assert read({"type": "object", "properties": {"a": {}}, "minProperties": 1}, '{"b": 1}') == ({"b": 1}, [])


DOCUMENT = """
openapi: 3.1.0
info: {title: Things, version: "1"}
paths:
  /things:
    post:
      operationId: addThing
      parameters:
        - {name: tags, in: query, schema: {type: array, items: {type: string}, uniqueItems: true}}
      requestBody:
        required: true
        content:
          application/json:
            schema: {type: object, minProperties: 1, properties: {a: {type: integer}, b: {type: integer}}}
      responses: {"204": {description: Added.}}
"""
HANDLERS = """
def add_thing(body, tags=None):
    return None
"""


@pytest.mark.parametrize(
    ("query", "body", "status", "description"),
    [
        pytest.param("", {"a": 1}, 204, None, id="right"),
        pytest.param("", {}, 400, "body /: breaks minProperties", id="body"),
        pytest.param("?tags=x&tags=x", {"a": 1}, 400, "parameters /tags: breaks uniqueItems", id="parameter"),
    ],
)
def test_requests(
    make_service: Callable[..., Flask], query: str, body: dict[str, int], status: int, description: str | None
) -> None:
    """Bodies and parameters are held to keywords that their models do not express."""
    client = make_service(DOCUMENT, HANDLERS).test_client()
    answer = client.post(f"/things{query}", json=body)
    assert answer.status_code == status
    if description is not None:
        assert answer.json is not None
        assert answer.json["error_description"] == description
