"""Ends reads that never end: timeouts of sockets only see silence, not a target that sends a byte now and then."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_PERIOD_S = 0.1


@dataclass(eq=False, slots=True)
class Watch:
    """A socket that must be done in time. deadline: of time.monotonic. has_ended: it was not, and was shut down."""

    sock: socket.socket
    deadline: float
    has_ended: bool = False


class Watchdog:
    """A thread that shuts down sockets whose time is over; started when the first one is watched."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._watched: set[Watch] = set()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def watch(self, sock: socket.socket | None, limit_s: float | None) -> Iterator[Watch | None]:
        """Shut *sock* down if the block is not over in *limit_s* seconds; None of either watches nothing."""
        if sock is None or limit_s is None:
            yield None
            return
        watch = Watch(sock, time.monotonic() + limit_s)
        with self._lock:
            self._watched.add(watch)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="pymacaron-watchdog", daemon=True)
                self._thread.start()
        try:
            yield watch
        finally:
            with self._lock:
                self._watched.discard(watch)

    def _run(self) -> None:
        while True:
            time.sleep(_PERIOD_S)
            now = time.monotonic()
            with self._lock:
                for watch in self._watched:
                    if not watch.has_ended and now > watch.deadline:
                        watch.has_ended = True
                        with contextlib.suppress(OSError):  # of the plain socket: that of TLS must not be waited for
                            socket.socket.shutdown(watch.sock, socket.SHUT_RDWR)


WATCHDOG = Watchdog()


class _WatchedConnection(HTTPConnection):
    """Reads the head of an answer within the timeout, however it comes."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 says so too
        """Return the answer, which remembers its socket. Raises TimeoutError."""
        sock = self.sock
        limit_s = self.timeout if isinstance(self.timeout, int | float) else None
        with WATCHDOG.watch(sock, limit_s) as watch:
            try:
                response = super().getresponse()
            except Exception:
                if watch and watch.has_ended:
                    raise TimeoutError("the head of the answer did not end in time") from None
                raise
        if watch and watch.has_ended:  # what came looks like a whole head, as the socket was shut down
            response.close()
            raise TimeoutError("the head of the answer did not end in time")
        response.watched_socket = sock  # type: ignore[attr-defined]
        return response


class _WatchedTlsConnection(_WatchedConnection, HTTPSConnection):
    """The same over TLS."""


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTlsConnection


WATCHED_POOLS = {"http": _WatchedPool, "https": _WatchedTlsPool}
