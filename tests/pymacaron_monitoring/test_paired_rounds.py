"""Two releases that got the same requests by turns, in rounds that were disturbed alike."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pymacaron.json_types import JsonObject
from pymacaron_monitoring.gate import judge
from pymacaron_monitoring.paired_rounds import judge_rounds
from pymacaron_monitoring.report import Item, Rounds
from pymacaron_monitoring.verdict import Reason

ROUNDS, SIZE = 20, 15
LABELS = {"getPet": "GET /pets/{petId}", "listPets": "GET /pets"}


def draw(rng: random.Random, *, factor: float = 1.0, slow_share: float = 0.02, rounds: int = ROUNDS) -> Rounds:
    """Draw times about 4 ms, a few of them 12 ms, in rounds each of which is slower or faster as a whole."""

    def draw_time(level: float, rare_share: float) -> float:
        rare_s = 0.008 if rng.random() < rare_share else 0
        return level * rng.lognormvariate(-5.5, 0.3) + rare_s

    levels = [rng.lognormvariate(0, 0.5) for _ in range(rounds)]
    return Rounds(
        candidate=tuple(tuple(factor * draw_time(level, slow_share) for _ in range(SIZE)) for level in levels),
        baseline=tuple(tuple(draw_time(level, 0.02) for _ in range(SIZE)) for level in levels),
        candidate_errors=0,
        baseline_errors=0,
    )


def judge_all(*compared: Rounds | None, tolerance: float = 0.1) -> list[Reason]:
    items = [
        Item(nodeid="x", kind="contract", operation_id=name, outcome="passed", rounds=rounds)
        for name, rounds in zip(("getPet", "listPets"), compared, strict=False)
    ]
    return list(judge_rounds(items, LABELS, tolerance=tolerance, error_rate=0.05))


def count_failures(**options: float) -> int:
    """Return how many of 60 pairs of releases fail, of which the first operation is as *options* say."""
    rng = random.Random(7)
    verdicts = [judge_all(draw(rng, **options), draw(rng)) for _ in range(60)]  # type: ignore[arg-type]
    return sum(any(reason.level == "fail" for reason in reasons) for reasons in verdicts)


def test_the_same_release_hardly_ever_fails() -> None:
    """At most 3 of 60 where 5 % are allowed over all operations; a tolerance of 10 % leaves none."""
    assert count_failures() == 0


def test_a_release_that_is_slower_fails() -> None:
    """One operation that is 30 % slower is found although whole rounds differ by far more."""
    assert count_failures(factor=1.3) >= 57


def test_a_release_with_more_slow_requests_fails() -> None:
    """The median does not tell that a fifth of them wait for something."""
    assert count_failures(slow_share=0.2) >= 45


def test_a_finding_has_its_numbers() -> None:
    """Both medians, how many requests, how likely by chance."""
    (reason,) = [one for one in judge_all(draw(random.Random(1), factor=1.3)) if one.level == "fail"]
    assert reason.text == (
        "GET /pets/{petId}: 6.17 ms is the median of 300 requests, 29 % more than the 4.78 ms of the running release "
        "by turns (p 6e-05)"
    )
    assert reason.operation == "GET /pets/{petId}"


def test_a_pass_says_what_it_would_have_seen() -> None:
    """For the operation about which the least is known."""
    (reason,) = judge_all(draw(random.Random(1)), draw(random.Random(2)))
    assert reason.level == "pass"
    assert reason.text == (
        "Comparison: 2 operations, none more than 10 % slower or failing more often than the running release, by 600 "
        "requests to each by turns; 21 % slower would have been seen (GET /pets)"
    )


@pytest.mark.parametrize(
    ("errors", "level"),
    [
        pytest.param((12, 0), "fail", id="many"),
        pytest.param((3, 0), "pass", id="may be chance"),
        pytest.param((12, 9), "pass", id="the running release, too"),
    ],
)
def test_requests_that_fail_more_often(errors: tuple[int, int], level: str) -> None:
    """All of them succeeded once at both releases."""
    changes = {"candidate_errors": errors[0], "baseline_errors": errors[1]}
    reasons = judge_all(draw(random.Random(1)).model_copy(update=changes))
    assert [reason.level for reason in reasons] == [level]
    if level == "fail":
        assert reasons[0].text == (
            "GET /pets/{petId}: 12 of 312 requests failed, sent by turns; running release 0 of 300 (p 0.0003)"
        )


@pytest.mark.parametrize(
    ("rounds", "level", "text"),
    [
        pytest.param(
            draw(random.Random(1), rounds=4),
            "undecided",
            "GET /pets/{petId}: 60 successful requests to each release by turns, in fewer than 5 rounds; ",
            id="few rounds",
        ),
        pytest.param(
            draw(random.Random(1), rounds=5),
            "undecided",
            "GET /pets/{petId}: 75 requests to each release by turns would only have seen it ",
            id="rounds that cannot show anything",
        ),
        pytest.param(
            Rounds(candidate=((),) * 20, baseline=((0.1,) * 15,) * 20, candidate_errors=300, baseline_errors=0),
            "fail",
            "GET /pets/{petId}: none of 300 requests succeeded, sent by turns; of the running release all but 0",
            id="nothing succeeds",
        ),
        pytest.param(
            Rounds(candidate=((0.1,),) * 20, baseline=((),) * 20, candidate_errors=0, baseline_errors=20),
            "undecided",
            "GET /pets/{petId}: 0 successful requests to each release by turns, in fewer than 5 rounds; ",
            id="the running release is down",
        ),
    ],
)
def test_what_shows_too_little_decides_nothing(rounds: Rounds, level: str, text: str) -> None:
    """It says how many requests would."""
    (reason,) = judge_all(rounds)
    assert level == "fail" or " about " in reason.text
    assert (reason.level, reason.text[: len(text)]) == (level, text)


def test_operations_without_rounds_are_no_matter() -> None:
    """A comparison is of what both can be asked by turns."""
    assert judge_all(None) == []


def test_rounds_of_a_report_are_judged(
    make_report: Callable[..., JsonObject], make_item: Callable[..., JsonObject]
) -> None:
    """The test plugin writes them into the report's items; other values and properties are told, and fail nothing."""
    rounds = draw(random.Random(1), factor=1.3).model_dump(mode="json")
    failures = [{"operation_id": "getPet", "check": "baseline_value", "promise": "GET /pets/{petId} answers 1 at /x"}]
    items = [
        make_item("GET /pets[responses]", "listPets"),
        make_item("GET /pets[baseline]", "listPets", outcome="failed", failures=failures),
    ]
    verdict = judge(make_report(items=items, exit_code=1))
    assert verdict.outcome == "pass"
    assert [reason.text for reason in verdict.reasons if reason.level == "note"] == [
        "promised: GET /pets/{petId} answers 1 at /x; answered: ()"
    ]
    items[1] = make_item("GET /pets/{petId}[baseline]", "getPet", rounds=rounds)
    assert judge(make_report(items=items)).outcome == "fail"
