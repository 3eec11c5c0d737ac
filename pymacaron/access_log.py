"""The log's line of each request, written past `logging` where nobody there could tell the difference.

A record, its filters and its formatter cost more than all else that is said of a request.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from logging import INFO, Logger, LogRecord, getLogRecordFactory, root
from select import PIPE_BUF
from time import localtime, strftime, time
from typing import TYPE_CHECKING

from pymacaron.log import ServiceHandler

if TYPE_CHECKING:
    from pymacaron.request_record import RequestRecord

_log = logging.getLogger("pymacaron.access")
_above = logging.getLogger("pymacaron")  # and above that one stands the root
_JSON = '", "level": "INFO", "logger": "pymacaron.access", "message": "'
_TEXT = " INFO    pymacaron.access: "
_NO_TRACE, _TRACE = "}\n", ', "trace_id": "%s"}\n'
# Texts of numbers that a line may need: to make them again takes as long as to write it.
_MOST = 1000
_MILLISECONDS = tuple(f",{number:03d}" for number in range(_MOST))
_STATUSES = tuple(map(str, range(_MOST)))
_TENTHS = tuple(f"{number / 10:.1f}" for number in range(_MOST))
# Sentry, for one, puts a method of its own there.
_call_handlers = Logger.callHandlers if getattr(Logger.callHandlers, "__globals__", None) is vars(logging) else None


_second = 0.0, ""  # one name: threads never see the second of one reading with the text of another


def _read_clock() -> str:
    """Return the time as `logging` writes it; what is the same for a second is made once."""
    global _second  # noqa: PLW0603 - there is one time
    now = time()
    second, text = _second
    if not 0.0 <= now - second < 1.0:
        second = float(int(now))
        text = strftime("%Y-%m-%d %H:%M:%S", localtime(second))
        _second = second, text
    return text + _MILLISECONDS[int((now - second) * 1000.0)]


def write_line(record: RequestRecord, duration_s: float) -> None:
    """Log method, path, status and duration of a request at level INFO, as logger ``pymacaron.access``.

    Where the document says that a value in the path is a secret, the path is the document's template.

    Unprintable characters are escaped, so that no caller writes lines of his own. If the service's own handler is all
    that the line would reach, it goes there directly: one write for one line, so that lines of several processes are
    never mixed and none is lost with a process that dies.
    """
    if not _log.isEnabledFor(INFO):
        return
    path, status, operation = record.path, record.status, record.operation
    if operation is not None and operation.has_secret_path:
        path = operation.path
    request = _requests.get(f"{record.method} {path}") or _show(record.method, path)
    handler = _find_only_handler()
    if handler is not None:
        code = _STATUSES[status] if status < _MOST else str(status)
        tenths = int(duration_s * 10000.0 + 0.5)
        duration_ms = _TENTHS[tenths] if tenths < _MOST else f"{duration_s * 1000.0:.1f}"
        if handler.is_text:
            line = f"{_read_clock()}{_TEXT}{request.text} {code} {duration_ms} ms [{record.request_id}]\n"
        else:
            trace, user_id = record.trace, record.user_id
            user = "null" if user_id is None else encode_basestring_ascii(user_id)
            line = (
                f'{{"time": "{_read_clock()}{_JSON}{request.json} {code} {duration_ms} ms", "request_id": '
                f'"{record.request_id}", "user_id": {user}, "status": {code}'
                f"{_NO_TRACE if trace is None else _TRACE % trace.trace_id}"
            )
        if _write(handler, line):
            return
    _log.info("%s %d %.1f ms", request.text, status, duration_s * 1000, extra={"status": status})


@dataclass(frozen=True, slots=True)
class _Shown:
    """Method and path without what would end a line: as *text*, and as it stands in a string of *json*."""

    text: str
    json: str


_requests: dict[str, _Shown] = {}  # that came before
_MOST_REQUESTS = 4096


def _show(method: str, path: str) -> _Shown:
    text = request = f"{method} {path}"
    if not text.isprintable():
        text = text.encode("unicode_escape").decode()
    shown = _Shown(text, encode_basestring_ascii(text)[1:-1])
    if len(_requests) < _MOST_REQUESTS and len(request) < _MOST:
        _requests[request] = shown
    return shown


def _find_only_handler() -> ServiceHandler | None:
    """Return the service's handler if the line would go there only, and as it is."""
    try:
        (handler,) = root.handlers
    except ValueError:
        return None
    if type(handler) is not ServiceHandler or handler.formatter is not handler.own_formatter or handler.level > INFO:
        return None
    if handler.filters != handler.own_filters or _log.filters or _log.handlers or _above.handlers:
        return None
    if not (_log.propagate and _above.propagate) or Logger.callHandlers is not _call_handlers:
        return None
    return handler if getLogRecordFactory() is LogRecord else None


def _write(handler: ServiceHandler, line: str) -> bool:
    """Write *line* among those that go through *handler*, and tell whether it could be done."""
    stream = handler.stream
    if stream is not sys.__stderr__:
        return False
    data = line.encode() if line.isascii() else line.encode(stream.encoding, stream.errors or "strict")
    spool = handler.spool
    if spool is not None and spool.add(data):
        return True
    lock = handler.lock
    if lock is None or len(data) > PIPE_BUF:
        return False
    lock.acquire()  # faster than a with block
    try:
        os.write(stream.fileno(), data)
    except (OSError, ValueError):  # a pipe that is full; a stream that is closed
        return False
    finally:
        lock.release()
    return True
