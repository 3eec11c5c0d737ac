"""What `pymacaron worker --port` serves beside the tasks."""

from __future__ import annotations

import os
import sys
import time
import types
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from pymacaron import create_app
from pymacaron.config import PymConfig
from pymacaron.server import reserve_port
from pymacaron.worker import _show_life

DOCUMENT = """\
openapi: 3.1.0
info: {title: Pids, version: "1"}
paths:
  /pid:
    get: {operationId: get_pid, responses: {"200": {description: ok, content: {application/json: {}}}}}
"""


def fetch(url: str) -> requests.Response:
    """Ask until somebody answers."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(requests.ConnectionError):
            return requests.get(url, timeout=10)
        time.sleep(0.02)
    raise TimeoutError(url)


@pytest.mark.parametrize(
    ("metrics_port", "statuses"),
    [
        pytest.param(None, [200, 200, 404, 404], id="on this port"),
        pytest.param(0, [200, 404, 404, 404], id="on a port of their own"),
    ],
)
def test_a_worker_shows_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metrics_port: int | None, statuses: list[int]
) -> None:
    """/ping and the metrics, at the path that the configuration says, and nothing of the service."""
    (tmp_path / "pids.yaml").write_text(DOCUMENT)
    own_port = reserve_port("127.0.0.1", 0) if metrics_port is not None else None
    config = PymConfig(metrics_path="/internal/counts", metrics_port=own_port, metrics_host="127.0.0.1")
    module = types.ModuleType("worker_handlers")
    vars(module)["get_pid"] = os.getpid
    monkeypatch.setitem(sys.modules, "worker_handlers", module)
    app = create_app("worker_handlers", apis=tmp_path, handlers="worker_handlers", config=config)
    port = reserve_port("127.0.0.1", 0)
    _show_life(app, port)
    paths = ("/ping", "/internal/counts", "/metrics", "/pid")
    answers = [fetch(f"http://127.0.0.1:{port}{path}") for path in paths]
    assert [answer.status_code for answer in answers] == statuses
    words = "/ping" if own_port else "/ping and /internal/counts"
    assert answers[-1].text == f"A worker serves nothing but {words}"
