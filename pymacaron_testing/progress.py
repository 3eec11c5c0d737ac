"""One line on a terminal that says what is being tested now."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pymacaron_testing.run import Run

_PERIOD_S = 0.1
_ERASE = "\r\x1b[2K"


class ProgressLine:
    """Shows the current item, requests, failures and time, in place of pytest's dots."""

    def __init__(
        self, run: Run, reporter: pytest.TerminalReporter, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Write through *reporter*. now: gives seconds from any moment on."""
        self._run = run
        self._reporter = reporter
        self._now = now
        self._started_at = now()
        self._drawn_at = 0.0
        self._current = ""
        self._done: set[str] = set()
        self._total = 0
        self._failed = 0
        self._sent = 0
        self._is_drawn = False
        run.count.subscribe(self._tick)

    def describe(self) -> str:
        """Return the line."""
        elapsed_s = int(self._now() - self._started_at)
        sent = max(self._sent, self._run.count.value)
        parts = [
            f"{len(self._done)}/{self._total} items",
            f"{sent:,} requests",
            f"{self._failed} failed",
            f"{elapsed_s // 60}:{elapsed_s % 60:02}",
        ]
        return " · ".join([*parts, self._current] if self._current else parts)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Learn how many items there are."""
        self._total = max(self._total, len(session.items))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Learn how many items the workers have."""
        self._total = max(self._total, len(ids))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show what begins."""
        self._current = nodeid.rpartition("::")[2]
        self._draw()

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Count what ended, without a dot where all is well: the line says it."""
        details = getattr(report, "pymacaron", None)
        if report.when != "call" and not report.failed and not report.skipped:
            return None
        if report.nodeid not in self._done and details is not None:
            self._sent += details["requests"]
        self._done.add(report.nodeid)
        self._failed += bool(report.failed)
        return (report.outcome, "", "") if report.outcome in {"passed", "skipped", "failed"} else None

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self) -> None:
        """Show the new numbers."""
        self._draw()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Take the line away."""
        if self._is_drawn:
            self._reporter.write(_ERASE)
            self._is_drawn = False
        self._run.count.subscribe(None)

    def _tick(self) -> None:
        if self._now() - self._drawn_at >= _PERIOD_S:
            self._draw()

    def _draw(self) -> None:
        self._drawn_at = self._now()
        width = shutil.get_terminal_size().columns - 1
        text = self.describe()
        self._reporter.write(_ERASE + (text if len(text) <= width else text[: width - 1] + "…"), flush=True)
        self._is_drawn = True


def show_progress(config: pytest.Config, run: Run) -> None:
    """Show the line if there is a terminal to show it on and nobody asked for more, or less, than dots."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    is_plain = config.get_verbosity() == 0 and config.getoption("capture") != "no"
    if reporter is None or run.is_worker or not is_plain or not reporter.isatty or config.option.collectonly:
        return
    config.pluginmanager.register(ProgressLine(run, reporter), "pymacaron-progress")
