"""Request bodies: what a caller gives becomes bytes of a media type that the operation takes."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import IOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlencode

from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import from_json, to_json
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from pymacaron.client.expansion import deep_pairs, to_json_value, to_text
from pymacaron.item_streams import is_json_lines, is_json_sequence
from pymacaron.json_types import Json, JsonObject
from pymacaron.media_table import split_media_type
from pymacaron.spec.media_types import essence_of, is_json_type
from pymacaron.spec.model import STYLE_KEYS
from pymacaron.validation import SchemaCheck, describe, validate_json

if TYPE_CHECKING:
    from pymacaron.client.wire import Content
    from pymacaron.spec import Body, Media, Parameter

_ANY_CONTENT = "application/octet-stream"
_URLENCODED = "application/x-www-form-urlencoded"
_SEPARATORS = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}

FileContent = bytes | IO[bytes] | tuple[str, bytes | IO[bytes]] | tuple[str, bytes | IO[bytes], str]
"""A file in a form: its bytes, an open file, or its name, its content and perhaps its media type."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A body as it is sent; content_type None where there is none."""

    content: Content = None
    content_type: str | None = None


class BodyWriter:
    """Writes the bodies of one operation."""

    def __init__(self, body: Body, models: Mapping[str, type], schemas: Mapping[str, JsonObject]) -> None:
        """Take the declared *body* and *models*, class name -> class."""
        self._body = body
        self._models = models
        self._schemas = schemas
        self._checks: dict[str, SchemaCheck | None] = {}

    def write(self, value: object, faults: list[str]) -> Encoded:
        """Return *value* as bytes: a model, dict or list, a text, bytes or an open file; None is no body."""
        if value is None:
            if self._body.is_required:
                faults.append("body: it is missing; give it first, without a keyword")
            return Encoded()
        media = self._choose_media(value)
        if media is None:
            taken = ", ".join(media.media_type for media in self._body.media)
            faults.append(f"body: a {type(value).__name__} is neither text, bytes nor a file, and it takes {taken}")
            return Encoded()
        return self._write_as(media, _concrete_type(media.media_type, value), value, faults)

    def _write_as(self, media: Media, content_type: str, value: object, faults: list[str]) -> Encoded:
        if isinstance(value, bytes) or _is_file(value):
            return Encoded(cast("Content", value), content_type)
        if isinstance(value, str) and not media.is_json:
            return Encoded(value.encode(), content_type)
        if is_json_lines(essence_of(content_type)) or is_json_sequence(essence_of(content_type)):
            return Encoded(self._write_items(media, value, faults), content_type)
        if not media.is_form:
            return Encoded(self._write_json(media, value, faults), content_type)
        fields = from_json(self._write_json(media, value, faults))
        types = {name: _declared_types(media.encoding[name])[0] for name in media.opaque_parts}
        pairs = [
            Field(name, text, content_type=types.get(name))
            for name, content in fields.items()
            for text in _texts(content)
        ]
        return write_form(pairs, content_type, faults)

    def _choose_media(self, value: object) -> Media | None:
        """Return the first media type that suits the Python type of *value*."""
        is_raw = isinstance(value, (bytes, str)) or _is_file(value)

        def is_plain(media: Media) -> bool:
            return not media.is_json and not media.is_form

        def is_structured(media: Media) -> bool:
            essence = essence_of(media.media_type)
            is_items = is_json_lines(essence) or is_json_sequence(essence)
            return not is_plain(media) or media.media_type == "*/*" or (is_items and isinstance(value, list))

        def is_json(media: Media) -> bool:
            return media.is_json

        wanted: list[Callable[[Media], bool]] = [is_plain, is_structured] if is_raw else [is_json, is_structured]
        return next((media for suits in wanted for media in self._body.media if suits(media)), None)

    def _write_items(self, media: Media, value: object, faults: list[str]) -> bytes:
        """Return the items of a list as JSON texts, one after the other."""
        item = replace(media, schema=media.item_schema, model_name=media.item_model_name)
        texts = [self._write_json(item, part, faults) for part in cast("list[object]", value)]
        start = b"" if is_json_lines(essence_of(media.media_type)) else b"\x1e"
        return b"".join(start + text + b"\n" for text in texts)

    def _write_json(self, media: Media, value: object, faults: list[str]) -> bytes:
        model = self._models.get(media.model_name) if media.model_name else None
        try:
            content = to_json_value(to_plain(value))
            data = to_json(content)
            if model is not None and not isinstance(value, model):
                validate_json(model, data)
        except ValidationError as error:
            faults.append(describe(error, "body "))
            return b"{}"
        except ValueError as error:
            faults.append(f"body: {error}")
            return b"{}"
        check = self._find_check(media)
        if check is not None:
            faults += [f"body {fault}" for fault in check.find_faults(content)]
        return data

    def _find_check(self, media: Media) -> SchemaCheck | None:
        if media.media_type not in self._checks:
            self._checks[media.media_type] = SchemaCheck.build(media.schema, self._schemas, direction="request")
        return self._checks[media.media_type]


def to_plain(value: object) -> object:
    """Return *value* with each model in it, also inside lists and dicts, as a dict of what was set in it."""
    if isinstance(value, RootModel):
        return to_plain(value.root)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. file_name: only of files. content_type: of its own, None where it is plain text."""

    name: str
    content: str | bytes
    file_name: str | None = None
    content_type: str | None = None

    def encode(self) -> bytes:
        """Return the bytes of its part. Raises LookupError, UnicodeError: its charset has no such text."""
        if isinstance(self.content, bytes):
            return self.content
        return self.content.encode(split_media_type(self.content_type or "")[1].get("charset", "utf-8"))


def write_form(fields: Sequence[Field], content_type: str, faults: list[str]) -> Encoded:
    """Return *fields* as a form of either kind; the texts of a multipart form in the charsets of their parts."""
    if essence_of(content_type) == _URLENCODED:
        return Encoded(urlencode([(field.name, field.content) for field in fields]).encode(), content_type)
    parts = []
    for field in fields:
        try:
            content = field.encode()
        except (LookupError, UnicodeError) as error:
            faults.append(f"form {field.name}: {error}")
            continue
        part = RequestField(field.name, content, filename=field.file_name)
        part.make_multipart(content_type=field.content_type)
        parts.append(part)
    data, written_type = encode_multipart_formdata(parts)
    return Encoded(data, written_type)


def read_fields(parameter: Parameter, value: object, encoding: JsonObject) -> Iterator[Field]:
    """Yield the form fields that *value* becomes; encoding: what the document says of the property, ``{}`` if nothing.

    A file is bytes, an open file, or (name, content) or (name, content, content type).
    Raises: ValueError: it cannot be written, or is no file where one is due.
    """
    declared = _declared_types(encoding)
    if parameter.is_file:
        for file in value if isinstance(value, list) else [value]:
            yield _read_file(parameter.name, file, declared)
        return
    plain = to_json_value(to_plain(value))
    if not STYLE_KEYS.isdisjoint(encoding):
        yield from (Field(name, text) for name, text in _style_field(parameter, plain))
        return
    is_json = bool(declared) and all(map(is_json_type, declared))
    for item in plain if isinstance(plain, list) else [plain]:
        is_structured = is_json or isinstance(item, (list, dict))
        text = to_json(item).decode() if is_structured else to_text(item)
        own_type = next(iter(declared), "application/json" if is_structured else None)
        yield Field(parameter.name, text, content_type=own_type)


def _declared_types(encoding: JsonObject) -> list[str]:
    return [one.strip() for one in encoding.get("contentType", "").split(",") if one.strip()]


def _style_field(parameter: Parameter, value: Json) -> Iterator[tuple[str, str]]:
    """Yield name and text of each field that a property with a style becomes."""
    if not isinstance(value, (list, dict)):
        yield parameter.name, to_text(value)
    elif parameter.style == "deepObject":
        yield from deep_pairs(parameter.name, value)
    elif parameter.explode:
        pairs = value.items() if isinstance(value, dict) else [(parameter.name, item) for item in value]
        yield from ((name, to_text(item)) for name, item in pairs)
    else:
        items = value if isinstance(value, list) else [part for pair in value.items() for part in pair]
        separator = _SEPARATORS.get(parameter.style, ",")
        texts = list(map(to_text, items))
        if any(separator in text for text in texts) or texts == [""]:
            raise ValueError("its style cannot write its separator inside a value, or one empty value")
        yield parameter.name, separator.join(texts)


def _read_file(name: str, file: object, declared: Sequence[str]) -> Field:
    file_name, content_type = None, None
    if isinstance(file, tuple):
        file_name, file, *rest = file
        content_type = str(rest[0]) if rest else None
    if _is_file(file):
        file_name = file_name or Path(str(getattr(file, "name", name))).name
        file = cast("IO[bytes]", file).read()
    if not isinstance(file, (bytes, str)):
        raise ValueError("give a file: bytes, a file opened with open(…, 'rb'), or a tuple of its name and content")  # noqa: TRY004 - collected with the other faults
    file_name = file_name or name
    guessed = mimetypes.guess_type(file_name)[0] or _ANY_CONTENT
    plain = [one for one in declared if "*" not in one]
    suggested = guessed if guessed in plain or not plain else plain[0]
    return Field(name, file, file_name, content_type or suggested)


def _texts(value: Json) -> list[str]:
    """Return a field's value as texts: one for each item of a list; what has a structure as JSON."""
    items = value if isinstance(value, list) else [value]
    return [to_json(item).decode() if isinstance(item, (list, dict)) else to_text(item) for item in items]


def _concrete_type(media_type: str, value: object) -> str:
    if "*" not in media_type:
        return media_type
    name = str(getattr(value, "name", ""))
    guessed = mimetypes.guess_type(name)[0] if name else None
    if guessed:
        return guessed
    if isinstance(value, str):
        return "text/plain; charset=utf-8"
    is_raw = isinstance(value, bytes) or _is_file(value)
    return _ANY_CONTENT if is_raw else "application/json"


def _is_file(value: object) -> bool:
    return isinstance(value, IOBase) or (hasattr(value, "read") and not isinstance(value, BaseModel))
