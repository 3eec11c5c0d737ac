"""What the client writes, a service made with pymacaron reads: each style, each place, whatever the value."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.serving import make_server

from pymacaron import API, CallArgumentsError, Client
from pymacaron.client import HttpRequest
from pymacaron.config import set_config

STYLES = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form", "cookie"),
}
SCALARS: dict[str, Any] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
}
PROPERTIES = {"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "string"}}
SCHEMAS = SCALARS | {
    "strings": {"type": "array", "items": {"type": "string"}},
    "integers": {"type": "array", "items": {"type": "integer"}},
    "object": {"type": "object", "properties": PROPERTIES, "additionalProperties": False},
}
TEXT = st.text() | st.text(alphabet="a,;&=|. %+/[]\\\"'äß\u20ac#?\t", max_size=5)
INTEGERS = st.integers(-(10**30), 10**30)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
OBJECTS = st.fixed_dictionaries({}, optional={"a": TEXT, "b": INTEGERS, "c": TEXT})
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "integer": INTEGERS,
    "number": NUMBERS,
    "boolean": st.booleans(),
    "strings": st.lists(TEXT, max_size=4),
    "integers": st.lists(INTEGERS, max_size=4),
    "object": OBJECTS,
    "anything": st.recursive(
        st.none() | st.booleans() | INTEGERS | NUMBERS | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=6,
    ),
}
# Kinds of values that a style of OpenAPI has no text for: the client says so and sends nothing.
UNWRITABLE = (
    "its style cannot write",
    "its style cannot tell a list of one empty text",
    "it stands in the path and must not be empty",
    "a header cannot hold",
    "a cookie cannot hold",
)


def _kinds(style: str) -> list[str]:
    if style == "deepObject":
        return ["object"]
    if style in {"spaceDelimited", "pipeDelimited"}:
        return ["strings", "integers", "object"]
    return [*SCHEMAS]


def _explodes(style: str, kind: str) -> list[str]:
    """Return the ways to write a kind of values; for scalars both are one."""
    if style == "deepObject" or kind in SCALARS:
        return ["exploded"]
    return ["exploded", "joined"]


def _case(location: str, style: str, kind: str, explode: str) -> Any:
    return pytest.param(f"{location}_{style}_{explode}_{kind}", kind, id=f"{location}-{style}-{kind}-{explode}")


CASES = [
    _case(location, style, kind, explode)
    for location, styles in STYLES.items()
    for style in styles
    for kind in _kinds(style)
    for explode in _explodes(style, kind)
]


def _write_document() -> str:
    paths: dict[str, Any] = {}
    for case in CASES:
        operation_id, kind = case.values
        location, style, explode, _ = str(operation_id).split("_")
        parameter = {
            "name": "v",
            "in": location,
            "required": location == "path",
            "style": style,
            "explode": explode == "exploded",
            "schema": SCHEMAS[str(kind)],
        }
        paths[f"/{operation_id}{'/{v}/end' if location == 'path' else ''}"] = {
            "get": _operation(operation_id, [parameter])
        }
    for location in STYLES:
        content: dict[str, Any] = {"application/json": {"schema": {}}}
        parameter = {"name": "v", "in": location, "required": location == "path", "content": content}
        path = f"/{location}_content{'/{v}/end' if location == 'path' else ''}"
        paths[path] = {"get": _operation(f"{location}_content", [parameter])}
    fields = {
        "s": SCHEMAS["string"],
        "n": SCHEMAS["integer"],
        "l": SCHEMAS["strings"],
        "o": {"type": "object"},
        "x": {"type": "object"},
    }
    encoding = {"x": {"contentType": "application/xml; charset=iso-8859-1"}}
    form = {"schema": {"type": "object", "properties": fields}, "encoding": encoding}
    for name, media_type in (("urlencoded", "application/x-www-form-urlencoded"), ("multipart", "multipart/form-data")):
        paths[f"/{name}"] = {"post": {**_operation(name, []), "requestBody": {"content": {media_type: form}}}}
    file = {"type": "object", "properties": {"f": {"type": "string", "format": "binary"}, "s": SCHEMAS["string"]}}
    upload = {**_operation("upload", []), "requestBody": {"content": {"multipart/form-data": {"schema": file}}}}
    paths["/upload"] = {"post": upload}
    for name, body in (
        ("json", {"application/json": {"schema": {}}}),
        ("text", {"text/plain": {}}),
        ("raw", {"*/*": {}}),
        ("either", {"multipart/form-data": form, "text/plain": {}}),
    ):
        paths[f"/{name}"] = {"post": {**_operation(name, []), "requestBody": {"content": body}}}
    return json.dumps({"openapi": "3.2.0", "info": {"title": "Echo", "version": "1"}, "paths": paths})


SWAGGER_LISTS = [
    pytest.param(f"{location}_{written}", id=f"{location}-{written}")
    for location in ("path", "query", "header")
    for written in ("csv", "ssv", "tsv", "pipes")
]


def _write_swagger() -> str:
    paths: dict[str, Any] = {}
    for case in SWAGGER_LISTS:
        operation_id = str(case.values[0])
        location, _, written = operation_id.partition("_")
        parameter = {"name": "v", "in": location, "required": location == "path", "collectionFormat": written}
        parameter |= {"type": "array", "items": {"type": "string"}}
        responses = {"200": {"description": "echo", "schema": {}}}
        operation = {"operationId": operation_id, "parameters": [parameter], "responses": responses}
        paths[f"/lists/{operation_id}{'/{v}' if location == 'path' else ''}"] = {"get": operation}
    return json.dumps({"swagger": "2.0", "info": {"title": "Lists", "version": "1"}, "paths": paths})


def _operation(operation_id: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    responses = {"200": {"description": "echo", "content": {"application/json": {}}}}
    return {"operationId": operation_id, "parameters": parameters, "responses": responses}


HANDLERS = """\
def upload(f=None, s=None):
    return {"value": [f.filename, f.content_type, f.read().hex(), s]}

def json(body=None):
    return {"value": body}

def text(body=None):
    return {"value": body}

def either(body=None):
    return {"value": body}

def raw(body=None):
    return {"value": body.hex() if isinstance(body, bytes) else body}

def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda **values: {"value": values["v"] if "v" in values else values or None}
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Return a service that answers what it got."""
    folder = tmp_path_factory.mktemp("echo")
    paths = list(sys.path)
    (folder / "apis").mkdir()
    (folder / "apis" / "echo.json").write_text(_write_document())
    (folder / "apis" / "lists.json").write_text(_write_swagger())
    (folder / "pym-config.yaml").write_text("name: echo\nlog_level: ERROR\n")
    (folder / "echo_handlers.py").write_text(HANDLERS)
    app = Flask("echo", root_path=str(folder))
    API(app, handlers="echo_handlers", debug=True).load_apis().start()
    yield app
    set_config(None)
    sys.path[:] = paths
    sys.modules.pop("echo_handlers")


@pytest.fixture(scope="module")
def client(app: Flask) -> Client:
    """Return a client that calls it in this process."""
    return Client(Path(app.root_path) / "apis" / "echo.json", transport=app)


def _echo(client: Client, operation_id: str, value: Any) -> Any:
    """Return what the service got, or the value itself if its style has no text for it."""
    try:
        return client.call(operation_id, v=value)["value"]
    except CallArgumentsError as error:
        if any(reason in str(error) for reason in UNWRITABLE):
            return value
        raise


@pytest.mark.parametrize(("operation_id", "kind"), CASES)
def test_parameters(client: Client, operation_id: str, kind: str) -> None:
    """The service gets the value that the client was given, or the client says that the style cannot write it."""
    is_exploded = "_exploded_" in operation_id and not operation_id.startswith(("path", "header"))

    @settings(max_examples=15, deadline=None)
    @given(VALUES[kind])
    def check(value: Any) -> None:
        got = _echo(client, operation_id, value)
        # An empty list or object that is spread over several parameters is none of them.
        assert got == value or (is_exploded and not value and got is None)

    check()


@pytest.mark.parametrize("operation_id", SWAGGER_LISTS)
def test_lists_of_swagger(app: Flask, operation_id: str) -> None:
    """Swagger 2.0 separates lists in the same ways in every place."""
    client = Client(Path(app.root_path) / "apis" / "lists.json", transport=app)

    @settings(max_examples=15, deadline=None)
    @given(VALUES["strings"])
    def check(value: list[str]) -> None:
        assert _echo(client, operation_id, value) == value

    check()


@pytest.mark.parametrize("location", STYLES)
def test_parameters_with_content(client: Client, location: str) -> None:
    """A parameter that holds JSON takes any value."""

    @settings(max_examples=20, deadline=None)
    @given(VALUES["anything"])
    def check(value: Any) -> None:
        assert _echo(client, f"{location}_content", value) == value

    check()


@pytest.mark.parametrize("operation_id", ["urlencoded", "multipart"])
def test_forms(client: Client, operation_id: str) -> None:
    """Fields of forms arrive as they were given, lists one by one, objects as JSON."""

    @settings(max_examples=20, deadline=None)
    @given(TEXT, INTEGERS, st.lists(TEXT, min_size=1, max_size=3), st.dictionaries(TEXT, TEXT, max_size=3))
    def check(text: str, number: int, items: list[str], content: dict[str, str]) -> None:
        got = client.call(operation_id, s=text, n=number, l=items, o=content)["value"]
        assert got == {"s": text, "n": number, "l": items, "o": content}

    check()


def test_objects_that_are_no_json(app: Flask) -> None:
    """The part of an object in XML is a text of the declared media type, in its charset."""
    client, seen = _watch(app)
    assert client.call("urlencoded", x="<a>é</a>")["value"] == {"x": "<a>é</a>"}
    assert client.call("multipart", x="<a>é</a>")["value"] == {"x": "<a>é</a>"}
    assert client.call("either", {"x": "<a>é</a>", "o": {"a": 1}})["value"] == {"x": "<a>é</a>", "o": {"a": 1}}
    written = b'name="x"\r\nContent-Type: application/xml; charset=iso-8859-1\r\n\r\n<a>\xe9</a>\r\n'
    assert [isinstance(one.content, bytes) and written in one.content for one in seen] == [False, True, True]


def test_texts_that_their_part_cannot_hold(client: Client) -> None:
    """A text outside of the charset that the document declares is told before anything is sent."""
    with pytest.raises(CallArgumentsError, match="form x: 'latin-1' codec can't encode"):
        client.call("multipart", x="<a>€</a>")


@settings(max_examples=20, deadline=None)
@given(VALUES["anything"])
def test_json_bodies(client: Client, value: Any) -> None:
    """Any JSON value is a body; None is no body."""
    assert client.call("json", value)["value"] == value


@settings(max_examples=20, deadline=None)
@given(TEXT, st.binary())
def test_other_bodies(client: Client, text: str, data: bytes) -> None:
    """Texts and bytes arrive as they are."""
    if text:
        assert client.call("text", text)["value"] == text
    if data:
        assert client.call("raw", data)["value"] == data.hex()
        assert client.call("raw", io.BytesIO(data))["value"] == data.hex()


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param(b"\x00\xff", ["f", "application/octet-stream", "00ff"], id="bytes"),
        pytest.param(io.BytesIO(b"ab"), ["f", "application/octet-stream", "6162"], id="open file"),
        pytest.param(("a.png", b"ab"), ["a.png", "image/png", "6162"], id="name and bytes"),
        pytest.param(('ä ".txt', b"ab", "text/x"), ['ä ".txt', "text/x", "6162"], id="all of it"),
    ],
)
def test_files(client: Client, file: Any, expected: list[str]) -> None:
    """Files of forms arrive with name, media type and content."""
    assert client.call("upload", f=file, s="x")["value"] == [*expected, "x"]


def test_the_same_over_http(app: Flask) -> None:
    """What holds in one process holds over a connection."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        with Client(Path(app.root_path) / "apis" / "echo.json", f"http://127.0.0.1:{server.port}") as client:
            for case in CASES:
                operation_id, kind = case.values
                samples: dict[str, list[Any]] = {
                    "string": ["a/b ü,;&=|%2F+?#"],
                    "strings": [["a,b", "ü&=", "/?"], ["", "x"]],
                    "object": [{"a": "x,y&ü", "b": -1}],
                    "integers": [[1, -2]],
                }
                for value in samples.get(str(kind), []):
                    assert _echo(client, str(operation_id), value) == value, operation_id
            assert client.call("upload", f=("ä.txt", io.BytesIO(b"ab")), s="ü")["value"][2:] == ["6162", "ü"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _watch(app: Flask) -> tuple[Client, list[HttpRequest]]:
    """Return a client with a transport of its own, and what that sees."""
    seen: list[HttpRequest] = []
    inner = Client(Path(app.root_path) / "apis" / "echo.json", transport=app)

    class Watching:
        def send(self, request: HttpRequest, *rest: Any) -> Any:
            seen.append(request)
            return inner._transport.send(request, *rest)

    return inner.with_options(transport=Watching()), seen


def test_a_transport_is_one_method(app: Flask) -> None:
    """Whatever has `send` carries requests; it sees them as data."""
    client, seen = _watch(app)
    assert client.call("query_form_exploded_strings", v=["a", "b"])["value"] == ["a", "b"]
    assert [request.url for request in seen] == ["http://localhost/query_form_exploded_strings?v=a&v=b"]
