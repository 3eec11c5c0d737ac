from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pymacaron.json_types import JsonObject
from pymacaron.spec import Api
from pymacaron_monitoring.gate import judge
from pymacaron_monitoring.verdict import Verdict

MakeReport = Callable[..., JsonObject]
MakePage = Callable[..., str]
MakeItem = Callable[..., JsonObject]
BEFORE = {"listPets_200": (5, 0), "getPet_200": (0, 0), "deletePet_204": (0, 0)}
GOOD = {"listPets_200": (305, 0), "getPet_200": (300, 0), "deletePet_204": (300, 0)}


@pytest.fixture
def judge_pages(make_report: MakeReport, make_page: MakePage) -> Callable[..., Verdict]:
    """Judge a good service whose last page differs: ``judge_pages(getPet_200=(212, 40))``."""

    def judge_changed(**counts: tuple[int, int]) -> Verdict:
        after = {**GOOD, **counts}
        pages = {"before": make_page(**BEFORE), "after": make_page(**after)}
        return judge(make_report(metrics=pages, requests_sent=0))

    return judge_changed


def texts(verdict: Verdict, level: str) -> list[str]:
    return [reason.text for reason in verdict.reasons if reason.level == level]


def test_a_good_service_passes(make_report: MakeReport) -> None:
    """The contract and every objective is a reason of its own, with its numbers."""
    verdict = judge(make_report())
    assert verdict.outcome == "pass"
    assert texts(verdict, "pass") == [
        "Contract: 1 of 1 items passed, 900 requests sent",
        "apis/pets.yaml: 0 of 600 requests answered 5xx, allowed 1 % (availability 99 %)",
        "GET /pets: 0 of 300 requests over 200 ms, allowed 5 % (p95)",
        "GET /pets/{petId}: 0 of 300 requests over 300 ms, allowed 5 % (p95)",
        "GET /pets/{petId}: 0 of 300 requests over 1.5 s, allowed 1 % (p99)",
        "DELETE /pets/{petId}: 0 of 300 requests answered 5xx, allowed 10 % (availability 90 %)",
        "DELETE /pets/{petId}: 0 of 300 requests over 200 ms, allowed 5 % (p95)",
    ]


@pytest.mark.parametrize(
    ("counts", "level", "text"),
    [
        pytest.param(
            {"listPets_200": (217, 14)},
            "undecided",
            "GET /pets: 14 of 212 requests over 200 ms, allowed 5 % (p95); about 500 requests would decide",
            id="slow, perhaps",
        ),
        pytest.param(
            {"getPet_200": (212, 40)},
            "fail",
            "GET /pets/{petId}: 40 of 212 requests over 300 ms, allowed 5 % (p95)",
            id="too slow",
        ),
        pytest.param(
            {"listPets_200": (405, 20)},
            "undecided",
            "GET /pets: 20 of 400 requests over 200 ms, allowed 5 % (p95); the share is just what is allowed",
            id="just what is allowed",
        ),
        pytest.param(
            {"getPet_200": (40, 0)},
            "undecided",
            "GET /pets/{petId}: 0 of 40 requests over 300 ms, allowed 5 % (p95); about 52 requests would decide",
            id="too few",
        ),
        pytest.param(
            {"getPet_200": (0, 0)},
            "undecided",
            "GET /pets/{petId}: 0 of 0 requests over 1.5 s, allowed 1 % (p99); about 268 requests would decide",
            id="none",
        ),
        pytest.param(
            {"listPets_500": (30, 0)},
            "fail",
            "apis/pets.yaml: 30 of 630 requests answered 5xx, allowed 1 % (availability 99 %)",
            id="errors of the document's operations",
        ),
        pytest.param(
            {"deletePet_503": (100, 0)},
            "fail",
            "DELETE /pets/{petId}: 100 of 400 requests answered 5xx, allowed 10 % (availability 90 %)",
            id="errors of an operation with an objective of its own",
        ),
        pytest.param(
            {"deletePet_503": (20, 0)},
            "pass",
            "DELETE /pets/{petId}: 20 of 320 requests answered 5xx, allowed 10 % (availability 90 %)",
            id="errors that are allowed",
        ),
        pytest.param(
            {"listPets_404": (200, 200)},
            "fail",
            "GET /pets: 200 of 500 requests over 200 ms, allowed 5 % (p95)",
            id="answers of every status count",
        ),
    ],
)
def test_objectives_are_judged_by_intervals(
    judge_pages: Callable[..., Verdict], counts: dict[str, tuple[int, int]], level: str, text: str
) -> None:
    """A share passes or fails when all of its interval does, and is open otherwise."""
    verdict = judge_pages(**counts)
    assert text in texts(verdict, level)
    assert verdict.outcome == level


def test_a_share_comes_with_its_numbers(judge_pages: Callable[..., Verdict]) -> None:
    """What the sentence says, as data."""
    verdict = judge_pages(listPets_200=(217, 14))
    (reason,) = [reason for reason in verdict.reasons if reason.level == "undecided"]
    assert reason.operation == "GET /pets"
    assert {name: round(number or 0, 4) for name, number in reason.numbers.items()} == {
        "hits": 14,
        "total": 212,
        "allowed": 0.05,
        "lower": 0.0431,
        "upper": 0.0999,
        "needed": 500,
    }


FAILURE = {
    "operation_id": "getPet",
    "check": "status_code",
    "promise": "getPet answers only 200, 404",
    "answer": "410",
    "place": "apis/pets.yaml:12#/paths/~1pets~1{petId}/get/responses",
    "curl": "curl http://127.0.0.1:8000/pets/1",
    "count": 3,
}


def test_each_contract_failure_is_told(make_report: MakeReport, make_item: MakeItem) -> None:
    """Promise, answer, place, how often, and the line that shows it again."""
    promise = "the body of answer 200 of GET /pets/{petId} fits its schema Pet"
    once = {**FAILURE, "promise": promise, "answer": "{\n}", "count": 1, "curl": ""}
    items = [make_item("GET /pets/{petId}[responses]", "getPet", outcome="failed", failures=[FAILURE, once])]
    verdict = judge(make_report(items=items, exit_code=1))
    assert verdict.outcome == "fail"
    place = "apis/pets.yaml:12#/paths/~1pets~1{petId}/get/responses"
    assert [(reason.text, reason.curl) for reason in verdict.reasons if reason.level == "fail"] == [
        (
            f"GET /pets/{{petId}}: promised: getPet answers only 200, 404; answered: 410 ({place}, seen 3 times)",
            "curl http://127.0.0.1:8000/pets/1",
        ),
        (f"promised: {promise}; answered: {{ }} ({place})", ""),
    ]


NONE_PASSED = "Contract: none of 1 items passed, so nothing of it is shown"


@pytest.mark.parametrize(
    ("item", "changes", "outcome", "expected"),
    [
        pytest.param(
            {"nodeid": "testaccept/test_pets.py::test_pets", "kind": "blackbox"},
            {"outcome": "failed", "reason": "assert 1 == 2\nmore"},
            "fail",
            ["testaccept/test_pets.py::test_pets: assert 1 == 2"],
            id="own test failed",
        ),
        pytest.param(
            {"nodeid": "GET /pets[auth]"},
            {"outcome": "error"},
            "fail",
            ["apis/pets.yaml::contract::GET /pets[auth]: error"],
            id="contract item broke",
        ),
        pytest.param(
            {"nodeid": "GET /pets[auth]"},
            {"outcome": "not_run"},
            "undecided",
            ["Tests: 1 were not run, apis/pets.yaml::contract::GET /pets[auth] the first of them"],
            id="not run",
        ),
        pytest.param({"nodeid": "GET /pets[auth]"}, {"outcome": "skipped"}, "pass", [], id="skipped"),
    ],
)
def test_every_test_counts(
    make_report: MakeReport,
    make_item: MakeItem,
    item: dict[str, Any],
    changes: dict[str, Any],
    outcome: str,
    expected: list[str],
) -> None:
    """A failed test of any kind fails; one that did not run leaves it open; a skipped one does not."""
    items = [make_item("GET /pets[responses]", "listPets"), make_item(**item, **changes)]
    verdict = judge(make_report(items=items, exit_code=1 if outcome == "fail" else 0))
    assert verdict.outcome == outcome
    assert texts(verdict, outcome) == expected or outcome == "pass"


@pytest.mark.parametrize(
    ("outcomes", "exit_code", "expected"),
    [
        pytest.param(["skipped"], 0, [NONE_PASSED], id="all skipped"),
        pytest.param([], 0, ["Contract: none of 0 items passed, so nothing of it is shown"], id="no item"),
        pytest.param(
            ["passed"], 2, ["Tests: pytest ended with exit code 2 before all of them were run"], id="interrupted"
        ),
        pytest.param(
            ["passed"], 1, ["Tests: pytest ended with exit code 1, and the report names no failure"], id="unnamed"
        ),
    ],
)
def test_a_run_that_shows_nothing_is_no_pass(
    make_report: MakeReport, make_item: MakeItem, outcomes: list[str], exit_code: int, expected: list[str]
) -> None:
    """Without a contract item that passed, or with a run that was cut short, nothing is decided."""
    items = [make_item("GET /pets[responses]", "listPets", outcome=outcome) for outcome in outcomes]
    verdict = judge(make_report(items=items, exit_code=exit_code))
    assert verdict.outcome == "undecided"
    assert texts(verdict, "undecided") == expected


PAGE = "http_server_request_duration_seconds"


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        pytest.param(
            None,
            GOOD,
            "Objectives: the report has no /metrics page from before the tests, so x-slo cannot be judged",
            id="no page before",
        ),
        pytest.param(
            BEFORE,
            None,
            "Objectives: the report has no /metrics page from after the tests, so x-slo cannot be judged",
            id="no page after",
        ),
        pytest.param(
            GOOD,
            BEFORE,
            "Objectives: the counters of GET /pets went backwards: the target was restarted during the tests",
            id="restarted",
        ),
        pytest.param(
            BEFORE,
            {"listPets_200": (105, 0), "getPet_200": (300, 0), "deletePet_204": (300, 0)},
            "Objectives: /metrics counted 700 of 900 requests sent: its workers do not share their counters, "
            "or it is not the target's",
            id="counters not shared",
        ),
        pytest.param({}, {}, f"Objectives: the target's /metrics has no {PAGE}", id="no request metric"),
    ],
)
def test_missing_metrics_decide_nothing(
    make_report: MakeReport,
    make_page: MakePage,
    before: dict[str, tuple[int, int]] | None,
    after: dict[str, tuple[int, int]] | None,
    text: str,
) -> None:
    """Declared objectives without numbers to judge them by are never met."""
    pages = {name: page if page is None else make_page(**page) for name, page in (("before", before), ("after", after))}
    verdict = judge(make_report(metrics=pages))
    assert (verdict.outcome, texts(verdict, "undecided")) == ("undecided", [text])


def test_a_page_that_is_none_decides_nothing(make_report: MakeReport) -> None:
    """A target that answers /metrics with something else is told."""
    verdict = judge(make_report(metrics={"before": "<html>", "after": "<html>"}))
    expected = ["Objectives: the target's /metrics cannot be read: invalid metric name:<html>"]
    assert texts(verdict, "undecided") == expected


def test_a_bound_without_bucket_decides_nothing(
    make_report: MakeReport, read_api: Callable[[str], Api], pets_text: str
) -> None:
    """A document with a new bound needs a target that was started with it."""
    api = read_api(pets_text.replace("300ms", "350ms"))
    verdict = judge(make_report(), apis=[api])
    assert texts(verdict, "undecided") == [
        "GET /pets/{petId}: /metrics has no bucket at 350 ms (p95); restart the target with this document"
    ]


def test_a_document_may_leave_availability_to_its_operations(
    make_report: MakeReport, read_api: Callable[[str], Api], pets_text: str
) -> None:
    """Only what is declared is judged."""
    verdict = judge(make_report(), apis=[read_api(pets_text.replace("availability: 99, ", ""))])
    judged = [reason.text for reason in verdict.reasons if "5xx" in reason.text]
    assert judged == ["DELETE /pets/{petId}: 0 of 300 requests answered 5xx, allowed 10 % (availability 90 %)"]


def test_without_objectives_the_contract_decides(make_report: MakeReport, read_api: Callable[[str], Api]) -> None:
    """No x-slo is no promise about time and errors, and that is said."""
    api = read_api("{openapi: 3.1.0, info: {title: Pets, version: '1'}, paths: {}}")
    verdict = judge(make_report(metrics={"before": None, "after": None}), apis=[api])
    assert verdict.outcome == "pass"
    assert texts(verdict, "note") == ["Objectives: no x-slo in apis/pets.yaml, so only the tests were judged"]


def test_a_service_of_another_kind_is_matched_by_route(make_report: MakeReport, make_page: MakePage) -> None:
    """Without our label operation_id, method and route tell the operations apart."""
    pages = {name: make_page(**page) for name, page in (("before", BEFORE), ("after", GOOD))}
    pages = {name: page.replace("operation_id=", "other=") for name, page in pages.items()}
    verdict = judge(make_report(metrics=pages))
    assert "GET /pets: 0 of 300 requests over 200 ms, allowed 5 % (p95)" in texts(verdict, "pass")
    assert verdict.outcome == "pass"


def test_a_report_of_a_run_that_tested_nothing_decides_nothing(make_report: MakeReport) -> None:
    """A run that found no target leaves a report without one."""
    verdict = judge(make_report(target="", items=[], exit_code=2), target="http://127.0.0.1:8000")
    assert [(reason.level, reason.text) for reason in verdict.reasons] == [
        ("undecided", "The report is of a run that could not test anything: run the tests again")
    ]


@pytest.mark.parametrize(
    ("target", "is_fit"),
    [
        pytest.param("http://127.0.0.1:8000", True, id="the same"),
        pytest.param("HTTP://LOCALHOST:8000/", True, id="the same, written otherwise"),
        pytest.param("http://127.0.0.1:8001", False, id="another port"),
        pytest.param("http://127.0.0.1:8000/v2", False, id="another path"),
        pytest.param("http://127.0.0.1:80x", False, id="no URL"),
    ],
)
def test_a_report_about_another_target_decides_nothing(make_report: MakeReport, target: str, is_fit: bool) -> None:
    """The report must be about what is judged."""
    verdict = judge(make_report(), target=target)
    expected = [f"The report is about http://127.0.0.1:8000, not about {target}: test the target"]
    assert (verdict.outcome, texts(verdict, "undecided")) == (("pass", []) if is_fit else ("undecided", expected))


@pytest.mark.parametrize(
    ("hour", "expected"),
    [
        pytest.param(20, [], id="fresh"),
        pytest.param(22, ["The report is 3.0 h old, and 1 h is the most: run the tests again"], id="stale"),
    ],
)
def test_a_stale_report_decides_nothing(make_report: MakeReport, hour: int, expected: list[str]) -> None:
    """What was true hours ago says nothing about now."""
    verdict = judge(make_report(), now=datetime(2026, 11, 23, hour, tzinfo=UTC))
    assert texts(verdict, "undecided") == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param({**GOOD, "getPet_200": (900, 0)}, [], id="went on"),
        pytest.param(BEFORE, ["The target was restarted after the tests: run them again"], id="restarted"),
        pytest.param(None, [], id="no page any more"),
    ],
)
def test_a_target_that_was_restarted_is_not_what_was_tested(
    make_report: MakeReport, make_page: MakePage, now: dict[str, tuple[int, int]] | None, expected: list[str]
) -> None:
    """Counters below those at the end of the tests belong to another process, perhaps to another release."""
    verdict = judge(make_report(), page="<html>" if now is None else make_page(**now))
    assert texts(verdict, "undecided") == expected


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param(
            {"version": 9},
            "report#/version: version 9 is unknown. "
            "This gate reads version 2: run the tests again with this version of pymacaron.",
            id="version",
        ),
        pytest.param(
            {"documents": [{"name": "pets", "source": "apis/pets.yaml", "text": "openapi: 3.1.0"}]},
            "apis/pets.yaml:1#: info is missing. Add info.",
            id="document",
        ),
        pytest.param(
            {
                "documents": [
                    {
                        "name": "pets",
                        "source": "apis/pets.yaml",
                        "text": "openapi: 3.1.0\ninfo: {title: a, version: b}\npaths: {}\nx-slo: 7",
                    }
                ]
            },
            "apis/pets.yaml:4#/x-slo: 7 is no objective. Write {availability: 99.9, latency: {p95: 200ms}}.",
            id="objectives",
        ),
    ],
)
def test_a_broken_report_decides_nothing(make_report: MakeReport, changes: dict[str, Any], text: str) -> None:
    """What cannot be read is told with its place, as a reason."""
    verdict = judge(make_report(**changes))
    assert verdict.outcome == "undecided"
    assert texts(verdict, "undecided")[0] == text
