from __future__ import annotations

import random
from collections import Counter

import pytest

from pymacaron.config import PymConfig
from pymacaron.deploy.routes import Deck, Route
from pymacaron.deploy.steps import Step, choose_shares, plan_return, plan_steps
from pymacaron.deploy.wishes import Wishes

IMAGE = f"shop@sha256:{'0' * 64}"


def names(steps: tuple[Step, ...]) -> list[str]:
    return [step.name for step in steps]


def test_the_first_release_has_nobody_to_be_compared_with() -> None:
    """It gets all traffic at once."""
    steps = plan_steps(PymConfig(), (5, 100), wishes=Wishes(), baseline=None)
    assert names(steps) == ["unit-tests", "image", "local", "push", "stage", "tests", "shift-100", "bake"]


def test_a_later_release_goes_up_in_steps() -> None:
    """It is held to the documents of the running one, gets share after share, and removes the other one last."""
    steps = plan_steps(PymConfig(), (5, 100), wishes=Wishes(IMAGE), baseline="one")
    shifts = ["shift-5", "shift-100"]
    assert names(steps) == ["documents", "unit-tests", "local", "stage", "tests", "contract", *shifts, "bake", "retire"]
    assert [step.percent for step in steps if step.percent] == [5, 100]


def test_the_way_back_is_a_shift() -> None:
    """An earlier release is started again and gets the traffic by the same steps."""
    assert names(plan_return("one", "two")) == ["stage", "shift-100", "retire"]


@pytest.mark.parametrize(
    ("wished", "offered", "chosen"),
    [
        pytest.param(None, (5, 25, 100), (5, 25, 100), id="the target's"),
        pytest.param([10, 100], (5, 25, 100), (10, 100), id="the configuration's"),
        pytest.param([10, 100], (100,), (100,), id="a swap stays one"),
    ],
)
def test_shares(wished: list[int] | None, offered: tuple[int, ...], chosen: tuple[int, ...]) -> None:
    """`deploy_steps` replaces the target's shares where it can split the traffic."""
    assert choose_shares(PymConfig(deploy_steps=wished), offered) == chosen


@pytest.mark.parametrize("share", [1, 5, 25, 50, 99])
def test_shares_are_dealt_exactly_and_in_no_order(share: int) -> None:
    """Each hundred requests holds just the share; where in it the candidate comes is chance."""
    random.seed(share)
    deck = Deck([Route("old", "127.0.0.1", 1, 100 - share), Route("new", "127.0.0.1", 2, share)])
    rounds = [[route.version for route in (deck.deal() for _ in range(100)) if route] for _ in range(4)]
    assert [Counter(one)["new"] for one in rounds] == [share] * 4
    assert len({tuple(one) for one in rounds}) > 1
    assert Deck([Route("new", "127.0.0.1", 2, 0)]).deal() is None
