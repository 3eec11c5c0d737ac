"""The lines of a service's log, which its workers make and its supervisor writes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PYMACARON = ("-m", "pymacaron.cli", "run", "--port", "0")


@contextlib.contextmanager
def clients(service: Any, count: int) -> Iterator[list[str]]:
    """Ask without a pause while the block runs; yield the ids of the requests that were answered."""
    answered: list[str] = []
    is_over = threading.Event()

    def ask(name: int) -> None:
        number = 0
        while not is_over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
            with contextlib.suppress(OSError, http.client.HTTPException):
                while not is_over.is_set():
                    number += 1
                    connection.request("GET", "/pid", headers={"X-Request-Id": f"c{name}-{number}"})
                    if connection.getresponse().read():
                        answered.append(f"c{name}-{number}")
            connection.close()

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def read_ids(log: Path) -> Counter[str]:
    """Return the ids of requests in the log, of which each line but those of the start is JSON."""
    lines = [line for line in log.read_text().splitlines() if not line.startswith("Serving ")]
    ids = (json.loads(line)["request_id"] for line in lines)
    return Counter(one for one in ids if one and one.startswith("c"))


def assert_whole(answered: list[str], logged: Counter[str]) -> None:
    assert len(answered) > 100
    assert set(answered) <= set(logged)
    assert set(logged.values()) == {1}


def test_no_line_is_lost_with_a_worker_that_is_killed(serve: Any) -> None:
    """Nor written twice or torn, whenever it dies; the line of each answer is there."""
    service = serve(*PYMACARON, "--workers", "3")
    workers: set[int] = set()

    def do_all_serve() -> bool:
        workers.add(service.get("/pid")["pid"])
        return len(workers) == 3

    service.wait_for(do_all_serve)
    with clients(service, 4) as answered:
        for pid in workers:
            time.sleep(0.25)
            os.kill(pid, signal.SIGKILL)
        service.wait_for(lambda: service.log.read_text().count("ended by itself") == 3)
        service.wait_for(service.find_workers)
    assert service.stop() == 0
    assert_whole(answered, read_ids(service.log))


def test_no_line_is_lost_with_workers_that_leave(serve: Any) -> None:
    """Whether they are replaced or stopped."""
    service = serve(*PYMACARON, "--workers", "1")
    old = service.find_workers()
    with clients(service, 3) as answered:
        time.sleep(0.2)
        service.process.send_signal(signal.SIGHUP)
        service.wait_for(lambda: not old & service.find_workers())
    assert service.stop() == 0
    assert_whole(answered, read_ids(service.log))


@pytest.mark.parametrize("pause_s", [0.0, 0.2])
def test_workers_write_what_a_killed_supervisor_did_not(serve: Any, pause_s: float) -> None:
    """They end soon, and say until then what they do."""
    service = serve(*PYMACARON, "--workers", "1")
    workers = service.find_workers()
    with clients(service, 2) as answered:
        time.sleep(0.2)
        service.process.kill()
        time.sleep(pause_s)
    service.process.wait()
    service.wait_for(lambda: not any(Path(f"/proc/{pid}/statm").exists() for pid in workers))
    assert set(answered) <= set(read_ids(service.log))
    assert answered


def test_lines_come_soon(serve: Any) -> None:
    """Without any further request."""
    service = serve(*PYMACARON, "--workers", "2")
    for number in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
        connection.request("GET", "/pid", headers={"X-Request-Id": f"c-{number}"})
        connection.getresponse().read()
        connection.close()
        service.wait_for(lambda number=number: f"c-{number}" in read_ids(service.log), timeout_s=2)
