"""Reports reach Sentry through trouble, also from processes that end; what cannot be sent is counted."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from fake_sentry import FakeSentry
from flask import Flask
from pydantic import SecretStr

from pymacaron.config import PymConfig
from pymacaron.events import ErrorReported
from pymacaron.exceptions import ConfigError
from pymacaron.service import service_of
from pymacaron_monitoring import errors, flush_reports
from pymacaron_monitoring.outbox import Outbox, Report, TryLaterError
from pymacaron_monitoring.sentry import SentryReporter

MakeApp = Callable[..., Flask]
REPORT = Report(ErrorReported("Odd", {}, None, "0" * 32, fatal=False), {"request_id": "r-1"}, b"kind")


@pytest.fixture
def sentry() -> Iterator[FakeSentry]:
    """Start a Sentry."""
    sentry = FakeSentry()
    yield sentry
    sentry.stop()


def make_reporter(dsn: str) -> SentryReporter:
    return SentryReporter(PymConfig(name="pets", sentry_dsn=SecretStr(dsn)), "7", "test")


def test_an_event_is_taken(sentry: FakeSentry) -> None:
    """A warning without an exception is a message."""
    assert make_reporter(sentry.dsn).send(REPORT) == "sent"
    (event,) = sentry.events
    facts = ("message", "level", "release", "environment", "tags", "platform")
    assert [event[name] for name in facts] == ["Odd", "warning", "pets@7", "test", {"request_id": "r-1"}, "python"]
    assert sentry.refusals == []


def test_a_sentry_that_is_full_is_left_alone(sentry: FakeSentry) -> None:
    """After a 429 nothing is sent for the time that it asks for; that counts as limited."""
    reporter = make_reporter(sentry.dsn)
    sentry.status, sentry.retry_after = 429, "1"
    assert [reporter.send(REPORT) for _ in range(5)] == ["limited"] * 5
    assert len(sentry.raw) == 1
    sentry.status, sentry.retry_after = 200, None
    time.sleep(1.05)
    assert reporter.send(REPORT) == "sent"


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_broken_sentry_is_asked_again(sentry: FakeSentry, status: int) -> None:
    """It does not get the report this time."""
    sentry.status = status
    with pytest.raises(TryLaterError, match=f"^it answered {status}$"):
        make_reporter(sentry.dsn).send(REPORT)


def test_a_refusal_is_a_failure(sentry: FakeSentry, caplog: pytest.LogCaptureFixture) -> None:
    """It would not be taken the next time either; the log says so, as somebody must correct the key."""
    sentry.status = 403
    assert make_reporter(sentry.dsn).send(REPORT) == "failed"
    words = f"Sentry refuses reports, it answers 403: look at sentry_dsn; error_id {'0' * 32} stands in the log only"
    assert [record.getMessage() for record in caplog.records] == [words]


def dig(depth: int) -> None:
    if not depth:
        raise LookupError("bottom")
    dig(depth - 1)


def follow(causes: int) -> None:
    try:
        follow(causes - 1) if causes else dig(0)
    except LookupError as error:
        raise LookupError(f"above {causes}") from error


def test_deep_stacks_show_where_it_happened(sentry: FakeSentry) -> None:
    """Of many frames, and of many exceptions, the last are told, each as whole as Sentry wants it."""
    for fail, depth in ((dig, 400), (follow, 70)):
        with pytest.raises(LookupError) as caught:
            fail(depth)
        event = ErrorReported("Deep", {}, caught.value, "1" * 32)
        assert make_reporter(sentry.dsn).send(Report(event, {}, b"deep")) == "sent"
    assert sentry.refusals == []
    deep, many = (event["exception"]["values"] for event in sentry.events)
    (stack,) = (one["stacktrace"]["frames"] for one in deep)
    assert len(stack) == 100
    assert [frame["function"] for frame in stack] == ["dig"] * 100
    assert 'raise LookupError("bottom")' in stack[-1]["context_line"]
    assert [one["value"] for one in many] == [f"above {number}" for number in range(21, 71)]
    assert all(frame["pre_context"] for one in many for frame in one["stacktrace"]["frames"])


def test_a_sentry_that_is_away_is_asked_again(sentry: FakeSentry) -> None:
    """The error says nothing of the key."""
    sentry.stop()
    with pytest.raises(TryLaterError, match=r"^ConnectionError$"):
        make_reporter(sentry.dsn).send(REPORT)


def test_a_fork_has_connections_of_its_own(sentry: FakeSentry) -> None:
    """What it sends does not get into the middle of what its parent does; that keeps its own."""
    reporter = make_reporter(sentry.dsn)
    assert reporter.send(REPORT) == "sent"
    child = os.fork()
    if not child:
        os._exit(reporter.send(REPORT) != "sent")
    assert os.waitpid(child, 0) == (child, 0)
    assert reporter.send(REPORT) == "sent"
    parent, child, again = sentry.ports
    assert parent == again != child


def test_a_report_outlives_a_short_outage(sentry: FakeSentry) -> None:
    """It is sent again after a second; other reports wait meanwhile."""
    sentry.status = 500
    counted: list[tuple[str, str]] = []
    outbox = Outbox(make_reporter(sentry.dsn), lambda *outcome: counted.append(outcome))
    outbox.put(REPORT)
    while not sentry.raw:
        time.sleep(0.01)
    sentry.status = 200
    assert outbox.flush(10)
    assert counted == [("sentry", "sent")]


def test_a_process_that_ends_does_not_wait_for_long(sentry: FakeSentry) -> None:
    """What is not sent by then is counted as dropped."""
    sentry.delay_s = 10
    counted: list[tuple[str, str]] = []
    outbox = Outbox(make_reporter(sentry.dsn), lambda *outcome: counted.append(outcome))
    for _ in range(3):
        outbox.put(REPORT)
    start = time.monotonic()
    outbox.close(0.3)
    assert time.monotonic() - start < 5
    assert counted == [("sentry", "dropped")] * 3


@pytest.mark.parametrize(
    ("dsn", "found"),
    [
        pytest.param("sentry.test/1", "Unsupported scheme ''", id="no-scheme"),
        pytest.param("https://sentry.test/1", "Missing public key", id="no-key"),
        pytest.param("https://s3cret@sentry.test/shop", "Invalid project in DSN", id="no-project"),
    ],
)
def test_no_dsn_stops_the_start(make_app: MakeApp, dsn: str, found: str) -> None:
    """The message has nothing of it."""
    app = make_app()
    service_of(app).config.sentry_dsn = SecretStr(dsn)
    with pytest.raises(ConfigError) as caught:
        errors.init_app(app)
    assert str(caught.value) == (
        f"configuration: sentry_dsn: it is no DSN: {found}. "
        "Copy it from the project's settings in Sentry: https://KEY@HOST/PROJECT."
    )


def test_the_extra_is_missing(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """The start says what to install."""
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    app = make_app()
    service_of(app).config.sentry_dsn = SecretStr("https://key@sentry.test/1")
    with pytest.raises(
        ConfigError, match=r"sentry-sdk, which it needs, is not installed\. pip install 'pymacaron\[sentry\]'"
    ):
        errors.init_app(app)


def test_both_reporters_hear(make_app: MakeApp, sentry: FakeSentry) -> None:
    """Sentry and the service's own function, each by itself."""
    heard: list[str] = []
    app = make_app(error_reporter=lambda title, *_: heard.append(title))
    service_of(app).config.sentry_dsn = SecretStr(sentry.dsn)
    errors.init_app(app)
    service_of(app).bus.emit(REPORT.event)
    assert flush_reports(app)
    assert heard == [event["message"] for event in sentry.events] == ["Odd"]


DOCUMENT = """\
openapi: 3.1.0
info: {title: Shop, version: "1"}
paths:
  /broken/{number}:
    get:
      operationId: be_broken
      parameters: [{name: number, in: path, required: true, schema: {type: integer}}]
      responses: {"200": {description: Never.}}
"""
SERVER = """\
from pymacaron import create_app

def be_broken(number):
    exec("\\n" * number + "raise LookupError")

app = create_app(__name__, handlers=__name__)
"""
INSTRUMENTED = """\
import sentry_sdk

sentry_sdk.init(
    dsn={dsn!r},
    traces_sample_rate=1.0,
    before_send=lambda event, hint: None,
    send_client_reports=False,
    _experiments={{"transport_compression_algo": "gzip"}},
)
"""


def test_instrumentation_of_sentry_tells_no_error_twice(tmp_path: Path, sentry: FakeSentry) -> None:
    """Who starts sentry-sdk beside it as the documentation says gets its spans, and each error once, from us."""
    (tmp_path / "apis").mkdir()
    (tmp_path / "apis" / "shop.yaml").write_text(DOCUMENT)
    (tmp_path / "server.py").write_text(INSTRUMENTED.format(dsn=sentry.dsn) + SERVER)
    (tmp_path / "pym-config.yaml").write_text(f"sentry_dsn: {sentry.dsn}\n")
    script = (
        "from server import app; app.test_client().get('/broken/1'); import pymacaron_monitoring, sentry_sdk; "
        "pymacaron_monitoring.flush_reports(app); sentry_sdk.flush()"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYM_", "PROMETHEUS_"))}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True, capture_output=True)
    (event,) = sentry.wait_for(1)
    assert event["sdk"]["name"] == "sentry.python.pymacaron"
    assert sum(b'"type":"transaction"' in raw for raw in sentry.raw) == 1
    assert sentry.refusals == []


COMMANDS = {
    "pymacaron run": ["-m", "pymacaron.cli", "run", "--workers", "2", "--port"],
    "gunicorn": ["-m", "gunicorn", "-c", "python:pymacaron.gunicorn", "--workers", "2", "server:app", "--bind"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_is_stopped_tells_all(tmp_path: Path, sentry: FakeSentry, command: str) -> None:
    """Every kind of failure reaches Sentry once from two workers, also those right before the end."""
    (tmp_path / "apis").mkdir()
    (tmp_path / "apis" / "shop.yaml").write_text(DOCUMENT)
    (tmp_path / "server.py").write_text(SERVER)
    (tmp_path / "pym-config.yaml").write_text(f"sentry_dsn: {sentry.dsn}\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = f"127.0.0.1:{port}" if command == "gunicorn" else str(port)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYM_", "PROMETHEUS_"))}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, *COMMANDS[command], where], cwd=tmp_path, env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(port, server, tmp_path / "log")
        error_ids = [ask(port, f"/broken/{number}") for number in [*range(10), *range(10)]]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    told = {event["event_id"] for event in sentry.events}
    assert len(sentry.events) == 10
    assert told <= set(error_ids)
    assert (
        len({event["exception"]["values"][-1]["stacktrace"]["frames"][-1]["lineno"] for event in sentry.events}) == 10
    )


def ask(port: int, path: str) -> str:
    """Return the error id of a failure."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        match = re.search(r'"error_id": ?"(\w+)"', answer.read().decode())
    assert answer.status == 500
    assert match is not None
    return match[1]


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"The service does not answer:\n{log.read_text()}")
