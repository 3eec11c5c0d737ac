"""What a text may stand for by a schema, and how it becomes a JSON value.

Source: OpenAPI 3.2, "Parameter Object" and "Encoding Object"; RFC 8259 for what a number is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pymacaron.json_types import Json, JsonObject

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,4000})\Z")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?\Z")
_LITERALS = {"true": True, "false": False}
_MOST_LEVELS = 8

Entry = tuple[Sequence[str], str]
"""A text and where it belongs: ``(("a", "b"), "x")`` for ``[a][b]=x``."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a text may stand for: JSON types, the shapes of array items and of object properties.

    prefix: shapes of the first items. additional: shape of properties without a name of their own, None where there
    are none.
    """

    types: frozenset[str]
    items: Shape | None = None
    properties: Mapping[str, Shape] = field(default_factory=dict)
    prefix: tuple[Shape, ...] = ()
    additional: Shape | None = None

    @property
    def is_array(self) -> bool:
        """Tell whether it may be an array."""
        return "array" in self.types

    @property
    def is_object(self) -> bool:
        """Tell whether it may be an object."""
        return "object" in self.types

    def find_item(self, index: int) -> Shape:
        """Return the shape of the item at *index*."""
        return self.prefix[index] if index < len(self.prefix) else self.items or ANY_TEXT

    def find_property(self, name: str) -> Shape:
        """Return the shape of the property *name*."""
        return self.properties.get(name, self.additional) or ANY_TEXT


ANY_TEXT = Shape(frozenset({"string"}))


def read_shape(schema: JsonObject, schemas: Mapping[str, JsonObject], depth: int = 0) -> Shape:
    """Return the shape of *schema*; ``$ref`` is looked up in *schemas* by its last part.

    A schema without any type (``{}``) stands for text.
    """
    if depth > _MOST_LEVELS:  # a text has no more levels; also ends recursive schemas
        return ANY_TEXT
    types: set[str] = set()
    items: Shape | None = None
    prefix: tuple[Shape, ...] = ()
    additional: Shape | None = None
    properties: dict[str, Shape] = {}
    for part in _parts(schema, schemas):
        types.update(_types_of(part))
        if isinstance(part.get("items"), dict):
            items = read_shape(part["items"], schemas, depth + 1)
        if "prefixItems" in part:
            inners = part["prefixItems"]
            prefix = tuple(read_shape(i, schemas, depth + 1) if isinstance(i, dict) else ANY_TEXT for i in inners)
        additional = _read_additional(part, schemas, depth) or additional
        for name, value in part.get("properties", {}).items():
            properties[name] = read_shape(value, schemas, depth + 1) if isinstance(value, dict) else ANY_TEXT
    return Shape(frozenset(types) or ANY_TEXT.types, items, properties, prefix, additional)


def _read_additional(part: JsonObject, schemas: Mapping[str, JsonObject], depth: int) -> Shape | None:
    """Return the shape of properties without a name; where an object names none, any may come."""
    additional = part.get("additionalProperties", part.get("type") == "object" and "properties" not in part)
    return (
        read_shape(additional, schemas, depth + 1) if isinstance(additional, dict) else ANY_TEXT if additional else None
    )


def _types_of(part: JsonObject) -> set[str]:
    declared = part.get("type", [])
    if declared:
        return {declared} if isinstance(declared, str) else set(declared)
    values = [*part.get("enum", []), *([part["const"]] if "const" in part else [])]
    return {_json_type(value) for value in values}


def _parts(schema: JsonObject, schemas: Mapping[str, JsonObject], seen: tuple[str, ...] = ()) -> list[JsonObject]:
    """Return *schema* and everything that it is composed of."""
    parts = [schema]
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        target = schemas.get(reference.rsplit("/", 1)[-1])
        if target is not None:
            parts += _parts(target, schemas, (*seen, reference))
    for keyword in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(keyword, []):
            if isinstance(inner, dict):
                parts += _parts(inner, schemas, seen)
    return parts


def _json_type(value: Json) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "string")


def parse_scalar(text: str, types: frozenset[str]) -> Json:
    """Return *text* as the first of *types* that it spells: integer, number, boolean, null, string.

    Text that spells none of them is returned as it is; the schema then refuses it.
    """
    if "integer" in types and _INTEGER.match(text):
        return int(text)
    if "number" in types and _NUMBER.match(text):
        number = float(text)
        if math.isfinite(number):
            return int(text) if _INTEGER.match(text) else number
    if "boolean" in types and text in _LITERALS:
        return _LITERALS[text]
    if "null" in types and (text == "null" or (not text and "string" not in types)):
        return None
    return text


def parse_items(texts: Sequence[str], shape: Shape) -> list[Json]:
    """Return the array of *shape* whose items are *texts*."""
    if not shape.prefix:
        types = (shape.items or ANY_TEXT).types
        return [parse_scalar(text, types) for text in texts]
    return [parse_scalar(text, shape.find_item(index).types) for index, text in enumerate(texts)]


def assemble(shape: Shape, entries: Sequence[Entry]) -> Json:
    """Return the value that *entries* make up: ``[a][b]=1&[a][c]=2`` is ``{"a": {"b": 1, "c": 2}}``.

    An empty name (``[]``), the same name again and, where an array belongs, a number add an item.
    Raises: ValueError: a scalar is given twice, beside parts of its own, or too deep.
    """
    own = [text for path, text in entries if not path]
    if not own:
        return _assemble_array(shape, entries) if _is_array(shape, entries) else _assemble_object(shape, entries)
    if len(own) < len(entries):
        raise ValueError("given both as one value and in parts")
    if shape.is_array:
        return parse_items(own, shape)
    if len(own) > 1:
        raise ValueError("given more than once")
    return parse_scalar(own[0], shape.types)


def _is_array(shape: Shape, entries: Sequence[Entry]) -> bool:
    names = [path[0] for path, _text in entries]
    return (bool(names) or not shape.is_object) and all(
        not name or (shape.is_array and name.isdecimal()) for name in names
    )


def _assemble_array(shape: Shape, entries: Sequence[Entry]) -> Json:
    numbered: dict[int, list[Entry]] = {}
    for position, (path, text) in enumerate(entries):
        order = int(path[0][:9]) if path[0] else len(entries) + position
        numbered.setdefault(order, []).append((path[1:], text))
    return [assemble(shape.find_item(index), numbered[order]) for index, order in enumerate(sorted(numbered))]


def _assemble_object(shape: Shape, entries: Sequence[Entry]) -> Json:
    named: dict[str, list[Entry]] = {}
    for path, text in entries:
        if len(path) > _MOST_LEVELS:
            raise ValueError("nested too deep")
        named.setdefault(path[0], []).append((path[1:], text))
    return {name: assemble(shape.find_property(name), inner) for name, inner in named.items()}
