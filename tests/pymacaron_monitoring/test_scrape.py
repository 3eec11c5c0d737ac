from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests
from flask import Flask

from pymacaron_monitoring import metrics
from pymacaron_monitoring.store import FOLDER_VARIABLE

MakeApp = Callable[..., Flask]
TOKEN = "5f0c7d4e-1b7a"
PROCESS = """
import os, socket, sys, time, urllib.request
from flask import Flask
from pymacaron.config import PymConfig
from pymacaron.service import Service
from pymacaron_monitoring import metrics

app = Flask("svc")
config = PymConfig(metrics_port=int(sys.argv[1]), metrics_host="127.0.0.1")
app.extensions["pymacaron"] = Service(app=app, config=config)
metrics.init_app(app)
if sys.argv[2:]:
    while socket.socket().connect_ex(("127.0.0.1", config.metrics_port)):
        time.sleep(0.01)
    urllib.request.urlopen(f"http://127.0.0.1:{config.metrics_port}/metrics").read()
    if not os.fork():
        time.sleep(120)
print("ready", flush=True)
time.sleep(120)
"""


def find_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def fetch(port: int, path: str = "/metrics", **headers: str) -> requests.Response:
    """Ask the port until it answers."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return requests.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=10)
        except requests.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        pytest.param(None, 401, id="none"),
        pytest.param("Bearer", 401, id="empty"),
        pytest.param(f"Bearer {TOKEN}x", 401, id="wrong"),
        pytest.param(f"Basic {TOKEN}", 401, id="wrong scheme"),
        pytest.param("Bearer ö", 401, id="not ASCII"),
        pytest.param(f"Bearer {TOKEN}", 200, id="right"),
        pytest.param(f"bearer {TOKEN}", 200, id="scheme in lower case"),
    ],
)
def test_a_token_guards_the_page(make_app: MakeApp, header: str | None, status: int) -> None:
    """With metrics_token only who has it sees the page; the answer says how to ask and nothing else."""
    app = make_app(metrics_token=TOKEN)
    metrics.init_app(app)
    headers = {"Authorization": header} if header else {}
    answer = app.test_client().get("/metrics", headers=headers)
    assert answer.status_code == status
    assert ("worker_processes" in answer.text) is (status == 200)
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="metrics"'
        assert TOKEN not in answer.text


def test_the_path_can_be_chosen(make_app: MakeApp) -> None:
    """With metrics_path the page is there, and not at /metrics."""
    app = make_app(metrics_path="/internal/counts")
    metrics.init_app(app)
    statuses = [app.test_client().get(path).status_code for path in ("/internal/counts", "/metrics")]
    assert statuses == [200, 404]


def test_a_port_of_its_own(make_app: MakeApp) -> None:
    """With metrics_port the page is there alone, with its token, and not among the service's paths."""
    port = find_port()
    app = make_app(metrics_port=port, metrics_host="127.0.0.1", metrics_token=TOKEN)
    metrics.init_app(app)
    assert fetch(port, Authorization=f"Bearer {TOKEN}").text.startswith("# HELP http_server_request_duration_seconds")
    assert fetch(port).status_code == 401
    assert fetch(port, "/pets").status_code == 404
    assert app.test_client().get("/metrics").status_code == 404


def test_a_taken_port_stops_nothing(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """Where another program has the port, the service runs, and the page is there once the port is free."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = int(taken.getsockname()[1])
        metrics.init_app(make_app(metrics_port=port, metrics_host="127.0.0.1"))
        deadline = time.monotonic() + 10
        while not caplog.records and time.monotonic() < deadline:
            time.sleep(0.02)
        (told,) = caplog.records
        words = f"Metrics cannot be shown on 127.0.0.1:{port} yet, it is tried again: Address already in use"
        assert told.getMessage() == words
    assert fetch(port).status_code == 200


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process of a service that shows its page on a port; with "fork" it has a child."""
    processes: list[subprocess.Popen[str]] = []

    def run(port: int, *words: str) -> subprocess.Popen[str]:
        environment = {**os.environ, FOLDER_VARIABLE: str(tmp_path)}
        command = [sys.executable, "-c", PROCESS, str(port), *words]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
        processes.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.stdout.close()
        return process

    yield run
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_child_of_a_dead_process_keeps_no_port(start: Callable[..., subprocess.Popen[str]]) -> None:
    """One that a request's code forked from the process that shows the page is in nobody's way when that is killed."""
    port = find_port()
    first = start(port, "fork")
    start(port)
    first.kill()
    first.wait()
    assert "\nworker_processes 2.0\n" in fetch(port).text


def test_the_port_goes_to_the_next_process(start: Callable[..., subprocess.Popen[str]]) -> None:
    """One of the workers shows the page of all; when it is killed, another one does."""
    port = find_port()
    first = start(port)
    assert "\nworker_processes 1.0\n" in fetch(port).text
    start(port)
    assert "\nworker_processes 2.0\n" in fetch(port).text
    first.kill()
    first.wait()
    assert "\nworker_processes 1.0\n" in fetch(port).text
    assert "\nworker_starts_total 2.0\n" in fetch(port).text
