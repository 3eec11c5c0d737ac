"""Hands reports to a reporter in a thread of its own, so that no request waits for it."""

from __future__ import annotations

import logging
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pymacaron.log import restored_context

if TYPE_CHECKING:
    from pymacaron.events import ErrorReported
    from pymacaron_monitoring.families import ReportOutcome

log = logging.getLogger(__name__)

MOST_WAITING = 100
_PAUSES_S = (1.0, 5.0, 15.0)
_IDLE_S = 60.0
_is_reporting: ContextVar[bool] = ContextVar("pymacaron_is_reporting", default=False)


@dataclass(frozen=True, slots=True)
class Report:
    """An error on its way to reporters.

    data: what the event says, with ``release``, ``environment`` and, where some were held back, ``repeated``.
    fingerprint: the same for all errors of its kind. context: of `capture_context`. time_s: since the epoch.
    """

    event: ErrorReported
    data: dict[str, object]
    fingerprint: bytes
    context: Mapping[str, str] = field(default_factory=dict)
    time_s: float = field(default_factory=time.time)


def is_reporting() -> bool:
    """Tell whether a reporter is at work here: what it reports itself must not go round in circles."""
    return _is_reporting.get()


class TryLaterError(Exception):
    """A reporter could not take a report now: what it needs does not answer."""


class Reporter(Protocol):
    """Takes reports: Sentry, or a function of the service."""

    @property
    def name(self) -> str:
        """Its name in metrics and logs."""
        ...

    def send(self, report: Report) -> ReportOutcome:
        """Hand *report* on. Raises: TryLaterError: it may be worth trying again; anything else counts as failed."""
        ...


class Outbox:
    """A queue of limited length before one reporter; of one process."""

    def __init__(
        self,
        reporter: Reporter,
        count: Callable[[str, ReportOutcome], object],
        *,
        give_up: Callable[[Report], object] = lambda _: None,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """Take the *reporter*, and what counts its outcomes by its name.

        give_up: called with each report that could not be sent, because what the reporter needs did not answer.
        """
        self._reporter = reporter
        self._count = count
        self._give_up = give_up
        self._reports: queue.Queue[Report] = queue.Queue(most_waiting)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_hurried = threading.Event()

    def put(self, report: Report) -> bool:
        """Let *report* be sent; return False, and count it as dropped, if too many wait. Never waits itself."""
        try:
            self._reports.put_nowait(report)
        except queue.Full:
            self._count(self._reporter.name, "dropped")
            return False
        self._start()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until all reports are sent, or *timeout_s* seconds; tell whether they are."""
        end = time.monotonic() + timeout_s
        while self._reports.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.005)
        return not self._reports.unfinished_tasks

    def close(self, timeout_s: float) -> None:
        """Send what waits, without trying again what fails; after *timeout_s* seconds count the rest as dropped."""
        self._is_hurried.set()
        self.flush(timeout_s)
        for _ in range(self._reports.unfinished_tasks):
            self._count(self._reporter.name, "dropped")

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                name = f"reports-{self._reporter.name}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        _is_reporting.set(True)
        while True:
            try:
                report = self._reports.get(timeout=_IDLE_S)
            except queue.Empty:
                with self._lock:
                    if self._reports.empty():
                        self._thread = None
                        return
                continue
            try:
                with restored_context(report.context):
                    self._count(self._reporter.name, self._send(report))
            except Exception:  # a thread that ends sends nothing any more
                log.exception("A report could not be counted")
            finally:
                self._reports.task_done()
                del report

    def _send(self, report: Report) -> ReportOutcome:
        for pause_s in (*_PAUSES_S, None):
            try:
                return self._reporter.send(report)
            except TryLaterError as error:
                if pause_s is None or self._is_hurried.is_set():
                    log.warning("%s: error_id %s stands in the log only: %s", *self._name(report), error)
                    self._give_up(report)
                    return "failed"
                self._is_hurried.wait(pause_s)
            except Exception:  # noqa: BLE001 - told of without the secrets that it may hold
                trace = report.event.redact(traceback.format_exc())
                log.error("%s failed; error_id %s stands in the log only\n%s", *self._name(report), trace)  # noqa: TRY400
                return "failed"
        return "failed"

    def _name(self, report: Report) -> tuple[str, str]:
        return self._reporter.name, report.event.error_id
