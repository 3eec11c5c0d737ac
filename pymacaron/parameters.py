"""The text of a request (path, query, headers, cookies, form fields) becomes JSON values by the document's schemas.

Source: OpenAPI 3.1, "Parameter Object", style values; RFC 8259 for what a number is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import from_json

from pymacaron.json_types import Json, JsonObject

if TYPE_CHECKING:
    from flask import Request

    from pymacaron.spec import Parameter

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,4000})\Z")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?\Z")
_SEPARATORS = {"form": ",", "simple": ",", "label": ",", "matrix": ",", "spaceDelimited": " ", "pipeDelimited": "|"}
_LITERALS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a text may stand for: JSON types, the shape of array items, the shapes of object properties."""

    types: frozenset[str]
    items: Shape | None
    properties: Mapping[str, Shape]


_ANY_TEXT = Shape(frozenset({"string"}), None, {})


def read_shape(schema: JsonObject, schemas: Mapping[str, JsonObject], depth: int = 0) -> Shape:
    """Return the shape of *schema*; ``$ref`` is looked up in *schemas* by its last part.

    A schema without any type (``{}``) stands for text.
    """
    if depth > 8:  # noqa: PLR2004 - a text has no more levels; also ends recursive schemas
        return _ANY_TEXT
    types: set[str] = set()
    items: Shape | None = None
    properties: dict[str, Shape] = {}
    for part in _parts(schema, schemas):
        declared = part.get("type", [])
        types.update([declared] if isinstance(declared, str) else declared)
        values = [*part.get("enum", []), *([part["const"]] if "const" in part else [])]
        if not declared:
            types.update(_json_type(value) for value in values)
        if isinstance(part.get("items"), dict):
            items = read_shape(part["items"], schemas, depth + 1)
        for name, value in part.get("properties", {}).items():
            properties[name] = read_shape(value, schemas, depth + 1)
    return Shape(frozenset(types) or frozenset({"string"}), items, properties)


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


class ParameterReader:
    """Reads one parameter of each request."""

    def __init__(self, parameter: Parameter, schemas: Mapping[str, JsonObject], path_name: str = "") -> None:
        """Take *path_name*, the route's variable, for a path parameter."""
        self.parameter = parameter
        self.keyword = parameter.keyword
        self._shape = read_shape(parameter.schema, schemas)
        self._separator = _SEPARATORS.get(parameter.style, ",")
        self._path_name = path_name
        self._fetch: Callable[[Request], list[str]] = getattr(self, f"_from_{parameter.location}")

    def read(self, request: Request) -> tuple[bool, Json]:
        """Return whether the parameter came, and its value.

        Raises: ValueError: it came more often than once and is no array, or its text is no JSON where that is declared.
        """
        is_object = self._is_object and self.parameter.explode and self.parameter.style != "content"
        if self.parameter.style == "deepObject" or is_object:
            value = self._read_object(request)
            return value is not None, value
        texts = self._fetch(request)
        if not texts:
            return False, None
        if self.parameter.style == "content":
            return True, from_json(texts[0], allow_inf_nan=False)
        if "array" in self._shape.types:
            return True, self._read_array(texts)
        if len(texts) > 1:
            raise ValueError("given more than once")
        if self._is_object:
            return True, self._read_pairs(texts[0])
        return True, parse_scalar(texts[0], self._shape.types)

    @property
    def _is_object(self) -> bool:
        return "object" in self._shape.types

    def _read_array(self, texts: list[str]) -> list[Json]:
        is_one_text = not self.parameter.explode or self.parameter.location in {"path", "header"}
        if is_one_text:
            texts = texts[0].split(self._separator) if texts[0] else []
        types = (self._shape.items or _ANY_TEXT).types
        return [parse_scalar(text, types) for text in texts]

    def _read_pairs(self, text: str) -> JsonObject:
        parts = text.split(self._separator)
        if self.parameter.explode:
            pairs = [part.partition("=")[::2] for part in parts]
        else:
            pairs = list(zip(parts[::2], parts[1::2], strict=False))
        return {key: self._read_property(key, value) for key, value in pairs}

    def _read_object(self, request: Request) -> JsonObject | None:
        if self.parameter.location in {"path", "header"}:
            texts = self._fetch(request)
            return self._read_pairs(texts[0]) if texts else None
        values = request.args if self.parameter.location == "query" else request.form
        if self.parameter.style == "deepObject":
            start = f"{self.parameter.name}["
            found = {
                key[len(start) : -1]: text for key, text in values.items() if key.startswith(start) and key[-1] == "]"
            }
        else:
            found = {key: values[key] for key in self._shape.properties if key in values}
        return {key: self._read_property(key, text) for key, text in found.items()} or None

    def _read_property(self, key: str, text: str) -> Json:
        return parse_scalar(text, self._shape.properties.get(key, _ANY_TEXT).types)

    def _from_path(self, request: Request) -> list[str]:
        text = (request.view_args or {})[self._path_name]
        prefix = {"label": ".", "matrix": f";{self.parameter.name}="}.get(self.parameter.style, "")
        return [text.removeprefix(prefix)]

    def _from_query(self, request: Request) -> list[str]:
        return request.args.getlist(self.parameter.name)

    def _from_header(self, request: Request) -> list[str]:
        return request.headers.getlist(self.parameter.name)

    def _from_cookie(self, request: Request) -> list[str]:
        return request.cookies.getlist(self.parameter.name)

    def _from_form(self, request: Request) -> list[str]:
        return request.form.getlist(self.parameter.name)
