"""Parameters of plain types in their usual styles become keywords in one pass, without the request object.

Whatever is unusual or wrong with a request is left to `pymacaron.parameters`, which finds the words for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from pydantic import ValidationError

from pymacaron.model import unwrap
from pymacaron.raw_path import keeps_slashes
from pymacaron.shapes import parse_scalar
from pymacaron.validation import validate_json

if TYPE_CHECKING:
    from pymacaron.call import Call
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.parameters import ParameterReader
    from pymacaron.raw_path import RawPath
    from pymacaron.validation import SchemaCheck

Parse = Callable[[str], "Json"]
_STYLES = {"query": "form", "path": "simple", "header": "simple"}
_SCALARS = frozenset({"integer", "number", "boolean", "string"})
_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})
_HEADER = re.compile("[A-Za-z0-9-]+")
_NOT_HTTP = frozenset({"content-type", "content-length"})  # a server gives them other names
# Parts of pydantic's core schemas that take from Python only what they take from JSON, where no None can come.
_SAME_FOR_PYTHON = frozenset({"model", "model-fields", "model-field", "default", "nullable", "int", "float"}) | {
    *("bool", "str", "literal", "list", "json-or-python")
}
_INNER = ("schema", "items_schema", "json_schema", "python_schema")


class PlainParameter(NamedTuple):
    """How one parameter is read. place: its name in the query, variable in the path, or key of the environ."""

    keyword: str
    place: str
    parse: Parse
    is_list: bool
    may_be_empty: bool


class PlainParameters:
    """Reads the parameters of one operation, all of plain types."""

    def __init__(
        self,
        readers: Iterable[ParameterReader],
        values: PlainValues | None,
        path: RawPath,
        *,
        refuses_unknown: bool = False,
    ) -> None:
        """Take *readers* that are all plain; refuses_unknown: a query may only have what they name."""
        found = [(reader.parameter.location, _compile(reader, path)) for reader in readers]
        self._queries = {one.place: one for location, one in found if location == "query"}
        self._headers = [one for location, one in found if location == "header"]
        self._paths = [one for location, one in found if location == "path"]
        self._values = values
        self._reads_query = bool(self._queries) or refuses_unknown
        self._refuses_unknown = refuses_unknown

    def read(self, call: Call) -> dict[str, object] | None:
        """Return the keywords of a request, None if it is not as usual."""
        given: JsonObject = {}
        environ = call.environ
        if self._paths and (keeps_slashes(environ) or not _take(self._paths, call.path_values, given)):
            return None
        if self._reads_query:
            query = environ.get("QUERY_STRING")
            if query and not self._take_query(query, given):
                return None
        if self._headers and not _take(self._headers, environ, given):
            return None
        return {} if self._values is None else self._values.read(given)

    def _take_query(self, query: str, given: JsonObject) -> bool:
        pairs = split_query(query)
        if pairs is None:
            return False
        for name, text in pairs:
            one = self._queries.get(name)
            if one is None:
                if self._refuses_unknown:
                    return False
            elif one.is_list:
                given.setdefault(one.keyword, []).append(one.parse(text))
            elif one.keyword in given or (not text and one.may_be_empty):
                return False
            else:
                given[one.keyword] = one.parse(text)
        return True


class PlainValues:
    """The parameters model of one operation: validates JSON values, and gives the keywords."""

    def __init__(
        self, model: Any, check: SchemaCheck | None, attributes: Mapping[str, str], optional: frozenset[str]
    ) -> None:
        """Take keyword -> attribute of the *model*, and the *optional* ones, left out when they did not come."""
        self._check = check
        self._fields = [(keyword, attribute, keyword in optional) for keyword, attribute in attributes.items()]
        self._validate: Callable[[JsonObject], Any] = lambda given: validate_json(model, json.dumps(given))
        if _is_same_for_python(model.__pydantic_core_schema__):
            validate = model.__pydantic_validator__.validate_python
            self._validate = partial(validate, strict=True, by_alias=True, by_name=False)

    def read(self, given: JsonObject) -> dict[str, object] | None:
        """Return the keywords of the JSON values that were *given*, None if something is wrong with them."""
        try:
            values = self._validate(given).__dict__
        except ValidationError:
            return None
        if self._check is not None and self._check.find_faults(given):
            return None
        keywords: dict[str, object] = {}
        for keyword, attribute, is_optional in self._fields:
            value = values[attribute]
            if type(value) not in _AS_THEY_ARE:
                value = unwrap(value)
            if value is not None or not is_optional or keyword in given:
                keywords[keyword] = value
        return keywords


def are_plain(readers: Sequence[ParameterReader]) -> bool:
    """Tell whether `PlainParameters` can read them all: texts that are scalars, or lists of them in a query."""
    return all(map(_is_plain, readers))


def _is_plain(reader: ParameterReader) -> bool:
    parameter, shape = reader.parameter, reader.shape
    if parameter.style != _STYLES.get(parameter.location):
        return False
    is_header = parameter.location == "header"
    if is_header and (not _HEADER.fullmatch(parameter.name) or parameter.name.lower() in _NOT_HTTP):
        return False
    types = shape.types
    if types == {"array"} and parameter.location == "query" and parameter.explode and not shape.prefix:
        types = shape.items.types if shape.items is not None else frozenset({"string"})
    return len(types) == 1 and types <= _SCALARS


def _compile(reader: ParameterReader, path: RawPath) -> PlainParameter:
    parameter, shape = reader.parameter, reader.shape
    types = shape.items.types if shape.items is not None else shape.types - {"array"}
    place = parameter.name
    if parameter.location == "path":
        place = path.names[place]
    elif parameter.location == "header":
        place = f"HTTP_{place.upper().replace('-', '_')}"
    parse: Parse = str if types <= {"string"} else partial(parse_scalar, types=types)
    return PlainParameter(parameter.keyword, place, parse, shape.is_array, parameter.may_be_empty)


def _take(parameters: list[PlainParameter], texts: Mapping[str, str], given: JsonObject) -> bool:
    """Add the values of the *texts*; tell whether they are as usual."""
    for keyword, place, parse, _is_list, may_be_empty in parameters:
        text = texts.get(place)
        if text is not None:
            if not text and may_be_empty:
                return False
            given[keyword] = parse(text)
    return True


def split_query(query: str) -> list[tuple[str, str]] | None:
    """Return the pairs of a query string as Werkzeug reads them, None if it has bytes that no URL may have."""
    if not query.isascii():
        return None
    if "%" in query or "+" in query:
        return parse_qsl(query, keep_blank_values=True, errors="werkzeug.url_quote")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    return [(name, text) for name, _, text in pairs]


def _is_same_for_python(core_schema: Any) -> bool:
    """Tell whether what a model takes from Python, and what it makes of it, is what it does with the same JSON."""
    steps = [core_schema]
    while steps:
        node = steps.pop()
        if isinstance(node, dict):
            if node["type"] not in _SAME_FOR_PYTHON or node.get("root_model"):
                return False
            steps += node["fields"].values() if "fields" in node else map(node.get, _INNER)
    return True
