"""Errors that a service reports: to its log, and to its own ``error_reporter``."""

from __future__ import annotations

import logging
from contextvars import ContextVar

from flask import Flask

from pymacaron.events import ErrorReported
from pymacaron.service import ErrorReporter, Service, service_of
from pymacaron_monitoring.families import ReportOutcome
from pymacaron_monitoring.metrics import get_report_counter

log = logging.getLogger(__name__)

_EXTENSION = "pymacaron_monitoring.errors"
_OUTCOMES: tuple[ReportOutcome, ...] = ("sent", "failed")
_is_reporting: ContextVar[bool] = ContextVar("pymacaron_is_reporting", default=False)


def init_app(app: Flask) -> None:
    """Send the errors of the service in *app* to its reporters; a second call changes nothing."""
    if _EXTENSION in app.extensions:
        return
    service = service_of(app)
    app.extensions[_EXTENSION] = reporters = _Reporters(service)
    service.bus.subscribe(ErrorReported, reporters.report)


class _Reporters:
    """Hands each error to the log, then to the service's own function."""

    def __init__(self, service: Service) -> None:
        self._service = service
        for reporter in ("log", "error_reporter") if service.error_reporter else ("log",):
            for outcome in _OUTCOMES:
                get_report_counter(service.app, reporter, outcome)

    def report(self, event: ErrorReported) -> None:
        _log_error(event)
        self._count("log", "sent")
        reporter = self._service.error_reporter
        if reporter is not None and not _is_reporting.get():
            self._count("error_reporter", "sent" if _call_reporter(reporter, event) else "failed")

    def _count(self, reporter: str, outcome: ReportOutcome) -> None:
        get_report_counter(self._service.app, reporter, outcome).add()


def _log_error(event: ErrorReported) -> None:
    """Write one line; ``request_id`` and ``user_id`` of the request that is being handled come from the log itself.

    The trace is the event's, from which secrets were removed, not the exception's own.
    """
    facts = {
        "error_id": event.error_id,
        "title": event.title,
        "operation_id": event.data.get("operation_id"),
        "status": event.data.get("status"),
    }
    level = logging.ERROR if event.fatal else logging.WARNING
    if log.isEnabledFor(level):
        words = (event.title, event.error_id)
        record = log.makeRecord(log.name, level, __file__, 0, "%s (error_id %s)", words, None, extra=facts)
        record.exc_text = str(event.data["trace"]) if event.data.get("trace") else None
        log.handle(record)


def _call_reporter(reporter: ErrorReporter, event: ErrorReported) -> bool:
    """Call the service's function and tell whether it took the error.

    What it reports itself meanwhile goes to the log only, not round in circles.
    """
    token = _is_reporting.set(True)
    try:
        reporter(event.title, {**event.data, "error_id": event.error_id}, event.exception)
    except Exception:
        log.exception("error_reporter failed; error_id %s stands in the log only", event.error_id)
        return False
    finally:
        _is_reporting.reset(token)
    return True
