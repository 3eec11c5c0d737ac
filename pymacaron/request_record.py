"""What is known of one request while it is handled."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING

from pymacaron.log import LogContext, log_context_var
from pymacaron.trace_context import parse_traceparent

if TYPE_CHECKING:
    from contextvars import Token

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.wrappers import Response

    from pymacaron.spec import Operation

_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
_MOST_DIGITS = 20
_MOST_LENGTHS = 4096

# Own source of random bits: a service that seeds the common one would give the same ids in each worker.
_random = Random()  # noqa: S311 - ids need to be different, not secret
_ids: list[str] = []
_IDS_AT_ONCE = 64
_ID_DIGITS = 32


def _make_ids() -> str:
    """Return a new id; more of them, which cost a third when they are made together, wait in `_ids`."""
    text = _random.randbytes(_IDS_AT_ONCE * _ID_DIGITS // 2).hex()
    first, *rest = [text[start : start + _ID_DIGITS] for start in range(0, len(text), _ID_DIGITS)]
    _ids.extend(rest)
    return first


def _forget_ids() -> None:
    """Let a fork have ids of its own."""
    _random.seed()
    _ids.clear()


os.register_at_fork(after_in_child=_forget_ids)


class _Lengths(dict[str, int | None]):
    """Content-Length -> bytes, None where it is no number: to read the text each time takes six times as long."""

    def __missing__(self, text: str) -> int | None:
        length = int(text) if text.isdecimal() and len(text) < _MOST_DIGITS else None
        if len(self) < _MOST_LENGTHS:
            self[text] = length
        return length


LENGTHS: Mapping[str, int | None] = _Lengths()


class RequestRecord(LogContext):
    """What is known of the request so far; filled in while it is handled.

    started_s: of `time.perf_counter`. is_started: it was told that the request arrived. response_bytes: of the body.
    outer: the record that this one hides, and where, while another app passes its request on.
    """

    __slots__ = (
        "exception",
        "is_started",
        "is_streamed",
        "method",
        "operation",
        "outer",
        "path",
        "request_bytes",
        "response_bytes",
        "started_s",
        "status",
        "token",
    )
    request_id: str
    token: Token[LogContext]

    def __init__(self, environ: WSGIEnvironment) -> None:
        """Take what *environ* says: the id from ``X-Request-Id`` if it is sane, else a new one; the caller's trace."""
        self.started_s = perf_counter()
        given_id = environ.get("HTTP_X_REQUEST_ID")
        if given_id is not None and _SANE_ID.match(given_id):
            self.request_id = given_id
        else:
            try:
                self.request_id = _ids.pop()
            except IndexError:
                self.request_id = _make_ids()
        given_trace = environ.get("HTTP_TRACEPARENT")
        self.trace = None if given_trace is None else parse_traceparent(given_trace, environ.get("HTTP_TRACESTATE"))
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO", "")
        length = environ.get("CONTENT_LENGTH")
        self.request_bytes = (LENGTHS[length] or 0) if length else 0
        self.operation: Operation | None = None
        self.status = 500
        self.is_started = False
        self.is_streamed = False
        self.response_bytes = 0
        self.user_id: str | None = None
        self.exception: BaseException | None = None
        self.outer: tuple[WSGIEnvironment, RequestRecord] | None = None

    def note_response(self, response: Response) -> None:
        """Take what *response* says of its body, after the hooks that may change it."""
        self.is_streamed = response.is_streamed
        self.response_bytes = 0 if response.is_streamed else response.calculate_content_length() or 0

    def enter(self) -> None:
        """Let this request's id and user stand in the logs of this thread."""
        self.token = log_context_var.set(self)

    def leave(self) -> None:
        """Let stand in the logs what stood there before `enter`; to be called once, in its thread."""
        log_context_var.reset(self.token)
