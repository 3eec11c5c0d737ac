"""What one request costs inside of the process, without any server: microseconds of CPU time of a WSGI call."""

from __future__ import annotations

import contextlib
import cProfile
import importlib
import io
import multiprocessing
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from operations import Call, find_fault, make_calls, make_refused
from preparation import write_service
from werkzeug.test import EnvironBuilder

from pymacaron.log import ServiceHandler
from pymacaron.log_spool import LogSpool, LogWriter
from pymacaron.serving.supervisor import LINES_PAUSE_S

App = Callable[[dict[str, Any], Callable[..., Any]], Any]
CALLS = 100
URGENT = b"!"


def measure_in_process(repeats: int) -> dict[str, dict[str, float]]:
    """Return operation -> service -> microseconds, the best of *repeats* of which the services take turns."""
    with load_apps() as apps:
        best: dict[str, dict[str, float]] = {}
        for call in make_calls().values():
            best[call.name] = dict.fromkeys(apps, float("inf"))
            for _ in range(repeats):
                for name, app in apps.items():
                    best[call.name][name] = min(best[call.name][name], time_call(app, call))
        return best


def profile_pymacaron(calls: int, lines: int) -> str:
    """Return where pymacaron's time goes, by function, for each operation. The profile itself makes it slower."""
    shown = io.StringIO()
    with load_apps() as apps:
        for call in make_calls().values():
            profile = cProfile.Profile()
            environ = make_environ(call)
            for _ in range(100):
                send(apps["pymacaron"], environ, call.body)
            profile.enable()
            for _ in range(calls):
                send(apps["pymacaron"], environ, call.body)
            profile.disable()
            shown.write(f"\n{call.name}: {calls} calls\n")
            pstats.Stats(profile, stream=shown).sort_stats("tottime").print_stats(lines)
    return shown.getvalue()


@contextlib.contextmanager
def load_apps() -> Iterator[dict[str, App]]:
    """Yield the services by name, checked; pymacaron's as ``pymacaron run`` has it.

    So another process writes its access log, here into a file.
    """
    kept = os.dup(2)
    with tempfile.TemporaryDirectory() as folder:
        service = write_service(Path(folder))
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(service)
        sys.path.insert(0, str(service))
        log = os.open(f"{folder}/access.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 2)
        try:
            bare, flask, server = (importlib.import_module(name) for name in ("on_wsgi", "on_flask", "server"))
            apps: dict[str, App] = {
                "bare, no JWT": bare.open_app,
                "bare WSGI": bare.app,
                "Flask + pydantic": flask.app,
                "pymacaron": server.app,
            }
            with spool_lines():
                for name, app in apps.items():
                    check(name, app)
                yield apps
        finally:
            os.dup2(kept, 2)
            os.close(log)
            os.close(kept)


@contextlib.contextmanager
def spool_lines() -> Iterator[None]:
    """Let another process write the lines of the log, as the supervisor of ``pymacaron run`` does for its workers."""
    reader, waker = os.pipe()
    spool = LogSpool(lambda is_urgent: os.write(waker, URGENT if is_urgent else b"."))
    process = multiprocessing.get_context("fork").Process(target=write_lines, args=(spool, reader, waker))
    process.start()
    spool.open()
    ServiceHandler.spool = spool
    try:
        yield
    finally:
        ServiceHandler.spool = None
        os.close(waker)
        process.join()
        os.close(reader)


def write_lines(spool: LogSpool, reader: int, waker: int) -> None:
    """Write what stands in *spool*, each time that somebody asks for it through the pipe *reader*, until its end."""
    os.close(waker)
    writer, calls = LogWriter(), b"."
    while calls:
        calls = os.read(reader, 1024)
        if URGENT not in calls:
            time.sleep(LINES_PAUSE_S)
        writer.write_out(spool)


def check(name: str, app: App) -> None:
    """Raise RuntimeError if a service does not answer as it must."""
    refused = [call for call in make_refused() if "token" not in call.name or "no JWT" not in name]
    for call in [*make_calls().values(), *refused]:
        statuses, body = send(app, make_environ(call), call.body)
        fault = find_fault(call, int(statuses[0][:3]), body)
        if fault:
            raise RuntimeError(f"{name}: {fault}")


def make_environ(call: Call) -> dict[str, Any]:
    """Return what a WSGI server would pass, without the body's stream."""
    environ = EnvironBuilder(call.path, method=call.method, headers=list(call.headers), data=call.body or None)
    return environ.get_environ()


def send(app: App, environ: dict[str, Any], body: bytes) -> tuple[list[str], bytes]:
    """Send one request the way a server does; return the status, in a list, and the body."""
    statuses: list[str] = []

    def start_response(status: str, _headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        statuses.append(status)

    answer = app({**environ, "wsgi.input": io.BytesIO(body)}, start_response)
    received = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    return statuses, received


def time_call(app: App, call: Call) -> float:
    """Return microseconds of CPU time of one request."""
    environ = make_environ(call)
    start = time.process_time()
    for _ in range(CALLS):
        send(app, environ, call.body)
    return (time.process_time() - start) / CALLS * 1e6
