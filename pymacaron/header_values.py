"""Declared headers of answers and of parts of a form: Python values become text, texts are held to their schemas.

Source: OpenAPI 3.2, "Header Object": style simple, no percent-encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property

from pydantic_core import from_json, to_json, to_jsonable_python

from pymacaron.json_types import Json, JsonObject
from pymacaron.shapes import assemble, parse_items, parse_scalar, read_shape
from pymacaron.spec.media_types import is_json_type
from pymacaron.validation import SchemaCheck


class HeaderCheck:
    """One declared header."""

    def __init__(self, name: str, node: JsonObject, schemas: Mapping[str, JsonObject]) -> None:
        """Take the Header Object *node*."""
        self.name = name
        self.is_required = node.get("required") is True
        self._is_exploded = node.get("explode") is True
        content: JsonObject = node.get("content", {})
        media_type = next(iter(content), "")
        self._is_json = is_json_type(media_type)
        self._schema: JsonObject = node.get("schema", {})
        if self._is_json:
            self._schema = content[media_type].get("schema", {})
        self._schemas = schemas
        self._shape = read_shape(self._schema, schemas)

    @cached_property
    def _check(self) -> SchemaCheck | None:
        return SchemaCheck(self._schema, self._schemas, direction="response") if self._schema else None

    def write(self, value: object) -> str:
        """Return the text of *value*: lists with commas, ``true``, ISO times; a str as it is."""
        if isinstance(value, str):
            return value
        if self._is_json:
            return to_json(value, by_alias=True).decode()
        plain = to_jsonable_python(value, by_alias=True)
        if isinstance(plain, dict):
            joint = "=" if self._is_exploded else ","
            return ",".join(f"{name}{joint}{_scalar_text(inner)}" for name, inner in plain.items())
        return ",".join(map(_scalar_text, plain)) if isinstance(plain, list) else _scalar_text(plain)

    def find_fault(self, text: str | None) -> str | None:
        """Return what is wrong with the header's *text* (None: there is none), None if nothing is."""
        if text is None:
            return "it is missing" if self.is_required else None
        if self._check is None:
            return None
        try:
            value = self._parse(text)
        except ValueError as error:
            return str(error)
        faults = self._check.find_faults(value)
        return "; ".join(fault.removeprefix("/: ") for fault in faults) or None

    def _parse(self, text: str) -> Json:
        if self._is_json:
            return from_json(text, allow_inf_nan=False)
        parts = [part.strip() for part in text.split(",")] if text else []
        if self._shape.is_array:
            return parse_items(parts, self._shape)
        if self._shape.is_object:
            pairs = [part.partition("=")[::2] for part in parts]
            if not self._is_exploded:
                pairs = list(zip(parts[::2], parts[1::2], strict=False))
            return assemble(self._shape, [((name,), value) for name, value in pairs])
        return parse_scalar(text, self._shape.types)


def write_header(value: object) -> str:
    """Return the text of a header that the document does not declare."""
    return value if isinstance(value, str) else UNDECLARED.write(value)


def _scalar_text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


UNDECLARED = HeaderCheck("", {}, {})
