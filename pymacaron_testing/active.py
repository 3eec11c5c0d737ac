"""The hooks of a run with contract items; registered only where one was asked for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pymacaron_testing.answer_check import BrokenPromiseError
from pymacaron_testing.coverage import merge_coverage
from pymacaron_testing.ending import ending_on_sigterm, judge_ending
from pymacaron_testing.failure import Failure
from pymacaron_testing.items import Contract, ContractError, ContractItem, DocumentFile
from pymacaron_testing.launch import is_started
from pymacaron_testing.progress import show_progress
from pymacaron_testing.report import summarise, write_report
from pymacaron_testing.report_page import write_page
from pymacaron_testing.run import WORKER_KEY, CouldNotTest, exit_on_startup_error
from pymacaron_testing.target import check_target

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron_testing.run import Run


class ActiveRun:
    """Collects contract items, keeps the report, ends the service."""

    def __init__(self, run: Run) -> None:
        """Take the state of the run."""
        self.run = run
        self._failing = ""
        self._verdict = ""
        self._left = 0
        self._is_selected = False
        self._exits = ExitStack()

    # --- start -----------------------------------------------------------------------------------------------------

    def pytest_sessionstart(self) -> None:
        """Let SIGTERM leave a report, and show how far the run is."""
        show_progress(self.run.config, self.run)
        self._exits.enter_context(ending_on_sigterm())

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Tell early that a named target does not answer."""
        run = self.run
        target = run.settings.target
        if target and not is_started(target) and not run.is_worker and not run.config.option.collectonly:
            with exit_on_startup_error():
                check_target(target)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Start the service once, before the first worker, and tell each worker where it is (pytest-xdist)."""
        with exit_on_startup_error():
            url = self.run.target().url
        node.workerinput[WORKER_KEY] = {
            "target": url,
            "run_salt": self.run.run_salt,
            "elapsed_s": self.run.clock.elapsed_s,
        }

    # --- collection ------------------------------------------------------------------------------------------------

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Turn the service's own documents into contract items, unless another document was named."""
        if self.run.settings.spec is None and self.run.is_own_document(file_path):
            return DocumentFile.build(parent, file_path, self.run)
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the items of documents that are no part of the folder."""
        for source in self._foreign_sources(items):
            with exit_on_startup_error():
                document = self.run.load_document(source)
            name = str(source).rstrip("/").rsplit("/", 1)[-1]
            contract = Contract.build(session, document, self.run, nodeid=f"{name}::contract")
            report = session.ihook.pytest_make_collect_report(collector=contract)
            session.ihook.pytest_collectreport(report=report)
            items += report.result

    def _foreign_sources(self, items: list[pytest.Item]) -> list[str | Path]:
        run = self.run
        if run.settings.spec is not None:
            return run.named_source()
        is_chosen = run.config.args_source is pytest.Config.ArgsSource.ARGS
        if is_chosen or any(isinstance(item, ContractItem) for item in items):
            return []
        with exit_on_startup_error():
            return list(run.find_published())

    def pytest_deselected(self) -> None:
        """Remember that the tester chose items."""
        self._is_selected = True

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what is to run."""
        self.run.report.expect(item.nodeid for item in session.items)
        workers = getattr(session.config, "workerinput", {}).get("workercount", 1)
        self.run.clock.plan(
            sum(item.group.weight for item in session.items if isinstance(item, ContractItem)) / workers
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: list[str]) -> None:
        """Note what the workers are to run."""
        del node
        self.run.report.expect(ids)

    # --- items -----------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Count the requests of each item."""
        item.stash[_SENT_BEFORE] = self.run.count.value
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hang the item's details on pytest's report, which also travels from workers to their controller."""
        report = yield
        failures: list[JsonObject] = []
        if call.excinfo and isinstance(call.excinfo.value, ContractError | BrokenPromiseError):
            failures = [failure.to_dict() for failure in call.excinfo.value.failures]
        elif report.failed:
            failures = [_describe_test_failure(item, report).to_dict()]
        seen_after_s = round(self.run.clock.elapsed_s, 3)
        report.pymacaron = {  # type: ignore[attr-defined]  # TestReport keeps and sends whatever is set on it
            "operation_id": item.operation.operation_id if isinstance(item, ContractItem) else None,
            "requests": self.run.count.value - item.stash.get(_SENT_BEFORE, 0),
            "failures": [{**failure, "seen_after_s": seen_after_s} for failure in failures],
            "reason": _explain(item, report),
            "gaps": list(item.gaps) if isinstance(item, ContractItem) else [],
            "flaky": list(item.outcome.flaky) if isinstance(item, ContractItem) and item.outcome else [],
            "rounds": _describe_rounds(item),
        }
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a phase of an item into the report."""
        details = getattr(report, "pymacaron", None)
        if details is None:
            return
        result = self.run.report.find_item(report.nodeid)
        result.duration_s += report.duration
        if report.when == "call" or report.failed or report.skipped:
            result.worsen("error" if report.failed and report.when != "call" else report.outcome)
        result.operation_id = details["operation_id"]
        result.requests = details["requests"]
        result.failures += details["failures"]
        result.reason = details["reason"] or result.reason
        result.gaps = details["gaps"] or result.gaps
        result.flaky = details["flaky"] or result.flaky
        result.rounds = details["rounds"] or result.rounds

    # --- end -------------------------------------------------------------------------------------------------------

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take over what a worker counted."""
        del error
        output = getattr(node, "workeroutput", {}).get(WORKER_KEY)
        if output:
            if output["error"]:
                raise CouldNotTest(output["error"])
            self.run.report.requests_sent += output["requests"]
            self.run.report.documents = self.run.report.documents or output["documents"]
            self.run.report.coverage = merge_coverage(self.run.report.coverage, output["coverage"])

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Remember why a worker gives up, which its controller is told."""
        if isinstance(excinfo.value, CouldNotTest):
            self._failing = str(excinfo.value)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Stop the service and write the report, however the run ended."""
        self._exits.close()
        report = self.run.report
        self._clean_up(session)
        self.run.stop()
        if self.run.is_worker:
            output = {
                "requests": self.run.count.value,
                "documents": report.documents,
                "coverage": self.run.list_coverage(),
                "error": self._failing,
            }
            self.run.config.workeroutput[WORKER_KEY] = output  # type: ignore[attr-defined]  # pytest-xdist's
            return
        report.requests_sent += self.run.count.value
        if not self.run.config.option.collectonly:
            report.coverage = merge_coverage(report.coverage, self.run.list_coverage())
            report.profile, report.seed = self.run.settings.profile, self.run.settings.seed
            report.users = self.run.count_users()
            exit_code, self._verdict = judge_ending(
                int(exitstatus), report.items.values(), is_selected=self._is_selected
            )
            session.exitstatus = exit_code
            data = report.to_dict(exit_code)
            write_report(data, self.run.settings.report)
            write_page(data, self.run.settings.report.with_suffix(".html"))

    def _clean_up(self, session: pytest.Session) -> None:
        """Delete what the run created, and let the service's conftest.py do the rest."""
        items = getattr(session, "items", ())
        contracts = {item.contract for item in items if isinstance(item, ContractItem)}
        self._left = sum(contract.clean_up() for contract in contracts)
        hook = self.run.config.hook.pytest_pymacaron_cleanup
        if hook.get_hookimpls() and self.run.report.target:
            with self.run.session() as http:
                hook(config=self.run.config, target=self.run.target(), http=http)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was tested and where the report is."""
        run = self.run
        if self._verdict:
            terminalreporter.write_line(self._verdict)
        if run.config.option.collectonly or not run.report.target:
            return
        terminalreporter.write_sep("-", "pymacaron")
        path = run.settings.report
        shown = path.relative_to(run.settings.folder) if path.is_relative_to(run.settings.folder) else path
        terminalreporter.write_line(f"{run.report.requests_sent} requests to {run.report.target}, report in {shown}")
        for line in summarise(run.report):
            terminalreporter.write_line(line)
        if self._left:
            terminalreporter.write_line(f"{self._left} things that the run created could not be deleted again")


_SENT_BEFORE = pytest.StashKey[int]()


def _describe_rounds(item: pytest.Item) -> JsonObject | None:
    rounds = item.outcome.rounds if isinstance(item, ContractItem) and item.outcome else None
    return rounds.to_dict() if rounds is not None else None


def _explain(item: pytest.Item, report: pytest.TestReport) -> str:
    """Return why an item was skipped, or what it saw once and not again."""
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        return str(reason).removeprefix("Skipped: ")
    outcome = item.outcome if isinstance(item, ContractItem) else None
    return "; ".join(outcome.flaky) if outcome is not None and report.when == "call" else ""


def _describe_test_failure(item: pytest.Item, report: pytest.TestReport) -> Failure:
    """Return the failure of a hand-written test in the report's form."""
    path, line, _ = item.location
    crash = getattr(report.longrepr, "reprcrash", None)
    lines = str(getattr(crash, "message", None) or report.longreprtext).strip().splitlines() or [""]
    return Failure(
        operation_id=None,
        check="test",
        promise=f"{item.name} passes",
        answer=lines[0][:300],
        place=f"{path}:{(line or 0) + 1}",
        curl="",
    )
