"""The body of a request: JSON and forms become the model, text a string, sequences a list, anything else bytes."""

from __future__ import annotations

import codecs
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flask import request
from pydantic import RootModel
from pydantic_core import from_json

from pymacaron.body_bytes import read_body
from pymacaron.exceptions import UnsupportedMediaTypeError
from pymacaron.form_parts import Part, read_parts
from pymacaron.forms import FormField, FormValues, group_parts
from pymacaron.item_streams import is_sequential, split_items
from pymacaron.media_table import MediaTable, split_media_type
from pymacaron.shapes import parse_scalar, read_shape
from pymacaron.spec.media_types import is_form_type, is_json_type, is_multipart
from pymacaron.validation import JsonReader, SchemaCheck

if TYPE_CHECKING:
    from pymacaron.call import Call
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Body, Media

_UTF_8 = frozenset({"utf-8", "utf_8", "ascii"})
_MOST_REMEMBERED = 64


def refuse_media_type(table: MediaTable) -> UnsupportedMediaTypeError:
    """Return the answer to a body whose media type is not in *table*.

    Source: RFC 9110, section 15.5.16: Accept tells what would be taken.
    """
    given = request.mimetype
    what = f"The body is {given}" if given else "The request has no Content-Type"
    return UnsupportedMediaTypeError(f"{what}, this operation takes {table}", headers={"Accept": str(table)})


class BodyReader:
    """Reads the bodies of one operation's requests."""

    def __init__(self, api: Api, body: Body, models: Mapping[str, type]) -> None:
        """Take the declared *body*."""
        self._is_required = body.is_required
        self._table = MediaTable(body.media)
        self._models = models
        self._schemas = api.schemas
        self._full_checks: dict[int, SchemaCheck] = {}
        # Content-Types that were found to be JSON of a model in UTF-8: the common case, which has nothing to look up.
        self._plain: dict[str, JsonReader] = {}
        self._shapes = {media.pointer: read_shape(media.schema or {}, api.schemas) for media in body.media}
        checks = {
            name: SchemaCheck.build(schema, api.schemas)
            for media in body.media
            for name, schema in ((media.model_name, media.schema), (media.item_model_name, media.item_schema))
        }
        named = {models.get(name or ""): check for name, check in checks.items()}
        self._json_readers = {model: JsonReader(model, check if model else None) for model, check in named.items()}
        self._absent_model = self._find_absent_model(body)

    def _find_absent_model(self, body: Body) -> type | None:
        """Return what is made of an absent body, if the document is of a kind where that is an empty object."""
        names = [media.model_name for media in body.media if media.is_json and media.model_name]
        model = self._models.get(names[0]) if names and body.is_object_if_absent and not body.is_required else None
        return None if model is None or issubclass(model, RootModel) else model

    def read(self, call: Call, faults: list[str]) -> Json:
        """Return the body of a request, None if there is none and none is demanded.

        Raises: UnsupportedMediaTypeError: its media type is not declared.
        """
        plain = self._plain.get(call.environ.get("CONTENT_TYPE", ""))
        if plain is not None:
            data = read_body(call)
            if data:
                return plain.read(data, faults)
        return self._read_any(faults)

    def _read_any(self, faults: list[str]) -> Json:
        if is_form_type(request.mimetype) or is_multipart(request.mimetype):
            media = self._table.find(request.mimetype)
            if media is not None and (media.is_form or media.model_name or self._has_named_parts(media)):
                return self._read_form(media, faults)
        data = request.get_data(parse_form_data=False)
        if not data and not self._may_be_empty():
            if self._is_required:
                faults.append("body: it is missing")
            return self._read_json(b"{}", self._absent_model, faults) if self._absent_model else None
        content_type = request.content_type or ""
        media = self._table.find(content_type) if content_type else self._table.find("application/octet-stream")
        if media is None:
            raise refuse_media_type(self._table)
        return self._read_data(data, media, faults)

    def _may_be_empty(self) -> bool:
        """Tell whether a body of no bytes is one: a text or a file, where the request says that it is."""
        media = self._table.find(request.content_type) if request.content_type else None
        if media is None or media.is_json or is_form_type(request.mimetype) or is_sequential(request.mimetype):
            return False
        return not is_json_type(request.mimetype)

    def _has_named_parts(self, media: Media) -> bool:
        """Tell whether parts are properties of an object, as in a form, and not items of a sequence."""
        is_item_wise = media.item_schema is not None or not is_multipart(media.media_type)
        return not is_item_wise and self._shapes[media.pointer].is_object

    def _read_data(self, data: bytes, media: Media, faults: list[str]) -> Json:
        essence = request.mimetype
        if media.is_json or (is_json_type(essence) and _is_json_wanted(media)):
            charset = request.mimetype_params.get("charset", "utf-8").lower()
            data = data if charset in _UTF_8 else self._decode(data, charset).encode()
            if media.is_json:
                return self._read_model(data, self._models.get(media.model_name or ""), charset, faults)
            return self._read_checked(data, media.schema, faults)
        if is_sequential(essence) and (media.item_schema is not None or media.schema is not None):
            return self._read_items(data, media, faults)
        if essence.startswith("text/"):
            return self._read_text(data, media, faults)
        return data

    def _read_json(self, data: bytes, model: type | None, faults: list[str]) -> Json:
        reader = self._json_readers.get(model) or JsonReader(model)
        return reader.read(data, faults)

    def _read_checked(self, data: bytes, schema: JsonObject | None, faults: list[str], place: str = "body") -> Json:
        """Return JSON that has no model."""
        try:
            value = from_json(data, allow_inf_nan=False)
        except ValueError as error:
            faults.append(f"{place}: {error}")
            return None
        self._check_value(value, schema, faults, place)
        return value

    def _check_value(self, value: Json, schema: JsonObject | None, faults: list[str], place: str = "body") -> None:
        if not schema:
            return
        check = self._full_checks.get(id(schema))
        if check is None:
            check = self._full_checks[id(schema)] = SchemaCheck(schema, self._schemas)
        faults += [f"{place} {fault}" for fault in check.find_faults(value)]

    def _read_model(self, data: bytes, model: type | None, charset: str, faults: list[str]) -> Json:
        reader = self._json_readers.get(model)
        if reader is not None and charset in _UTF_8 and len(self._plain) < _MOST_REMEMBERED:
            self._plain[request.environ.get("CONTENT_TYPE", "")] = reader
        return self._read_json(data, model, faults)

    def _decode(self, data: bytes, charset: str) -> str:
        try:
            return codecs.lookup(charset).decode(data)[0]
        except LookupError as error:
            raise UnsupportedMediaTypeError(f"The body has the unknown charset {charset[:40]}, write utf-8") from error

    def _read_text(self, data: bytes, media: Media, faults: list[str]) -> Json:
        charset = request.mimetype_params.get("charset", "utf-8")
        try:
            text = self._decode(data, charset)
        except UnicodeError:
            faults.append(f"body: it is no {charset} text")
            return None
        if media.schema:
            value = parse_scalar(text, self._shapes[media.pointer].types)
            self._check_value(value, media.schema, faults)
        return text

    def _read_items(self, data: bytes, media: Media, faults: list[str]) -> Json:
        model = self._models.get(media.item_model_name or "")
        values: list[Json] = []
        try:
            items = split_items(data, request.mimetype, request.content_type or "")
        except ValueError as error:
            faults.append(f"body: {error}")
            return None
        for index, item in enumerate(items):
            found: list[str] = []
            text = item if isinstance(item, bytes) else json.dumps(item).encode()
            value = self._read_json(text, model, found)
            if model is None:
                self._check_value(value, media.item_schema, found)
            faults += [fault.replace("body", f"body item {index}", 1) for fault in found]
            values.append(value)
        if media.item_schema is None and not faults:
            self._check_value(values, media.schema, faults)
        return values

    def _read_form(self, media: Media, faults: list[str]) -> Json:
        try:
            parts = group_parts(read_parts(request))
        except ValueError as error:
            faults.append(f"body: {error}")
            return None
        if not parts:
            if self._is_required:
                faults.append("body: it is missing")
                return None
            if self._absent_model is None:
                return None
        fields = self._read_fields(media, parts, faults)
        if faults:
            return None
        if not media.is_form and not media.model_name:
            return self._read_checked(json.dumps(fields).encode(), media.schema, faults)
        return self._read_json(json.dumps(fields).encode(), self._models.get(media.model_name or ""), faults)

    def _read_fields(self, media: Media, parts: Mapping[str, list[Part]], faults: list[str]) -> JsonObject:
        """Return the form as a JSON object; a file in it is base64, as JSON would carry it."""
        shape = self._shapes[media.pointer]
        values = FormValues(faults=faults)
        readers = [
            FormField(name, inner, media.encoding.get(name, {}), self._schemas)
            for name, inner in shape.properties.items()
        ]
        texts = {
            name: own if name in media.opaque_parts else [_to_text(part) for part in own] for name, own in parts.items()
        }
        for reader in readers:
            reader.read(texts, values)
        for name, own in parts.items():
            if not any(reader.owns(name) for reader in readers):
                FormField(name, shape.find_property(name), {}, self._schemas).read({name: own[-1:]}, values)
        return values.texts


def _to_text(part: Part) -> Part:
    """Return *part* with base64 in place of a file that is no text."""
    if part.file is None:
        return part
    data = part.read_data()
    is_text = part.media_type.startswith("text/") or is_json_type(split_media_type(part.media_type)[0])
    return Part(part.name, data if is_text else b64encode(data), headers=part.headers)


def _is_json_wanted(media: Media) -> bool:
    """Tell whether a range such as ``*/*`` describes JSON when JSON comes: a schema of text or none takes bytes."""
    schema = media.schema or {}
    return bool(schema) and schema.get("type") != "string"
