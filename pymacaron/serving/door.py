"""Hands each request of granian to the app, and knows which ones are running."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any, Protocol

Headers = list[tuple[str, str]]
STREAM = -1  # in place of a request's number while its answer is streamed, which may take as long as it likes


class Answer(Protocol):
    """Where granian takes an answer."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the whole body."""

    def response_iter(self, status: int, headers: Headers, body: Any) -> None:
        """Send pieces until *body* ends."""


_codes: dict[str, int] = {}  # of status lines that were sent: to read the number again takes ten times as long
_MOST_CODES = 1000


class _Start:
    """WSGI's ``start_response``; remembers what it is given."""

    __slots__ = ("headers", "status")

    def __init__(self) -> None:
        self.status = 200
        self.headers: Headers = []

    def __call__(self, status: str, headers: Headers, exc_info: object = None) -> None:  # noqa: ARG002
        """Take status and headers of the answer."""
        self.status = _codes.get(status) or _read_code(status)
        self.headers = headers


def _read_code(status: str) -> int:
    code = int(status[:3])
    if len(_codes) < _MOST_CODES:
        _codes[status] = code
    return code


class _Pieces:
    """An answer's iterable as granian reads it."""

    __slots__ = ("__next__", "_body")

    def __init__(self, body: Iterable[bytes]) -> None:
        self._body = body
        self.__next__ = iter(body).__next__

    def close(self) -> None:
        """Tell the app that the answer has ended."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


class Door:
    """Calls *app*, as WSGI says, for each request; ``door(answer, environ)``.

    is_leaving: from now on each answer closes its connection. running: thread -> number of the request it is busy
    with, or `STREAM`.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        """Open the door to *app*."""
        self.is_leaving = False
        self.running: dict[int, int] = {}
        self._app = app
        self._numbers = itertools.count()
        self._looks = 0
        self._base: dict[str, Any] = {
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SCRIPT_NAME": "",
            "SERVER_SOFTWARE": "Granian",
            "wsgi.errors": sys.stderr,
            "wsgi.input_terminated": True,
            "wsgi.multiprocess": True,
            "wsgi.multithread": True,
            "wsgi.run_once": False,
            "wsgi.version": (1, 0),
        }

    def __call__(self, answer: Answer, environ: dict[str, Any]) -> None:
        """Answer one request."""
        thread = get_ident()
        self.running[thread] = next(self._numbers)
        try:
            environ.update(self._base)
            start = _Start()
            body = self._app(environ, start)
            headers = [*start.headers, ("Connection", "close")] if self.is_leaving else start.headers
            if type(body) is list or isinstance(body, list | tuple):  # the second takes ten times as long
                answer.response_bytes(start.status, headers, b"".join(body))
            else:
                self.running[thread] = STREAM
                answer.response_iter(start.status, headers, _Pieces(body))
        finally:
            del self.running[thread]

    def count(self) -> int:
        """Return how many requests came so far."""
        number = next(self._numbers) - self._looks
        self._looks += 1
        return number
