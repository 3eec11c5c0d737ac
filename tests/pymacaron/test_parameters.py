"""Texts of a request become JSON values by the schemas of the document."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request

from pymacaron.parameters import ParameterReader, parse_scalar, read_shape
from pymacaron.spec import Parameter

INTEGERS = {"type": "array", "items": {"type": "integer"}}
POINT = {"type": "object", "properties": {"x": {"type": "integer"}, "label": {"type": "string"}}}


@pytest.mark.parametrize(
    ("text", "types", "expected"),
    [
        pytest.param("12", {"integer"}, 12, id="integer"),
        pytest.param("-0", {"integer"}, 0, id="minus zero"),
        pytest.param("012", {"integer"}, "012", id="leading zero is no integer"),
        pytest.param("1_000", {"integer"}, "1_000", id="underscore is no integer"),
        pytest.param(" 1", {"integer"}, " 1", id="space is no integer"),
        pytest.param("1.5", {"integer"}, "1.5", id="fraction is no integer"),
        pytest.param("9" * 5000, {"integer"}, "9" * 5000, id="absurdly long is no integer"),
        pytest.param("1.50", {"number"}, 1.5, id="number"),
        pytest.param("3", {"number"}, 3, id="whole number"),
        pytest.param("1e400", {"number"}, "1e400", id="too large for a number"),
        pytest.param("nan", {"number"}, "nan", id="nan is no number"),
        pytest.param("true", {"boolean"}, True, id="true"),
        pytest.param("True", {"boolean"}, "True", id="JSON's true is lower case"),
        pytest.param("1", {"boolean"}, "1", id="1 is no boolean"),
        pytest.param("", {"integer", "null"}, None, id="empty is null where text is no choice"),
        pytest.param("", {"string", "null"}, "", id="empty is text where text is a choice"),
        pytest.param("7", {"string"}, "7", id="text stays text"),
        pytest.param("7", {"string", "integer"}, 7, id="the narrowest type goes first"),
    ],
)
def test_scalars(text: str, types: set[str], expected: object) -> None:
    """A text becomes the first type that it spells, by JSON's own rules."""
    value = parse_scalar(text, frozenset(types))
    assert (value, type(value)) == (expected, type(expected))


def make_parameter(location: Any, schema: dict[str, Any], style: str, explode: bool) -> Parameter:
    return Parameter("ids", location, schema, False, style, explode, "/p", "ids")


@pytest.mark.parametrize(
    ("style", "explode", "query", "schema", "expected"),
    [
        pytest.param("form", True, "ids=1&ids=2", INTEGERS, [1, 2], id="form exploded"),
        pytest.param("form", False, "ids=1,2", INTEGERS, [1, 2], id="form"),
        pytest.param("form", False, "ids=", INTEGERS, [], id="empty array"),
        pytest.param("spaceDelimited", False, "ids=1%202", INTEGERS, [1, 2], id="space"),
        pytest.param("pipeDelimited", False, "ids=1|2", INTEGERS, [1, 2], id="pipe"),
        pytest.param("form", True, "ids=5", {"type": "integer"}, 5, id="scalar"),
        pytest.param("form", False, "ids=x,3,label,a", POINT, {"x": 3, "label": "a"}, id="object"),
        pytest.param("form", True, "x=3&label=4&other=5", POINT, {"x": 3, "label": "4"}, id="object exploded"),
        pytest.param("deepObject", True, "ids[x]=3&ids[label]=a", POINT, {"x": 3, "label": "a"}, id="deep object"),
    ],
)
def test_query_styles(style: str, explode: bool, query: str, schema: dict[str, Any], expected: object) -> None:
    """Each style of OpenAPI for the query is read."""
    reader = ParameterReader(make_parameter("query", schema, style, explode), {})
    with Flask("app").test_request_context(f"/?{query}"):
        assert reader.read(request) == (True, expected)


@pytest.mark.parametrize(
    ("style", "explode", "text", "schema", "expected"),
    [
        pytest.param("simple", False, "1,2", INTEGERS, [1, 2], id="simple"),
        pytest.param("label", False, ".1,2", INTEGERS, [1, 2], id="label"),
        pytest.param("matrix", False, ";ids=1,2", INTEGERS, [1, 2], id="matrix"),
        pytest.param("simple", True, "x=3,label=a", POINT, {"x": 3, "label": "a"}, id="object exploded"),
        pytest.param("simple", False, "4", {"type": "integer"}, 4, id="scalar"),
    ],
)
def test_path_styles(style: str, explode: bool, text: str, schema: dict[str, Any], expected: object) -> None:
    """Each style of OpenAPI for paths is read."""
    reader = ParameterReader(make_parameter("path", schema, style, explode), {}, "p0")
    with Flask("app").test_request_context("/"):
        request.view_args = {"p0": text}
        assert reader.read(request) == (True, expected)


def test_header_and_cookie() -> None:
    """Headers and cookies are found by name, headers in any case."""
    header = ParameterReader(make_parameter("header", {"type": "integer"}, "simple", False), {})
    cookie = ParameterReader(make_parameter("cookie", {"type": "boolean"}, "form", True), {})
    with Flask("app").test_request_context("/", headers={"IDS": "3", "Cookie": "ids=true"}):
        assert (header.read(request), cookie.read(request)) == ((True, 3), (True, True))


@pytest.mark.parametrize("location", ["query", "header", "cookie", "form"])
def test_absent_parameters(location: str) -> None:
    """A parameter that did not come is told apart from an empty one."""
    reader = ParameterReader(make_parameter(location, {"type": "string"}, "form", True), {})
    with Flask("app").test_request_context("/"):
        assert reader.read(request) == (False, None)


def test_a_scalar_given_twice_is_refused() -> None:
    """Two values for one scalar would need a choice that the document does not make."""
    reader = ParameterReader(make_parameter("query", {"type": "string"}, "form", True), {})
    with Flask("app").test_request_context("/?ids=a&ids=b"), pytest.raises(ValueError, match=r"^given more than once$"):
        reader.read(request)


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        pytest.param({"$ref": "#/components/schemas/Color"}, {"string"}, id="reference"),
        pytest.param({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"integer", "null"}, id="alternatives"),
        pytest.param({"type": ["integer", "null"]}, {"integer", "null"}, id="list of types"),
        pytest.param({"enum": [1, 2]}, {"integer"}, id="enum without a type"),
        pytest.param({"const": True}, {"boolean"}, id="const without a type"),
        pytest.param({}, {"string"}, id="anything is text"),
        pytest.param({"$ref": "#/components/schemas/Loop"}, {"string"}, id="recursion ends"),
    ],
)
def test_shapes(schema: dict[str, Any], types: set[str]) -> None:
    """The types of a schema are found wherever it says them."""
    schemas: dict[str, dict[str, Any]] = {
        "Color": {"type": "string", "enum": ["red"]},
        "Loop": {"anyOf": [{"$ref": "#/components/schemas/Loop"}]},
    }
    assert read_shape(schema, schemas).types == types


def test_a_parameter_of_json_content() -> None:
    """`content: application/json` makes the text a JSON document."""
    reader = ParameterReader(make_parameter("query", POINT, "content", False), {})
    with Flask("app").test_request_context('/?ids={"x":1}'):
        assert reader.read(request) == (True, {"x": 1})
    with Flask("app").test_request_context("/?ids={"), pytest.raises(ValueError, match=r"^EOF while parsing"):
        reader.read(request)
