"""Structured logs: one JSON object a line, with the request id and the user of the request that is being handled."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from typing import ClassVar, Literal, TextIO

from pythonjsonlogger.json import JsonFormatter

from pymacaron.log_spool import LogSpool


class LogContext:
    """Who causes the lines of a log: ``request_id`` and ``user_id``, None where nobody is known."""

    __slots__ = ("request_id", "user_id")

    def __init__(self, request_id: str | None = None, user_id: str | None = None) -> None:
        """Take both ids."""
        self.request_id = request_id
        self.user_id = user_id


log_context_var: ContextVar[LogContext] = ContextVar("pymacaron_log_context", default=LogContext())  # noqa: B039 - never changed

LogFormat = Literal["json", "text", "auto"]
_HANDLER_NAME = "pymacaron"


class _ContextFilter(logging.Filter):
    """Adds ``request_id`` and ``user_id`` to each record."""

    def filter(self, record: logging.LogRecord) -> bool:
        context = log_context_var.get()
        record.request_id = context.request_id
        record.user_id = context.user_id
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
        log_context_var.set(LogContext(context.request_id, user_id))
    else:  # a request's own
        context.user_id = user_id


def current_request_id() -> str | None:
    """Return the id of the request that is being handled, None outside of one."""
    return log_context_var.get().request_id


def current_user_id() -> str | None:
    """Return the user who stands in the logs."""
    return log_context_var.get().user_id


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
