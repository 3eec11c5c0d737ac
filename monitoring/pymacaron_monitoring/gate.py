"""Judges a service: its test report and its objectives give pass, fail or undecided.

Undecided and missing data never pass: what was not seen is not promised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from math import isfinite
from urllib.parse import urlsplit

from pymacaron.exceptions import Finding, StartupError
from pymacaron.json_types import JsonObject
from pymacaron.spec import Api, Operation, parse_spec
from pymacaron_monitoring.prometheus import METRIC, Labels, Page, Requests, read_page, select_requests, subtract_pages
from pymacaron_monitoring.report import Item, TestReport, read_report
from pymacaron_monitoring.slo import Latency, Objectives, read_objectives
from pymacaron_monitoring.verdict import Level, Reason, Verdict
from pymacaron_monitoring.wilson import count_to_decide, estimate_share

MAX_AGE_S = 3600
"""Seconds after the end of the tests until their report is too old to be judged."""

_LEAST_COUNTED = 0.9
_PYTEST_ENDED = {0, 1}
_PYTEST_FAILED = 1
_Judged = Sequence[tuple[Api, Objectives]]


def judge(
    report: JsonObject,
    *,
    apis: Sequence[Api] | None = None,
    target: str | None = None,
    now: datetime | None = None,
    page: str | None = None,
) -> Verdict:
    """Return the verdict on the service that *report*, the JSON that the test plugin writes, is about.

    apis: documents whose ``x-slo`` count; by default those in the report. target: URL that is to be judged; a report
    about another one decides nothing. now: with it, a report older than `MAX_AGE_S` decides nothing. page: the target's
    ``/metrics`` of now; with it, a service that was restarted after the tests is not judged by them.
    """
    try:
        tests = read_report(report)
        documents = _parse_documents(tests) if apis is None else apis
        judged = [(api, read_objectives(api)) for api in documents]
    except StartupError as error:
        return Verdict(tuple(_describe_finding(finding) for finding in error.findings))
    unfit = tuple(_find_unfit(tests, target=target, now=now, page=page))
    if unfit:
        return Verdict(unfit)
    labels = {operation.operation_id: _label(operation) for api, _ in judged for operation in api.operations}
    return Verdict((*judge_contract(tests, labels), *judge_objectives(tests, judged)))


def judge_contract(tests: TestReport, labels: Mapping[str, str]) -> Iterator[Reason]:
    """Yield what the tests say. labels: operation id -> ``GET /pets/{id}``."""
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
    elif not failed:
        text = f"Contract: {passed} of {len(contract)} items passed, {tests.requests_sent:,} requests sent"
        yield Reason("pass", text, numbers={"hits": passed, "total": len(contract)})


def judge_objectives(tests: TestReport, judged: _Judged) -> Iterator[Reason]:
    """Yield what the pages before and after the tests say to the objectives of each document."""
    declared = [(api, objectives) for api, objectives in judged if not objectives.is_empty]
    if not declared:
        names = ", ".join(api.source for api, _ in judged) or "the report"
        yield Reason("note", f"Objectives: no x-slo in {names}, so only the tests were judged")
        return
    try:
        counts = _count_requests(tests)
    except ValueError as error:
        yield Reason("undecided", f"Objectives: {error}")
        return
    for api, objectives in declared:
        yield from _judge_api(api, objectives, counts)


def _parse_documents(tests: TestReport) -> Sequence[Api]:
    return [parse_spec(document.text, source=document.source, name=document.name) for document in tests.documents]


def _find_unfit(tests: TestReport, *, target: str | None, now: datetime | None, page: str | None) -> Iterator[Reason]:
    """Yield why the report says nothing about *target* as it is *now*."""
    if not tests.target:
        yield Reason("undecided", "The report is of a run that could not test anything: run the tests again")
    elif target is not None and _normalize_url(target) != _normalize_url(tests.target):
        yield Reason("undecided", f"The report is about {tests.target}, not about {target}: test the target")
    age_s = 0.0 if now is None else tests.get_age_s(now)
    if age_s > MAX_AGE_S:
        text = f"The report is {age_s / 3600:.1f} h old, and {MAX_AGE_S // 3600} h is the most: run the tests again"
        yield Reason("undecided", text, numbers={"age_s": age_s})
    if page is not None and tests.metrics.after is not None:
        try:
            restarted = subtract_pages(read_page(tests.metrics.after), read_page(page)).restarted
        except ValueError:
            return
        if restarted:
            yield Reason("undecided", "The target was restarted after the tests: run them again")


def _count_requests(tests: TestReport) -> Page:
    """Return what the service counted during the tests. Raises ValueError with the reason if that is unknown."""
    before, after = tests.metrics.before, tests.metrics.after
    if before is None or after is None:
        when = "before" if before is None else "after"
        raise ValueError(f"the report has no /metrics page from {when} the tests, so x-slo cannot be judged")
    try:
        difference = subtract_pages(read_page(before), read_page(after))
    except ValueError as error:
        raise ValueError(f"the target's /metrics cannot be read: {error}") from error
    if difference.restarted:
        one = difference.restarted[0]
        raise ValueError(
            f"the counters of {one.method} {one.route} went backwards: the target was restarted during the tests"
        )
    if not difference.counts:
        raise ValueError(f"the target's /metrics has no {METRIC}")
    counted = select_requests(difference.counts, lambda _: True).total
    if counted < tests.requests_sent * _LEAST_COUNTED:
        raise ValueError(
            f"/metrics counted {counted:,} of {tests.requests_sent:,} requests sent: "
            "its workers do not share their counters, or it is not the target's"
        )
    return difference.counts


def _judge_api(api: Api, objectives: Objectives, counts: Page) -> Iterator[Reason]:
    """Yield the availability of the document's operations together, then what each of them declares."""
    pooled = [operation for operation in api.operations if operation.operation_id not in objectives.own_availability]
    if objectives.service.availability is not None and pooled:
        together = select_requests(counts, lambda labels: any(_is_of(labels, api, one) for one in pooled))
        yield _judge_availability(api.source, None, together, objectives.service.availability)
    for operation in api.operations:
        requests = select_requests(counts, partial(_is_of, api=api, operation=operation))
        slo = objectives.operations[operation.operation_id]
        label = _label(operation)
        if operation.operation_id in objectives.own_availability and slo.availability is not None:
            yield _judge_availability(label, label, requests, slo.availability)
        for latency in slo.latency:
            yield _judge_latency(label, requests, latency)


def _judge_availability(subject: str, operation: str | None, requests: Requests, availability: Decimal) -> Reason:
    what = f"requests answered 5xx, allowed {100 - availability:f} % (availability {availability} %)"
    allowed = float((100 - availability) / 100)
    return _judge_share(subject, operation, what, hits=requests.server_errors, total=requests.total, allowed=allowed)


def _judge_latency(label: str, requests: Requests, latency: Latency) -> Reason:
    bound = f"{latency.bound_s:g} s" if latency.bound_s >= 1 else f"{latency.bound_s * 1000:g} ms"
    slower = requests.count_slower(latency.bound_s) if requests.total else 0
    if slower is None:
        text = f"{label}: /metrics has no bucket at {bound} ({latency.name}); restart the target with this document"
        return Reason("undecided", text, label)
    what = f"requests over {bound}, allowed {100 - latency.percentile:f} % ({latency.name})"
    return _judge_share(label, label, what, hits=slower, total=requests.total, allowed=latency.allowed_share)


def _judge_share(subject: str, operation: str | None, what: str, *, hits: int, total: int, allowed: float) -> Reason:
    """Compare a share with what is allowed: decided once all or nothing of its interval is allowed."""
    limits = estimate_share(hits, total)
    needed = count_to_decide(hits / total if total else 0.0, allowed)
    level: Level = "fail" if limits.lower > allowed else "pass" if limits.upper <= allowed else "undecided"
    text = f"{subject}: {hits:,} of {total:,} {what}"
    if level == "undecided":
        text += (
            f"; about {needed:,} requests would decide" if isfinite(needed) else "; the share is just what is allowed"
        )
    numbers = {
        "hits": hits,
        "total": total,
        "allowed": allowed,
        "lower": limits.lower,
        "upper": limits.upper,
        "needed": needed if isfinite(needed) else None,
    }
    return Reason(level, text, operation, numbers)


def _is_of(labels: Labels, api: Api, operation: Operation) -> bool:
    """Tell whether *labels* count requests of *operation*; services without our label are matched by their route."""
    if labels.operation_id:
        return labels.operation_id == operation.operation_id
    return labels.method == operation.method.upper() and labels.route in (
        operation.path,
        api.base_path + operation.path,
    )


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
        yield Reason("fail", " ".join(text.split()), operation, {"hits": failure.count}, failure.curl)


def _describe_finding(finding: Finding) -> Reason:
    return Reason("undecided", str(finding))


def _label(operation: Operation) -> str:
    return f"{operation.method.upper()} {operation.path}"


def _normalize_url(url: str) -> tuple[str, str, int | None, str]:
    """Return *url* so that two spellings of one place are equal: case, default port, ``localhost``, closing slash."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return url, "", None, ""
    host = parts.hostname or ""
    return parts.scheme, "127.0.0.1" if host == "localhost" else host, port, parts.path.rstrip("/")
