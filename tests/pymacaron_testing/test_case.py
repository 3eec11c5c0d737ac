"""The classic assertions hold where they should and fail where they should."""

from __future__ import annotations

import io
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, jsonify, redirect, request

from pymacaron_testing import PyMacaronTestCase

VERSION = {"name": "pets", "version": "1", "apis": ["pets"], "pym_env": "test"}
GOOD = "Bearer good"


def build_app() -> Flask:  # noqa: C901 - one route after the other
    app = Flask("classic")

    def answer(status: int, error: str) -> tuple[Response, int]:
        return jsonify(status=status, error=error, error_description=""), status

    @app.get("/ping")
    @app.post("/ping")
    def ping() -> Response:
        return jsonify({})

    @app.get("/version")
    def version() -> Response:
        return jsonify(VERSION)

    @app.get("/auth/version")
    def auth_version() -> Any:
        auth = request.headers.get("Authorization")
        if auth is None:
            return answer(401, "AUTHORIZATION_HEADER_MISSING")
        return jsonify(VERSION) if auth == GOOD else answer(401, "TOKEN_INVALID")

    @app.route("/echo", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def echo() -> Any:
        return jsonify(method=request.method, json=request.get_json(silent=True), type=request.content_type)

    @app.route("/missing", methods=["GET", "POST"])
    def missing() -> Any:
        return answer(404, "NOT_FOUND")

    @app.get("/html")
    def html() -> str:
        return "<p>"

    @app.get("/text")
    def text() -> Response:
        response = Response("hello", content_type="text/plain; charset=utf-8")
        response.set_cookie("seen", str(request.cookies.get("seen")))
        return response

    @app.get("/away")
    def away() -> Any:
        return redirect("/text")

    return app


@pytest.fixture
def case(serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch) -> Iterator[PyMacaronTestCase]:
    """Give a case bound to a service by the environment, as plain unittest binds it."""
    host, port = serve(build_app()).removeprefix("http://").split(":")
    monkeypatch.setenv("PYM_SERVER_HOST", f"http://{host}/")
    monkeypatch.setenv("PYM_SERVER_PORT", port)
    monkeypatch.setenv("PYM_JWT_TOKEN", "good")

    class Case(PyMacaronTestCase):
        def test(self) -> None:
            """Do nothing: the test calls what it wants."""

    found = Case("test")
    found.setUp()
    yield found
    found.doCleanups()


def test_address(case: PyMacaronTestCase) -> None:
    """Host, port and token are set."""
    assert case.base_url == f"http://127.0.0.1:{case.port}"
    assert (case.host, case.token) == ("127.0.0.1", "good")


def test_assertions_hold(case: PyMacaronTestCase) -> None:
    """Each assertion passes on the answer that it describes, and returns it."""
    case.assertHasPing()
    assert case.assertHasVersion() == VERSION
    assert case.assertHasAuthVersion() == VERSION
    assert case.assertGetReturnJson("echo")["method"] == "GET"
    assert case.assertPostReturnJson("/echo", {"a": 1}, 200, GOOD)["json"] == {"a": 1}
    assert case.assertPostReturnJson("echo", '{"b": 2}')["json"] == {"b": 2}
    assert case.assertDeleteReturnJson("echo") == {"method": "DELETE", "json": None, "type": None}
    case.assertGetReturnDict("echo", {"method": "GET"})
    case.assertPostReturnDict("echo", [1], {"json": [1], "type": "application/json"})
    case.assertGetReturnOk("ping")
    case.assertPostReturnOk("ping", {})
    case.assertGetReturnError("missing", 404, "NOT_FOUND")
    case.assertPostReturnError("missing", {}, 404, "NOT_FOUND")
    assert case.assertCallReturnJson("put", "echo", {})["method"] == "PUT"
    assert case.assertCallReturnJson("GET", "missing", allow_error=True)["status"] == 404
    case.assertCallReturnDict("PATCH", "echo", {"method": "PATCH"})
    case.assertCallReturnOk("GET", "ping")
    case.assertCallReturnError("GET", "missing", 404, "NOT_FOUND")
    assert case.assertCallReturnHtml("GET", "html") == "<p>"
    assert case.assertCallReturnText("GET", "away") == "hello"
    assert case.assertCallReturnRedirect("GET", "away").endswith("/text")


def test_cookies_are_not_kept(case: PyMacaronTestCase) -> None:
    """Each call stands alone."""
    for _ in range(2):
        case.assertCallReturnText("GET", "text")
    assert case._session is not None
    assert case._session.cookies.get("seen") == "None"


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda case: case.assertGetReturnJson("missing"), id="status"),
        pytest.param(lambda case: case.assertGetReturnOk("version"), id="not empty"),
        pytest.param(lambda case: case.assertGetReturnDict("echo", {"method": "POST"}), id="other value"),
        pytest.param(lambda case: case.assertGetReturnDict("echo", {"nothing": 1}), id="no such key"),
        pytest.param(lambda case: case.assertGetReturnError("missing", 404, "OTHER"), id="other error"),
        pytest.param(lambda case: case.assertCallReturnHtml("GET", "text"), id="no HTML"),
        pytest.param(lambda case: case.assertCallReturnText("GET", "html"), id="no text"),
        pytest.param(lambda case: case.assertCallReturnRedirect("GET", "text"), id="no redirect"),
        pytest.param(lambda case: case.assertIsVersion({**VERSION, "apis": "pets"}), id="no version"),
    ],
)
def test_assertions_fail(case: PyMacaronTestCase, call: Callable[[PyMacaronTestCase], object]) -> None:
    """Each assertion fails on another answer."""
    with pytest.raises(AssertionError):
        call(case)


def test_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any target the message says what to do."""
    monkeypatch.delenv("PYM_SERVER_HOST", raising=False)
    with pytest.raises(RuntimeError, match=r"^No target is known\. Run pytest with --pymacaron-target=URL"):
        PyMacaronTestCase().setUp()


def test_https(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 443 means https."""
    monkeypatch.setenv("PYM_SERVER_HOST", "example.com")
    monkeypatch.setenv("PYM_SERVER_PORT", "443")
    case = PyMacaronTestCase()
    case.setUp()
    assert (case.base_url, case.port) == ("https://example.com:443", "443")
    case.doCleanups()


def test_plain_unittest(case: PyMacaronTestCase) -> None:
    """A class runs under unittest alone."""
    result = unittest.TextTestRunner(stream=io.StringIO()).run(type(case)("test"))
    assert result.wasSuccessful()
