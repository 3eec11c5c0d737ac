"""What a request that was sent says, read as its document tells servers to read it.

In a text many wrong values are right ones: ``tags=0`` is an array of one text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Request
from werkzeug.test import EnvironBuilder

from pymacaron.form_parts import read_parts
from pymacaron.forms import FormField, FormValues, group_parts
from pymacaron.media_table import MediaTable
from pymacaron.parameters import ParameterReader
from pymacaron.raw_path import RawPath
from pymacaron.shapes import parse_scalar, read_shape
from pymacaron.spec.media_types import is_form_type, is_multipart
from pymacaron.validation import SchemaCheck

if TYPE_CHECKING:
    import requests

    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Media, Parameter
    from pymacaron_testing.exchange import Exchange

_FILE = "file"


def is_right_as_sent(api: Api, exchange: Exchange) -> bool:
    """Tell whether what *exchange* meant to break is right in the text that was sent."""
    case = exchange.case
    request = _read_request(exchange.request)
    if case.location == "body":
        return _is_body_right(api, exchange, request)
    parameters = [one for one in case.operation.parameters if one.location == case.location]
    if case.subject:
        parameters = [one for one in parameters if one.name.lower() == case.subject.lower()]
    return bool(parameters) and all(_is_parameter_right(api, exchange, one, request) for one in parameters)


def _read_request(sent: requests.PreparedRequest) -> Request:
    parts = urlsplit(str(sent.url))
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body
    builder = EnvironBuilder(
        path=parts.path,
        query_string=parts.query,
        method=str(sent.method),
        headers=list(sent.headers.items()),
        data=body or b"",
    )
    try:
        return Request(builder.get_environ())
    finally:
        builder.close()


def _is_parameter_right(api: Api, exchange: Exchange, parameter: Parameter, request: Request) -> bool:
    names = {name: f"p{index}" for index, name in enumerate(exchange.path_values or {})}
    request.view_args = {names[name]: value for name, value in (exchange.path_values or {}).items()}
    others = frozenset(one.name for one in exchange.case.operation.parameters if one.location == "query")
    if parameter.location == "path" and parameter.name not in names:
        return False
    template = exchange.case.operation.path
    path = RawPath(template, names) if len(names) == template.count("{") else None
    try:
        is_given, value = ParameterReader(parameter, api.schemas, path, others=others).read(request)
    except (ValueError, AssertionError):
        return False
    if not is_given:  # nothing is wrong with what need not be there, unless the case is about it
        return not parameter.is_required and not exchange.case.subject
    return _fits(api, parameter.schema, value)


def _is_body_right(api: Api, exchange: Exchange, request: Request) -> bool:
    body = exchange.case.operation.body or exchange.case.operation.form
    media = MediaTable(body.media).find(request.content_type or "") if body is not None else None
    if media is None or media.schema is None:
        return False
    try:
        if is_form_type(request.mimetype) or is_multipart(request.mimetype):
            return _is_form_right(api, media, request)
        if request.mimetype.startswith("text/"):
            text = request.get_data().decode()
            return _fits(api, media.schema, parse_scalar(text, read_shape(media.schema, api.schemas).types))
    except ValueError:
        pass
    return False


def _is_form_right(api: Api, media: Media, request: Request) -> bool:
    parts = group_parts(read_parts(request))
    values = FormValues()
    shape = read_shape(media.schema or {}, api.schemas)
    fields = [
        FormField(name, inner, media.encoding.get(name, {}), api.schemas) for name, inner in shape.properties.items()
    ]
    for field in fields:
        if any(part.file is not None for part in parts.get(field.name, ())):
            values.texts[field.name] = [_FILE] * len(parts[field.name]) if field.shape.is_array else _FILE
        else:
            field.read(parts, values)
    unknown = {name: _FILE for name in parts if not any(field.owns(name) for field in fields)}
    return not values.faults and _fits(api, media.schema or {}, {**unknown, **values.texts})


def _fits(api: Api, schema: JsonObject, value: Json) -> bool:
    return not SchemaCheck(schema, api.schemas).find_faults(value)
