"""Workers are replaced without a gap; what cannot start changes nothing."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

PYMACARON = ("-m", "pymacaron.cli", "run", "--port", "0")
GUNICORN = ("-m", "gunicorn", "--no-control-socket", "-c", "python:pymacaron.gunicorn", "--bind=127.0.0.1:0")


def write_version(folder: Path, version: int) -> None:
    """Change the service's code; Python compares seconds and sizes of files, so caches must go."""
    file = folder / "svc.py"
    file.write_text(re.sub(r"VERSION = \d+", f"VERSION = {version}", file.read_text()))
    for cache in (folder / "__pycache__").glob("svc.*"):
        cache.unlink()


def assert_faultless(load: Any) -> None:
    report = load.report
    assert load.faults == []
    assert "Socket errors" not in report, report
    assert "Non-2xx" not in report, report
    assert int(re.findall(r"(\d+) requests in", report)[0]) > 100, report


@pytest.mark.parametrize(
    "command",
    [pytest.param(PYMACARON, id="granian"), pytest.param((*GUNICORN, "server:app"), id="gunicorn")],
)
def test_hup_takes_new_code_without_a_failed_request(serve: Any, put_load: Any, command: tuple[str, ...]) -> None:
    """While clients never stop, all workers are replaced by some that have the new code."""
    service = serve(*command, "--workers", "2")
    old = service.find_workers()
    with put_load(service, 3) as load:
        time.sleep(0.5)
        write_version(service.folder, 2)
        service.process.send_signal(signal.SIGHUP)
        service.wait_for(lambda: {service.get("/pid")["version"] for _ in range(10)} == {2})
    assert_faultless(load)
    assert set(load.versions) == {1, 2}
    service.wait_for(lambda: not old & service.find_workers())
    assert service.stop() == 0


@pytest.mark.parametrize(
    ("command", "config", "reason"),
    [
        pytest.param(PYMACARON, "worker_max_requests: 300\n", "it has had ", id="requests"),
        pytest.param(PYMACARON, "worker_lifetime: 1\n", "its lifetime is over", id="lifetime"),
        pytest.param((*GUNICORN, "server:app"), "worker_max_requests: 300\n", "", id="gunicorn"),
    ],
)
def test_workers_that_had_enough_are_replaced_without_a_failed_request(
    serve: Any, put_load: Any, command: tuple[str, ...], config: str, reason: str
) -> None:
    """Requests flow on while workers end after a number of requests, or a time."""
    service = serve(*command, "--workers", "2", config=config)
    with put_load(service, 3) as load:
        service.wait_for(lambda: len(load.pids) > 3)
    assert_faultless(load)
    assert reason in service.log.read_text()
    assert service.stop() == 0


@pytest.fixture(scope="module")
def service(serve: Any) -> Any:
    """Serve with one worker that is never worn."""
    return serve(*PYMACARON, "--workers", "1", config="stop_timeout: 3\n")


def test_a_broken_version_leaves_the_old_one(service: Any) -> None:
    """The log says why; once corrected, the next HUP takes it."""
    pid = service.get("/pid")["pid"]
    (service.folder / "svc.py").rename(service.folder / "away.py")
    (service.folder / "svc.py").write_text("1 / 0\n")
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: "the old ones stay" in service.log.read_text())
    assert "ZeroDivisionError" in service.log.read_text()
    assert service.get("/pid")["pid"] == pid
    (service.folder / "away.py").rename(service.folder / "svc.py")
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: service.get("/pid")["pid"] != pid)


def test_a_version_that_exits_leaves_the_old_one(service: Any) -> None:
    """An app that ends its process is an app that cannot start."""
    pid = service.get("/pid")["pid"]
    text = (service.folder / "server.py").read_text()
    (service.folder / "server.py").write_text("raise SystemExit(3)\n")
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: "the app ends the process that imports it" in service.log.read_text())
    assert service.get("/pid")["pid"] == pid
    (service.folder / "server.py").write_text(text)


def test_running_requests_end_as_they_began(service: Any) -> None:
    """A request and a stream that began before a reload are answered by the worker that has them."""
    pid = service.get("/pid")["pid"]
    answers: dict[str, str] = {}

    def ask(path: str) -> None:
        answers[path] = requests.get(service.url + path, timeout=20).text

    threads = [threading.Thread(target=ask, args=(path,)) for path in ("/sleep?seconds=2", "/count")]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: service.get("/pid")["pid"] != pid)
    for thread in threads:
        thread.join()
    assert str(pid) in answers["/sleep?seconds=2"]
    assert answers["/count"].split() == [str(number) for number in range(20)]


def test_a_worker_that_is_told_to_terminate_is_replaced_first(service: Any) -> None:
    """`kill PID` of a worker is no gap either; one that is killed outright has a successor at once."""
    (pid,) = service.find_workers() - leaving(service)
    os.kill(pid, signal.SIGTERM)
    service.wait_for(lambda: service.get("/pid")["pid"] != pid)
    pid = service.get("/pid")["pid"]
    os.kill(pid, signal.SIGKILL)
    service.wait_for(lambda: is_answered_by_another(service, pid))
    assert f"Worker {pid} ended by itself, with code -9" in service.log.read_text()


def test_a_worker_that_is_killed_before_it_serves_is_replaced(serve: Any) -> None:
    """Even if no other serves: who sends a signal says nothing of the app."""
    service = serve(*PYMACARON, "--workers", "1")
    server = service.folder / "server.py"
    server.write_text(f"import time; time.sleep(2)\n{server.read_text()}")
    (first,) = service.find_workers()
    os.kill(first, signal.SIGKILL)
    second = wait_for_worker(service, {first})
    os.kill(second, signal.SIGKILL)
    service.wait_for(lambda: f"Worker {second} ended before it served, with code -9" in service.log.read_text())
    service.wait_for(lambda: is_answered_by_another(service, second))
    assert service.stop() == 0


def test_an_app_that_dies_by_a_signal_at_each_start_is_told(serve: Any) -> None:
    """The third time in a row the service gives up."""
    service = serve(*PYMACARON, "--workers", "1")
    (service.folder / "server.py").write_text("import os; os.abort()\n")
    (first,) = service.find_workers()
    os.kill(first, signal.SIGKILL)
    assert service.process.wait(30) == 2
    assert "server:app: a signal (6) ends each worker before it serves. " in service.log.read_text()


def wait_for_worker(service: Any, old: set[int]) -> int:
    """Wait until a worker other than *old* lives."""
    service.wait_for(lambda: service.find_workers() - old)
    (worker,) = service.find_workers() - old
    return int(worker)


def leaving(service: Any) -> set[int]:
    """Return the workers that do not answer any more."""
    pid = service.get("/pid")["pid"]
    return {worker for worker in service.find_workers() if worker != pid}


def is_answered_by_another(service: Any, pid: int) -> bool:
    with contextlib.suppress(requests.RequestException):
        return bool(service.get("/pid")["pid"] != pid)
    return False


def test_workers_end_without_their_supervisor(serve: Any) -> None:
    """A supervisor that is killed leaves nobody behind who holds the port."""
    service = serve(*PYMACARON, "--workers", "2")
    workers = service.find_workers()
    service.process.kill()
    service.process.wait()
    service.wait_for(lambda: not any(Path(f"/proc/{pid}/statm").exists() for pid in workers))


def test_the_second_signal_does_not_wait(serve: Any) -> None:
    """The first waits for running requests, the second ends the service."""
    service = serve(*PYMACARON, "--workers", "1")

    def ask() -> None:
        with contextlib.suppress(requests.RequestException):
            requests.get(f"{service.url}/sleep?seconds=20", timeout=30)

    client = threading.Thread(target=ask)
    client.start()
    time.sleep(0.5)
    service.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        service.process.wait(1)
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(5) == 0
    client.join()


def test_reloading_goes_on_after_a_fault(serve: Any) -> None:
    """With --reload a file that is broken for a moment changes nothing; the next change is served."""
    service = serve(*PYMACARON, "--reload")
    assert "(1 worker of 8 threads" in service.log.read_text()
    time.sleep(1)
    text = (service.folder / "svc.py").read_text()
    (service.folder / "svc.py").write_text("def broken(\n")
    service.wait_for(lambda: "the old ones stay" in service.log.read_text())
    (service.folder / "svc.py").write_text(text.replace("VERSION = 1", "VERSION = 22"))
    service.wait_for(lambda: service.get("/pid")["version"] == 22)
