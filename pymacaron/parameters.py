"""The parameters of a request (path, query, headers, cookies) become JSON values by the document's schemas.

Source: OpenAPI 3.2, "Parameter Object", style values; RFC 6570 for what is percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote, unquote_plus

from pydantic_core import from_json

from pymacaron.json_types import Json, JsonObject
from pymacaron.raw_path import RawPath
from pymacaron.shapes import Entry, assemble, parse_items, parse_scalar, read_shape
from pymacaron.validation import SchemaCheck

if TYPE_CHECKING:
    from flask import Request

    from pymacaron.spec import Parameter

Decode = Callable[[str], str]
Pairs = list[tuple[str, str]]
# In a URL a separator that stands for itself may come percent-encoded where there is no other way to write it.
_SEPARATORS = {
    "spaceDelimited": re.compile(r"%20| "),
    "pipeDelimited": re.compile(r"%7[Cc]|\|"),
    "tabDelimited": re.compile(r"%09|\t"),
}
_QUERY_SPACE = re.compile(r"%20|\+| ")
_COMMA = re.compile(",")
_ENCODED_COMMA = re.compile("%2[Cc]")
_HEADER_COMMA = re.compile(r"[ \t]*,[ \t]*")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_EMPTY: frozenset[str] = frozenset()


def _keep(text: str) -> str:
    return text


class ParameterReader:
    """Reads one parameter of each request."""

    def __init__(
        self,
        parameter: Parameter,
        schemas: Mapping[str, JsonObject],
        path: RawPath | None = None,
        *,
        others: frozenset[str] = _EMPTY,
    ) -> None:
        """Take the *path* of the operation for a path parameter, and the names of all *others* in the same place."""
        self.parameter = parameter
        self.keyword = parameter.keyword
        self.shape = read_shape(parameter.schema, schemas)
        self._path = path
        self._schemas = schemas
        self._others = others - {parameter.name}
        self._separator = self._find_separator()
        self._decode: Decode = self._find_decode()
        is_exploded = parameter.explode and parameter.location not in {"path", "header"}
        self._scalars = self.shape.types - {"array", "object", "null"}
        self._is_one_text = self.shape.types.isdisjoint({"array", "object"})
        self._is_spread = self.shape.is_object and is_exploded and parameter.style in {"form", "cookie"}
        self._is_repeated = self.shape.is_array and is_exploded
        self._read: Callable[[Request], Json] = self._choose()
        self._fetch: Callable[[Request], list[str]] = getattr(self, f"_from_{parameter.location}")

    def read(self, request: Request) -> tuple[bool, Json]:
        """Return whether the parameter came, and its value.

        Raises: ValueError: it came more often than once and is no array, its text does not have the parts that its
        style asks for, or is no JSON where that is declared.
        """
        value = self._read(request)
        return (False, None) if value is _ABSENT else (True, value)

    def owns(self, name: str) -> bool:
        """Tell whether a value of that *name* in the parameter's place belongs to it."""
        if self.parameter.location == "querystring":
            return True
        if self.parameter.style == "deepObject":
            return name.startswith(f"{self.parameter.name}[")
        if self._is_spread and not (self._scalars and name == self.parameter.name):
            return name in self.shape.properties or (self.shape.additional is not None and name not in self._others)
        return name == self.parameter.name

    def _choose(self) -> Callable[[Request], Json]:
        if self.parameter.style == "content":
            return self._read_content
        if self.parameter.style == "deepObject":
            return self._read_deep
        if self._is_spread:
            return self._read_spread
        return self._read_one if self._is_one_text else self._read_composed

    def _find_separator(self) -> re.Pattern[str]:
        if self.parameter.style == "label" and self.parameter.explode:
            return re.compile(r"\.")
        if self.parameter.style == "matrix" and self.parameter.explode:
            return re.compile(";")
        if self.parameter.location == "query" and self.parameter.style == "spaceDelimited":
            return _QUERY_SPACE
        # RFC 9110, section 5.6.1: lists in headers may have blanks around their commas.
        return _SEPARATORS.get(self.parameter.style, _HEADER_COMMA if self.parameter.location == "header" else _COMMA)

    def _find_decode(self) -> Decode:
        if self.parameter.location in {"query", "querystring"}:
            return unquote_plus
        is_cookie = self.parameter.location == "cookie" and self.parameter.style != "cookie"
        is_encoded = self.parameter.location == "path" or is_cookie
        return unquote if is_encoded else _keep

    def _read_content(self, request: Request) -> Json:
        texts = self._fetch(request)
        return from_json(self._decode(texts[0]), allow_inf_nan=False) if texts else _ABSENT

    def _read_one(self, request: Request) -> Json:
        is_query = self.parameter.location == "query"  # Werkzeug has decoded that already
        texts = request.args.getlist(self.parameter.name) if is_query else self._fetch(request)
        if not texts:
            return _ABSENT
        if len(texts) > 1:
            raise ValueError("given more than once")
        text = texts[0] if is_query else self._decode(texts[0])
        if not text and self.parameter.may_be_empty and self._refuses_empty_text:
            return _ABSENT  # OpenAPI 3.2: "some servers interpret [it] as the parameter being unused"
        return parse_scalar(text, self.shape.types)

    def _read_composed(self, request: Request) -> Json:
        """Read an array or an object out of one text, or an array out of one text for each item."""
        if self._is_repeated:
            texts = self._repeated(request)
            return parse_items(texts, self.shape) if texts else _ABSENT
        texts = self._fetch(request)
        if not texts:
            return _ABSENT
        if not any(texts) and self.parameter.may_be_empty:
            return _ABSENT
        value = self._parse_composed(texts)
        if _ENCODED_COMMA.search("".join(texts)) and self._decode is not _keep and self._check.find_faults(value):
            # Many clients encode the separators too. Where the document refuses what the rules make of that, so be it.
            plain = self._parse_composed([_ENCODED_COMMA.sub(",", text) for text in texts])
            return value if self._check.find_faults(plain) else plain
        return value

    @cached_property
    def _refuses_empty_text(self) -> bool:
        return "string" not in self.shape.types or bool(self._check.find_faults(""))

    @cached_property
    def _check(self) -> SchemaCheck:
        return SchemaCheck(self.parameter.schema, self._schemas)

    def _parse_composed(self, texts: list[str]) -> Json:
        parts = [part for text in texts if text for part in self._separator.split(text)]
        if self.shape.is_array:
            return parse_items([self._decode(self._strip_name(part)) for part in parts], self.shape)
        return self._parse_pairs(parts)

    def _repeated(self, request: Request) -> list[str]:
        if self.parameter.location == "cookie":
            return [text for name, text in self._cookie_pairs(request) if name == self.parameter.name]
        return request.args.getlist(self.parameter.name)

    def _strip_name(self, part: str) -> str:
        is_named = self.parameter.style == "matrix" and self.parameter.explode
        return part.removeprefix(f"{self.parameter.name}=") if is_named else part

    def _parse_pairs(self, parts: list[str]) -> Json:
        if self.parameter.explode:
            pairs = [part.partition("=")[::2] for part in parts]
            is_whole = all("=" in part for part in parts)
        else:
            pairs = list(zip(parts[::2], parts[1::2], strict=False))
            is_whole = len(parts) % 2 == 0
        if not is_whole and self._scalars:
            return parse_scalar(",".join(map(self._decode, parts)), self._scalars)
        if not is_whole:
            raise ValueError("a name in it has no value")
        return assemble(self.shape, [((self._decode(name),), self._decode(text)) for name, text in pairs])

    def _read_spread(self, request: Request) -> Json:
        """Read an object whose properties stand beside the other parameters."""
        entries: list[Entry] = []
        for name, text in self._pairs(request):
            start, *rest = _split_name(name)
            is_whole = name in self.shape.properties
            if is_whole or (self.owns(start) and not (self._scalars and start == self.parameter.name)):
                entries.append(((name,), text) if is_whole else ((start, *rest), text))
        if not entries and self._scalars:
            return self._read_one(request)
        return assemble(self.shape, entries) if entries else _ABSENT

    def _read_deep(self, request: Request) -> Json:
        start = f"{self.parameter.name}["
        entries: list[Entry] = [
            (_split_name(name)[1:], text) for name, text in self._pairs(request) if name.startswith(start)
        ]
        return assemble(self.shape, entries) if entries else _ABSENT

    def _pairs(self, request: Request) -> Pairs:
        if self.parameter.location == "cookie":
            return self._cookie_pairs(request)
        return list(request.args.items(multi=True))

    def _cookie_pairs(self, request: Request) -> Pairs:
        pairs: Pairs = []
        for name, text in request.cookies.items(multi=True):
            # `color=blue&color=black` is what RFC 6570 makes of an exploded value: to a cookie it is one text.
            joined = f"{name}={text}".split("&") if self.parameter.style == "form" else [f"{name}={text}"]
            pairs += [(key, self._decode(value)) for key, _, value in (part.partition("=") for part in joined)]
        return pairs

    def _from_path(self, request: Request) -> list[str]:
        assert self._path is not None
        text = self._path.find(request, self.parameter.name)
        if self.parameter.style == "label":
            return [text.removeprefix(".")]
        if self.parameter.style == "matrix":
            if text[:3].upper() == "%3B":  # a client that encodes everything
                text = unquote(text).replace("%", "%25")
            is_named = not (self.parameter.explode and not self._is_one_text)
            return [text.removeprefix(f";{self.parameter.name}").removeprefix("=") if is_named else text[1:]]
        return [text]

    def _from_query(self, request: Request) -> list[str]:
        query = request.query_string.decode("latin-1")
        pairs = [pair.partition("=") for pair in query.split("&") if pair]
        return [text for name, _, text in pairs if unquote_plus(name) == self.parameter.name]

    def _from_querystring(self, request: Request) -> list[str]:
        query = request.query_string.decode("latin-1")
        return [query] if query else []

    def _from_header(self, request: Request) -> list[str]:
        return request.headers.getlist(self.parameter.name)

    def _from_cookie(self, request: Request) -> list[str]:
        return request.cookies.getlist(self.parameter.name)


_ABSENT: Json = object()
"""What a reader returns for a parameter that did not come."""


def _split_name(name: str) -> tuple[str, ...]:
    """Return ``("a", "b", "")`` for ``a[b][]``; a name without such an end stays whole."""
    start, bracket, rest = name.partition("[")
    tokens = _BRACKETS.findall(bracket + rest)
    is_whole = bool(start) and sum(len(token) + 2 for token in tokens) == len(bracket + rest)
    return (start, *tokens) if is_whole else (name,)
