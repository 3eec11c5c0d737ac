"""The page of a running service, looked at in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr
from werkzeug.serving import make_server

from pymacaron.config import PymConfig
from pymacaron.events import ErrorReported, RequestFinished
from pymacaron.service import service_of
from pymacaron_monitoring import init_app
from pymacaron_monitoring.store import FOLDER_VARIABLE

MakeApp = Callable[..., Flask]
Finish = Callable[..., RequestFinished]
Tell = Callable[..., None]
CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--virtual-time-budget=9000",
)


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """Return a service that was asked to show the page."""
    app = make_app()
    service_of(app).config = PymConfig(name="zoo", status_page=True)
    return app


def serve_requests(app: Flask, finish: Finish, tell: Tell) -> None:
    for number in range(200):
        tell(app, finish(duration_s=0.05))
        if number < 4:
            tell(app, finish(status=500, duration_s=0.4))
            facts = {"operation_id": "getPet", "method": "GET", "route": "/pets/{petId}", "status": 500}
            tell(app, ErrorReported(f"It broke <b>{number}</b>", facts, None, f"error{number}"))


def test_there_is_none_unless_asked_for(make_app: MakeApp) -> None:
    """A service shows nothing of itself without `status_page: true`."""
    app = make_app()
    init_app(app)
    assert app.test_client().get("/doc/status").status_code == 404
    assert app.test_client().get("/doc/status.json").status_code == 404


def test_numbers(app: Flask, finish: Finish, tell: Tell) -> None:
    """Counts by operation with buckets, each objective's balance, the last errors."""
    init_app(app)
    init_app(app)
    serve_requests(app, finish, tell)
    status: dict[str, Any] = app.test_client().get("/doc/status.json").get_json()
    get_pet = next(one for one in status["operations"] if one["operation_id"] == "getPet")
    buckets = dict(map(tuple, get_pet.pop("buckets")))
    assert get_pet == {
        "operation_id": "getPet",
        "name": "GET /pets/{petId}",
        "summary": "",
        "requests": 204,
        "failed": 4,
    }
    assert (buckets[0.025], buckets[0.05], buckets[0.3], buckets[0.5], buckets[None]) == (0, 200, 200, 204, 204)
    balances = {one["slo"] + one["name"]: (one["state"], one["bad"], one["requests"]) for one in status["objectives"]}
    assert balances["pets/availabilitypets, all operations together"] == ("unsure", 4, 204)
    assert balances["pets/p95-300msGET /pets/{petId}"] == ("kept", 4, 204)
    assert [error["error_id"] for error in status["errors"]] == ["error3", "error2", "error1", "error0"]
    assert (status["name"], status["workers"]) == ("zoo", 1)


def test_page_is_closed_to_others(app: Flask) -> None:
    """Only its own script and style run, and it may ask this service only; nothing keeps a copy."""
    init_app(app)
    answer = app.test_client().get("/doc/status")
    policy = answer.headers["Content-Security-Policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert policy.startswith(f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src")
    assert answer.text.count(f'nonce="{nonce}"') == 2
    assert answer.headers["Cache-Control"] == "no-store"
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert nonce not in app.test_client().get("/doc/status").text


def test_page_follows_the_reference_to_its_place(app: Flask) -> None:
    """Where documents are published elsewhere, so is the status."""
    app.extensions["pymacaron-doc"] = "/api/reference"
    init_app(app)
    assert app.test_client().get("/api/reference/status").status_code == 200


def test_a_token_guards_the_numbers(app: Flask) -> None:
    """What `metrics_token` hides is not told here either; the page asks for the token."""
    service_of(app).config = PymConfig(name="zoo", status_page=True, metrics_token=SecretStr("s3cret-token"))
    init_app(app)
    client = app.test_client()
    refused = client.get("/doc/status.json")
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
    assert client.get("/doc/status.json", headers={"Authorization": "Bearer other"}).status_code == 401
    assert client.get("/doc/status.json", headers={"Authorization": "Bearer s3cret-token"}).status_code == 200
    assert "s3cret" not in client.get("/doc/status").text


def test_errors_are_those_of_all_workers(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tell: Tell
) -> None:
    """Two workers that meet in a folder tell the same."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    app = make_app()
    service_of(app).config = PymConfig(name="zoo", status_page=True)
    init_app(app)
    child = os.fork()
    if not child:
        tell(app, ErrorReported("It broke", {}, None, "error0"))
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    (error,) = app.test_client().get("/doc/status.json").get_json()["errors"]
    assert error["error_id"] == "error0"


@pytest.fixture
def served(app: Flask, finish: Finish, tell: Tell) -> Iterator[str]:
    """Serve the page of a service that answers requests all the time; give the URL."""
    init_app(app)
    serve_requests(app, finish, tell)
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.wait(0.02):
            tell(app, finish(duration_s=0.05))

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threads = [threading.Thread(target=work) for work in (server.serve_forever, go_on)]
    for thread in threads:
        thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    is_over.set()
    server.shutdown()
    for thread in threads:
        thread.join()
    server.server_close()


def test_page_in_a_browser(served: str, tmp_path: Path) -> None:
    """It shows rates, latency, budgets and errors as text, and goes on asking nobody but the service."""
    chromium = shutil.which("chromium")
    if chromium is None:
        reason = "chromium is missing: apt-get install chromium"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
    log = tmp_path / "net.json"
    folder = f"--user-data-dir={tmp_path / 'browser'}"
    command = [chromium, *CHROMIUM_FLAGS, folder, f"--log-net-log={log}", "--dump-dom", f"{served}/doc/status"]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    text = " ".join(dom.partition("<main")[2].partition("</main>")[0].split())
    assert "GET /pets/{petId}" in text
    assert "99 % of requests are not answered 5xx" in text
    assert "It broke &lt;b&gt;3&lt;/b&gt;" in text
    assert "error3" in text
    assert "not yet" in text
    assert '<polyline id="rate-line" points="0,' in text
    assert "Some requests fail" in dom or "All is well" in dom
    events = json.loads(log.read_text())["events"]
    parameters = [event.get("params", {}) for event in events]
    requested = [one["url"] for one in parameters if "url" in one and str(one.get("initiator")).startswith("http")]
    assert requested.count(f"{served}/doc/status.json") >= 2
    assert all(url.startswith(f"{served}/") for url in requested), requested
