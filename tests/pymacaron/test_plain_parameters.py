"""Parameters read in one pass are the same, or refused with the same words, as when each is read by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Request

from pymacaron.call import Call, current_call
from pymacaron.endpoint import Endpoint
from pymacaron.exceptions import InvalidParameterError
from pymacaron.plain_parameters import split_query
from pymacaron.request_reader import RequestReader

MakeService = Callable[..., Flask]
DOCUMENT = """\
openapi: 3.1.0
info: {title: Plain, version: "1"}
paths:
  /same/{id}/{name}:
    get:
      operationId: same
      parameters:
        - {name: id, in: path, required: true, schema: {type: integer}}
        - {name: name, in: path, required: true, schema: {type: string, pattern: "^[^0]"}}
        - {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100, default: 20}}
        - {name: ratio, in: query, schema: {type: number, exclusiveMaximum: 9}}
        - {name: all, in: query, required: true, allowEmptyValue: true, schema: {type: boolean}}
        - {name: default, in: query, schema: {type: string, maxLength: 3}}
        - {name: type, in: query, schema: {type: array, maxItems: 2, items: {type: integer}}}
        - {name: tags, in: query, schema: {type: array, items: {type: string}}}
        - {name: kind, in: query, schema: {type: string, enum: [a, b, ""]}}
        - {name: level, in: query, schema: {type: number, enum: [1, 2.5]}}
        - {name: X-Some, in: header, schema: {type: string, minLength: 1}}
        - {name: X-Count, in: header, schema: {type: integer}}
      responses: {"204": {description: none}}
  /typed/{day}:
    get:
      operationId: typed
      parameters:
        - {name: day, in: path, required: true, schema: {type: string, format: date}}
        - {name: at, in: query, schema: {type: string, format: date-time}}
        - {name: id, in: query, schema: {type: string, format: uuid}}
        - {name: small, in: query, schema: {type: integer, format: int32}}
        - {name: named, in: query, schema: {$ref: "#/components/schemas/Named"}}
        - {name: even, in: query, schema: {type: integer, not: {const: 3}}}
        - {name: unique, in: query, schema: {type: array, uniqueItems: true, items: {type: integer}}}
      responses: {"204": {description: none}}
  /unusual:
    get:
      operationId: unusual
      parameters:
        - {name: page, in: query, style: deepObject, schema: {type: object, properties: {n: {type: integer}}}}
      responses: {"204": {description: none}}
  /underscore:
    get:
      operationId: underscore
      parameters: [{name: X_Some, in: header, schema: {type: string}}]
      responses: {"204": {description: none}}
components:
  schemas:
    Named: {type: string, maxLength: 3}
"""
HANDLERS = """
def same(id, name, limit, all, ratio=None, default="d", type=None, tags=None, kind=None, level=None, x_some=1,
         x_count=None):
    return None

def typed(day, at=None, id=None, small=None, named=None, even=None, unique=None):
    return None

def unusual(page=None):
    return None

def underscore(x_some=None):
    return None
"""
NAMES = ["limit", "ratio", "all", "default", "type", "tags", "kind", "level", "at", "id", "small", "named", "even"]
TEXTS = [
    "",
    "0",
    "1",
    "3",
    "2.5",
    "1e400",
    "1.0",
    "-7",
    "true",
    "false",
    "null",
    "a",
    "abcd",
    "\u00e9",
    "%41",
    "+",
    " ",
]
TEXTS += ["%2541", "%ff", "%C3%A9", "a=b", "2026-11-27", "2026-11-27T10:00:00Z", "9" * 30, str(2**53 + 1), "101"]
TEXTS += ["0b5c2f1e-6b7c-4e7e-9d6f-0a1b2c3d4e5f"]
texts = st.sampled_from(TEXTS) | st.text(st.characters(max_codepoint=255), max_size=4)
names = st.sampled_from([*NAMES, "unique", "other", "%6cimit", ""])
queries = st.lists(st.builds("{}{}{}".format, names, st.sampled_from(["=", "=", ""]), texts), max_size=5).map("&".join)
queries = st.builds(str.__add__, st.sampled_from(["", "all=true&", "all=true&limit=5&"]), queries)
headers = st.dictionaries(st.sampled_from(["HTTP_X_SOME", "HTTP_X_COUNT"]), texts)
paths = st.sampled_from(["/same/7/n", "/same/7/%C3%A9", "/same/x/%2541", "/same/1/0", "/typed/2026-11-27", "/typed/x"])


def reader_of(app: Flask, operation_id: str) -> Any:
    """Return what reads the requests of an operation."""
    view = app.view_functions[f"pets:{operation_id}"]
    assert isinstance(view, Endpoint)
    return view._reader


def outcome(reader: RequestReader, call: Call) -> object:
    """Return the keywords with their types, or the faults."""
    try:
        _body, keywords = reader.read(call)
    except InvalidParameterError as error:
        return error.faults
    return sorted((name, type(value), repr(value)) for name, value in keywords.items())


@pytest.mark.parametrize("unknown", ["ignore", "refuse"])
def test_the_long_way_says_the_same(make_service: MakeService, unknown: str) -> None:
    """Whatever comes in query, path and headers."""
    app = make_service(document=DOCUMENT, handlers=HANDLERS, config=f"name: x\nunknown_parameters: {unknown}\n")
    plain = {name: reader_of(app, name)._plain for name in ("same", "typed")}
    assert all(plain.values())

    read = set()

    @settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    @given(path=paths, query=queries, some=headers)
    def compare(path: str, query: str, some: dict[str, str]) -> None:
        environ = {**some, "QUERY_STRING": query.encode().decode("latin-1")}
        operation_id = path.split("/")[1]
        reader = reader_of(app, operation_id)
        with app.test_request_context(path, environ_overrides=environ):
            assert request.view_args
            short = outcome(reader, current_call())
            read.add((operation_id, reader._plain.read(current_call()) is not None))
            reader._plain = None
            try:
                assert short == outcome(reader, current_call())
            finally:
                reader._plain = plain[operation_id]

    compare()
    assert len(read) == 4  # both operations were read both ways


@pytest.mark.parametrize(
    ("path", "environ", "expected"),
    [
        pytest.param(
            "/same/7/n",
            {"QUERY_STRING": "all=true&ratio=2&tags=a&tags=b+c&type=1&kind=a&x=1", "HTTP_X_SOME": "s"},
            {"id": 7, "name": "n", "limit": 20, "all": True, "ratio": 2.0, "tags": ["a", "b c"], "type": [1]}
            | {"kind": "a", "x_some": "s"},
            id="JSON types",
        ),
        pytest.param("/same/7/n", {"QUERY_STRING": "all=true&all=true"}, None, id="given twice"),
        pytest.param("/same/7/n", {"QUERY_STRING": "all="}, None, id="perhaps unused"),
        pytest.param("/same/7/n", {"QUERY_STRING": "all=true&default=\xff"}, None, id="bytes that no URL has"),
        pytest.param("/same/7/n", {"QUERY_STRING": "all=5"}, None, id="refused"),
        pytest.param("/typed/2026-11-27", {"QUERY_STRING": "even=3"}, None, id="refused by the schema alone"),
    ],
)
def test_what_is_read_in_one_pass(
    make_service: MakeService, path: str, environ: dict[str, str], expected: dict[str, object] | None
) -> None:
    """What is wrong or unusual is not."""
    app = make_service(document=DOCUMENT, handlers=HANDLERS)
    with app.test_request_context(path, environ_overrides=environ):
        assert reader_of(app, path.split("/")[1])._plain.read(current_call()) == expected


@pytest.mark.parametrize("operation_id", ["unusual", "underscore"])
def test_what_is_unusual_in_the_document(make_service: MakeService, operation_id: str) -> None:
    """Other styles, and headers whose names a server cannot tell apart, are read one by one."""
    assert reader_of(make_service(document=DOCUMENT, handlers=HANDLERS), operation_id)._plain is None


@settings(derandomize=True, database=None)
@given(st.text(st.characters(max_codepoint=255), max_size=20) | queries)
def test_queries_are_split_as_werkzeug_does(query: str) -> None:
    """Or left to it."""
    pairs = split_query(query)
    if pairs is not None:
        args: MultiDict[str, str] = Request({"QUERY_STRING": query, "REQUEST_METHOD": "GET"}).args
        assert MultiDict(pairs) == args
