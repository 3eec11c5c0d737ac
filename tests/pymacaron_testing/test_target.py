"""Services are started, awaited and stopped; documents are found."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask, Response, request

from pymacaron.exceptions import TargetError
from pymacaron.spec import parse_spec
from pymacaron_testing.documents import choose_prefix, find_own_documents, find_published
from pymacaron_testing.session import TargetSession
from pymacaron_testing.settings import holds_service
from pymacaron_testing.target import ServiceProcess, Target, check_target, find_free_port, read_metrics

Serve = Callable[[Any], str]
DOCUMENT = "openapi: 3.1.0\ninfo: {title: T, version: '1'}\npaths: {}\n"
HTTP_SERVER = """
import http.server, os, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind="127.0.0.1")
"""


def start(folder: Path, code: str, *arguments: str) -> ServiceProcess:
    port = find_free_port()
    command = [sys.executable, "-u", "-c", code, str(port), *arguments]
    return ServiceProcess(command, folder, f"http://127.0.0.1:{port}")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


@pytest.mark.parametrize("argument", ["polite", "deaf"])
def test_service_process(tmp_path: Path, argument: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service is awaited, remembers what it printed, and is stopped with its children, deaf or not."""
    monkeypatch.setattr("pymacaron_testing.target._STOP_LIMIT_S", 0.5)
    service = start(tmp_path, HTTP_SERVER, argument)
    service.wait_until_ready("/ping", 20)
    assert requests.get(service.url, timeout=5).ok
    child = int(service.last_lines()[0].split()[1])
    assert service.is_running
    assert is_alive(child)
    service.stop()
    service.stop()
    assert not service.is_running
    deadline = time.monotonic() + 5
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(child)


def test_service_that_ends(tmp_path: Path) -> None:
    """A service that ends before it answers is told with its last lines."""
    service = start(tmp_path, "print('one'); print('two'); raise SystemExit(3)")
    with pytest.raises(TargetError) as caught:
        service.wait_until_ready("/ping", 20)
    service.stop()
    text = str(caught.value)
    assert "it ended with code 3 before it answered. Run the command yourself to see more" in text
    assert "the last lines that it printed are:\n    one\n    two\n" in text


def test_service_that_is_silent(tmp_path: Path) -> None:
    """A service that does not answer in time is told."""
    service = start(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(TargetError, match=r"it did not answer GET /ping within 0\.3 s.* are: nothing"):
        service.wait_until_ready("/ping", 0.3)
    service.stop()


def test_check_target(serve: Serve) -> None:
    """Any HTTP answer will do, nothing else."""
    check_target(serve(Flask("x")))
    with pytest.raises(TargetError, match="it does not answer \\(connection refused\\)"):
        check_target("http://127.0.0.1:9")
    with pytest.raises(TargetError, match=r"'ftp://h' is no URL\. Write http://host:port"):
        check_target("ftp://h")


@pytest.mark.parametrize(
    ("content_type", "status", "expected"),
    [
        pytest.param("text/plain; version=0.0.4", 200, "up 1\n", id="Prometheus"),
        pytest.param("application/openmetrics-text", 200, "up 1\n", id="OpenMetrics"),
        pytest.param("text/html", 200, None, id="a page for people"),
        pytest.param("text/plain", 404, None, id="not there"),
    ],
)
def test_read_metrics(serve: Serve, content_type: str, status: int, expected: str | None) -> None:
    """The page of metrics is read where there is one."""
    app = Flask("x")
    app.add_url_rule("/metrics", "metrics", lambda: Response("up 1\n", status=status, content_type=content_type))
    assert read_metrics(serve(app)) == expected


@pytest.mark.parametrize(("token", "expected"), [("right", "up 1\n"), ("wrong", None), (None, None)])
def test_metrics_may_ask_for_a_token(serve: Serve, token: str | None, expected: str | None) -> None:
    """The page is read with the token that an option names; without it there is none."""
    app = Flask("x")

    @app.get("/metrics")
    def metrics() -> Response:
        is_right = request.headers.get("Authorization") == "Bearer right"
        return Response("up 1\n", status=200 if is_right else 401, content_type="text/plain")

    assert read_metrics(serve(app), token=token) == expected


def test_metrics_may_be_elsewhere(serve: Serve) -> None:
    """An option names their path."""
    app = Flask("x")
    app.add_url_rule("/internal/counts", "counts", lambda: Response("up 1\n", content_type="text/plain"))
    assert (read_metrics(url := serve(app)), read_metrics(url, "/internal/counts")) == (None, "up 1\n")


def test_no_metrics_without_target() -> None:
    """A target that is gone has no metrics."""
    assert read_metrics("http://127.0.0.1:9") is None
    assert str(Target("http://h")) == "http://h"


def test_holds_service(tmp_path: Path) -> None:
    """A service's folder has server.py, and apis/ or a configuration."""
    assert not holds_service(tmp_path)
    (tmp_path / "server.py").touch()
    assert not holds_service(tmp_path)
    (tmp_path / "pym-config.prod.yaml").touch()
    assert holds_service(tmp_path)


def test_own_documents(tmp_path: Path) -> None:
    """Only documents are taken from apis/, in order."""
    assert find_own_documents(tmp_path / "apis") == []
    for name, text in (
        ("b.yaml", DOCUMENT),
        ("a.json", '{"openapi": "3.0.0"}'),
        ("c.yml", "swagger: '2.0'"),
        ("d.yaml", "x: 1"),
        ("e.txt", DOCUMENT),
        ("f.yaml", "openapi: 4.0.0"),
    ):
        (tmp_path / name).write_text(text)
    assert [path.name for path in find_own_documents(tmp_path)] == ["a.json", "b.yaml", "c.yml"]


def serve_texts(serve: Serve, texts: dict[str, str]) -> str:
    app = Flask("x")
    for number, (path, text) in enumerate(texts.items()):
        kind = "text/html" if text.startswith("<") else "text/plain"
        app.add_url_rule(path, str(number), lambda text=text, kind=kind: Response(text, content_type=kind))
    return serve(app)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param({"/openapi.json": '{"openapi": "3.1.0"}'}, ["/openapi.json"], id="usual place"),
        pytest.param({"/swagger.yaml": "swagger: '2.0'", "/openapi.json": "{}"}, ["/swagger.yaml"], id="later place"),
        pytest.param(
            {
                "/doc": "<a href='/doc/pets'>pets</a> <a href='/doc/ping'>ping</a> <a href='/doc/pets.yaml'>x</a>"
                "<a href='https://elsewhere/doc/x.yaml'>x</a> <a>no link</a> <a href='/other'>x</a>"
                "<a href='/doc/users.json'>users</a> <a href='/doc/lost'>lost</a>",
                "/doc/pets.yaml": DOCUMENT,
                "/doc/ping.yaml": DOCUMENT,
                "/doc/users.json": '{"openapi": "3.1.0"}',
                "/openapi.json": '{"openapi": "3.1.0"}',
            },
            ["/doc/pets.yaml", "/doc/users.json"],
            id="linked at /doc",
        ),
        pytest.param({"/doc": "text", "/api-docs": "swagger: '2.0'"}, ["/api-docs"], id="/doc is no page"),
    ],
)
def test_find_published(serve: Serve, texts: dict[str, str], expected: list[str]) -> None:
    """Documents are found where the target links to them, else at usual places."""
    url = serve_texts(serve, texts)
    assert find_published(url) == [url + path for path in expected]


def test_nothing_published() -> None:
    """Where nothing is found the places are told."""
    with pytest.raises(TargetError, match=r"it publishes no API document \(looked at /doc, /openapi\.json, "):
        find_published("http://127.0.0.1:9")


API = """
openapi: 3.1.0
info: {title: T, version: '1'}
servers: [{url: SERVER}]
paths:
  /things: {METHOD: {operationId: things, responses: {'200': {description: ok}}}}
"""


@pytest.mark.parametrize(
    ("server", "method", "served", "path", "expected"),
    [
        pytest.param("/", "get", "/things", "", "", id="no base path"),
        pytest.param("https://example.com/v1", "get", "/v1/things", "", "/v1", id="served at the base path"),
        pytest.param("/v1", "get", "/things", "", "", id="served without it"),
        pytest.param("/v1", "get", "/elsewhere", "", "/v1", id="served at neither"),
        pytest.param("/v1", "post", "/things", "", "", id="a POST without it"),
        pytest.param("/v1", "post", "/v1/things", "", "/v1", id="a POST at the base path"),
        pytest.param("/v1", "post", "/elsewhere", "", "/v1", id="a POST at neither"),
        pytest.param("/v1", "get", "/things", "/api", "", id="the URL has a path"),
    ],
)
def test_prefix(serve: Serve, server: str, method: str, served: str, path: str, expected: str) -> None:
    """The paths of a document start at its base path, unless the target shows otherwise."""
    url = serve_texts(serve, {served: "x"})
    api = parse_spec(API.replace("SERVER", server).replace("METHOD", method))
    assert choose_prefix(api, TargetSession(url + path)) == expected
