"""Verdicts on live requests: of a release, and beside the one that runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pymacaron.json_types import JsonObject
from pymacaron.spec import Api, parse_spec
from pymacaron_monitoring.gate import judge
from pymacaron_monitoring.verdict import Verdict

MakePage = Callable[..., str]
Counts = dict[str, tuple[int, int]]
BEFORE: Counts = {"listPets_200": (40, 3), "getPet_200": (10, 0)}
GOOD: Counts = {"listPets_200": (340, 3), "getPet_200": (310, 0), "deletePet_204": (60, 0)}
DELETE = "DELETE /pets/{petId}"
COMPARED = (
    "Comparison: no operation slower or failing more than 10 % beyond the running release, by 660 live requests and "
    "1,260 of that one"
)
JudgeLive = Callable[..., Verdict]


@pytest.fixture
def judge_live(make_page: MakePage, read_api: Callable[[str], Api], pets_text: str) -> JudgeLive:
    """Judge live requests: ``judge_live({"getPet_500": (9, 0)}, running={…})`` adds to those of good releases."""

    def judge_changed(
        candidate: Counts, *, running: Counts | None = None, report: JsonObject | None = None, text: str = pets_text
    ) -> Verdict:
        before = make_page(**BEFORE)
        return judge(
            report,
            apis=[read_api(text)],
            candidate=(before, make_page(**{**GOOD, **candidate})),
            baseline=None if running is None else (before, make_page(**{**GOOD, **running})),
        )

    return judge_changed


def texts(verdict: Verdict, level: str) -> list[str]:
    return [reason.text for reason in verdict.reasons if reason.level == level]


def test_a_good_release_passes_beside_the_running_one(judge_live: JudgeLive) -> None:
    """Only what came between the pages counts, new series from zero; the running release's share is told."""
    verdict = judge_live({}, running={"getPet_200": (910, 2)})
    assert verdict.outcome == "pass"
    assert texts(verdict, "pass") == [
        "apis/pets.yaml: 0 of 600 requests answered 5xx, allowed 1 % (availability 99 %); running release 0 of 1,200",
        "GET /pets: 0 of 300 requests over 200 ms, allowed 5 % (p95); running release 0 of 300",
        "GET /pets/{petId}: 0 of 300 requests over 300 ms, allowed 5 % (p95); running release 2 of 900",
        "GET /pets/{petId}: 0 of 300 requests over 1.5 s, allowed 1 % (p99); running release 2 of 900",
        f"{DELETE}: 0 of 60 requests answered 5xx, allowed 10 % (availability 90 %); running release 0 of 60",
        f"{DELETE}: 0 of 60 requests over 200 ms, allowed 5 % (p95); running release 0 of 60",
        COMPARED,
        "Errors: none that the running release does not know",
    ]


@pytest.mark.parametrize(
    ("candidate", "running", "text"),
    [
        pytest.param(
            {"getPet_500": (9, 0)},
            {},
            "GET /pets/{petId}: 9 of 309 requests answered 5xx; running release 0 of 300 (p 0.002)",
            id="errors",
        ),
        pytest.param(
            {"getPet_404": (90, 0)},
            {"getPet_404": (20, 0)},
            "GET /pets/{petId}: 90 of 390 requests answered 4xx; running release 20 of 320 (p 1e-09)",
            id="refusals",
        ),
        pytest.param(
            {"getPet_200": (310, 40)},
            {"getPet_200": (910, 9)},
            "GET /pets/{petId}: 40 of 300 requests over 200 ms; running release 9 of 900 (p 2e-17)",
            id="slow",
        ),
    ],
)
def test_a_release_that_does_worse_fails(judge_live: JudgeLive, candidate: Counts, running: Counts, text: str) -> None:
    """Whatever the objectives allow: the sentence has the numbers of both."""
    verdict = judge_live(candidate, running=running)
    assert verdict.outcome == "fail"
    assert text in texts(verdict, "fail")


@pytest.mark.parametrize(
    ("candidate", "running"),
    [
        pytest.param({"getPet_500": (2, 0)}, {}, id="two errors"),
        pytest.param({"getPet_404": (24, 0)}, {"getPet_404": (20, 0)}, id="some more refusals"),
        pytest.param({"getPet_200": (310, 12)}, {"getPet_200": (910, 25)}, id="some more slow ones"),
        pytest.param({"getPet_500": (0, 0)}, {"getPet_500": (200, 0)}, id="a better one"),
    ],
)
def test_what_may_be_chance_is_no_finding(judge_live: JudgeLive, candidate: Counts, running: Counts) -> None:
    """Neither is what is better."""
    verdict = judge_live(candidate, running=running)
    assert not texts(verdict, "fail")
    assert any(one.startswith("Comparison: no operation") for one in texts(verdict, "pass"))


def test_objectives_that_both_miss_are_not_the_candidates_fault(judge_live: JudgeLive) -> None:
    """It does not pass, and going back would not help."""
    verdict = judge_live({"getPet_200": (310, 60)}, running={"getPet_200": (910, 190)})
    assert verdict.outcome == "undecided"
    text = (
        "GET /pets/{petId}: 60 of 300 requests over 300 ms, allowed 5 % (p95); running release 190 of 900, which misses"
    )
    assert f"{text} it, too" in texts(verdict, "undecided")


def test_tests_and_live_requests_decide_together(judge_live: JudgeLive, make_report: Callable[..., JsonObject]) -> None:
    """What few live requests leave open is no reason to wait, as long as they are no worse than what is allowed."""
    few: Counts = {"getPet_200": (40, 0), "deletePet_204": (0, 0)}
    alone = judge_live(few)
    assert (
        "GET /pets/{petId}: 0 of 30 requests over 1.5 s, allowed 1 % (p99); about 268 requests would decide"
        in texts(alone, "undecided")
    )
    together = judge_live(few, report=make_report())
    assert together.outcome == "pass"
    assert "GET /pets/{petId}: 0 of 30 requests over 1.5 s, allowed 1 % (p99); in its tests 0 of 300" in texts(
        together, "pass"
    )
    assert judge_live({"getPet_200": (40, 1)}, report=make_report()).outcome == "undecided"


def test_more_looks_ask_for_more(make_page: MakePage, read_api: Callable[[str], Api], pets_text: str) -> None:
    """A verdict that may be asked for twenty times fails a good release as rarely as one that is asked for once."""
    before, after = make_page(**BEFORE), make_page(**{**GOOD, "getPet_500": (8, 0)})
    apis = [read_api(pets_text.replace("availability: 99, ", ""))]

    def ask(looks: int) -> Verdict:
        sides = ((before, after), (before, make_page(**GOOD)))
        return judge(None, apis=apis, candidate=sides[0], baseline=sides[1], looks=looks)

    assert [ask(looks).outcome for looks in (1, 20)] == ["fail", "pass"]


@pytest.mark.parametrize(
    ("candidate", "baseline", "text"),
    [
        pytest.param(
            (None, GOOD), None, "Live traffic: the candidate has no /metrics page from before it", id="no page before"
        ),
        pytest.param(
            (BEFORE, GOOD),
            (BEFORE, None),
            "Live traffic: the running release has no /metrics page from after it",
            id="no page of the running release",
        ),
        pytest.param(
            (GOOD, BEFORE),
            None,
            "Live traffic: the counters of DELETE /pets/{petId} went backwards: the candidate was restarted",
            id="restarted",
        ),
        pytest.param(
            (GOOD, GOOD),
            None,
            "Live traffic: the candidate had none between the two pages: is it sent any?",
            id="no traffic",
        ),
        pytest.param(
            (BEFORE, GOOD),
            (BEFORE, {"listPets_200": (50, 3), "getPet_200": (10, 0)}),
            "Comparison: the running release had 10 live requests; about 59 would decide",
            id="nothing to compare with",
        ),
    ],
)
def test_missing_data_decide_nothing(
    make_page: MakePage,
    read_api: Callable[[str], Api],
    pets_text: str,
    candidate: tuple[Counts | None, Counts | None],
    baseline: tuple[Counts | None, Counts | None] | None,
    text: str,
) -> None:
    """What was not seen is no pass, and the reason is told."""

    def write(counts: tuple[Counts | None, Counts | None]) -> tuple[str | None, str | None]:
        before, after = (None if one is None else make_page(**one) for one in counts)
        return before, after

    verdict = judge(
        None,
        apis=[read_api(pets_text)],
        candidate=write(candidate),
        baseline=None if baseline is None else write(baseline),
    )
    assert (verdict.outcome, text in texts(verdict, "undecided")) == ("undecided", True)


def test_a_release_that_was_started_again_fails(make_page: MakePage, read_api: Callable[[str], Api]) -> None:
    """Its counts fell, and a process started later; where only one of both is so, nothing is decided by it."""

    def ask(*starts_s: float, after: Counts) -> Verdict:
        pages = [
            f'{page}process_start_time_seconds{{worker="0"}} {start_s}\n'
            for page, start_s in zip((make_page(**GOOD), make_page(**after)), starts_s, strict=True)
        ]
        return judge(None, apis=[read_api(SLACK)], candidate=(pages[0], pages[1]))

    more: Counts = {name: (2 * total, slow) for name, (total, slow) in GOOD.items()}
    restarted = ask(1, 9, after=BEFORE)
    assert (restarted.outcome, texts(restarted, "fail")) == (
        "fail",
        ["Live traffic: the candidate was started again while it had traffic"],
    )
    assert ask(9, 9, after=BEFORE).outcome == "undecided"
    assert texts(ask(1, 9, after=more), "fail") == []


def test_rounds_that_saw_too_little_leave_it_to_live_requests(
    make_page: MakePage, make_report: Callable[..., JsonObject], make_item: Callable[..., JsonObject]
) -> None:
    """A noisy comparison by turns decides nothing for good; a bad one still fails."""
    rounds = {"candidate": [[0.01]] * 2, "baseline": [[0.01]] * 2, "candidate_errors": 0, "baseline_errors": 0}
    worse = {**rounds, "candidate": [[], []], "candidate_errors": 9}
    before, after = make_page(**BEFORE), make_page(**GOOD)

    def ask(compared: JsonObject, *, is_live: bool) -> str:
        report = make_report(items=[make_item("GET /pets[baseline]", "listPets", rounds=compared)])
        sides = {"candidate": (before, after), "baseline": (before, after)} if is_live else {}
        return judge(report, **sides).outcome  # type: ignore[arg-type]

    assert ask(rounds, is_live=False) == "undecided"
    assert ask(rounds, is_live=True) == "pass"
    assert ask(worse, is_live=True) == "fail"


@pytest.mark.parametrize("idle", [0, 20, 200])
def test_operations_without_requests_hide_no_fault(
    make_page: MakePage, read_api: Callable[[str], Api], idle: int
) -> None:
    """Ten bad of four hundred are found in a document of one operation and in one of two hundred."""
    paths = "".join(
        f'  /idle/{number}: {{get: {{operationId: idle{number}, responses: {{"200": {{description: one}}}}}}}}\n'
        for number in range(idle)
    )
    sides = [
        (make_page(), make_page(getPet_200=(390, 0), getPet_500=(10, 0))),
        (make_page(), make_page(getPet_200=(1996, 0), getPet_500=(4, 0))),
    ]
    verdict = judge(None, apis=[read_api(SLACK + paths)], candidate=sides[0], baseline=sides[1], looks=20)
    assert texts(verdict, "fail") == [
        "GET /pets/{petId}: 10 of 400 requests answered 5xx; running release 4 of 2,000 (p 2e-05)"
    ]


def test_releases_that_share_no_operation_are_not_compared(make_page: MakePage, read_api: Callable[[str], Api]) -> None:
    """Many requests of each, and nothing that could be set side by side."""
    sides = [(make_page(), make_page(listPets_200=(300, 0))), (make_page(), make_page(getPet_200=(300, 0)))]
    verdict = judge(None, apis=[read_api(SLACK)], candidate=sides[0], baseline=sides[1])
    assert texts(verdict, "undecided") == ["Comparison: no operation had live requests at both releases"]


SLACK = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets: {get: {operationId: listPets, responses: {"200": {description: all}}}}
  /pets/{petId}:
    get:
      operationId: getPet
      parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]
      responses: {"200": {description: one}}
"""


def test_nothing_at_all_decides_nothing() -> None:
    """Neither a report nor a page."""
    verdict = judge(None)
    assert texts(verdict, "undecided") == [
        "There is neither a report of tests nor a /metrics page: nothing can be judged"
    ]


OLD = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets: {get: {operationId: listPets, parameters: [{name: tag, in: query, schema: {type: string}}],
    responses: {"200": {description: all}}}}
"""


@pytest.mark.parametrize(
    ("old", "is_allowed", "level", "text"),
    [
        pytest.param(OLD, False, "fail", "GET /pets: query parameter tag: ", id="breaking"),
        pytest.param(OLD, True, "note", "GET /pets: query parameter tag: ", id="breaking, as wanted"),
        pytest.param(
            "openapi: 3.1.0\ninfo: {title: Pets, version: '0'}\npaths: {}",
            False,
            "pass",
            "Document pets: 5 changes from the running release's, none breaks a client",
            id="more",
        ),
    ],
)
def test_breaking_changes_of_the_document_fail(
    make_report: Callable[..., JsonObject],
    read_api: Callable[[str], Api],
    old: str,
    is_allowed: bool,
    level: str,
    text: str,
) -> None:
    """What the running release publishes is what clients know."""
    verdict = judge(make_report(), published=[read_api(old)], is_breaking_allowed=is_allowed)
    assert any(one.startswith(text) for one in texts(verdict, level)), verdict
    assert verdict.outcome == ("fail" if level == "fail" else "pass")


@pytest.mark.parametrize(("is_allowed", "level"), [(False, "fail"), (True, "note")])
def test_a_document_that_is_gone_breaks_its_clients(
    make_report: Callable[..., JsonObject], pets_text: str, is_allowed: bool, level: str
) -> None:
    """Documents belong together by name."""
    gone = parse_spec(pets_text, source="apis/toys.yaml", name="toys")
    verdict = judge(make_report(), published=[gone], is_breaking_allowed=is_allowed)
    assert texts(verdict, level)[-1] == (
        "Document toys: the running release publishes it, the new one has none of that name"
    )
