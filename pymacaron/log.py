"""Structured logs: one JSON object a line, with the ids of the request that is being handled: its own, user, trace."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ClassVar, Literal, TextIO

from pythonjsonlogger.json import JsonFormatter

from pymacaron.log_spool import LogSpool
from pymacaron.trace_context import Sampler, TraceContext, parse_traceparent


class LogContext:
    """Who causes the lines of a log: ``request_id``, ``user_id`` and ``trace``, None where they are not known."""

    __slots__ = ("request_id", "trace", "user_id")

    def __init__(
        self, request_id: str | None = None, user_id: str | None = None, trace: TraceContext | None = None
    ) -> None:
        """Take all three."""
        self.request_id = request_id
        self.user_id = user_id
        self.trace = trace


log_context_var: ContextVar[LogContext] = ContextVar("pymacaron_log_context", default=LogContext())  # noqa: B039 - never changed

LogFormat = Literal["json", "text", "auto"]
_HANDLER_NAME = "pymacaron"


class _ContextFilter(logging.Filter):
    """Adds ``request_id`` and ``user_id`` to each record, and ``trace_id`` within a trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = log_context_var.get()
        record.request_id = context.request_id
        record.user_id = context.user_id
        if context.trace is not None:
            record.trace_id = context.trace.trace_id
        return True


class _TextFormatter(logging.Formatter):
    """For people: time, level, logger, message, then the request id if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        request_id = getattr(record, "request_id", None)
        return f"{line} [{request_id}]" if request_id else line


class ServiceHandler(logging.StreamHandler[TextIO]):
    """Writes the lines of a service to standard error.

    own_formatter, own_filters: what it was made with, for whoever asks whether somebody changed that. spool: where the
    lines of this process wait for another one that writes them; None: each is written at once.
    """

    spool: ClassVar[LogSpool | None] = None

    def __init__(self, *, is_text: bool) -> None:
        """Write lines for people if *is_text*, else JSON."""
        super().__init__()
        self.set_name(_HANDLER_NAME)
        self.is_text = is_text
        self.own_formatter: logging.Formatter
        if is_text:
            self.own_formatter = _TextFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        else:
            self.own_formatter = JsonFormatter(
                "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s %(user_id)s",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            )
        self.setFormatter(self.own_formatter)
        self.addFilter(_ContextFilter())
        self.own_filters = self.filters[:]

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of *record*, in its turn among those that wait."""
        if self.spool is not None and self.stream is sys.__stderr__:
            try:
                line = (self.format(record) + self.terminator).encode(self.stream.encoding, "backslashreplace")
            except RecursionError:  # as in logging's own
                raise
            except Exception:  # noqa: BLE001 - as in logging's own
                self.handleError(record)
                return
            if self.spool.add(line):
                return
        super().emit(record)


def note_user(user_id: str | None) -> None:
    """Let *user_id* stand in the logs from now on: until the request ends, outside of one in this context."""
    context = log_context_var.get()
    if type(context) is LogContext:
        log_context_var.set(LogContext(context.request_id, user_id, context.trace))
    else:  # a request's own
        context.user_id = user_id


def current_request_id() -> str | None:
    """Return the id of the request that is being handled, None outside of one."""
    return log_context_var.get().request_id


def current_user_id() -> str | None:
    """Return the user who stands in the logs."""
    return log_context_var.get().user_id


def current_trace() -> TraceContext | None:
    """Return the span of the request or task that is being handled, None where nothing is known of a trace."""
    return log_context_var.get().trace


def capture_context() -> dict[str, str]:
    """Return what is known of who causes all this, for work that is done later or elsewhere; see `restored_context`.

    Keys, each only where it is known: ``request_id``, ``user_id``, ``traceparent``, ``tracestate``.
    """
    context = log_context_var.get()
    known = {"request_id": context.request_id, "user_id": context.user_id}
    captured = {name: value for name, value in known.items() if value is not None}
    return captured if context.trace is None else captured | context.trace.to_headers()


@contextmanager
def restored_context(captured: Mapping[str, str], sampler: Sampler | None = None) -> Iterator[LogContext]:
    """Let what `capture_context` returned stand in the logs, and go with calls of other services, within the block.

    sampler: of a service that records spans: the block is one, part of that in which the context was captured.
    """
    traceparent = captured.get("traceparent")
    trace = parse_traceparent(traceparent, captured.get("tracestate")) if traceparent else None
    if sampler is not None:
        trace = sampler.open_span(trace)
    context = LogContext(captured.get("request_id"), captured.get("user_id"), trace)
    token = log_context_var.set(context)
    try:
        yield context
    finally:
        log_context_var.reset(token)


def setup_logging(level: int | str = logging.INFO, log_format: LogFormat = "auto") -> None:
    """Send all logs to standard error, once however often it is called.

    log_format: ``json`` for machines, ``text`` for people, ``auto`` takes text on a terminal and JSON elsewhere.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.get_name() == _HANDLER_NAME]:
        root.removeHandler(handler)
    root.addHandler(ServiceHandler(is_text=log_format == "text" or (log_format == "auto" and sys.stderr.isatty())))
    root.setLevel(level)


def set_level(level: int | str) -> None:
    """Set the level of all logs of the service."""
    logging.getLogger().setLevel(level)


def pymlogger(name: str) -> logging.Logger:
    """Return the logger called *name*; the name that services of pymacaron 2 import."""
    return logging.getLogger(name)
