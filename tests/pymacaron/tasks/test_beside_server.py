"""``with_async: true`` runs tasks beside the server, and clients ask what became of theirs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests
from click.testing import CliRunner
from task_lab import Lab, find_port, wait_for_port

from pymacaron.worker import pymasync

MakeLab = Callable[..., Lab]
TOKENS = "from pymacaron.auth import generate_token\nprint(generate_token('alice'), generate_token('bob'))"


def test_tasks_run_beside_the_server(make_lab: MakeLab) -> None:
    """One command serves and runs tasks; the worker is replaced when it dies, and ends with the server.

    The state of a task is told to the user who queued it, and to nobody else.
    """
    lab = make_lab(None, "with_async: true\ntask_status: true\n")
    alice, bob = ({"Authorization": f"Bearer {token}"} for token in lab.run(TOKENS).split())
    port, log = find_port(), lab.folder / "server.log"
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "pymacaron.cli", "run", "--port", str(port)]
        server = subprocess.Popen(command, cwd=lab.folder, env=lab.variables(), stdout=output, stderr=output)
    try:
        wait_for_port(port, server, log)
        task = _queue(url, alice)
        assert _wait(task, alice) == {"state": "succeeded", "result": {"shipped": 2}}
        assert [requests.get(task, headers=headers, timeout=5).status_code for headers in (bob, {})] == [404, 404]
        first = _find_worker(server.pid)
        os.kill(first, signal.SIGKILL)
        assert _wait(_queue(url, bob), bob)["state"] == "succeeded"
        second = _find_worker(server.pid)
        assert second != first
    finally:
        server.terminate()
        server.wait(timeout=60)
    assert not Path(f"/proc/{second}").exists(), log.read_text()
    assert "The worker of tasks ended by itself, with code -9" in log.read_text()


def _queue(url: str, headers: dict[str, str]) -> str:
    answer = requests.post(f"{url}/orders", json={"name": "tea", "count": 2}, headers=headers, timeout=10)
    assert answer.status_code == 202, answer.text
    return f"{url}/tasks/{answer.json()['task_id']}"


def _wait(task: str, headers: dict[str, str]) -> dict[str, object]:
    deadline = time.monotonic() + 60
    while True:
        found = requests.get(task, headers=headers, timeout=5).json()
        if found["state"] in {"succeeded", "failed"}:
            return {name: found[name] for name in ("state", "result") if name in found}
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def _find_worker(server: int) -> int:
    """Return the process of the server's that runs tasks. Source: proc(5)."""
    for children in Path(f"/proc/{server}/task").glob("*/children"):
        for pid in children.read_text().split():
            if b"pymacaron.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
    raise AssertionError("no process runs tasks")


def test_a_level_that_there_is_not_is_told() -> None:
    """`pymasync` names the levels of the log, and starts nothing."""
    result = CliRunner().invoke(pymasync, ["--level", "loud"])
    assert result.exit_code == 2
    assert "'loud' is not one of 'debug', 'info', 'warning', 'error', 'critical'" in result.output
