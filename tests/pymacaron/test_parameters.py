"""Texts of a request become JSON values by the schemas of the document."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request

from pymacaron.parameters import ParameterReader
from pymacaron.raw_path import RawPath
from pymacaron.shapes import parse_scalar, read_shape
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


# The specification's own table: parameter `color`, each style and explode that it defines for a type.
# Source: OpenAPI 3.2.0, "Style Examples".
BLUE, COLORS, RGB = "blue", ["blue", "black", "brown"], {"R": 100, "G": 200, "B": 150}
TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "array": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object", "properties": {key: {"type": "integer"} for key in RGB}},
}
STYLE_TABLE = [
    # location, style, explode, as it is sent, value
    ("path", "matrix", False, ";color=", ""),
    ("path", "matrix", False, ";color", ""),
    ("path", "matrix", False, ";color=blue", BLUE),
    ("path", "matrix", False, ";color=blue,black,brown", COLORS),
    ("path", "matrix", False, ";color=R,100,G,200,B,150", RGB),
    ("path", "matrix", True, ";color", ""),
    ("path", "matrix", True, ";color=blue", BLUE),
    ("path", "matrix", True, ";color=blue;color=black;color=brown", COLORS),
    ("path", "matrix", True, ";R=100;G=200;B=150", RGB),
    ("path", "label", False, ".", ""),
    ("path", "label", False, ".blue", BLUE),
    ("path", "label", False, ".blue,black,brown", COLORS),
    ("path", "label", False, ".R,100,G,200,B,150", RGB),
    ("path", "label", True, ".", ""),
    ("path", "label", True, ".blue", BLUE),
    ("path", "label", True, ".blue.black.brown", COLORS),
    ("path", "label", True, ".R=100.G=200.B=150", RGB),
    ("path", "simple", False, "blue", BLUE),
    ("path", "simple", False, "blue,black,brown", COLORS),
    ("path", "simple", False, "R,100,G,200,B,150", RGB),
    ("path", "simple", True, "blue", BLUE),
    ("path", "simple", True, "blue,black,brown", COLORS),
    ("path", "simple", True, "R=100,G=200,B=150", RGB),
    ("header", "simple", False, "", ""),
    ("header", "simple", False, "blue", BLUE),
    ("header", "simple", False, "blue,black,brown", COLORS),
    ("header", "simple", False, "R,100,G,200,B,150", RGB),
    ("header", "simple", True, "", ""),
    ("header", "simple", True, "blue", BLUE),
    ("header", "simple", True, "blue,black,brown", COLORS),
    ("header", "simple", True, "R=100,G=200,B=150", RGB),
    ("query", "form", False, "color=", ""),
    ("query", "form", False, "color=blue", BLUE),
    ("query", "form", False, "color=blue,black,brown", COLORS),
    ("query", "form", False, "color=R,100,G,200,B,150", RGB),
    ("query", "form", True, "color=", ""),
    ("query", "form", True, "color=blue", BLUE),
    ("query", "form", True, "color=blue&color=black&color=brown", COLORS),
    ("query", "form", True, "R=100&G=200&B=150", RGB),
    ("query", "spaceDelimited", False, "color=blue%20black%20brown", COLORS),
    ("query", "spaceDelimited", False, "color=R%20100%20G%20200%20B%20150", RGB),
    ("query", "pipeDelimited", False, "color=blue%7Cblack%7Cbrown", COLORS),
    ("query", "pipeDelimited", False, "color=R%7C100%7CG%7C200%7CB%7C150", RGB),
    ("query", "deepObject", True, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150", RGB),
    ("cookie", "form", False, "color=", ""),
    ("cookie", "form", False, "color=blue", BLUE),
    ("cookie", "form", False, "color=blue,black,brown", COLORS),
    ("cookie", "form", False, "color=R,100,G,200,B,150", RGB),
    ("cookie", "form", True, "color=", ""),
    ("cookie", "form", True, "color=blue", BLUE),
    ("cookie", "form", True, "color=blue&color=black&color=brown", COLORS),
    ("cookie", "form", True, "R=100&G=200&B=150", RGB),
    ("cookie", "cookie", False, "color=", ""),
    ("cookie", "cookie", False, "color=blue", BLUE),
    ("cookie", "cookie", False, "color=blue,black,brown", COLORS),
    ("cookie", "cookie", False, "color=R,100,G,200,B,150", RGB),
    ("cookie", "cookie", True, "color=", ""),
    ("cookie", "cookie", True, "color=blue", BLUE),
    ("cookie", "cookie", True, "color=blue; color=black; color=brown", COLORS),
    ("cookie", "cookie", True, "R=100; G=200; B=150", RGB),
]


def read(location: str, style: str, explode: bool, sent: str, schema: dict[str, Any], name: str = "color") -> object:
    """Return what is read of the parameter *name* when *sent* stands in its place."""
    parameter = Parameter(name, location, schema, False, style, explode, "/p", name)  # type: ignore[arg-type]
    path = f"/x/{sent}" if location == "path" else f"/?{sent}" if "query" in location else "/"
    headers = {"header": {name: sent}, "cookie": {"Cookie": sent}}.get(location)
    reader = ParameterReader(parameter, {}, RawPath(f"/x/{{{name}}}", {name: "p0"}))
    with Flask("app").test_request_context(path, headers=headers):
        request.view_args = {"p0": request.path.removeprefix("/x/")}
        is_given, value = reader.read(request)
        return value if is_given else ...


@pytest.mark.parametrize(
    ("location", "style", "explode", "sent", "expected"),
    [pytest.param(*row, id=f"{row[0]} {row[1]}{' exploded' if row[2] else ''} {row[3]}") for row in STYLE_TABLE],
)
def test_the_style_table(location: str, style: str, explode: bool, sent: str, expected: object) -> None:
    """Every row of the specification's table is read as the value that it stands for."""
    kind = "string" if isinstance(expected, str) else "array" if isinstance(expected, list) else "object"
    assert read(location, style, explode, sent, TYPES[kind]) == expected


STRINGS = TYPES["array"]
ENUM = {"type": "array", "items": {"enum": ["red", "blue"]}}
TREE = {
    "type": "object",
    "properties": {
        "b": {
            "type": "object",
            "properties": {"c": {"type": "integer"}, "d": {"type": "array", "items": {"type": "integer"}}},
        },
        "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    },
    "additionalProperties": {"type": "boolean"},
}
DEEP = ("query", "deepObject", True)
PAIR = {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}


@pytest.mark.parametrize(
    ("location", "style", "explode", "sent", "schema", "expected"),
    [
        pytest.param("query", "form", False, "color=a%2Cb,c", STRINGS, ["a,b", "c"], id="encoded comma in a query"),
        pytest.param("path", "simple", False, "a%2Cb,c", STRINGS, ["a,b", "c"], id="encoded comma in a path"),
        pytest.param("path", "label", True, ".a%2Eb.c", STRINGS, ["a.b", "c"], id="encoded point in a label"),
        pytest.param("path", "matrix", True, ";color=a%3Bb;color=c", STRINGS, ["a;b", "c"], id="encoded semicolon"),
        pytest.param("path", "simple", False, "%3B%2C", STRINGS, [";,"], id="encoded semicolon and comma"),
        pytest.param("cookie", "form", False, "color=a%2Cb,c", STRINGS, ["a,b", "c"], id="encoded comma in a cookie"),
        pytest.param("cookie", "cookie", False, "color=a%2Cb", STRINGS, ["a%2Cb"], id="a cookie is not decoded"),
        pytest.param("header", "simple", False, "a%2Cb, c", STRINGS, ["a%2Cb", "c"], id="a header is not decoded"),
        pytest.param("query", "form", False, "color=1%2C2", INTEGERS, [1, 2], id="encoded where no comma can be"),
        pytest.param("query", "form", False, "color=red%2Cblue", ENUM, ["red", "blue"], id="encoded, else refused"),
        pytest.param("query", "form", False, "color=red%2Cgreen", ENUM, ["red,green"], id="refused either way"),
        pytest.param("query", "form", False, "color=1,2&color=3", INTEGERS, [1, 2, 3], id="lists given twice"),
        pytest.param("query", "form", False, "color=", INTEGERS, [], id="empty array"),
        pytest.param("query", "form", True, "color=a%2Bb+c%26", TYPES["string"], "a+b c&", id="plus in a query"),
        pytest.param("path", "simple", False, "a+b", TYPES["string"], "a+b", id="plus in a path"),
        pytest.param("path", "simple", False, "%C3%A9%252F", TYPES["string"], "é%2F", id="unicode and percent"),
        pytest.param("query", "tabDelimited", False, "color=a%09b+c%09d", STRINGS, ["a", "b c", "d"], id="tabs"),
        pytest.param("query", "spaceDelimited", False, "color=a+b%20c", STRINGS, ["a", "b", "c"], id="plus is a space"),
        pytest.param("path", "spaceDelimited", False, "a+b%20c", STRINGS, ["a+b", "c"], id="Swagger's ssv in a path"),
        pytest.param("header", "pipeDelimited", False, "a,b|c", STRINGS, ["a,b", "c"], id="Swagger's pipes"),
        pytest.param("query", "pipeDelimited", False, "color=a|b", STRINGS, ["a", "b"], id="pipe as it is"),
        pytest.param("query", "pipeDelimited", True, "color=a&color=b", STRINGS, ["a", "b"], id="pipe exploded"),
        pytest.param("query", "form", False, "color=1,b", PAIR, [1, "b"], id="items of different types"),
        pytest.param("query", "form", True, "color=5", {"type": ["integer", "null"]}, 5, id="nullable"),
        pytest.param("query", "form", True, "x=3&label=4&other=5", POINT, {"x": 3, "label": "4"}, id="spread"),
        pytest.param("query", "form", True, "c=1&other=true", TREE, {"c": "1", "other": True}, id="spread with others"),
        pytest.param("query", "form", True, "a=1&b=2", {"type": "object"}, {"a": "1", "b": "2"}, id="any object"),
        pytest.param("query", "form", True, "color=x", {"type": ["object", "string"]}, "x", id="object or text"),
        pytest.param(*DEEP, "color[b][c]=1", TREE, {"b": {"c": 1}}, id="deep"),
        pytest.param(*DEEP, "color[b][d][]=1&color[b][d][]=2", TREE, {"b": {"d": [1, 2]}}, id="[]"),
        pytest.param(*DEEP, "color[b][d]=1&color[b][d]=2", TREE, {"b": {"d": [1, 2]}}, id="twice"),
        pytest.param(*DEEP, "color[b][d][1]=2&color[b][d][0]=1", TREE, {"b": {"d": [1, 2]}}, id="#"),
        pytest.param(
            *DEEP, "color[list][0][n]=1&color[list][1][n]=2", TREE,
            {"list": [{"n": 1}, {"n": 2}]}, id="objects in an array",
        ),
        pytest.param(*DEEP, "color[z]=true", TREE, {"z": True}, id="additional property"),
        pytest.param(*DEEP, "color=1", TREE, ..., id="no brackets, no deep object"),
        pytest.param("query", "content", False, 'color=%7B"a":"b%2Bc"}', {}, {"a": "b+c"}, id="JSON in a query"),
        pytest.param("header", "content", False, '{"a": 1}', {}, {"a": 1}, id="JSON in a header"),
        pytest.param("cookie", "content", False, "color=[1]", {}, [1], id="JSON in a cookie"),
        pytest.param("path", "content", False, "[1,2]", {}, [1, 2], id="JSON in a path"),
        pytest.param("querystring", "content", False, "%7B%22a%22:1%7D", {}, {"a": 1}, id="JSON as the query"),
        pytest.param("querystring", "form", True, "R=1&G=2", TYPES["object"], {"R": 1, "G": 2}, id="form as the query"),
        pytest.param("querystring", "simple", False, "$.a%20b", TYPES["string"], "$.a b", id="text as the query"),
        pytest.param("querystring", "form", True, "", TYPES["object"], ..., id="no query"),
    ],
)  # fmt: skip
def test_what_clients_send(
    location: str, style: str, explode: bool, sent: str, schema: dict[str, Any], expected: object
) -> None:
    """Percent-encoding protects separators, nesting follows the schema, content is parsed."""
    assert read(location, style, explode, sent, schema) == expected


@pytest.mark.parametrize(
    ("location", "style", "explode", "sent", "schema", "message"),
    [
        pytest.param("query", "form", False, "color=R,1,G", TYPES["object"], "a name in it has no value", id="odd"),
        pytest.param("path", "simple", True, "R=1,G", TYPES["object"], "a name in it has no value", id="no value"),
        pytest.param("query", "form", True, "color=a&color=b", TYPES["string"], "given more than once", id="twice"),
        pytest.param(*DEEP, "color[R]=1&color[R]=2", TYPES["object"], "more than once", id="deep"),
        pytest.param(*DEEP, "color[b]=1&color[b][c]=2", TREE, "and in parts", id="value and parts"),
        pytest.param(*DEEP, f"color{'[a]' * 99}=1", TREE, "nested too deep", id="depth"),
        pytest.param("query", "content", False, "color={", {}, "EOF while parsing", id="broken JSON"),
        pytest.param("query", "content", False, "color=NaN", {}, "expected", id="NaN"),
    ],
)  # fmt: skip
def test_texts_without_a_value(
    location: str, style: str, explode: bool, sent: str, schema: dict[str, Any], message: str
) -> None:
    """What no style can mean is refused with a reason."""
    with pytest.raises(ValueError, match=message):
        read(location, style, explode, sent, schema)


@pytest.mark.parametrize(("schema", "expected"), [(TYPES["string"], ""), ({"type": "integer"}, ...)])
def test_an_empty_value_may_mean_absent(schema: dict[str, Any], expected: object) -> None:
    """With allowEmptyValue the document lets an empty text stand for no value, where a text is no value itself."""
    parameter = Parameter("n", "query", schema, False, "form", True, "/p", "n", may_be_empty=True)
    with Flask("app").test_request_context("/?n="):
        is_given, value = ParameterReader(parameter, {}).read(request)
    assert (value if is_given else ...) == expected


def test_header_and_cookie() -> None:
    """Headers and cookies are found by name, headers in any case."""
    header = ParameterReader(make_parameter("header", {"type": "integer"}, "simple", False), {})
    cookie = ParameterReader(make_parameter("cookie", {"type": "boolean"}, "form", True), {})
    with Flask("app").test_request_context("/", headers={"IDS": "3", "Cookie": "ids=true"}):
        assert (header.read(request), cookie.read(request)) == ((True, 3), (True, True))


@pytest.mark.parametrize("location", ["query", "header", "cookie"])
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
