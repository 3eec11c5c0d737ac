"""One worker: a process that loads the app and serves it with granian until it is told to leave."""

from __future__ import annotations

import asyncio
import atexit
import logging
import multiprocessing
import os
import random
import signal
import socket
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from flask import Flask

from pymacaron.exceptions import Finding
from pymacaron.serving.connections import count_connections, has_unsent
from pymacaron.serving.door import STREAM, Door
from pymacaron.serving.loading import load_or_explain
from pymacaron.serving.messages import Order, Ready, Refused, Worn
from pymacaron.serving.settings import Settings

log = logging.getLogger(__name__)

_TICK_S = 1.0
_REPEAT_S = 30.0  # a worker that was not replaced asks again
_QUIET_S = 0.5  # nobody being served for so long, nobody will be
_JITTER = 0.1


def serve_app(target: str, listener: socket.socket, settings: Settings, supervisor: Connection) -> None:
    """Load *target* and serve it on *listener*; what a worker's process does. Reports to *supervisor*, and obeys it."""
    for usual in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(usual, signal.SIG_DFL)
    for ignored in (signal.SIGINT, signal.SIGHUP):  # terminals send them to workers too; the supervisor heeds them
        signal.signal(ignored, signal.SIG_IGN)
    app = load_or_explain(target)
    if not isinstance(app, Flask):
        supervisor.send(Refused(tuple(app)))
        return
    try:
        listener.listen(settings.backlog)
    except OSError as error:  # somebody else has the same address, and was faster
        where = "{}:{}".format(*listener.getsockname())
        found = f"cannot listen there: {error.strerror}"
        supervisor.send(Refused((Finding(where, found, "Choose another with --port, or stop what uses it"),)))
        return
    worker = Worker(app, listener, settings, supervisor)
    worker.start()
    supervisor.send(Ready())
    worker.obey()
    atexit._run_exitfuncs()  # noqa: SLF001 - multiprocessing leaves them out; telemetry is flushed there


class Worker:
    """Serves *app* in this process."""

    def __init__(self, app: Flask, listener: socket.socket, settings: Settings, supervisor: Connection) -> None:
        """Prepare; nothing is served yet."""
        self._settings = settings
        self._supervisor = supervisor
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._door = Door(app)
        self._done = threading.Event()
        self._wear = _Wear(self._door, settings)
        self._was_told: str | None = None

    def start(self) -> None:
        """Accept connections from now on, in threads of granian's own."""
        from granian._futures import _new_cbscheduler  # noqa: PLC0415 - loaded only where something is served
        from granian._granian import SocketHolder, WorkerSignal, WSGIWorker  # noqa: PLC0415
        from granian.http import HTTP1Settings  # noqa: PLC0415

        settings = self._settings
        self._files = os.dup(self._listener.fileno())
        server = WSGIWorker(
            os.getpid(),
            (None, SocketHolder(self._files, False, settings.backlog)),  # noqa: FBT003 - no Unix socket
            None,
            py_threads=settings.threads,
            backpressure=settings.connections,
            http_mode="1",
            http1_opts=HTTP1Settings(header_read_timeout=int(settings.keep_alive_s * 1000)),
        )
        self._signal: Any = WorkerSignal()
        self._signal.add_cb(self._done.set)
        loop = asyncio.new_event_loop()
        server.serve_mtr(_new_cbscheduler(loop, self._door, impl_asyncio=True), loop, self._signal)

    def obey(self) -> None:
        """Serve until the supervisor says to end, or is gone, or this process is told to terminate."""
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.signal(signal.SIGTERM, lambda *_: os.write(waker, b"t"))
        parent = multiprocessing.parent_process()
        orders = [self._supervisor, wake, *([parent.sentinel] if parent else [])]
        while True:
            ready = wait(orders, _TICK_S)
            if self._supervisor in ready:
                order = self._hear()
                return self._leave() if order is Order.LEAVE else self._stop(self._settings.stop_timeout_s)
            if parent and parent.sentinel in ready:
                return self._stop(self._settings.stop_timeout_s)
            if wake in ready:
                os.read(wake, 16)
                self._report(Worn("it was told to terminate"))
            reason = self._wear.find()
            if reason:
                self._report(Worn(reason))

    def _report(self, report: Worn) -> None:
        try:
            self._supervisor.send(report)
        except OSError:
            log.warning("Nobody hears that this worker asks to be replaced: %s", report.reason)

    def _hear(self) -> Order:
        try:
            order = self._supervisor.recv()
        except (EOFError, OSError):
            return Order.STOP
        return order if isinstance(order, Order) else Order.STOP

    def _leave(self) -> None:
        """Let each connection have an answer that closes it, then stop; somebody else accepts new ones meanwhile.

        A client that sends its next request on an open connection must find it open: connections are closed by
        answers, and those that stay silent are closed in the end.
        """
        self._refuse_connections()
        end = time.monotonic() + self._settings.linger_s
        while time.monotonic() < end and count_connections(self._port) != 0:
            if self._supervisor.poll(0.05) and self._hear() is Order.STOP:
                return self._stop(self._settings.stop_timeout_s)
        return self._stop(self._settings.replaced_timeout_s)

    def _stop(self, timeout_s: float) -> None:
        """Close idle connections, finish running requests; return when nobody is served any more, or after that time.

        A connection on which nothing was sent yet is not idle to granian, which would wait for it.
        """
        self._refuse_connections()
        self._signal.set()
        end, quiet_since = time.monotonic() + timeout_s, time.monotonic()
        while time.monotonic() < end and time.monotonic() < quiet_since + _QUIET_S:
            if self._done.wait(0.02):
                return
            if self._door.running or has_unsent(self._port):
                quiet_since = time.monotonic()

    def _refuse_connections(self) -> None:
        """Accept nothing from now on, without closing what is open: granian can only do both at once.

        What it listens to is exchanged for a socket that nobody knows; connections wait for other workers meanwhile.
        """
        if self._door.is_leaving:
            return
        self._door.is_leaving = True
        nobody = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        nobody.bind("")
        nobody.listen(1)
        nobody.setblocking(False)
        os.dup2(nobody.fileno(), self._files, inheritable=False)


class _Wear:
    """Finds out when a worker is to be replaced."""

    def __init__(self, door: Door, settings: Settings) -> None:
        def vary(limit: float | None) -> float | None:
            return limit and limit * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret

        self._door = door
        self._max_requests = vary(settings.max_requests)
        self._max_memory_bytes = settings.max_memory_bytes
        lifetime_s = vary(settings.lifetime_s)
        self._death = time.monotonic() + lifetime_s if lifetime_s else None
        self._request_timeout_s = settings.request_timeout_s
        self._seen: dict[tuple[int, int], float] = {}
        self._silent_until = 0.0

    def find(self) -> str | None:
        """Return why this worker is to be replaced; None if it is not, or it was said a moment ago."""
        now = time.monotonic()
        reason = self._find_stuck(now) or self._find_age(now)
        if reason is None or now < self._silent_until:
            return None
        self._silent_until = now + _REPEAT_S
        return reason

    def _find_age(self, now: float) -> str | None:
        if self._death and now >= self._death:
            return "its lifetime is over"
        if self._max_requests and self._door.count() >= self._max_requests:
            return f"it has had {self._max_requests:.0f} requests"
        if self._max_memory_bytes and (size := find_resident_bytes()) >= self._max_memory_bytes:
            return f"it holds {size >> 20} MB of memory"
        return None

    def _find_stuck(self, now: float) -> str | None:
        """Tell of a thread that is busy with the same request for longer than is allowed, and where it stands."""
        running = [(thread, number) for thread, number in list(self._door.running.items()) if number != STREAM]
        self._seen = {key: self._seen.get(key, now) for key in running}
        if self._request_timeout_s is None:
            return None
        for (thread, _), since in self._seen.items():
            if now - since >= self._request_timeout_s:
                frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented way
                place = "".join(traceback.format_stack(frame)) if frame else ""
                return f"a request takes longer than {self._request_timeout_s:g} s\n{place}".rstrip()
        return None


def find_resident_bytes(pid: int | str = "self") -> int:
    """Return the memory that a process holds, shared pages included; 0 where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
