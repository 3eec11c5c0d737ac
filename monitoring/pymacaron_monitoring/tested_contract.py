"""What the tests of a service say in a verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pymacaron_monitoring.report import Item, TestReport
from pymacaron_monitoring.verdict import Level, Reason

_PYTEST_ENDED = {0, 1}
_PYTEST_FAILED = 1
_DIFFERENCES = {"baseline_shape", "baseline_value"}


def judge_contract(tests: TestReport, labels: Mapping[str, str]) -> Iterator[Reason]:
    """Yield what the tests say. labels: operation id -> ``GET /pets/{id}``.

    Answers that have other values or other properties than those of another release break no promise: that is a note.
    """
    failed = [item for item in tests.items if item.outcome in {"failed", "error"}]
    for item in failed:
        yield from _describe_failures(item, labels)
    missed = [item.nodeid for item in tests.items if item.outcome == "not_run"]
    if missed:
        yield Reason("undecided", f"Tests: {len(missed)} were not run, {missed[0]} the first of them")
    if tests.exit_code not in _PYTEST_ENDED:
        yield Reason("undecided", f"Tests: pytest ended with exit code {tests.exit_code} before all of them were run")
    elif tests.exit_code == _PYTEST_FAILED and not failed:
        yield Reason("undecided", "Tests: pytest ended with exit code 1, and the report names no failure")
    contract = [item for item in tests.items if item.kind == "contract"]
    passed = sum(item.outcome == "passed" for item in contract)
    if not passed:
        yield Reason("undecided", f"Contract: none of {len(contract)} items passed, so nothing of it is shown")
    elif not any(_breaks_a_promise(item) for item in failed):
        text = f"Contract: {passed} of {len(contract)} items passed, {tests.requests_sent:,} requests sent"
        yield Reason("pass", text, numbers={"hits": passed, "total": len(contract)})


def _describe_failures(item: Item, labels: Mapping[str, str]) -> Iterator[Reason]:
    if not item.failures:
        lines = item.reason.strip().splitlines()
        operation = labels.get(item.operation_id or "")
        yield Reason("fail", f"{item.nodeid}: {lines[0] if lines else item.outcome}", operation)
    for failure in item.failures:
        operation = labels.get(failure.operation_id or item.operation_id or "")
        times = f", seen {failure.count:,} times" if failure.count > 1 else ""
        subject = "" if operation and operation in failure.promise else f"{operation or item.nodeid}: "
        text = f"{subject}promised: {failure.promise}; answered: {failure.answer} ({failure.place}{times})"
        level: Level = "note" if failure.check in _DIFFERENCES else "fail"
        yield Reason(level, " ".join(text.split()), operation, {"hits": failure.count}, failure.curl)


def _breaks_a_promise(item: Item) -> bool:
    return not item.failures or any(failure.check not in _DIFFERENCES for failure in item.failures)
