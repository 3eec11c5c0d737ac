"""How deep the smallest instance of each schema is, which tells where a recursive schema can end."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pymacaron.json_types import Json, JsonObject
from pymacaron.mock.flattening import reference_name

_SCALARS = frozenset({"null", "boolean", "integer", "number", "string"})
_DATA = frozenset({"default", "example", "examples", "enum", "const", "discriminator", "required", "xml"})


def reachable_schemas(schema: Json, schemas: Mapping[str, JsonObject]) -> dict[str, JsonObject]:
    """Return those of *schemas* that *schema* refers to, and those that they refer to, in the order of *schemas*."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        names = set(_references(waiting.pop())) - found
        found |= names
        waiting += [schemas[name] for name in names if name in schemas]
    return {name: schemas[name] for name in schemas if name in found}


def _references(node: Json) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        name = reference_name(node)
        if name is not None:
            yield name
        for key, inner in node.items():
            if key not in _DATA:
                yield from _references(inner)


def find_heights(schemas: Mapping[str, JsonObject]) -> dict[str, float]:
    """Return the height of each schema: 0 for what holds nothing; infinite where no instance ends."""
    heights = dict.fromkeys(schemas, math.inf)
    for _ in range(len(heights) + 1):
        found = {name: height_of(schema, heights) for name, schema in schemas.items()}
        if found == heights:
            break
        heights = found
    return heights


def height_of(schema: Json, heights: Mapping[str, float]) -> float:
    """Return the height of *schema*. heights: of named schemas."""
    if not isinstance(schema, dict):
        return math.inf if schema is False else 0
    parts = [heights.get(reference_name(schema) or "", 0.0), _own_height(schema, heights)]
    parts += [height_of(part, heights) for part in schema.get("allOf", [])]
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            parts.append(min(height_of(part, heights) for part in schema[keyword]))
    return max(parts)


def _own_height(schema: JsonObject, heights: Mapping[str, float]) -> float:
    types = schema.get("type", [])
    if "enum" in schema or "const" in schema or not _SCALARS.isdisjoint([types] if isinstance(types, str) else types):
        return 0
    properties = schema.get("properties", {})
    inner = [height_of(properties.get(name, True), heights) for name in schema.get("required", [])]
    if schema.get("minItems", 0) > 0:
        inner.append(height_of(schema.get("items", True), heights))
    return 1 + max(inner) if inner else 0
