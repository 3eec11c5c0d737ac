"""Forwards connections of a port of loopback to others: what a load balancer and a DNS name are on one machine."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Sequence

_PAUSE_S = 0.5
_CHUNK_BYTES = 65536


class Forwarder:
    """A port whose connections go to *targets* in turn; what is connected already stays where it is, as with DNS."""

    def __init__(self) -> None:
        """Listen on a free port; until there are targets, connections are closed at once."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._targets: tuple[int, ...] = ()
        self._is_closed = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._acceptor = threading.Thread(target=self._accept, name="forwarder", daemon=True)
        self._acceptor.start()

    @property
    def address(self) -> str:
        """Return ``127.0.0.1:PORT``."""
        return f"127.0.0.1:{self.port}"

    def point_to(self, targets: Sequence[int]) -> None:
        """Send new connections to these ports of loopback, in turn."""
        self._targets = tuple(targets)

    def close(self) -> None:
        """Stop listening and cut what is connected."""
        self._is_closed.set()
        self._acceptor.join()
        for thread in list(self._threads):
            thread.join()

    def _accept(self) -> None:
        number = 0
        with self._listener:
            while not self._is_closed.is_set():
                if not select.select([self._listener], [], [], _PAUSE_S)[0]:
                    continue
                near, _ = self._listener.accept()
                targets = self._targets
                if not targets:
                    near.close()
                    continue
                number += 1
                port = targets[number % len(targets)]
                thread = threading.Thread(target=self._serve, args=(near, port), name="forwarded", daemon=True)
                self._threads.add(thread)
                thread.start()

    def _serve(self, near: socket.socket, port: int) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as far:
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            others = {near: far, far: near}
            while others and not self._is_closed.is_set():
                for one in select.select(list(others), [], [], _PAUSE_S)[0]:
                    data = one.recv(_CHUNK_BYTES)
                    other = far if one is near else near
                    if data:
                        other.sendall(data)
                    else:
                        other.shutdown(socket.SHUT_WR)
                        del others[one]
        self._threads.discard(threading.current_thread())
