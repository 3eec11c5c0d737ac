"""The exit code says what a run has shown."""

from __future__ import annotations

import os
import signal

import pytest

from pymacaron_testing.ending import ending_on_sigterm, judge_ending
from pymacaron_testing.report import ItemResult


def make_items(*outcomes: str) -> list[ItemResult]:
    return [ItemResult("x", "contract", outcome=outcome, reason="time ran out") for outcome in outcomes]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("exit_code", "outcomes", "expected"),
    [
        pytest.param(0, ["passed", "skipped"], 0, id="something judged"),
        pytest.param(0, ["skipped", "not_run"], 2, id="nothing judged"),
        pytest.param(0, [], 0, id="hand-written tests only"),
        pytest.param(1, ["skipped"], 1, id="a hand-written test failed"),
        pytest.param(2, ["passed"], 2, id="interrupted"),
        pytest.param(5, [], 2, id="nothing there"),
    ],
)
def test_exit_code(exit_code: int, outcomes: list[str], expected: int) -> None:
    """Nothing judged is no success."""
    code, reason = judge_ending(exit_code, make_items(*outcomes))
    assert code == expected
    assert bool(reason) is (code != exit_code)


def test_reason() -> None:
    """The reasons of the items are told, each with a count."""
    items = [*make_items("skipped", "skipped"), ItemResult("y", "contract", outcome="skipped", reason="no thing")]
    assert judge_ending(0, items)[1] == (
        "could not test: no contract item could be judged: time ran out (2 items); no thing (1 items)"
    )


def test_chosen() -> None:
    """Where the tester's choice leaves nothing, pytest's own code stays."""
    assert judge_ending(5, [], is_selected=True) == (5, "")


def test_sigterm() -> None:
    """SIGTERM ends the block as Ctrl-C does; afterwards the signal is what it was."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ending_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
