"""What an error report tells of the request that it is about, and which of its values no report may show."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from flask import current_app, request
from pydantic_core import from_json

from pymacaron.raw_path import RawPath
from pymacaron.redaction import MASK, is_secret_name
from pymacaron.secret_parts import ANYTHING, BodyMask, SecretShape
from pymacaron.spec.media_types import is_json_type

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Body, Operation

# Headers that tell how something was asked for, not by whom, nor what.
_HARMLESS = frozenset(
    {"accept", "accept-encoding", "accept-language", "connection", "content-encoding", "content-length", "content-type"}
    | {"expect", "host", "if-match", "if-modified-since", "if-none-match", "if-unmodified-since", "origin", "range"}
    | {"te", "traceparent", "tracestate", "transfer-encoding", "user-agent", "via", "x-request-id"}
)
_MOST_BODY_BYTES = 1 << 16
_MOST_FIELDS = 1000
_PARTS = re.compile(r"[\[\].]+")
_FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class RequestFacts:
    """What is told, and what must not be.

    data: ``{path_parameters, query, headers, cookie_parameters, body}``, each where there is any. secrets: values that
    no text of the report may hold.
    """

    data: JsonObject = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)


class RequestDescriber:
    """Describes the requests of one service."""

    def __init__(self, names: frozenset[str], shown: Iterable[str]) -> None:
        """Take the names of secrets in lower case, and names whose values are shown besides what is declared."""
        self._names = names
        self._shown = frozenset(name.lower() for name in shown)
        self._shapes: dict[str, SecretShape] = {}

    def describe(self, operation: Operation | None, api: Api | None) -> RequestFacts:
        """Return what is told of Flask's current request.

        Shown are the values of parameters that the document declares and of harmless headers. Of everything else the
        names are; of a body its structure. What the document says is secret, or its name does, is never shown.
        """
        facts = RequestFacts()
        environ = request.environ
        declared = self._find_declared(operation)
        parts = {
            "path_parameters": self._tell(_find_path_values(), declared["path"], facts),
            "query": self._tell_pairs(environ.get("QUERY_STRING", ""), declared["query"], facts),
            "headers": self._tell_headers(environ, declared["header"], facts),
            "cookie_parameters": self._tell_cookies(declared["cookie"], facts),
            "body": self._tell_body(operation, api, facts),
        }
        facts.data = {name: part for name, part in parts.items() if part}
        return facts

    def _find_declared(self, operation: Operation | None) -> dict[str, frozenset[str]]:
        parameters = operation.parameters if operation else ()
        return {
            location: frozenset(one.name.lower() for one in parameters if one.location == location)
            for location in ("path", "query", "header", "cookie", "form")
        }

    def _is_secret(self, name: str) -> bool:
        return any(
            part in self._names or (part not in self._shown and is_secret_name(part))
            for part in (name.lower(), *_PARTS.split(name.lower()))
        )

    def _tell(self, values: Mapping[str, Json], declared: frozenset[str], facts: RequestFacts) -> JsonObject:
        """Return name -> value or mask; the values of secrets go to *facts*."""
        told: JsonObject = {}
        for name, value in values.items():
            is_known = name.lower() in declared or _PARTS.split(name.lower())[0] in declared
            if self._is_secret(name):
                facts.secrets |= {str(value), unquote(str(value))}
                told[name] = MASK
            else:
                told[name] = value if is_known or name.lower() in self._shown or "*" in self._shown else MASK
        return told

    def _tell_pairs(self, text: str, declared: frozenset[str], facts: RequestFacts) -> JsonObject:
        """Do the same for a query or a form, in which names may come several times."""
        told: JsonObject = {}
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            return {"…": f"more than {_MOST_FIELDS} names"}
        for name, value in pairs:
            shown = self._tell({name: value}, declared, facts)[name]
            told[name] = f"{told[name]}, {shown}" if name in told else shown
        return told

    def _tell_headers(self, environ: WSGIEnvironment, declared: frozenset[str], facts: RequestFacts) -> JsonObject:
        names = {key: key.removeprefix("HTTP_").replace("_", "-").title() for key in environ if key.startswith("HTTP_")}
        names |= {key: key.replace("_", "-").title() for key in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(key)}
        values = {name: environ[key] for key, name in names.items() if name != "Cookie"}
        credentials = environ.get("HTTP_AUTHORIZATION", "").partition(" ")[2]
        facts.secrets |= {credentials, *_split_basic(credentials)} - {""}
        return self._tell(values, declared | _HARMLESS, facts)

    def _tell_cookies(self, declared: frozenset[str], facts: RequestFacts) -> JsonObject:
        """Do the same for cookies, of which those that nobody named are taken for a session."""
        known = {name: value for name, value in request.cookies.items() if name.lower() in declared | self._shown}
        facts.secrets |= {value for name, value in request.cookies.items() if name not in known}
        return dict.fromkeys(request.cookies, MASK) | self._tell(known, declared, facts)

    def _tell_body(self, operation: Operation | None, api: Api | None, facts: RequestFacts) -> Json:
        made = vars(request._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001 - public in Werkzeug's docs
        data = _find_data(made)
        essence = request.mimetype
        told: Json = f"{len(data)} bytes of {essence or 'no media type'}" if data else None
        if len(data) > _MOST_BODY_BYTES:
            return told
        shape = self._shape_of(operation, api) if operation and api else ANYTHING
        mask = BodyMask(self._names, self._shown)
        try:
            value = made["form"].to_dict() if made.get("form") else _read(data, essence)
            told = mask.hide(value, shape)
        except ValueError:
            if shape.is_secret:
                mask.mask(data.decode(errors="replace"))
        facts.secrets |= mask.secrets
        return told

    def _shape_of(self, operation: Operation, api: Api) -> SecretShape:
        shape = self._shapes.get(operation.operation_id)
        if shape is None:
            schemas = list(_find_schemas((operation.body, operation.form)))
            shape = self._shapes[operation.operation_id] = SecretShape(schemas, api.schemas)
        return shape


def _find_path_values() -> Mapping[str, str]:
    """Return the texts of the path, by the document's names."""
    values = request.view_args or {}
    path = getattr(current_app.view_functions.get(request.endpoint or ""), "path", None)
    return {name: values[key] for name, key in path.names.items()} if isinstance(path, RawPath) else values


def _read(data: bytes, essence: str) -> Json:
    """Return JSON or the fields of a form. Raises ValueError: it is neither."""
    if essence == _FORM:
        return dict(parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    if data and not is_json_type(essence):
        raise ValueError("it is neither JSON nor a form")
    return from_json(data) if data else None


def _find_data(made: Mapping[str, object]) -> bytes:
    """Return the body if it was read and kept: never waits for more of it. made: attributes of the request object."""
    kept = made.get("_cached_data")
    if isinstance(kept, bytes):
        return kept
    source = request.environ.get("wsgi.input")
    return source.getvalue() if isinstance(source, BytesIO) else b""


def _find_schemas(bodies: Iterable[Body | None]) -> Iterable[JsonObject]:
    for body in bodies:
        for media in body.media if body else ():
            if media.schema:
                yield media.schema
            if media.item_schema:
                yield {"items": media.item_schema}


def _split_basic(credentials: str) -> list[str]:
    """Return the password of HTTP basic, and user and password together; nothing if it is something else."""
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return []
    _, colon, password = text.partition(":")
    return [text, password] if colon else []
