"""One worker: a process that loads the app and serves it until it is told to leave."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import signal
import socket
import time
from multiprocessing.connection import Connection, wait

from flask import Flask

from pymacaron.log import ServiceHandler
from pymacaron.log_spool import LogSpool
from pymacaron.serving.connections import count_connections, has_unsent
from pymacaron.serving.door import Door
from pymacaron.serving.engine import Engine
from pymacaron.serving.loading import load_or_explain
from pymacaron.serving.messages import Order, Ready, Refused, Worn
from pymacaron.serving.settings import Settings
from pymacaron.serving.wear import Wear

log = logging.getLogger(__name__)

_TICK_S = 1.0
_FRESH_S = 0.1  # the first request of a connection comes within that time
_QUIET_S = 0.5  # nobody being served for so long, nobody will be


def serve_app(
    target: str, listener: socket.socket, settings: Settings, supervisor: Connection, spool: LogSpool | None
) -> None:
    """Load *target* and serve it on *listener*; what a worker's process does. Reports to *supervisor*, and obeys it.

    spool: takes the lines of the log, the supervisor writes them; None: this process does.
    """
    for usual in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(usual, signal.SIG_DFL)
    for ignored in (signal.SIGINT, signal.SIGHUP):  # terminals send them to workers too; the supervisor heeds them
        signal.signal(ignored, signal.SIG_IGN)
    if spool is not None:
        spool.open()
        ServiceHandler.spool = spool
    app = load_or_explain(target)
    if not isinstance(app, Flask):
        supervisor.send(Refused(tuple(app)))
        return
    listener.listen(settings.backlog)
    worker = Worker(app, listener, settings, supervisor)
    supervisor.send(Ready())
    worker.obey()
    atexit._run_exitfuncs()  # noqa: SLF001 - multiprocessing leaves them out; telemetry is flushed there
    worker.rescue_lines()


class Worker:
    """Serves *app* in this process from now on."""

    def __init__(self, app: Flask, listener: socket.socket, settings: Settings, supervisor: Connection) -> None:
        """Start to serve."""
        self._settings = settings
        self._supervisor = supervisor
        self._port = listener.getsockname()[1]
        self._door = Door(app)
        self._wear = Wear(self._door, settings)
        self._engine = Engine(self._door, listener, settings)

    def obey(self) -> None:
        """Serve until the supervisor says to end, or is gone, or this process is told to terminate."""
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.signal(signal.SIGTERM, lambda *_: os.write(waker, b"t"))
        parent = multiprocessing.parent_process()
        orders: list[Connection | int] = [self._supervisor, wake, *([parent.sentinel] if parent else [])]
        while True:
            ready = wait(orders, _TICK_S)
            if self._supervisor in ready:
                order = self._hear()
                return self._leave() if order is Order.LEAVE else self._stop(self._settings.stop_timeout_s)
            if parent and parent.sentinel in ready:
                self.rescue_lines()
                return self._stop(self._settings.stop_timeout_s)
            if wake in ready:
                os.read(wake, 16)
                self._report(Worn("it was told to terminate"))
            reason = self._wear.find()
            if reason:
                self._report(Worn(reason))

    def rescue_lines(self) -> None:
        """Write the lines of the log that wait, and all others, without the supervisor if it is gone."""
        parent = multiprocessing.parent_process()
        if ServiceHandler.spool is not None and parent is not None and os.getppid() != parent.pid:
            ServiceHandler.spool.close()

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
        if self._linger(self._settings.linger_s):
            self._stop(self._settings.replaced_timeout_s)
        else:
            self._stop(self._settings.stop_timeout_s)

    def _linger(self, duration_s: float) -> bool:
        """Accept nothing more, and answer what comes on open connections; return False if told to stop meanwhile."""
        self._door.is_leaving = True
        self._engine.refuse_connections()
        end = time.monotonic() + duration_s
        while time.monotonic() < end and count_connections(self._port) != 0:
            if self._supervisor.poll(0.05) and self._hear() is Order.STOP:
                return False
        return True

    def _stop(self, timeout_s: float) -> None:
        """Close idle connections, finish running requests; return when nobody is served any more, or after that time.

        granian closes a connection whose first request has not arrived yet, so those get a moment; and it waits for
        requests that have begun to arrive, which nobody else does.
        """
        self._linger(_FRESH_S)
        self._engine.stop()
        end, quiet_since = time.monotonic() + timeout_s, time.monotonic()
        while time.monotonic() < end and time.monotonic() < quiet_since + _QUIET_S:
            if self._engine.has_ended.wait(0.02):
                return
            if self._door.running or has_unsent(self._port):
                quiet_since = time.monotonic()
