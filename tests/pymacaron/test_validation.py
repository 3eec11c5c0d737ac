"""What is wrong with a value is found, and said without showing the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from pymacaron.json_types import JsonObject
from pymacaron.judge import Direction
from pymacaron.validation import SchemaCheck

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
            {"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, ["/: breaks required"], id="if then"
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
        pytest.param("request", {"id": 1}, ["/: breaks required"], id="write-only in a request"),
        pytest.param("response", {"secret": "x"}, ["/: breaks required"], id="read-only in an answer"),
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
