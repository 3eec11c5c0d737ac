"""Values are drawn without hypothesis' engine, the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import reject, strategies
from hypothesis.errors import HypothesisException, InvalidArgument
from hypothesis.internal import lambda_sources
from hypothesis.strategies import SearchStrategy
from schemathesis.generation.hypothesis import examples

from pymacaron_testing.drawing import can_draw_directly, draw_by_engine, draw_directly, quiet_hypothesis

Draw = Callable[[SearchStrategy[int], int, int], list[int]]
DRAWS = pytest.mark.parametrize("draw", [draw_directly, draw_by_engine])


@DRAWS
def test_draws_the_same_for_a_seed(draw: Draw) -> None:
    """One seed gives the same values each time, another seed other ones."""
    numbers = strategies.integers()
    assert draw(numbers, 8, 1) == draw(numbers, 8, 1)
    assert len(draw(numbers, 8, 1)) == 8
    assert draw(numbers, 8, 1) != draw(numbers, 8, 2)


@DRAWS
def test_rejected_values_are_left_out(draw: Draw) -> None:
    """What a strategy filters or rejects is not among the values."""

    def keep_even(number: int) -> int:
        return number if number % 2 == 0 else reject()

    assert all(number % 2 == 0 for number in draw(strategies.integers().map(keep_even), 10, 1))


@DRAWS
def test_impossible(draw: Draw) -> None:
    """A strategy that has no value is told apart from one that has few."""
    with pytest.raises(HypothesisException):
        draw(strategies.integers().filter(lambda _number: False), 5, 1)
    with pytest.raises(InvalidArgument):
        draw(strategies.integers(min_value=2, max_value=1), 5, 1)


def test_fits_the_installed_hypothesis() -> None:
    """The undocumented parts that the fast way uses are there: the slow one is for versions yet to come."""
    assert can_draw_directly()
    assert callable(lambda_sources.lambda_description)
    assert callable(examples._add_examples)


def test_single_examples_are_drawn_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Single values that schemathesis draws are the simplest ones; all is as before afterwards; no file is left."""
    monkeypatch.chdir(tmp_path)
    before = examples._add_examples
    with quiet_hypothesis():
        assert examples.generate_one(strategies.integers(min_value=3)) == 3
        assert repr(strategies.integers().filter(lambda number: number > 3)) == "integers().filter(lambda)"
    assert examples._add_examples is before
    assert list(tmp_path.iterdir()) == []
