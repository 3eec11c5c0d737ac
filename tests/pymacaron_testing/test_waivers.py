"""A waiver hides failures for some time, and says so."""

from __future__ import annotations

import datetime as dt

import pytest

from pymacaron_testing.confirm import Outcome
from pymacaron_testing.failure import Failure
from pymacaron_testing.hints import Waiver
from pymacaron_testing.waivers import apply_waivers

SLOW = Failure("listPets", "latency", "it is quick", "it was not", "pets.yaml", "")
WRONG = Failure("listPets", "filter", "only cats", "a dog", "pets.yaml", "")
LAST_DAY = dt.date(2030, 1, 31)
TOLD = "latency is waived until 2030-01-31: is being rewritten"


def waive(*checks: str) -> tuple[Waiver, ...]:
    return (Waiver(frozenset(checks), "is being rewritten", LAST_DAY),)


@pytest.mark.parametrize(
    ("failures", "checks", "today", "expected"),
    [
        pytest.param((SLOW,), ("latency",), LAST_DAY, Outcome(not_run=TOLD, gaps=(TOLD,)), id="last day"),
        pytest.param((SLOW,), ("speed",), LAST_DAY, Outcome(not_run=TOLD, gaps=(TOLD,)), id="whole group"),
        pytest.param((SLOW, WRONG), ("latency",), LAST_DAY, Outcome((WRONG,), gaps=(TOLD,)), id="another failure"),
        pytest.param((SLOW,), ("latency",), dt.date(2030, 2, 1), Outcome((SLOW,)), id="expired"),
        pytest.param((SLOW,), ("filter",), LAST_DAY, Outcome((SLOW,)), id="another check"),
        pytest.param((), ("latency",), LAST_DAY, Outcome(), id="nothing to waive"),
    ],
)
def test_waivers(failures: tuple[Failure, ...], checks: tuple[str, ...], today: dt.date, expected: Outcome) -> None:
    """Until its last day a waiver hides the failures of its checks, and never makes an item pass."""
    assert apply_waivers(Outcome(failures), waive(*checks), "speed", today) == expected
