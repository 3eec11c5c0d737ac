"""granian's HTTP server in this process, in threads of its own."""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
import threading
from typing import Any

from pymacaron.serving.door import Door
from pymacaron.serving.settings import Settings


class Engine:
    """Accepts connections and hands their requests to a door. has_ended: set when `stop` has done its work.

    granian's own supervisor lets each worker open a listening socket; what waits there is reset when the worker ends.
    And it closes connections that are idle for a moment, whose next request is on its way. So only its worker is used.
    """

    def __init__(self, door: Door, listener: socket.socket, settings: Settings) -> None:
        """Serve from now on. listener: listens already; a worker that is replaced accepts from it too."""
        native: Any = importlib.import_module("granian._granian")  # its stubs lack half of it
        futures: Any = importlib.import_module("granian._futures")
        http: Any = importlib.import_module("granian.http")
        self._listening = os.dup(listener.fileno())
        self._is_open = True
        parts = (self._listening, False, *([settings.backlog] if sys.platform == "linux" else []))
        server = native.WSGIWorker(
            worker_id=os.getpid(),
            sock=(None, native.SocketHolder(*parts)),
            ipc=None,
            py_threads=settings.threads,
            backpressure=settings.connections,
            http_mode="1",  # "auto" waits for ever for the first byte of a connection
            http1_opts=http.HTTP1Settings(header_read_timeout=int(settings.keep_alive_s * 1000)),
        )
        self._signal = native.WorkerSignal()
        self.has_ended = threading.Event()
        self._signal.add_cb(self.has_ended.set)
        loop = asyncio.new_event_loop()
        server.serve_mtr(futures._new_cbscheduler(loop, door, impl_asyncio=True), loop, self._signal)  # noqa: SLF001

    def refuse_connections(self) -> None:
        """Accept nothing from now on, without closing what is open: granian can only do both at once.

        What it listens to is exchanged for a socket that nobody knows; new connections wait for its successor.
        """
        if not self._is_open:
            return
        self._is_open = False
        with socket.create_server(("127.0.0.1", 0), backlog=1) as nobody:
            os.set_blocking(nobody.fileno(), False)
            os.dup2(nobody.fileno(), self._listening, inheritable=False)

    def stop(self) -> None:
        """Close idle connections, finish running requests, end."""
        self._signal.set()
