"""Tests of `pymacaron.spec.schemas`."""

from __future__ import annotations

import pytest

from pymacaron.json_types import JsonObject
from pymacaron.spec.schemas import make_nullable, upgrade_schema

REF: JsonObject = {"$ref": "#/components/schemas/Pet"}
NULL: JsonObject = {"type": "null"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"type": "string", "nullable": True}, {"type": ["string", "null"]}, id="nullable"),
        pytest.param({"type": "string", "nullable": False}, {"type": "string"}, id="not nullable"),
        pytest.param({"nullable": True}, {}, id="nullable anything"),
        pytest.param(
            {"type": "string", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
            id="nullable enum",
        ),
        pytest.param(
            {"allOf": [REF], "nullable": True, "description": "d"},
            {"anyOf": [{"allOf": [REF]}, NULL], "description": "d"},
            id="nullable composition",
        ),
        pytest.param({**REF, "nullable": True, "type": "string"}, REF, id="siblings of $ref mean nothing"),
        pytest.param({**REF, "description": "d"}, {**REF, "description": "d"}, id="but a description is kept"),
        pytest.param(
            {**REF, "x-nullable": True}, {"x-nullable": True, "anyOf": [REF, NULL]}, id="x-nullable beside $ref"
        ),
        pytest.param({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}, id="exclusive minimum"),
        pytest.param({"maximum": 1, "exclusiveMaximum": False}, {"maximum": 1}, id="inclusive maximum"),
        pytest.param({"exclusiveMaximum": True}, {}, id="exclusive without a bound"),
        pytest.param({"exclusiveMinimum": 5}, {"exclusiveMinimum": 5}, id="exclusive number"),
        pytest.param({"type": "file"}, {"type": "string", "format": "binary"}, id="file"),
        pytest.param({"discriminator": "kind"}, {"discriminator": {"propertyName": "kind"}}, id="discriminator"),
        pytest.param(
            {"properties": {"a": {"x-mandatory": True}, "b": {"x-mandatory": False}, "c": True}, "required": ["d"]},
            {
                "properties": {"a": {"x-mandatory": True}, "b": {"x-mandatory": False}, "c": True},
                "required": ["d", "a"],
            },
            id="x-mandatory",
        ),
        pytest.param(
            {"properties": {"a": {"x-mandatory": True}}, "required": ["a"]},
            {"properties": {"a": {"x-mandatory": True}}, "required": ["a"]},
            id="x-mandatory and required",
        ),
    ],
)
def test_older_schemas(schema: JsonObject, expected: JsonObject) -> None:
    """Schemas of Swagger 2.0 and OpenAPI 3.0 become JSON Schema 2020-12."""
    assert upgrade_schema(schema, is_older=True) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(
            {"type": "string", "nullable": True}, {"type": "string", "nullable": True}, id="nullable is a word"
        ),
        pytest.param(
            {"type": "string", "x-nullable": True}, {"type": ["string", "null"], "x-nullable": True}, id="x-nullable"
        ),
        pytest.param({**REF, "maxLength": 5}, {**REF, "maxLength": 5}, id="siblings of $ref count"),
    ],
)
def test_newer_schemas(schema: JsonObject, expected: JsonObject) -> None:
    """Schemas of OpenAPI 3.1 stay as they are, but for our extensions."""
    assert upgrade_schema(schema, is_older=False) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"type": ["string", "null"]}, {"type": ["string", "null"]}, id="already"),
        pytest.param({"type": ["string", "integer"]}, {"type": ["string", "integer", "null"]}, id="two types"),
        pytest.param({"const": 1}, {"enum": [1, None]}, id="const"),
        pytest.param({"enum": [1, None]}, {"enum": [1, None]}, id="null in the enum"),
        pytest.param({"anyOf": [REF]}, {"anyOf": [REF, NULL]}, id="anyOf"),
        pytest.param({"oneOf": [REF, NULL]}, {"oneOf": [REF, NULL]}, id="oneOf with null"),
        pytest.param(
            {"oneOf": [REF], "discriminator": {"propertyName": "a"}},
            {"oneOf": [REF, NULL], "discriminator": {"propertyName": "a"}},
            id="oneOf with a discriminator",
        ),
        pytest.param(
            {"anyOf": [REF], "type": "object", "title": "t"},
            {"title": "t", "anyOf": [{"anyOf": [REF], "type": "object"}, NULL]},
            id="anyOf and more",
        ),
    ],
)
def test_make_nullable(schema: JsonObject, expected: JsonObject) -> None:
    """Null becomes right beside what was right before."""
    assert make_nullable(schema) == expected
