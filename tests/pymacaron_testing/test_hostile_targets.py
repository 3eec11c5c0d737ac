"""Whatever the target does, a run ends in time, with exit code 2 or failures, and never with a traceback of ours."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat

import pytest

from pymacaron.config import set_config

pytest_plugins = ["pytester"]

DOCUMENT = """
openapi: 3.1.0
info: {title: T, version: '1'}
paths:
  /things:
    get:
      operationId: list_things
      responses: {'200': {description: ok, content: {application/json: {schema: {type: array}}}}}
  /things/{id}:
    get:
      operationId: get_thing
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses: {'200': {description: ok, content: {application/json: {schema: {type: object}}}}}
"""
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _drip(start: bytes, part: bytes) -> Iterator[bytes]:
    yield start
    while True:
        time.sleep(0.05)
        yield part


def _be_silent(_path: bytes) -> Iterator[bytes]:
    time.sleep(60)
    yield b""


def _redirect(location: bytes) -> Callable[[bytes], list[bytes]]:
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: "
    return lambda path: [head + location.replace(b"PATH", path) + b"\r\n\r\n"]


# What is sent for a request of a path, in parts.
ANSWERS: dict[str, Callable[[bytes], Iterable[bytes]]] = {
    "silence": _be_silent,
    "closed": lambda _: [],
    "another protocol": lambda _: [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "head that drips": lambda _: _drip(b"", b"x"),
    "many headers": lambda _: chain([JSON], repeat(b"X-A: b\r\n" * 1000)),
    "long header": lambda _: chain([JSON, b"X-A: "], repeat(b"b" * 10_000)),
    "login": _redirect(b"http://login.invalid/login?next=PATH"),
    "https": _redirect(b"https://secure.invalidPATH"),
    "body that drips": lambda _: _drip(JSON + b"Content-Length: 9999\r\n\r\n", b" "),
    "short body": lambda _: [JSON, b"Content-Length: 500\r\n\r\n[]"],
    "wrong chunks": lambda _: [JSON, b"Transfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n"],
    "wrong gzip": lambda _: [JSON, b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]"],
    "odd bytes": lambda _: [
        b"HTTP/1.1 200 \xff\xfe\r\nContent-Type: \xff\xfe\r\nX: \x01\r\nContent-Length: 3\r\n\r\n\x00\xff\xfe"
    ],
    "endless body": lambda _: chain([JSON, b"\r\n["], repeat(b"1," * 50_000)),
    "broken document": lambda _: [
        JSON.replace(b"json", b"yaml"),
        b"Connection: close\r\n\r\nopenapi: 3.1.0\n\tpaths: [}{",
    ],
}


@pytest.fixture
def hostile() -> Iterator[Callable[[str], str]]:
    """Give a function that starts a server which answers each request in one way, and returns its URL."""
    listeners: list[socket.socket] = []

    def answer(connection: socket.socket, kind: str) -> None:
        with contextlib.suppress(OSError, IndexError), connection:
            data = b""
            while b"\r\n\r\n" not in data:
                part = connection.recv(65_536)
                if not part:
                    return
                data += part
            for part in ANSWERS[kind](data.split()[1]):
                connection.sendall(part)

    def serve(kind: str) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection, kind), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture(autouse=True)
def _impatient(_loaded_engine: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait a short time only, and leave no configuration behind."""
    monkeypatch.setattr("pymacaron_testing.target._PROBE_TIMEOUT_S", 0.7)
    monkeypatch.setattr("pymacaron_testing.target._METRICS_TIMEOUT_S", 0.3)
    yield
    set_config(None)


def run(pytester: pytest.Pytester, url: str, *arguments: str) -> tuple[pytest.RunResult, float]:
    """Test the target against the document. Returns the result and the seconds it took."""
    pytester.path.joinpath("doc.yaml").write_text(DOCUMENT)
    started = time.monotonic()
    options = ("-p", "no:cacheprovider", "--pymacaron-max-examples=0", f"--pymacaron-target={url}", *arguments)
    result = pytester.runpytest_inprocess(*options)
    assert "Traceback" not in result.stdout.str()
    assert "INTERNALERROR" not in result.stdout.str()
    assert (pytester.path / "pymacaron-report.json").exists()
    return result, time.monotonic() - started


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("silence", "it does not answer (it took too long)"),
        ("closed", "it does not answer (it closed the connection without an answer)"),
        ("another protocol", "it does not answer (its answer is no HTTP)"),
        ("head that drips", "it does not answer (it took too long)"),
        ("many headers", "it does not answer (it sends more than 100 headers)"),
        ("long header", "it does not answer (it sends a header of more than 65,536 bytes)"),
        ("login", "it redirects everything to http://login.invalid/login. Say who asks: --pymacaron-auth"),
        (
            "https",
            "it redirects everything to https://secure.invalid. Write --pymacaron-target=https://secure.invalid.",
        ),
    ],
)
def test_could_not_test(pytester: pytest.Pytester, hostile: Callable[[str], str], kind: str, reason: str) -> None:
    """A target that answers no request ends the run at once with exit code 2 and the reason."""
    result, duration_s = run(pytester, hostile(kind), "--pymacaron-spec=doc.yaml")
    assert result.ret == 2
    assert f": {reason}" in result.stdout.str()
    assert duration_s < 10


def test_broken_document(pytester: pytest.Pytester, hostile: Callable[[str], str]) -> None:
    """A published document that cannot be read ends the run with exit code 2 and its fault."""
    result, duration_s = run(pytester, hostile("broken document"))
    assert result.ret == 2
    assert "! CouldNotTest: http://127.0.0.1:" in result.stdout.str()
    assert duration_s < 10


@pytest.mark.parametrize("kind", ["short body", "wrong chunks", "wrong gzip", "odd bytes"])
def test_broken_answers(pytester: pytest.Pytester, hostile: Callable[[str], str], kind: str) -> None:
    """A target whose answers are broken has broken its promises."""
    result, duration_s = run(pytester, hostile(kind), "--pymacaron-spec=doc.yaml", "-k", "responses")
    assert result.ret == 1
    result.assert_outcomes(failed=2, deselected=result.parseoutcomes()["deselected"])
    assert duration_s < 20


@pytest.mark.parametrize(("kind", "exit_codes"), [("body that drips", {2}), ("endless body", {1, 2})])
def test_the_limit(pytester: pytest.Pytester, hostile: Callable[[str], str], kind: str, exit_codes: set[int]) -> None:
    """A target that keeps every request busy ends the run after its time; nothing judged is no success."""
    result, duration_s = run(pytester, hostile(kind), "--pymacaron-spec=doc.yaml", "--pymacaron-max-time=3")
    assert result.ret in exit_codes
    assert duration_s < 12
    if result.ret == 2:
        result.stdout.fnmatch_lines(["could not test: no contract item could be judged: time ran out (* items)"])
