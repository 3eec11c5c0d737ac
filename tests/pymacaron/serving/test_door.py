"""Each request of granian is a WSGI call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pymacaron.serving.door import STREAM, Door

HEADERS = [("Content-Type", "text/plain")]


class Sent:
    """What granian was told to send, and what was running then."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.answers: list[tuple[int, list[tuple[str, str]], bytes]] = []
        self.door: Door | None = None
        self.running: list[int] = []

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Note the answer."""
        self.answers.append((status, headers, body))

    def response_iter(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        """Read the pieces as granian does."""
        pieces = []
        while True:
            try:
                pieces.append(body.__next__())
            except StopIteration:
                break
        body.close()
        if self.door:
            self.running = list(self.door.running.values())
        self.answers.append((status, headers, b"|".join(pieces)))


class Closing:
    """Pieces that want to know when they are done."""

    def __init__(self) -> None:
        """Begin open."""
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield two pieces."""
        return iter([b"a", b"b"])

    def close(self) -> None:
        """Note it."""
        self.is_closed = True


def serve(body: Iterable[bytes], status: str = "201 CREATED") -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        assert environ["wsgi.input_terminated"]
        assert "PATH" not in environ
        start_response(status, HEADERS)
        return body

    return app


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        pytest.param([b"whole"], b"whole", id="one piece"),
        pytest.param([b"a", b"b"], b"ab", id="a list"),
        pytest.param((), b"", id="nothing"),
        pytest.param(iter([b"a", b"b"]), b"a|b", id="an iterator"),
    ],
)
def test_answers(body: Iterable[bytes], sent: bytes) -> None:
    """Lists go at once, everything else piece by piece."""
    answer = Sent()
    Door(serve(body))(answer, {"PATH_INFO": "/"})
    assert answer.answers == [(201, HEADERS, sent)]


def test_streams_are_closed_and_marked() -> None:
    """A stream runs as one, and is closed at its end."""
    body, answer = Closing(), Sent()
    answer.door = Door(serve(body))
    answer.door(answer, {})
    assert body.is_closed
    assert answer.running == [STREAM]
    assert answer.door.running == {}


def test_who_leaves_closes_connections() -> None:
    """Each answer says so; the app's own list of headers stays as it is."""
    answer, door = Sent(), Door(serve([b""], "200 OK"))
    door.is_leaving = True
    door(answer, {})
    assert answer.answers == [(200, [*HEADERS, ("Connection", "close")], b"")]
    assert len(HEADERS) == 1


def test_running_requests_are_known() -> None:
    """While the app works, its thread is there; an app that raises is not there any more."""
    seen: list[dict[int, int]] = []

    def app(_environ: dict[str, Any], _start_response: object) -> Iterable[bytes]:
        seen.append(dict(door.running))
        raise ZeroDivisionError

    door = Door(app)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            door(Sent(), {})
    assert seen == [{threading.get_ident(): 0}, {threading.get_ident(): 1}]
    assert door.running == {}
    assert [door.count(), door.count()] == [2, 2]
