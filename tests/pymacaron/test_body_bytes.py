"""Bodies are read whole, within the limit, without the request object, which finds them all the same."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

MakeService = Callable[..., Flask]
DOCUMENT = """\
openapi: 3.1.0
info: {title: Echo, version: "1"}
paths:
  /echo:
    post:
      operationId: echo
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Text"}}}}
      responses: {"200": {description: same, content: {application/json: {schema: {}}}}}
components:
  schemas:
    Text: {type: object, required: [text], properties: {text: {type: string}}}
"""
HANDLERS = """
from flask import request

def echo(body):
    return [body.text, request.get_data(as_text=True), request.get_json(), request.content_length]
"""
DATA = b'{"text":"abc"}'


class Drops:
    """An input that gives two bytes at a time, as a server may."""

    def __init__(self, data: bytes) -> None:
        """Take all of it."""
        self._source = io.BytesIO(data)

    def read(self, size: int = 2) -> bytes:
        """Return the next two."""
        return self._source.read(min(size, 2))


class Broken:
    """An input whose caller has gone."""

    def read(self, _size: int = -1) -> bytes:
        """Fail as a socket does."""
        raise ConnectionResetError


class LargeText:
    """A source without an end."""

    def read(self, size: int) -> bytes:
        """Return as much as is asked for."""
        return b"x" * size


@pytest.fixture
def app(make_service: MakeService) -> Flask:
    """Return a service that takes at most 100 bytes and has seen its media type before."""
    app = make_service(document=DOCUMENT, handlers=HANDLERS, config="name: x\nmax_body_bytes: 100\n")
    assert post(app, io.BytesIO(DATA))[0] == 200
    return app


def post(app: Flask, source: object, size: object = len(DATA), **extra: object) -> tuple[int, Any]:
    """Return status and JSON of the answer to a body that *source* gives."""
    environ = EnvironBuilder("/echo", method="POST", content_type="application/json").get_environ()
    environ |= {"wsgi.input": source, "CONTENT_LENGTH": str(size)} | extra
    pieces, status, _headers = run_wsgi_app(app, environ, buffered=True)
    return int(status[:3]), json.loads(b"".join(pieces))


SAME = (200, ["abc", '{"text":"abc"}', {"text": "abc"}, 14])


@pytest.mark.parametrize("source", [io.BytesIO, Drops])
@pytest.mark.parametrize("extra", [{}, {"wsgi.input_terminated": True}])
def test_the_request_object_still_has_the_body(
    app: Flask, source: Callable[[bytes], object], extra: dict[str, object]
) -> None:
    """A handler may read it as bytes and as JSON; what comes after it on the connection is left alone."""
    is_whole = bool(extra)
    assert post(app, source(DATA if is_whole else DATA + b"GET /"), **extra) == SAME


def test_a_hook_may_read_first(app: Flask) -> None:
    """Then its request object is where the body comes from, with its own limit."""
    app._got_first_request = False
    app.before_request(lambda: request.get_json() and None)
    assert post(app, io.BytesIO(DATA)) == SAME


def test_a_request_class_of_the_app_reads_for_itself(app: Flask) -> None:
    """It may know other limits."""

    class Small(app.request_class):  # type: ignore[name-defined,misc]
        max_content_length = 5

    app.request_class = Small
    assert post(app, io.BytesIO(DATA))[0] == 413


@pytest.mark.parametrize(
    ("source", "size", "extra", "status", "error"),
    [
        pytest.param(io.BytesIO(DATA[:5]), 14, {}, 400, "BAD_REQUEST", id="too short"),
        pytest.param(
            io.BytesIO(DATA[:5]), 14, {"wsgi.input_terminated": True}, 400, "INVALID_PARAMETER", id="the server ends it"
        ),
        pytest.param(Broken(), 14, {}, 400, "BAD_REQUEST", id="the caller has gone"),
        pytest.param(LargeText(), 101, {}, 413, "REQUEST_ENTITY_TOO_LARGE", id="too large"),
        pytest.param(LargeText(), 100, {}, 400, "INVALID_PARAMETER", id="as large as can be"),
        pytest.param(io.BytesIO(DATA), "-14", {}, 400, "INVALID_PARAMETER", id="a length below 0"),
        pytest.param(io.BytesIO(DATA), "x", {}, 400, "INVALID_PARAMETER", id="no length"),
        pytest.param(io.BytesIO(), 0, {}, 400, "INVALID_PARAMETER", id="empty"),
    ],
)
def test_refused_bodies(
    app: Flask, source: object, size: object, extra: dict[str, object], status: int, error: str
) -> None:
    """With the errors of Werkzeug, in the service's own form."""
    answer = post(app, source, size, **extra)
    assert (answer[0], answer[1]["error"]) == (status, error)


def test_chunks(app: Flask) -> None:
    """A body without a length, where the server says where it ends, has the same limit."""
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    status, answer = post(app, io.BytesIO(DATA), "", **chunked)
    assert (status, answer[:3]) == (200, SAME[1][:3])
    assert post(app, io.BytesIO(b" " * 101), "", **chunked)[0] == 413
