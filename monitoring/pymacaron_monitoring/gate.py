"""Judges a service: its test report, its objectives and the running release give pass, fail or undecided.

Undecided and missing data never pass: what was not seen is not promised.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypedDict, Unpack
from urllib.parse import urlsplit

from pymacaron.exceptions import Finding, StartupError
from pymacaron.json_types import JsonObject
from pymacaron.spec import Api, parse_spec
from pymacaron_monitoring.document_changes import judge_documents
from pymacaron_monitoring.kept_objectives import ERROR_RATE, Evidence, Judged, describe_operation, judge_objectives
from pymacaron_monitoring.live_traffic import compare_traffic
from pymacaron_monitoring.new_errors import judge_errors
from pymacaron_monitoring.paired_rounds import judge_rounds
from pymacaron_monitoring.prometheus import METRIC, Page, find_latest_start, read_page, select_requests, subtract_pages
from pymacaron_monitoring.release_pages import ask_counts
from pymacaron_monitoring.report import TestReport, read_report
from pymacaron_monitoring.slo import read_objectives
from pymacaron_monitoring.tested_contract import judge_contract
from pymacaron_monitoring.verdict import Reason, Verdict

MAX_AGE_S = 3600
"""Seconds after the end of the tests until their report is too old to be judged."""

TOLERANCE = 0.1
"""Share by which a release may be slower, or fail more often, than the one that runs."""

Pages = tuple[str | None, str | None]
"""Texts of a release's ``/metrics`` before and after what is judged; None where it had none."""

_LEAST_COUNTED = 0.9


class Server(TypedDict):
    """A Prometheus server that counts live requests: its URL, labels of both releases' series, since when."""

    url: str
    select: str
    baseline: str | None
    since_s: float


class Options(TypedDict, total=False):
    """What else `judge` may be told.

    target: URL that is to be judged; a report about another one decides nothing. now: with it, a report older than
    `MAX_AGE_S` decides nothing. page: the target's ``/metrics`` of now; with it, a service that was restarted after the
    tests is not judged by them. published: documents that the running release publishes; what breaks their clients
    fails. is_breaking_allowed: it is a note instead. known: page of the release that had the traffic before, where none
    of it goes there any more: errors that it never met are new all the same. tolerance: instead of `TOLERANCE`. looks:
    how many verdicts are asked for until one stands, by a release in several steps say; a fail is then as much surer
    that together they wrong a good release no more often than one would. prometheus: who counts the live requests
    instead of the pages, of which then only the errors are read, and whether a release was started again.
    """

    target: str | None
    now: datetime | None
    page: str | None
    published: Sequence[Api] | None
    is_breaking_allowed: bool
    known: str | None
    tolerance: float
    looks: int
    prometheus: Server | None


def judge(
    report: JsonObject | None,
    *,
    apis: Sequence[Api] | None = None,
    candidate: Pages | None = None,
    baseline: Pages | None = None,
    **options: Unpack[Options],
) -> Verdict:
    """Return the verdict on the service that *report*, the JSON that the test plugin writes, is about.

    Without *candidate* it is judged by its tests and by what it counted during them. With it, objectives are judged by
    the live requests between its two pages, and beside them by what the tests counted; *report* may then be None.

    apis: documents whose ``x-slo`` count; by default those in the report. baseline: pages of the running release from
    the same times as those of *candidate*; then neither errors nor slow requests may be more frequent than there, and
    no kind of error new.
    """
    try:
        tests = None if report is None else read_report(report)
        documents = _parse_documents(tests) if apis is None else apis
        judged = [(api, read_objectives(api)) for api in documents]
    except StartupError as error:
        return Verdict(tuple(_describe_finding(finding) for finding in error.findings))
    reasons: list[Reason] = []
    labels = {one.operation_id: describe_operation(one) for api in documents for one in api.operations}
    if tests is not None:
        unfit = tuple(_find_unfit(tests, options))
        if unfit:
            return Verdict(unfit)
        reasons += judge_contract(tests, labels)
        rounds = judge_rounds(tests.items, labels, tolerance=options.get("tolerance", TOLERANCE), error_rate=ERROR_RATE)
        # What tests were too few to see, live requests compare.
        reasons += [one for one in rounds if candidate is None or one.level != "undecided"]
    published = options.get("published")
    if published is not None:
        is_allowed = options.get("is_breaking_allowed", False)
        reasons += judge_documents(published, documents, is_breaking_allowed=is_allowed)
    if candidate is None:
        reasons += _judge_tested(tests, judged)
    else:
        reasons += _judge_live(tests, judged, (candidate, baseline), options)
    known = options.get("known") if baseline is None else baseline[1]
    if known is not None:
        reasons += _judge_errors(tests, candidate, known, labels)
    return Verdict(tuple(reasons))


def _judge_errors(
    tests: TestReport | None, candidate: Pages | None, running: str, labels: Mapping[str, str]
) -> Iterator[Reason]:
    """Yield errors that the running release does not know; where a page is missing, others have said so."""
    pages = candidate or ((tests.metrics.before, tests.metrics.after) if tests is not None else (None, None))
    before, after = pages
    if before is None or after is None:
        return
    try:
        yield from judge_errors((before, after), running, labels, is_live=candidate is not None)
    except ValueError as error:
        yield Reason("undecided", f"Errors: /metrics cannot be read: {error}")


def _judge_tested(tests: TestReport | None, judged: Judged) -> Iterator[Reason]:
    """Yield what the pages before and after the tests say to the objectives of each document."""
    if tests is None:
        yield Reason("undecided", "There is neither a report of tests nor a /metrics page: nothing can be judged")
        return
    if _has_objectives(judged):
        try:
            yield from judge_objectives(judged, Evidence(_count_tested(tests)))
        except ValueError as error:
            yield Reason("undecided", f"Objectives: {error}")
    else:
        names = ", ".join(api.source for api, _ in judged) or "the report"
        yield Reason("note", f"Objectives: no x-slo in {names}, so only the tests were judged")


def _judge_live(
    tests: TestReport | None, judged: Judged, sides: tuple[Pages, Pages | None], options: Options
) -> Iterator[Reason]:
    """Yield what live requests of the candidate, and of the release that runs beside it, say."""
    error_rate = ERROR_RATE / max(1, options.get("looks", 1))
    if _was_restarted(sides[0]):
        yield Reason("fail", "Live traffic: the candidate was started again while it had traffic")
        return
    server = options.get("prometheus")
    try:
        counts = _count(sides[0], "the candidate", server, server and server["select"])
        running = None
        if sides[1] is not None:
            running = _count(sides[1], "the running release", server, server and server["baseline"])
    except (ValueError, StartupError) as error:
        yield Reason("undecided", f"Live traffic: {error}")
        return
    if not select_requests(counts, lambda _: True).total:
        yield Reason("undecided", "Live traffic: the candidate had none between the two pages: is it sent any?")
        return
    if _has_objectives(judged):
        yield from judge_objectives(judged, Evidence(counts, _find_earlier(tests), running, error_rate))
    else:
        yield Reason("note", "Objectives: no document has x-slo")
    if running is not None:
        tolerance = options.get("tolerance", TOLERANCE)
        apis = [api for api, _ in judged]
        yield from compare_traffic(apis, counts, running, tolerance=tolerance, error_rate=error_rate)


def _has_objectives(judged: Judged) -> bool:
    return any(not objectives.is_empty for _, objectives in judged)


def _parse_documents(tests: TestReport | None) -> Sequence[Api]:
    documents = tests.documents if tests is not None else ()
    return [parse_spec(document.text, source=document.source, name=document.name) for document in documents]


def _find_unfit(tests: TestReport, options: Options) -> Iterator[Reason]:
    """Yield why the report says nothing about the target as it is now."""
    target, now, page = options.get("target"), options.get("now"), options.get("page")
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


def _count_tested(tests: TestReport) -> Page:
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


def _find_earlier(tests: TestReport | None) -> Page | None:
    """Return what was counted during the tests, None where that is unknown."""
    try:
        return None if tests is None else _count_tested(tests)
    except ValueError:
        return None


def _count(pages: Pages, whose: str, server: Server | None, select: str | None) -> Page:
    """Return the live requests. Raises: ValueError: that is unknown. StartupError: the server does not know them."""
    if server is None or select is None:
        return _subtract(pages, whose)
    now_s = time.time()
    return read_page(ask_counts(server["url"], select, now_s - server["since_s"], now_s))


def _subtract(pages: Pages, whose: str) -> Page:
    """Return what was counted between two pages. Raises ValueError with the reason if that is unknown."""
    before, after = pages
    if before is None or after is None:
        raise ValueError(f"{whose} has no /metrics page from {'before' if before is None else 'after'} it")
    try:
        difference = subtract_pages(read_page(before), read_page(after))
    except ValueError as error:
        raise ValueError(f"/metrics of {whose} cannot be read: {error}") from error
    if difference.restarted:
        one = difference.restarted[0]
        raise ValueError(f"the counters of {one.method} {one.route} went backwards: {whose} was restarted")
    if not difference.counts:
        raise ValueError(f"/metrics of {whose} has no {METRIC}")
    return difference.counts


def _was_restarted(pages: Pages) -> bool:
    """Tell whether a release was surely started again between its pages: its counts fell, and a process is younger.

    Counts alone fall, too, where they are a sum and an instance went away.
    """
    before, after = pages
    if before is None or after is None:
        return False
    try:
        fell = subtract_pages(read_page(before), read_page(after)).restarted
        starts = find_latest_start(before), find_latest_start(after)
    except ValueError:
        return False
    return bool(fell) and 0 < starts[0] < starts[1]


def _describe_finding(finding: Finding) -> Reason:
    return Reason("undecided", str(finding))


def _normalize_url(url: str) -> tuple[str, str, int | None, str]:
    """Return *url* so that two spellings of one place are equal: case, default port, ``localhost``, closing slash."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return url, "", None, ""
    host = parts.hostname or ""
    return parts.scheme, "127.0.0.1" if host == "localhost" else host, port, parts.path.rstrip("/")
