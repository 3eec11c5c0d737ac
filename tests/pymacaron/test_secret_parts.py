"""The document says which parts of a body are secret."""

from __future__ import annotations

import pytest

from pymacaron.json_types import Json, JsonObject
from pymacaron.redaction import MASK
from pymacaron.secret_parts import ANYTHING, BodyMask, SecretShape, find_secret_names, is_secret
from pymacaron.spec import parse_spec

SECRET: JsonObject = {"type": "string", "writeOnly": True}
SCHEMAS: dict[str, JsonObject] = {
    "Pin": {"type": "integer", "format": "password"},
    "Node": {"properties": {"code": SECRET, "next": {"$ref": "#/components/schemas/Node"}}},
    "Loop": {"$ref": "#/components/schemas/Loop"},
}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        pytest.param(SECRET, "x", MASK, id="itself"),
        pytest.param(SECRET, {"a": [1]}, MASK, id="of-another-type"),
        pytest.param({"$ref": "#/components/schemas/Pin"}, 1234, MASK, id="reference"),
        pytest.param({"properties": {"a": SECRET}}, {"a": "x", "b": "y"}, {"a": MASK, "b": "y"}, id="property"),
        pytest.param({"allOf": [{}, {"properties": {"a": SECRET}}]}, {"a": "x"}, {"a": MASK}, id="allOf"),
        pytest.param(
            {"oneOf": [{"properties": {"a": {}}}, {"properties": {"a": SECRET}}]}, {"a": 1}, {"a": MASK}, id="oneOf"
        ),
        pytest.param({"if": {}, "else": {"properties": {"a": SECRET}}}, {"a": "x"}, {"a": MASK}, id="else"),
        pytest.param(
            {"dependentSchemas": {"b": {"properties": {"a": SECRET}}}}, {"a": "x"}, {"a": MASK}, id="dependent"
        ),
        pytest.param({"additionalProperties": SECRET}, {"any": "x"}, {"any": MASK}, id="map"),
        pytest.param({"patternProperties": {"^x-": SECRET}}, {"x-a": 1, "y": 2}, {"x-a": MASK, "y": 2}, id="pattern"),
        pytest.param(
            {"patternProperties": {"(?<bad>x": SECRET}}, {"a": "x"}, {"a": MASK}, id="pattern-of-another-language"
        ),
        pytest.param({"items": SECRET}, ["x", "y"], [MASK, MASK], id="items"),
        pytest.param({"prefixItems": [{}, SECRET]}, ["x", "y", "z"], ["x", MASK, "z"], id="place"),
        pytest.param({"prefixItems": [{}], "items": SECRET}, ["x", "y", "z"], ["x", MASK, MASK], id="rest"),
        pytest.param(
            {"$ref": "#/components/schemas/Node"},
            {"code": "x", "next": {"code": "y", "next": {"code": None}}},
            {"code": MASK, "next": {"code": MASK, "next": {"code": None}}},
            id="recursive",
        ),
        pytest.param({"$ref": "#/components/schemas/Loop"}, {"a": "x"}, {"a": "x"}, id="loop"),
        pytest.param(
            {}, {"password": "x", "user": {"api_key": "y"}}, {"password": MASK, "user": {"api_key": MASK}}, id="name"
        ),
        pytest.param({}, {"known": "x"}, {"known": MASK}, id="name-of-the-document"),
    ],
)
def test_secrets_are_hidden(schema: JsonObject, value: Json, expected: Json) -> None:
    """Wherever a schema may say so, by whatever way it is reached."""
    mask = BodyMask(frozenset({"known"}), frozenset({"*"}))
    assert mask.hide(value, SecretShape([schema], SCHEMAS)) == expected


def test_everything_else_is_shown_by_permission() -> None:
    """Structure, booleans and null are told; a name that is allowed clears all that is in it but secrets."""
    value = {"a": {"b": "x", "pin": 1, "c": True}, "d": ["y", None], "e": 1.5}
    assert BodyMask(frozenset(), frozenset()).hide(value, ANYTHING) == {
        "a": {"b": MASK, "pin": MASK, "c": True},
        "d": [MASK, None],
        "e": MASK,
    }
    shown = BodyMask(frozenset(), frozenset({"a", "d"})).hide(value, ANYTHING)
    assert shown == {"a": {"b": "x", "pin": MASK, "c": True}, "d": ["y", None], "e": MASK}


def test_what_was_hidden_is_remembered() -> None:
    """To be taken out of texts: the texts and numbers of secrets, not what merely is not shown."""
    mask = BodyMask(frozenset(), frozenset())
    mask.hide({"password": {"old": "abcd", "new": [12345, True]}, "name": "Bo"}, ANYTHING)
    assert mask.secrets == {"abcd", "12345"}


def test_a_large_body_is_read_quickly() -> None:
    """Shapes are made once, not for each value."""
    shape = SecretShape([{"items": {"$ref": "#/components/schemas/Node"}}], SCHEMAS)
    BodyMask(frozenset(), frozenset()).hide([{"code": "x", "next": {"code": "y"}}] * 1000, shape)
    assert shape.item(0) is shape.item(999)
    assert shape.item(0).property("next") is shape.item(7).property("next")


def test_names_of_secrets() -> None:
    """Properties, parameters and keys of security schemes, by all their names, in lower case."""
    text = """
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets:
    get:
      operationId: listPets
      parameters:
        - {name: X-Gate-Word, in: header, schema: {type: string, format: password}}
        - {name: page, in: query, schema: {type: integer}}
      responses: {"200": {description: all}}
components:
  securitySchemes: {key: {type: apiKey, in: query, name: petKey}, jwt: {type: http, scheme: bearer}}
  schemas:
    Pet: {type: object, properties: {name: {type: string}, chip: {$ref: "#/components/schemas/Chip"}}}
    Chip: {type: string, writeOnly: true}
    Deep: {type: array, items: {type: object, properties: {Inner: {type: string, format: password}}}}
"""
    names = find_secret_names([parse_spec(text, source="pets.yaml", name="pets")])
    assert names == {"x-gate-word", "x_gate_word", "petkey", "chip", "inner"}
    assert not is_secret({"type": "string"}, {})
