"""Answers that come a byte at a time end as silence ends."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests

from pymacaron_testing.session import TargetSession
from pymacaron_testing.watchdog import Watchdog

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.fixture
def drip() -> Iterator[Callable[[bytes], str]]:
    """Give a function that serves some bytes and then one each 50 ms, and returns the URL."""
    is_over = threading.Event()
    listeners: list[socket.socket] = []

    def answer(connection: socket.socket, start: bytes) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(10_000)
            connection.sendall(start)
            while not is_over.wait(0.05):
                connection.sendall(b"x")

    def serve(start: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection, start), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    is_over.set()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"", id="status line"),
        pytest.param(HEAD + b"X-Long: ", id="header"),
        pytest.param(HEAD + b"Content-Length: 100000\r\n\r\n", id="body of a declared length"),
    ],
)
def test_drip(drip: Callable[[bytes], str], start: bytes) -> None:
    """What never ends is no answer, after the time limit, though no read of the socket takes long."""
    with TargetSession(drip(start), timeout_s=0.5) as session:
        started = time.monotonic()
        with pytest.raises(requests.ReadTimeout):
            session.ask("/")
        assert 0.4 < time.monotonic() - started < 5
        assert session.silences == 1


@pytest.mark.parametrize("start", [HEAD + b"\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1"])
def test_drip_of_an_unknown_length(drip: Callable[[bytes], str], start: bytes) -> None:
    """A body that may be endless is an answer: what came in time is kept."""
    with TargetSession(drip(start), timeout_s=0.5) as session:
        response = session.ask("/")
        assert response.is_cut  # type: ignore[attr-defined]
        assert session.silences == 0


def test_knock(drip: Callable[[bytes], str]) -> None:
    """Whether anybody answers is told by the head of the answer."""
    with TargetSession(drip(HEAD + b"Content-Length: 100000\r\n\r\n")) as session:
        started = time.monotonic()
        session.knock()
        assert time.monotonic() - started < 5


def test_done_in_time() -> None:
    """A socket whose block is over in time is left alone."""
    left, right = socket.socketpair()
    with left, right:
        watchdog = Watchdog()
        with watchdog.watch(left, 0.3) as watch:
            pass
        with watchdog.watch(None, 1), watchdog.watch(right, None):
            time.sleep(0.5)
        assert watch is not None
        assert not watch.has_ended
        left.sendall(b"x")
        assert right.recv(1) == b"x"
