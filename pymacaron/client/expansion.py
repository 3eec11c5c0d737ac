"""JSON values become the text of a request by a parameter's style: the opposite of `pymacaron.parameters`.

Source: OpenAPI 3.2, "Style Values" and appendix C; RFC 6570, section 3.2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from pymacaron.forms import SEPARATORS
from pymacaron.json_types import Json

if TYPE_CHECKING:
    from pymacaron.spec import Operation, Parameter

Pairs = list[tuple[str, str]]
# Source: RFC 9110, section 5.5 (bytes above ASCII are Latin-1 to Python); RFC 6265, section 4.1.1, cookie-octet.
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_COOKIE_TEXT = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")


@dataclass(frozen=True, slots=True)
class _Style:
    """first: what stands before the value. inner, outer: between items, without and with explode; as they are sent.

    is_named: the parameter's name stands before the value.
    """

    first: str
    inner: str
    outer: str
    is_named: bool


_STYLES = {
    "simple": _Style("", ",", ",", is_named=False),
    "label": _Style(".", ",", ".", is_named=False),
    "matrix": _Style(";", ",", ";", is_named=True),
    "form": _Style("", ",", "&", is_named=True),
    "spaceDelimited": _Style("", "%20", "&", is_named=True),
    "pipeDelimited": _Style("", "%7C", "&", is_named=True),
    "tabDelimited": _Style("", "%09", "&", is_named=True),
}


@dataclass(slots=True)
class Written:
    """The text of a request's parameters: each value as it is sent, percent-encoded where that is the custom.

    path: variable of the template -> text. query: ``name=value`` parts. headers and cookies: name and value.
    """

    path: dict[str, str] = field(default_factory=dict)
    query: list[str] = field(default_factory=list)
    headers: Pairs = field(default_factory=list)
    cookies: Pairs = field(default_factory=list)


def write_parameters(operation: Operation, values: Mapping[str, Json], faults: list[str]) -> Written:
    """Return the text of *values*, keyword -> JSON value; what cannot be written is added to *faults*."""
    written = Written()
    for parameter in operation.parameters:
        if parameter.location == "form" or parameter.keyword not in values:
            continue
        try:
            _write(parameter, values[parameter.keyword], written)
        except ValueError as error:
            faults.append(f"{parameter.keyword}: {error}")
    return written


def to_json_value(value: object) -> Json:
    """Return *value*, models and dates among others, as JSON knows it. Raises ValueError: it has no such form."""
    try:
        return to_jsonable_python(value, by_alias=True, inf_nan_mode="constants")
    except (PydanticSerializationError, TypeError) as error:
        raise ValueError(f"a {type(value).__name__} cannot be sent") from error


def to_text(value: Json) -> str:
    """Return a scalar as text. Raises ValueError: it is a list or an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, dict)):
        raise ValueError(  # noqa: TRY004 - collected with the other faults
            "a value inside of it is itself a list or an object, which its style cannot write"
        )
    return to_json(value).decode()


def _write(parameter: Parameter, value: Json, written: Written) -> None:
    if parameter.location == "header":
        written.headers.append((parameter.name, _write_header(parameter, value)))
    elif parameter.location == "cookie":
        written.cookies += _write_cookies(parameter, value)
    elif parameter.location == "path":
        text = _encode(to_json(value).decode()) if parameter.style == "content" else _expand(parameter, value)
        if text in {"", ".", ".."}:
            raise ValueError("it stands in the path and must not be empty, a dot or two dots")
        written.path[parameter.name] = text
    else:
        text = _write_query(parameter, value)
        written.query += [text] if text else []


def _encode(text: str) -> str:
    return quote(text, safe="")


def _write_query(parameter: Parameter, value: Json) -> str:
    if parameter.style == "content":
        text = _encode(to_json(value).decode())
        return text if parameter.location == "querystring" else f"{_encode(parameter.name)}={text}"
    if parameter.location == "querystring" and parameter.style != "form":
        return to_text(value)
    if parameter.style == "deepObject" and isinstance(value, dict):
        pairs = list(deep_pairs(parameter.name, value))
        return "&".join(f"{_encode(name)}={_encode(text)}" for name, text in pairs)
    return _expand(parameter, value)


def deep_pairs(name: str, value: Json) -> Iterator[tuple[str, str]]:
    """Yield the parts of an object: ``a[b][c]`` and its text; an item of a list has the name of the list.

    Raises: ValueError: a name or a value has no place in that.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if "[" in key or "]" in key or not key:
                raise ValueError("a name in it is empty or has a bracket, which its style cannot write")
            yield from deep_pairs(f"{name}[{key}]", inner)
    elif isinstance(value, list):
        if not value:
            raise ValueError("its style cannot write an empty list")
        yield from ((name, to_text(item)) for item in value)
    else:
        yield name, to_text(value)


def _expand(parameter: Parameter, value: Json) -> str:
    style = _STYLES.get(parameter.style, _STYLES["form"])
    if parameter.location == "path" and parameter.style in SEPARATORS:  # as only Swagger 2.0 has it
        style = replace(style, is_named=False)
    name = _encode(parameter.name)
    if not isinstance(value, (list, dict)):
        text = _encode(to_text(value))
        return f"{style.first}{name}={text}" if style.is_named else f"{style.first}{text}"
    parts = _read_parts(value, _encode)
    separator = style.outer if parameter.explode else style.inner
    _demand_distinct(parts, separator)
    if not parameter.explode:
        text = separator.join(parts)
        return f"{style.first}{name}={text}" if style.is_named else f"{style.first}{text}"
    if isinstance(value, dict):
        if parameter.style in {"spaceDelimited", "pipeDelimited"}:
            raise ValueError("its style cannot write an object with explode")
        items = [f"{key}={text}" for key, text in zip(parts[::2], parts[1::2], strict=True)]
    else:
        items = [f"{name}={part}" for part in parts] if style.is_named else parts
    if not items or (not style.is_named and items == [""]):
        _demand_items(parameter, items)
    return f"{style.first}{separator.join(items)}" if items else ""


def _read_parts(value: Json, encode: Callable[[str], str]) -> list[str]:
    """Return the items of a list, or name and value of each property in turn."""
    if isinstance(value, list):
        return [encode(to_text(item)) for item in value]
    return [encode(part) for key, item in value.items() for part in (key, to_text(item))]


def _demand_distinct(parts: list[str], separator: str) -> None:
    """Raise ValueError if whoever splits the text again gets other *parts*."""
    if separator not in {",", "&", ";"} and any(separator in part for part in parts):
        raise ValueError("its style cannot write its separator inside a value")
    if parts == [""] and separator != "&":
        raise ValueError("its style cannot tell a list of one empty text from an empty list")


def _demand_items(parameter: Parameter, items: list[str]) -> None:
    if parameter.is_required or items:
        raise ValueError("its style cannot write an empty value")


def _write_header(parameter: Parameter, value: Json) -> str:
    if parameter.style == "content":
        text = json.dumps(value)
    elif isinstance(value, (list, dict)):
        parts = _read_parts(value, str)
        is_pairs = isinstance(value, dict) and parameter.explode
        separator = SEPARATORS.get(parameter.style, ",")
        if any(separator in part or part != part.strip() for part in parts) or parts == [""]:
            raise ValueError("a header cannot hold its separator or outer blanks inside a value, or one empty value")
        if is_pairs and any("=" in key for key in parts[::2]):
            raise ValueError("its style cannot write = inside a name")
        pairs = [f"{key}={text}" for key, text in zip(parts[::2], parts[1::2], strict=True)] if is_pairs else parts
        text = separator.join(pairs)
    else:
        text = to_text(value)
    check_header(text)
    return text


def check_header(text: str) -> None:
    """Raise ValueError if *text* cannot be the value of a header. Source: RFC 9110, section 5.5."""
    if text != text.strip() or not _HEADER_TEXT.fullmatch(text):
        raise ValueError("a header cannot hold control characters, blanks around its value, or letters beyond Latin-1")


def _write_cookies(parameter: Parameter, value: Json) -> Pairs:
    if parameter.style == "content":
        return [(parameter.name, _encode(to_json(value).decode()))]
    if parameter.style != "cookie":
        parts = _expand(parameter, value).split("&")
        return [(name, text) for name, _, text in (part.partition("=") for part in parts) if name]
    # OpenAPI 3.2: style cookie is like form, and nothing is encoded.
    texts = _read_parts(value, str) if isinstance(value, (list, dict)) else [to_text(value)]
    if not all(map(_COOKIE_TEXT.fullmatch, texts)):
        raise ValueError("a cookie cannot hold blanks, quotes, commas, semicolons, backslashes or letters beyond ASCII")
    if not parameter.explode or not isinstance(value, (list, dict)):
        _demand_distinct(texts, "," if isinstance(value, (list, dict)) else "&")
        return [(parameter.name, ",".join(texts))]
    if isinstance(value, dict):
        return list(zip(texts[::2], texts[1::2], strict=True))
    return [(parameter.name, text) for text in texts]
