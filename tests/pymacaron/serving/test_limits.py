"""What a server does with too much: bodies, connections, slow clients, requests that do not end."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
import time
from typing import Any

import pytest

PYMACARON = ("-m", "pymacaron.cli", "run", "--port", "0")
GUNICORN = ("-m", "gunicorn", "--no-control-socket", "-c", "python:pymacaron.gunicorn", "--bind=127.0.0.1:0")
CONFIG = "max_body_bytes: 1000\nstop_timeout: 1\nrequest_timeout: 2\nkeep_alive: 2\nmax_connections: 4\n"
HEAD = b"POST /take HTTP/1.1\r\nHost: pids\r\nContent-Type: application/json\r\n"
PIECE = b"10000\r\n" + 0x10000 * b"x" + b"\r\n"


@pytest.fixture(scope="module")
def service(serve: Any) -> Any:
    """Serve with one worker that has two threads and may hold four connections."""
    return serve(*PYMACARON, "--workers", "1", "--threads", "2", config=CONFIG)


@pytest.fixture(scope="module")
def large(serve: Any) -> Any:
    """Serve bodies under gunicorn."""
    return serve(*GUNICORN, "--workers", "1", "server:app", config="max_body_bytes: 1000\n")


def connect(service: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=20)


def read_head(connection: socket.socket) -> bytes:
    """Return the head of an answer, or what came of it before the connection ended."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            break
        head += piece
    return head


@pytest.mark.parametrize("server", ["service", "large"])
@pytest.mark.parametrize(
    ("length", "piece"),
    [
        pytest.param(b"Content-Length: 10000000000\r\n\r\n", 0x10000 * b"x", id="told"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", PIECE, id="chunked"),
    ],
)
def test_bodies_that_are_too_large_are_not_read(
    request: pytest.FixtureRequest, server: str, length: bytes, piece: bytes
) -> None:
    """10 GB, told or in chunks without an end, are a 413 after less than 20 MB."""
    with connect(request.getfixturevalue(server)) as connection:
        connection.sendall(HEAD + length)
        sent = 0
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # answered, and closed, meanwhile
            while sent < 20_000_000 and not select.select([connection], [], [], 0)[0]:
                sent += connection.send(piece)
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 20_000_000


@pytest.mark.parametrize("server", ["service", "large"])
def test_uploads_in_chunks_are_counted(request: pytest.FixtureRequest, server: str) -> None:
    """The histogram of request bodies has their bytes, without those that mark the chunks."""
    service = request.getfixturevalue(server)
    before = read_sum(service)
    with connect(service) as connection:
        connection.sendall(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n3\r\n 1}\r\n0\r\n\r\n')
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
    assert read_sum(service) - before == len('{"a": 1}')


def read_sum(service: Any) -> float:
    """Return the bytes of all request bodies so far."""
    with connect(service) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        page = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    (value,) = re.findall(r"^http_server_request_body_size_bytes_sum\{.*\} (\S+)$", page, re.MULTILINE)
    return float(value)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /pid HTTP/1.1\r\nHost: pi", id="half a head"),
        pytest.param(b"GET /pid HTTP/1.1\r\nHost: pids\r\n\r\n", id="one request and no more"),
    ],
)
def test_silent_connections_are_closed(service: Any, sent: bytes) -> None:
    """After `keep_alive` seconds without a whole head of a request."""
    with connect(service) as connection:
        start = time.monotonic()
        connection.sendall(sent)
        while connection.recv(4096):
            pass
        assert 1.5 < time.monotonic() - start < 8


def test_connections_beyond_the_limit_wait(service: Any) -> None:
    """The fifth client is answered as soon as one of four has gone, and none is sent away."""
    held = [connect(service) for _ in range(4)]
    for connection in held:
        connection.sendall(b"GET /sleep?seconds=1 HTTP/1.1\r\nHost: pids\r\n\r\n")
    answers: list[dict[str, int]] = []
    start = time.monotonic()
    client = threading.Thread(target=lambda: answers.append(service.get("/pid")))
    client.start()
    client.join(1)
    assert answers == []
    for connection in held:
        assert read_head(connection).startswith(b"HTTP/1.1 200 ")
    held.pop().close()
    client.join(20)
    assert len(answers) == 1
    assert time.monotonic() - start > 1.5  # two threads had four requests of a second each
    for connection in held:
        connection.close()


def test_a_request_without_an_end_has_its_worker_replaced(service: Any) -> None:
    """The log shows where the request stands; other requests go to the new worker."""
    pid = service.get("/pid")["pid"]
    with connect(service) as connection:
        connection.sendall(b"GET /sleep?seconds=600 HTTP/1.1\r\nHost: pids\r\n\r\n")
        service.wait_for(lambda: service.get("/pid")["pid"] != pid)
    assert f"Worker {pid} is replaced: a request takes longer than 2 s" in service.log.read_text()
    assert "time.sleep(seconds)" in service.log.read_text()


def test_a_worker_that_holds_too_much_memory_is_replaced(serve: Any) -> None:
    """It says how much it holds."""
    service = serve(*PYMACARON, "--workers", "1", config="worker_max_memory_bytes: 1000000\n")
    pid = service.get("/pid")["pid"]
    service.wait_for(lambda: service.get("/pid")["pid"] != pid)
    assert f"Worker {pid} is replaced: it holds " in service.log.read_text()
