"""Errors that a service reports: to its log, to Sentry, and to its own ``error_reporter``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from flask import Flask

from pymacaron.events import ErrorReported
from pymacaron.log import capture_context
from pymacaron.service import ErrorReporter, Service, service_of
from pymacaron_monitoring.cardinality import Budget
from pymacaron_monitoring.declared import OTHER
from pymacaron_monitoring.ending import FLUSH_AT_EXIT_S, call_at_exit
from pymacaron_monitoring.families import ERROR_KINDS, REPORT_OUTCOMES, ReportOutcome
from pymacaron_monitoring.metrics import get_report_counter
from pymacaron_monitoring.outbox import Outbox, Report, Reporter, TryLaterError, is_reporting
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.release import find_environment, find_release
from pymacaron_monitoring.report_limit import ReportLimit, SharedLimit, find_fingerprint, name_kind
from pymacaron_monitoring.sentry import SentryReporter
from pymacaron_monitoring.store import store_of

log = logging.getLogger(__name__)

_EXTENSION = "pymacaron_monitoring.errors"
_MOST_KINDS = 200  # that are counted by their names: a service whose errors are never alike keeps room for the rest


def init_app(app: Flask) -> None:
    """Send the errors of the service in *app* to its reporters; a second call changes nothing.

    Raises: ConfigError: ``sentry_dsn`` is no DSN, or sentry-sdk is missing.
    """
    if _EXTENSION in app.extensions:
        return
    service = service_of(app)
    app.extensions[_EXTENSION] = dispatcher = Dispatcher(service)
    service.bus.subscribe(ErrorReported, dispatcher.report)
    call_at_exit(dispatcher.close)


def flush_reports(app: Flask, timeout_s: float = FLUSH_AT_EXIT_S) -> bool:
    """Wait until the errors of the service in *app* were handed to its reporters; tell whether they were in time."""
    dispatcher = app.extensions.get(_EXTENSION)
    return not isinstance(dispatcher, Dispatcher) or dispatcher.flush(timeout_s)


class Dispatcher:
    """Writes each error to the log and, of each kind one in a while, to the outboxes of the other reporters."""

    def __init__(self, service: Service) -> None:
        """Take the service whose configuration says what reporters there are."""
        self._service = service
        self._release = find_release(service).version
        self._reporters = _make_reporters(service, self._release)
        self._budget = Budget(store_of(service.app), service.config.metrics_series_budget)
        self._kinds: set[str] = set()
        self._state = _State(self)
        for name in ("log", *(reporter.name for reporter in self._reporters)):
            for outcome in REPORT_OUTCOMES if name != "log" else ("sent",):
                get_report_counter(service.app, name, outcome)

    def report(self, event: ErrorReported) -> None:
        """Tell of an error; takes microseconds besides the log's line."""
        _log_error(event)
        self.count("log", "sent")
        if event.fatal:
            self._count_kind(event)
        if not self._reporters or is_reporting():
            return
        fingerprint = find_fingerprint(event)
        for lane in self._of_this_process().lanes:
            held_back = lane.limit.take(fingerprint)
            if held_back is None:
                self.count(lane.name, "limited")
                continue
            report = Report(event, self._complete(event, held_back), fingerprint, capture_context())
            if not lane.outbox.put(report):
                lane.limit.forget(fingerprint)

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing waits any more, at most so long; tell whether that is so."""
        return all(lane.outbox.flush(timeout_s) for lane in self._of_this_process().lanes)

    def close(self) -> None:
        """Send what waits, in the time that a process has at its end."""
        if self._state.pid == os.getpid():
            for lane in self._state.lanes:
                lane.outbox.close(FLUSH_AT_EXIT_S / len(self._state.lanes))

    def count(self, reporter: str, outcome: ReportOutcome) -> None:
        """Count what became of an error at one reporter."""
        get_report_counter(self._service.app, reporter, outcome).add()

    def _count_kind(self, event: ErrorReported) -> None:
        operation_id, found = str(event.data.get("operation_id") or ""), name_kind(event)
        if found in self._kinds or len(self._kinds) < _MOST_KINDS:
            self._kinds.add(found)
        else:
            found = OTHER
        wanted, other = (Key(ERROR_KINDS.name, (operation_id, kind)) for kind in (found, OTHER))
        self._budget.get(wanted, other).add()

    def make_lanes(self) -> list[_Lane]:
        """Return the way to each reporter, on which nothing has gone yet."""
        interval_s, store = self._service.config.error_report_interval, store_of(self._service.app)
        return [
            _Lane(one, self.count, interval_s, store.find_file(f"reports-{one.name}.limit")) for one in self._reporters
        ]

    def _of_this_process(self) -> _State:
        """Return queues and threads: those of the process that forked this one are not here."""
        if self._state.pid != os.getpid():
            self._state = _State(self)
        return self._state

    def _complete(self, event: ErrorReported, held_back: int) -> dict[str, object]:
        config = self._service.config
        data = {
            **event.data,
            "error_id": event.error_id,
            "release": self._release,
            "environment": find_environment(config),
        }
        return data | {"repeated": held_back} if held_back else data


class _State:
    """What belongs to one process."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.pid = os.getpid()
        self.lanes = dispatcher.make_lanes()


class _Lane:
    """The way to one reporter: one error of a kind in an interval, from all processes of the service together.

    file: where the processes meet; None if there is no other one.
    """

    def __init__(
        self, reporter: Reporter, count: Callable[[str, ReportOutcome], object], interval_s: float, file: Path | None
    ) -> None:
        self.name = reporter.name
        self.limit = ReportLimit(interval_s)
        self._shared = _Shared(reporter, SharedLimit(file, interval_s)) if file and interval_s > 0 else None
        self.outbox = Outbox(self._shared or reporter, count, give_up=self._forget)

    def _forget(self, report: Report) -> None:
        """Let the next error of the kind try again: nobody was told of this one."""
        self.limit.forget(report.fingerprint)
        if self._shared is not None:
            self._shared.forget(report)


class _Shared:
    """A reporter that takes what a limit of all processes lets through."""

    def __init__(self, reporter: Reporter, limit: SharedLimit) -> None:
        self.name = reporter.name
        self._reporter = reporter
        self._limit = limit
        self._tried_id = ""

    def send(self, report: Report) -> ReportOutcome:
        is_tried_again, self._tried_id = self._tried_id == report.event.error_id, ""
        if not is_tried_again and not self._limit.take(report.fingerprint):
            return "limited"
        try:
            return self._reporter.send(report)
        except TryLaterError:
            self._tried_id = report.event.error_id
            raise

    def forget(self, report: Report) -> None:
        self._tried_id = ""
        self._limit.forget(report.fingerprint)


class _FunctionReporter:
    """The service's own function, called in the app's context."""

    name = "error_reporter"

    def __init__(self, app: Flask, function: ErrorReporter) -> None:
        self._app = app
        self._function = function

    def send(self, report: Report) -> ReportOutcome:
        with self._app.app_context():
            self._function(report.event.title, report.data, report.event.exception)
        return "sent"


def _make_reporters(service: Service, release: str) -> list[Reporter]:
    reporters: list[Reporter] = []
    if service.config.sentry_dsn is not None:
        reporters.append(SentryReporter(service.config, release, find_environment(service.config)))
    if service.error_reporter is not None:
        reporters.append(_FunctionReporter(service.app, service.error_reporter))
    return reporters


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
