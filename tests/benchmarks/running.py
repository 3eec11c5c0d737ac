"""Starts a service on a core of its own, waits until it answers, checks it, tells what memory it takes, stops it."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from operations import Call, find_fault, make_calls, make_refused
from peer import Peer, make_command, make_process_environment
from wrk import SERVER_CORE

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers. start_s: seconds from the start of its process to its first answer."""

    port: int
    pid: int
    start_s: float


@contextlib.contextmanager
def run_service(peer: Peer, server: str, programs: Path) -> Iterator[Running]:
    """Yield the service with one worker; what it writes goes into a file. Raises: RuntimeError: it does not start."""
    port = find_free_port()
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("wb") as log:
        environment = make_process_environment(peer, server) | {"PROMETHEUS_MULTIPROC_DIR": folder}
        start = time.perf_counter()
        process = subprocess.Popen(
            ["taskset", "-c", SERVER_CORE, *make_command(peer, server, programs, port)],
            cwd=peer.folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            if not wait_for_answer(process, port, start + START_TIMEOUT_S):
                said = Path(folder, "log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{peer.name} does not start on {server}: {said}")
            yield Running(port, process.pid, time.perf_counter() - start)
        finally:
            stop(process)


def find_free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_answer(process: subprocess.Popen[bytes], port: int, deadline: float) -> bool:
    """Ask for /ping every 10 ms; tell whether it was answered in time."""
    while time.perf_counter() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, _ = send(Call("ping", "GET", "/ping", (200,)), port)
            return status == 200
        time.sleep(0.01)
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process and all those that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def send(call: Call, port: int) -> tuple[int, bytes]:
    """Return status and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_TIMEOUT_S)
    try:
        connection.request(call.method, call.path, body=call.body or None, headers=dict(call.headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def check(peer: Peer, port: int) -> None:
    """Raise RuntimeError unless the service answers as it must and refuses what it must, but for what is known."""
    for call in [*make_calls().values(), *make_refused()]:
        status, body = send(call, port)
        fault = find_fault(call, status, body)
        if fault and call.name not in peer.lenient:
            raise RuntimeError(f"{peer.name}: {fault}")
        if not fault and call.name in peer.lenient:
            raise RuntimeError(f"{peer.name} refuses {call.name}: take it out of what it is lenient about")


def measure_memory(pid: int) -> tuple[float, float]:
    """Return MB: of its largest process, which is the worker; and of all, shared pages counted once."""
    family = list(find_family(pid))
    return max(read_kb(one, "Rss") for one in family) / 1024, sum(read_kb(one, "Pss") for one in family) / 1024


def measure_cpu_s(pid: int) -> float:
    """Return the seconds of CPU time that the service has taken so far, all its processes together."""
    # What clock_getcpuclockid(3) returns for a process on Linux, from <linux/posix-timers.h>.
    return sum(time.clock_gettime((~one << 3) | 2) for one in find_family(pid))


def find_family(pid: int) -> Iterator[int]:
    """Yield the process and all those that it started."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from find_family(int(child))


def read_kb(pid: int, name: str) -> int:
    """Return ``Rss`` or ``Pss`` of a process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
