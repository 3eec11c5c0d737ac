"""Contract items: ordinary pytest items, one per operation and check group."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pymacaron.exceptions import StartupError
from pymacaron.spec import find_line
from pymacaron_testing.checks import GROUPS, Group
from pymacaron_testing.checks.baseline import Baseline, check_baseline
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.detour import check_detour
from pymacaron_testing.leftovers import clean_up
from pymacaron_testing.order import order_operations
from pymacaron_testing.run import CouldNotTest, Document, Run
from pymacaron_testing.suite import Suite, build_suite
from pymacaron_testing.waivers import apply_waivers
from pymacaron_testing.wire import READ_ONLY, TIME_RAN_OUT, NotSentError, TargetLostError, name_of

if TYPE_CHECKING:
    from pymacaron.spec import Operation
    from pymacaron_testing.failure import Failure


_CLEANUP_S = 20.0
_LEAST_CLEANUP_S = 1.5


_MOCK = "the target is a mock, which keeps nothing"


class ContractError(Exception):
    """A target broke its document; *failures* says how."""

    def __init__(self, failures: tuple[Failure, ...]) -> None:
        """Take the failures of one item."""
        super().__init__(f"{len(failures)} broken promises")
        self.failures = failures


class DocumentFile(pytest.File):
    """A document on disk: ``apis/pets.yaml``."""

    run: Run

    @classmethod
    def build(cls, parent: pytest.Collector, path: Path, run: Run) -> DocumentFile:
        """Return the collector of the document at *path*."""
        collector: DocumentFile = cls.from_parent(parent, path=path)
        collector.run = run
        return collector

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield the document's one collector, called ``contract``."""
        try:
            document = self.run.load_document(self.path)
        except StartupError as error:
            raise self.CollectError(str(error)) from error
        yield Contract.build(self, document, self.run)


class Contract(pytest.Collector):
    """All contract items of a document."""

    run: Run
    document: Document
    _suite: Suite | None = None
    _baseline: Baseline | None = None
    _told: dict[tuple[str | None, tuple[str, ...]], ContractItem]

    @classmethod
    def build(cls, parent: pytest.Collector, document: Document, run: Run, nodeid: str | None = None) -> Contract:
        """Return the collector of *document*. nodeid: for documents that are no files below the root."""
        collector: Contract = cls.from_parent(parent, name="contract", **({"nodeid": nodeid} if nodeid else {}))
        collector.run = run
        collector.document = document
        collector._told = {}
        return collector

    def collect(self) -> Iterator[ContractItem]:
        """Yield the items: what creates before what reads, what deletes last; those that find most soonest first."""
        groups = self._groups()
        for phase in sorted({group.phase for group in groups}):
            for operation in order_operations(self.document.api):
                for group in groups:
                    if group.phase == phase and group.applies(self.document.api, operation):
                        yield ContractItem.build(self, operation, group)

    def _groups(self) -> tuple[Group, ...]:
        """Return the groups of this run: where a baseline was named, the comparison with it comes last."""
        is_compared = self.run.settings.baseline is not None
        return (*GROUPS, Group("baseline", self._compare, phase=3)) if is_compared else GROUPS

    def _compare(self, suite: Suite, operation: Operation) -> Outcome:
        if self._baseline is None:
            other = build_suite(self.run, self.document, self.run.settings.baseline)
            self._baseline = Baseline(other, self.run.settings.pairs)
        return check_baseline(suite, self._baseline, operation)

    def drop_told(self, item: ContractItem, outcome: Outcome) -> Outcome:
        """Return *outcome* without failures whose cause another item of the operation has told of already."""
        failures = [
            one for one in outcome.failures if self._told.setdefault((one.operation_id, one.cause), item) is item
        ]
        return replace(outcome, failures=tuple(failures))

    def suite(self) -> Suite:
        """Return what the items share, made when the first one runs. Raises TargetError."""
        if self._suite is None:
            suite = build_suite(self.run, self.document)
            check_detour(suite.api, suite.wire.session.base_url, suite.wire.ask_plainly)
            self._suite = suite
        return self._suite

    def clean_up(self) -> int:
        """Delete what was created; return how many things may be left."""
        clock = self.run.clock
        limit_s = _CLEANUP_S if clock.max_time_s is None else max(clock.left_s, _LEAST_CLEANUP_S)
        return clean_up(self._suite, min(limit_s, _CLEANUP_S)) if self._suite is not None else 0


class ContractItem(pytest.Item):
    """One check group of one operation: ``GET /pets/{id}[responses]``."""

    contract: Contract
    operation: Operation
    group: Group
    outcome: Outcome | None = None
    gaps: tuple[str, ...] = ()

    @classmethod
    def build(cls, parent: Contract, operation: Operation, group: Group) -> ContractItem:
        """Return the item of *operation* and *group*."""
        item: ContractItem = cls.from_parent(parent, name=f"{name_of(operation)}[{group.name}]")
        item.contract = parent
        item.operation = operation
        item.group = group
        return item

    def runtest(self) -> None:
        """Check the operation; fail with what is broken, skip where nothing could be judged."""
        clock = self.contract.run.clock
        clock.begin(self.group.weight)
        try:
            outcome = self._check()
        except StartupError as error:
            raise CouldNotTest(str(error)) from error
        except TargetLostError as error:
            raise CouldNotTest(f"{error}{self.contract.run.last_words()}") from error
        finally:
            clock.end()
        self.outcome = outcome
        self.gaps = outcome.gaps
        for sentence in outcome.flaky:
            self.add_report_section("call", "flaky", sentence)
        for sentence in outcome.gaps:
            self.add_report_section("call", "not checked", sentence)
        if outcome.failures:
            raise ContractError(tuple(map(self._explain, outcome.failures)))
        if outcome.not_run:
            pytest.skip(outcome.not_run)

    def _explain(self, failure: Failure) -> Failure:
        """Return the failure with what the service logged of it."""
        trace = self.contract.run.find_trace(failure.request_id)
        return replace(failure, traceback=self.contract.suite().wire.redaction.clean(trace)) if trace else failure

    def _check(self) -> Outcome:
        """Return what the group finds, and what it could not look at."""
        run = self.contract.run
        if run.clock.is_over:
            return Outcome(not_run=TIME_RAN_OUT)
        suite = self.contract.suite()
        if not suite.may_send(self.operation):
            return Outcome(not_run=READ_ONLY)
        try:
            if self.group.needs_memory and suite.is_mock(self.operation):
                return Outcome(not_run=_MOCK)
            outcome = self.group.check(suite, self.operation)
        except NotSentError as error:
            return Outcome(not_run=str(error))
        today = dt.datetime.now(tz=dt.UTC).date()
        outcome = apply_waivers(outcome, suite.hints.of(self.operation).skip, self.group.name, today)
        outcome = self.contract.drop_told(self, outcome)
        is_cut = run.clock.was_up or self.operation.operation_id in suite.cut_short
        if not is_cut or any(TIME_RAN_OUT in gap for gap in outcome.gaps):
            return outcome
        return replace(outcome, gaps=(*outcome.gaps, f"not all requests were sent: {TIME_RAN_OUT}"))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the broken promises as people read them."""
        if not isinstance(excinfo.value, ContractError):
            return super().repr_failure(excinfo, style)
        lines = [str(failure) for failure in excinfo.value.failures]
        if any("$TOKEN" in line for line in lines):
            credentials = self.contract.run.identity.get()
            lines.append(f"$TOKEN: {credentials.origin if credentials else 'the credentials of the request'}.")
        return "\n".join(lines)

    def reportinfo(self) -> tuple[Path | str, int | None, str]:
        """Return where the operation stands."""
        line = find_line(self.contract.document.api.text, self.operation.pointer)
        return self.path, line - 1 if line else None, self.name
