"""Schemas of older versions -> JSON Schema 2020-12, and how to rebuild the schemas inside of other objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.grammar import LEAVES, ObjectRule

Hook = Callable[[str, JsonObject], Json]

_NULL: JsonObject = {"type": "null"}
_COMPOSITES = ("$ref", "allOf", "anyOf", "oneOf", "not", "if")
# What may stand beside a $ref before OpenAPI 3.1; all else is ignored there.
_REF_SIBLINGS = ("$ref", "description", "summary", "x-")
_ANNOTATIONS = ("title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "x-")


def rebuild(rules: Mapping[str, ObjectRule], shape: str, node: Json, hook: Hook) -> Json:
    """Return a copy of *node*, which is of *shape*, where each object became ``hook(kind, object)``, inner ones first.

    What the grammar does not describe (examples, extensions …) is shared with *node*.
    """
    if shape in LEAVES or node in ({}, [], None) or isinstance(node, bool):
        return node
    if shape.startswith("["):
        return [rebuild(rules, shape[1:-1], item, hook) for item in node]
    if shape.startswith("{"):
        return {key: rebuild(rules, shape[1:-1], item, hook) for key, item in node.items()}
    rule = rules[shape]
    copy = {}
    for key, value in node.items():
        inner = rule.fields.get(key, None if key.startswith("x-") or key == "$ref" else rule.other)
        copy[key] = rebuild(rules, inner, value, hook) if inner else value
    return hook(shape, copy)


def schema_object(schema: Json) -> JsonObject:
    """Return *schema* as an object: true allows anything, false nothing."""
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    return dict(schema)


def upgrade_schema(schema: JsonObject, *, is_older: bool) -> JsonObject:
    """Return *schema*, whose inner schemas were upgraded before, as JSON Schema 2020-12.

    is_older: it comes from Swagger 2.0 or OpenAPI 3.0, where ``nullable``, boolean ``exclusiveMinimum`` and ``$ref``
    without siblings mean something. ``x-nullable`` and ``x-mandatory`` mean something in all versions.
    """
    schema = _require_mandatory(schema)
    is_nullable = schema.get("x-nullable") is True
    if is_older and "$ref" in schema:
        schema = _pick(schema, _REF_SIBLINGS)
    elif is_older:
        is_nullable |= schema.pop("nullable", False) is True
        _replace_exclusive(schema, "minimum", "exclusiveMinimum")
        _replace_exclusive(schema, "maximum", "exclusiveMaximum")
    if schema.get("type") == "file":
        schema |= {"type": "string", "format": "binary"}
    if isinstance(schema.get("discriminator"), str):
        schema["discriminator"] = {"propertyName": schema["discriminator"]}
    return make_nullable(schema) if is_nullable else schema


def make_nullable(schema: JsonObject) -> JsonObject:
    """Return *schema* so that null is right too."""
    if not any(key in schema for key in _COMPOSITES):
        return _add_null_type(schema)
    only = [key for key in schema if not key.startswith(_ANNOTATIONS) and key != "discriminator"]
    if only in (["anyOf"], ["oneOf"]):
        choices = schema[only[0]]
        return schema if _NULL in choices else schema | {only[0]: [*choices, _NULL]}
    outer = _pick(schema, _ANNOTATIONS)
    inner = {key: value for key, value in schema.items() if key not in outer}
    return outer | {"anyOf": [inner, _NULL]}


def _add_null_type(schema: JsonObject) -> JsonObject:
    schema = dict(schema)
    types = schema.get("type", [])
    types = types if isinstance(types, list) else [types]
    if types and "null" not in types:
        schema["type"] = [*types, "null"]
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    return schema


def _require_mandatory(schema: JsonObject) -> JsonObject:
    """Add the properties with ``x-mandatory: true`` to ``required``."""
    mandatory = [
        name
        for name, inner in schema.get("properties", {}).items()
        if isinstance(inner, dict) and inner.get("x-mandatory") is True
    ]
    required = schema.get("required", [])
    missing = [name for name in mandatory if name not in required]
    return {**schema, "required": [*required, *missing]} if missing else dict(schema)


def _replace_exclusive(schema: JsonObject, bound: str, exclusive: str) -> None:
    """Turn ``minimum: 1, exclusiveMinimum: true`` into ``exclusiveMinimum: 1``."""
    if isinstance(schema.get(exclusive), bool):
        is_exclusive = schema.pop(exclusive)
        if is_exclusive and bound in schema:
            schema[exclusive] = schema.pop(bound)


def _pick(schema: JsonObject, prefixes: tuple[str, ...]) -> JsonObject:
    return {key: value for key, value in schema.items() if key.startswith(prefixes)}
