"""The fields of a form become JSON values and files, by the schema of the form and by how it encodes each property.

Source: OpenAPI 3.2, "Encoding Object"; RFC 7578.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from pydantic_core import from_json

from pymacaron.exceptions import UnsupportedMediaTypeError
from pymacaron.form_parts import Part
from pymacaron.header_values import HeaderCheck
from pymacaron.json_types import Json, JsonObject
from pymacaron.media_table import is_same_media, is_within, split_media_type
from pymacaron.shapes import Entry, Shape, assemble, parse_items, parse_scalar
from pymacaron.spec.media_types import is_json_type
from pymacaron.spec.model import STYLE_KEYS

if TYPE_CHECKING:
    from werkzeug.datastructures import FileStorage

SEPARATORS = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}
"""Style -> what stands between the items of a list; a comma in all others."""
_TOKENS = re.compile(r"\[([^\]]*)\]")


@dataclass(slots=True)
class FormValues:
    """What a form holds, by the names of its fields; faults grows with everything that is wrong."""

    texts: JsonObject = field(default_factory=dict)
    files: dict[str, FileStorage | list[FileStorage]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class FormField:
    """Reads one property of a form."""

    def __init__(
        self, name: str, shape: Shape, encoding: JsonObject, schemas: Mapping[str, JsonObject], *, is_file: bool = False
    ) -> None:
        """Take the *encoding* that the document gives the property, ``{}`` where it gives none."""
        self.name = name
        self.is_file = is_file
        self.shape = shape
        self._style = encoding.get("style", "form")
        self._explode = encoding.get("explode", self._style == "form")
        self._is_styled = not STYLE_KEYS.isdisjoint(encoding)
        declared = "" if self._is_styled else encoding.get("contentType", "")
        self._content_types = [one.strip().lower() for one in declared.split(",") if one.strip()]
        self._is_json = bool(self._content_types) and all(map(is_json_type, self._content_types))
        self._headers = [HeaderCheck(key, node, schemas) for key, node in encoding.get("headers", {}).items()]

    def read(self, parts: Mapping[str, list[Part]], values: FormValues) -> None:
        """Put what *parts* (name -> parts) say of the property into *values*.

        Raises: UnsupportedMediaTypeError: a part has a media type that the property does not take.
        """
        own = parts.get(self.name, [])
        for part in own:
            self._check_part(part, values)
        if self.is_file:
            files = [part.to_file() for part in own]
            if self.shape.is_array and files:
                values.files[self.name] = files
            elif len(files) > 1:
                values.faults.append(f"form {self.name}: given more than once")
            elif files:
                values.files[self.name] = files[0]
            return
        try:
            found, value = self._read_styled(parts, own) if self._is_styled else self._read_parts(parts, own)
        except ValueError as error:
            values.faults.append(f"form {self.name}: {error}")
        else:
            if found:
                values.texts[self.name] = value

    def _check_part(self, part: Part, values: FormValues) -> None:
        essence, parameters = split_media_type(part.media_type)
        declared = map(split_media_type, self._content_types)
        is_taken = any(is_within(essence, one) and is_same_media(parameters, rest) for one, rest in declared)
        if self._content_types and essence and not is_taken:
            taken = ", ".join(self._content_types)
            raise UnsupportedMediaTypeError(f"form {self.name}: the part is {essence}, this field takes {taken}")
        for header in self._headers:
            fault = header.find_fault(part.headers.get(header.name))
            if fault:
                values.faults.append(f"form {self.name}: header {header.name} of the part: {fault}")

    def _read_parts(self, parts: Mapping[str, list[Part]], own: list[Part]) -> tuple[bool, Json]:
        """Read a property without a style: an array has a part for each item, an object is JSON in a part."""
        if self.shape.is_array:
            return bool(own), self._read_array(own)
        if not own:
            return self._read_spread(parts) if self.shape.is_object else (False, None)
        if len(own) > 1:
            raise ValueError("given more than once")
        return True, self._read_value(own[0], self.shape)

    def _read_array(self, own: list[Part]) -> list[Json]:
        items = [self._read_value(part, self.shape.find_item(index)) for index, part in enumerate(own)]
        is_whole = len(items) == 1 and isinstance(items[0], list) and not self.shape.find_item(0).is_array
        return cast("list[Json]", items[0]) if is_whole else items

    def _read_value(self, part: Part, shape: Shape) -> Json:
        is_text = shape.types == {"string"}
        if self._is_json or (is_json_type(part.media_type) and not is_text) or shape.is_object or shape.is_array:
            scalars = shape.types - {"object", "array"}
            try:
                return from_json(part.read_text(), allow_inf_nan=False)
            except ValueError:
                if self._is_json or not scalars:
                    raise
                return parse_scalar(part.read_text(), scalars)
        return parse_scalar(part.read_text(), shape.types)

    def _read_styled(self, parts: Mapping[str, list[Part]], own: list[Part]) -> tuple[bool, Json]:
        """Read a property as if it were a parameter in a query."""
        if self._style == "deepObject" or (self.shape.is_object and self._explode and self._style == "form"):
            return self._read_spread(parts)
        if not own:
            return False, None
        texts = [part.read_text() for part in own]
        if not self._explode and (self.shape.is_array or self.shape.is_object):
            texts = [piece for text in texts if text for piece in text.split(SEPARATORS.get(self._style, ","))]
        if self.shape.is_array:
            return True, parse_items(texts, self.shape)
        if self.shape.is_object:
            if len(texts) % 2:
                raise ValueError("a name in it has no value")
            return True, assemble(
                self.shape, [((key,), text) for key, text in zip(texts[::2], texts[1::2], strict=True)]
            )
        if len(texts) > 1:
            raise ValueError("given more than once")
        return True, parse_scalar(texts[0], self.shape.types)

    def _read_spread(self, parts: Mapping[str, list[Part]]) -> tuple[bool, Json]:
        """Read an object whose properties have parts of their own: ``point[x]`` or, where nothing is said, ``x``."""
        start = f"{self.name}["
        entries: list[Entry] = [
            (tuple(_TOKENS.findall(key[len(self.name) :])), part.read_text())
            for key, fields in parts.items()
            if key.startswith(start) and key.endswith("]")
            for part in fields
        ]
        if not entries and self._style != "deepObject":
            entries = [((key,), part.read_text()) for key in self.shape.properties for part in parts.get(key, [])]
        return bool(entries), assemble(self.shape, entries) if entries else None

    def owns(self, name: str) -> bool:
        """Tell whether a field of that *name* belongs to the property."""
        return (
            name == self.name
            or name.startswith(f"{self.name}[")
            or (self.shape.is_object and name in self.shape.properties)
        )


def group_parts(parts: list[Part]) -> dict[str, list[Part]]:
    """Return *parts* by name, in order."""
    grouped: dict[str, list[Part]] = {}
    for part in parts:
        grouped.setdefault(part.name, []).append(part)
    return grouped
