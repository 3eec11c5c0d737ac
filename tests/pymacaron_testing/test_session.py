"""The session joins URLs, counts what it sends and never waits for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from flask import Flask, Response, redirect

from pymacaron.spec import parse_spec
from pymacaron_testing.credentials import Credentials, Identity
from pymacaron_testing.generation import Generator
from pymacaron_testing.session import MAX_BODY_BYTES, RequestCount, TargetSession, join_url
from pymacaron_testing.target import find_free_port
from pymacaron_testing.wire import TargetLostError, Wire, explain

Serve = Callable[[Any], str]
DOCUMENT = """
openapi: 3.1.0
info: {title: T, version: '1'}
paths:
  /x:
    get:
      operationId: get_x
      security: [{key: []}]
      responses: {'200': {description: ok}}
components: {securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}}
"""


def build_app() -> Flask:
    app = Flask("x")
    app.add_url_rule("/hello", "hello", lambda: "hello")
    app.add_url_rule("/away", "away", lambda: redirect("http://127.0.0.1:9/"))
    app.add_url_rule("/huge", "huge", lambda: Response(b"x" * (MAX_BODY_BYTES + 1)))
    app.add_url_rule("/endless", "endless", lambda: Response(_drip(), content_type="text/event-stream"))
    app.add_url_rule("/slow", "slow", _sleep)
    return app


def _sleep() -> str:
    time.sleep(2)
    return "late"


def _drip() -> Iterator[bytes]:
    while True:
        time.sleep(0.05)
        yield b"data: x\n\n"


def prepare(url: str) -> requests.PreparedRequest:
    return requests.Request("GET", url).prepare()


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        pytest.param("http://h", "pets", "http://h/pets", id="relative"),
        pytest.param("http://h/v1/", "/pets", "http://h/v1/pets", id="below a path"),
        pytest.param("http://h", "https://other/x", "https://other/x", id="absolute"),
    ],
)
def test_join_url(base: str, url: str, expected: str) -> None:
    """Relative URLs are appended to the target's."""
    assert join_url(base, url) == expected


def test_requests_are_counted(serve: Serve) -> None:
    """Sessions share a count of what reached the target."""
    count, url = RequestCount(), serve(build_app())
    with TargetSession(url, count) as first, TargetSession(url, count) as second:
        assert first.get("/hello").text == "hello"
        second.exchange(prepare(f"{url}/hello"))
        with pytest.raises(requests.ReadTimeout):
            second.get("/slow", timeout=0.2)
        with pytest.raises(requests.ConnectionError):
            second.get("http://127.0.0.1:9/")
    assert count.value == 3


def test_redirects_are_answers(serve: Serve) -> None:
    """A redirect is judged, not followed."""
    url = serve(build_app())
    assert TargetSession(url).exchange(prepare(f"{url}/away")).status_code == 302


@pytest.mark.parametrize("path", ["/huge", "/endless"])
def test_bodies_are_cut(serve: Serve, path: str) -> None:
    """A body that is too large, or never ends, is cut."""
    url = serve(build_app())
    started = time.monotonic()
    response = TargetSession(url, timeout_s=0.5).exchange(prepare(url + path))
    assert response.is_cut  # type: ignore[attr-defined]
    assert len(response.content) > 10
    assert time.monotonic() - started < 5


@pytest.fixture
def closing_server() -> Iterator[str]:
    """Give the URL of a server that reads a request and closes without an answer, again and again."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connection.recv(1000)
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def build_wire(url: str, identity: Identity | None = None) -> tuple[Wire, Any]:
    api = parse_spec(DOCUMENT)
    generator = Generator(api, url, seed=0, max_examples=1)
    (case,) = [case for case in generator.generate(api.operations[0]) if case.is_valid]
    return Wire(generator, TargetSession(url, timeout_s=0.3), (identity or Identity(lambda: None),)), case


def test_nobody_listens() -> None:
    """A target that refuses connections is lost."""
    url = f"http://127.0.0.1:{find_free_port()}"
    wire, case = build_wire(url)
    message = (
        f"^{url} stopped answering during GET /x \\(connection refused\\). "
        "Look at what the service printed last, and start it again. The request was:\n    curl -i -X GET "
    )
    with pytest.raises(TargetLostError, match=message):
        wire.send(case)


def test_silence(serve: Serve) -> None:
    """A target that takes too long for one request is not lost."""
    app = Flask("x")
    app.add_url_rule("/x", "x", _sleep)
    wire, case = build_wire(serve(app))
    exchange = wire.send(case)
    assert (exchange.status, exchange.error) == (0, "it took too long")


def test_closed_connections(closing_server: str) -> None:
    """A target that closes every connection is lost, and the reason told."""
    wire, case = build_wire(closing_server)
    with pytest.raises(TargetLostError, match="it closed the connection without an answer"):
        wire.send(case)


def test_credentials_are_renewed(serve: Serve) -> None:
    """A user whom the target refuses is looked for once more."""
    app = Flask("x")
    keys: list[str | None] = []

    def answer() -> Response:
        from flask import request  # noqa: PLC0415 - a name of this request only

        keys.append(request.headers.get("X-Key"))
        return Response(status=200 if keys[-1] == "new" else 401)

    app.add_url_rule("/x", "x", answer)
    found = iter(["old", "new"])
    wire, case = build_wire(serve(app), Identity(lambda: Credentials("X-Key", next(found), "")))
    assert wire.send(case).status == 200
    assert keys == ["old", "new"]
    assert wire.send(case, headers={}).status == 401
    assert keys == ["old", "new", None]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(requests.ReadTimeout("x"), "it took too long", id="time"),
        pytest.param(requests.ConnectionError("[Errno 111] Connection refused"), "connection refused", id="refused"),
        pytest.param(requests.ConnectionError("Failed to resolve 'h'"), "there is no such host", id="host"),
        pytest.param(requests.TooManyRedirects("x"), "TooManyRedirects", id="anything else"),
    ],
)
def test_explain(error: requests.RequestException, words: str) -> None:
    """Errors of the network are told in a few words."""
    assert explain(error) == words
