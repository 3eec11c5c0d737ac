"""Lines that wait in shared memory come out whole, once and in order."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from select import PIPE_BUF

import pytest

from pymacaron.log_spool import LogSpool, LogWriter, cut_lines


def make_spool(size_bytes: int, calls: list[bool] | None = None) -> LogSpool:
    spool = LogSpool((calls if calls is not None else []).append, size_bytes)
    spool.open()
    return spool


def test_lines_come_back_as_they_went_in() -> None:
    """Round after round, also those that stand across the end of the ring."""
    spool = make_spool(100)
    for number in range(50):
        lines = [b"%d-%d\n" % (number, length) + length * b"x" + b"\n" for length in (5, 17, 29)]
        assert all(map(spool.add, lines))
        assert spool.has_lines
        assert spool.read() == b"".join(lines)
        spool.take(len(lines[0]))
        assert spool.read() == b"".join(lines[1:])
        spool.take(len(lines[1] + lines[2]))
        assert not spool.has_lines


def test_what_has_no_room_is_refused() -> None:
    """To the byte; with room for it, it is taken."""
    spool = make_spool(16)
    assert spool.add(b"0123456789\n")
    assert not spool.add(b"12345\n")
    assert spool.add(b"1234\n")
    assert spool.read() == b"0123456789\n1234\n"
    spool.take(11)
    assert spool.add(b"0123456789\n")
    assert spool.read() == b"1234\n0123456789\n"
    assert not make_spool(16).add(17 * b"x")


def test_who_takes_lines_is_called() -> None:
    """For the first line after none, and when half of the room is used; not for each."""
    calls: list[bool] = []
    spool = make_spool(100, calls)
    for _ in range(9):
        assert spool.add(b"123456789\n")
    assert calls == [False, True]
    spool.take(90)
    assert spool.add(b"123456789\n")
    assert calls == [False, True, False]


def test_nobody_adds_who_was_not_asked_to() -> None:
    """Neither the process that takes, nor one that is forked from the one that adds."""
    spool = LogSpool(lambda _: None, 100)
    assert not spool.add(b"early\n")
    spool.open()
    child = multiprocessing.get_context("fork").Process(target=lambda: os._exit(int(spool.add(b"from the child\n"))))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert spool.add(b"own\n")
    assert spool.read() == b"own\n"


def take_all(spool: LogSpool, descriptor: int, over: Event) -> None:
    """Write the lines of *spool* until there will be no more; what a process does."""
    lines, is_last = LogWriter(descriptor), False
    while not is_last:
        is_last = over.is_set()
        lines.write_out(spool)


def add_all(spool: LogSpool, lines: list[str]) -> None:
    for line in lines:
        while not spool.add(f"{line}\n".encode()):
            pass


def test_threads_share_a_spool() -> None:
    """While another process takes, no line is lost, doubled or torn."""
    spool = make_spool(4096)
    reader, writer = os.pipe()
    context = multiprocessing.get_context("fork")
    over = context.Event()
    taker = context.Process(target=take_all, args=(spool, writer, over))
    taker.start()
    os.close(writer)
    sent = [[f"{name}-{number}" for number in range(2000)] for name in range(3)]
    threads = [threading.Thread(target=add_all, args=(spool, lines)) for lines in sent]
    for thread in threads:
        thread.start()
    with ThreadPoolExecutor(1) as pool, os.fdopen(reader) as read:
        received = pool.submit(read.read)
        for thread in threads:
            thread.join()
        over.set()
        lines = received.result().split()
    taker.join()
    assert len(lines) == 6000
    for name, own in enumerate(sent):
        assert [line for line in lines if line.startswith(f"{name}-")] == own


def test_a_full_pipe_is_not_waited_for() -> None:
    """What it does not take stays, and goes out when somebody reads."""
    reader, writer = os.pipe()
    spool, lines = make_spool(1 << 18), LogWriter(writer)
    sent = b"".join(b"%d " % number + 500 * b"x" + b"\n" for number in range(400))
    assert spool.add(sent)
    assert not lines.write_out(spool)
    received = b""
    while not lines.write_out(spool):
        received += os.read(reader, 1 << 16)
    received += os.read(reader, 1 << 16)
    assert received == sent
    assert os.get_blocking(writer)
    lines.close()
    os.close(reader)
    os.close(writer)


def test_a_socket_is_not_waited_for() -> None:
    """Such as the journal's."""
    here, there = socket.socketpair()
    with here, there:
        spool, lines = make_spool(1 << 18), LogWriter(there.fileno())
        sent = 400 * (500 * b"x" + b"\n")
        received, is_done = b"", False
        for _ in range(4):
            assert spool.add(sent)
            is_done = lines.write_out(spool)
            if not is_done:
                break
        assert not is_done
        while not lines.write_out(spool):
            received += here.recv(1 << 16)
        here.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while piece := here.recv(1 << 16):
                received += piece
        assert received
        assert received == len(received) // len(sent) * sent
        lines.close()


def test_a_pipe_without_a_reader_swallows_lines() -> None:
    """They could go nowhere, and would fill the spool."""
    reader, writer = os.pipe()
    os.close(reader)
    spool, lines = make_spool(1 << 16), LogWriter(writer)
    assert spool.add(b"nobody\n")
    assert lines.write_out(spool)
    assert not spool.has_lines
    lines.close()
    os.close(writer)


@pytest.mark.parametrize(
    ("data", "most_bytes", "cut"),
    [
        pytest.param(b"a\nb\n", 10, b"a\nb\n", id="all"),
        pytest.param(b"a\nb\nccc", 10, b"a\nb\n", id="whole lines"),
        pytest.param(b"aaa\nbbb\n", 7, b"aaa\n", id="no more than so many"),
        pytest.param(b"aaaaa", 10, b"aaaaa", id="no end"),
    ],
)
def test_cut_lines(data: bytes, most_bytes: int, cut: bytes) -> None:
    """Pieces end with a line."""
    assert cut_lines(data, most_bytes) == cut


START = """
import logging, os, sys
from pymacaron.access_log import write_line
from pymacaron.log import ServiceHandler, setup_logging
from pymacaron.log_spool import LogSpool, LogWriter
from pymacaron.request_record import RequestRecord

spool = ServiceHandler.spool = LogSpool(lambda _: None, int(sys.argv[1]))
spool.open()
setup_logging(log_format="json")

def serve(number):
    logging.getLogger("svc").warning("caf\\xe9 \\ud800 %d", number)
    record = RequestRecord({"REQUEST_METHOD": "GET", "PATH_INFO": f"/{number}"})
    write_line(record, 0.001)
"""
SERVED = "for number in range(20):\n    serve(number)\n"


def run(code: str, size_bytes: int) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", START + code, str(size_bytes)], capture_output=True, encoding="utf-8", check=True
    )
    return [json.loads(line)["message"] for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param("LogWriter().write_out(spool)", id="the other process"),
        pytest.param("spool.close()\nspool.close()", id="this one, when the other is gone"),
    ],
)
def test_lines_of_logging_and_of_requests_wait_together(leave: str) -> None:
    """In their order; not one of them comes out before its turn."""
    lines = run(f"{SERVED}assert spool.has_lines\n{leave}\n", 1 << 16)
    expected = [(f"caf\xe9 \ud800 {number}", f"GET /{number} 500 1.0 ms") for number in range(20)]
    assert lines == [line for pair in expected for line in pair]


def test_lines_without_room_are_written_at_once() -> None:
    """None is lost while nobody takes any."""
    lines = run(f"{SERVED}LogWriter().write_out(spool)\n", 1024)
    assert len(lines) == 40
    assert {f"GET /{number} 500 1.0 ms" for number in range(20)} < set(lines)


def test_after_the_other_process_lines_are_written_at_once() -> None:
    """A worker whose supervisor is gone speaks for itself."""
    lines = run("serve(0)\nspool.close()\nserve(1)\nassert not spool.has_lines\n", PIPE_BUF)
    assert lines[1::2] == ["GET /0 500 1.0 ms", "GET /1 500 1.0 ms"]


def test_what_cannot_be_said_breaks_nothing() -> None:
    """Logging deals with a record that has no line as it always does."""
    code = "logging.raiseExceptions = False\nlogging.getLogger().error('%d', 'x')\nserve(1)\nspool.close()\n"
    assert run(code, 1 << 16)[1:] == ["GET /1 500 1.0 ms"]
