"""JSON values become the text of a request by a parameter's style: the opposite of `pymacaron.parameters`.

Source: OpenAPI 3.2, "Style Values" and appendix C; RFC 6570, section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from pymacaron.json_types import Json

if TYPE_CHECKING:
    from pymacaron.spec import Operation, Parameter

Pairs = list[tuple[str, str]]


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
    "cookie": _Style("", ",", "; ", is_named=True),
    "spaceDelimited": _Style("", "%20", "&", is_named=True),
    "pipeDelimited": _Style("", "%7C", "&", is_named=True),
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
        raise ValueError("a value inside of it is itself a list or an object, which its style cannot write")  # noqa: TRY004 - a value's fault, not a type's
    return to_json(value).decode()


def _write(parameter: Parameter, value: Json, written: Written) -> None:
    if parameter.location == "header":
        written.headers.append((parameter.name, _write_header(parameter, value)))
        return
    if parameter.location == "cookie":
        written.cookies += _write_cookies(parameter, value)
        return
    if parameter.style == "content":
        text = quote(to_json(value).decode(), safe="")
        text = text if parameter.location == "path" else f"{quote(parameter.name, safe='')}={text}"
    elif parameter.style == "deepObject" and isinstance(value, dict):
        text = "&".join(f"{quote(key, safe='')}={quote(text, safe='')}" for key, text in _deep_pairs(parameter, value))
    else:
        text = _expand(parameter, value)
    if parameter.location == "query":
        written.query += [text] if text else []
    elif text in {"", ".", ".."}:
        raise ValueError("it stands in the path and must not be empty, a dot or two dots")
    else:
        written.path[parameter.name] = text


def _deep_pairs(parameter: Parameter, value: Mapping[str, Json]) -> Pairs:
    return [
        (f"{parameter.name}[{key}]", to_text(item))
        for key, content in value.items()
        for item in (content if isinstance(content, list) else [content])
    ]


def _expand(parameter: Parameter, value: Json) -> str:
    style = _STYLES.get(parameter.style, _STYLES["form"])
    name = quote(parameter.name, safe="")
    if not isinstance(value, (list, dict)):
        text = quote(to_text(value), safe="")
        return f"{style.first}{name}={text}" if style.is_named else f"{style.first}{text}"
    separator = style.outer if parameter.explode else style.inner
    if isinstance(value, list):
        items = [quote(to_text(item), safe="") for item in value]
        if parameter.explode and style.is_named:
            items = [f"{name}={item}" for item in items]
        _demand_distinct(items, separator, is_exploded=parameter.explode and style.is_named)
    else:
        pairs = [(quote(key, safe=""), quote(to_text(item), safe="")) for key, item in value.items()]
        items = (
            [f"{key}={item}" for key, item in pairs] if parameter.explode else [part for pair in pairs for part in pair]
        )
        _demand_distinct([part for pair in pairs for part in pair], separator, is_exploded=parameter.explode)
    if not items and (parameter.explode or isinstance(value, dict)):
        return ""
    text = separator.join(items)
    return f"{style.first}{text}" if parameter.explode or not style.is_named else f"{style.first}{name}={text}"


def _demand_distinct(items: Sequence[str], separator: str, *, is_exploded: bool) -> None:
    """Raise ValueError if whoever splits the text again gets other *items*."""
    if separator not in {",", "&", ";", "; "} and any(separator in item for item in items):
        raise ValueError("its style cannot write the separator inside a value")
    if list(items) == [""] and not is_exploded:
        raise ValueError("its style cannot tell a list of one empty text from an empty list")


def _write_header(parameter: Parameter, value: Json) -> str:
    if parameter.style == "content":
        text = to_json(value).decode()
    elif isinstance(value, list):
        text = _join(list(map(to_text, value)))
    elif isinstance(value, dict):
        pairs = [(key, to_text(item)) for key, item in value.items()]
        is_mixed = any("=" in key for key, _ in pairs) and parameter.explode
        if is_mixed:
            raise ValueError("its style cannot write = inside a name")
        parts = (
            [f"{key}={item}" for key, item in pairs] if parameter.explode else [part for pair in pairs for part in pair]
        )
        text = _join(parts)
    else:
        text = to_text(value)
    check_header(text)
    return text


def _join(items: list[str]) -> str:
    if any("," in item for item in items) or items == [""]:
        raise ValueError("a header cannot hold a comma inside a value, or one empty value")
    return ",".join(items)


def check_header(text: str) -> None:
    """Raise ValueError if *text* cannot be the value of a header. Source: RFC 9110, section 5.5."""
    is_visible = all(character == "\t" or character.isprintable() or ord(character) > 0x9F for character in text)  # noqa: PLR2004 - end of the control characters
    if text != text.strip() or not is_visible or any(ord(character) > 0xFF for character in text):  # noqa: PLR2004 - Latin-1
        raise ValueError("a header cannot hold control characters, space around its value, or letters beyond Latin-1")


def _write_cookies(parameter: Parameter, value: Json) -> Pairs:
    if parameter.style == "content":
        return [(parameter.name, quote(to_json(value).decode(), safe=""))]
    text = _expand(parameter, value)
    separator = _STYLES.get(parameter.style, _STYLES["form"]).outer
    return [(name, item) for name, _, item in (part.partition("=") for part in text.split(separator)) if name]
