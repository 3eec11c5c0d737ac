"""Items share the time of a run: fairly, and what one leaves goes to the others."""

from __future__ import annotations

import pytest

from pymacaron_testing.clock import Clock


class Watch:
    """A clock that the test sets."""

    def __init__(self) -> None:
        """Start anywhere."""
        self.now_s = 100.0

    def __call__(self) -> float:
        """Tell the time in seconds."""
        return self.now_s


def use(clock: Clock, watch: Watch, wanted_s: float, weight: float = 1.0) -> float:
    """Run an item that wants *wanted_s*, in steps of a tenth of a second. Returns what it got."""
    clock.begin(weight)
    start = watch.now_s
    while watch.now_s - start < wanted_s - 0.01 and not clock.is_up():
        watch.now_s += 0.1
    clock.end()
    return watch.now_s - start


def test_no_limit() -> None:
    """Without a limit nothing is ever up."""
    watch = Watch()
    clock = Clock(now=watch)
    clock.begin()
    watch.now_s += 1e9
    assert (clock.is_up(0.0), clock.is_over, clock.was_up, clock.left_s) == (False, False, False, float("inf"))


@pytest.mark.parametrize("weights", [[1.0] * 40, [4.0, 1.0, 1.0, 1.0] * 10], ids=["alike", "by weight"])
def test_greedy_items(weights: list[float]) -> None:
    """Where all want everything, the last gets at least six tenths of its fair share, and the time is kept."""
    watch = Watch()
    clock = Clock(60, now=watch)
    clock.plan(sum(weights))
    got = [use(clock, watch, 1000, weight) for weight in weights]
    fair = [60 * weight / sum(weights) for weight in weights]
    assert sum(got) <= 60.2
    assert min(part / share for part, share in zip(got, fair, strict=True)) >= 0.6
    assert clock.left_s < 12


def test_a_hungry_item_among_modest_ones() -> None:
    """An item that needs more than its share borrows it, early or late."""
    for place in (0, 10, 19):
        watch = Watch()
        clock = Clock(40, now=watch)
        clock.plan(20)
        wants = [0.5] * 20
        wants[place] = 6.0
        assert [round(use(clock, watch, wanted), 1) for wanted in wants] == wants


def test_the_end() -> None:
    """After the end no item has time; `was_up` tells of the item."""
    watch = Watch()
    clock = Clock(10, now=watch)
    clock.plan(2)
    clock.begin()
    assert not clock.is_up()
    assert not clock.was_up
    watch.now_s += 11
    assert clock.is_up()
    clock.end()
    clock.begin()
    assert not clock.was_up
    assert (clock.is_over, clock.left_s, clock.is_up(0.1)) == (True, 0.0, True)


def test_more_items_than_planned() -> None:
    """Items that nobody planned get what is left."""
    watch = Watch()
    clock = Clock(10, now=watch)
    clock.begin()
    assert not clock.is_up()
    clock.end()
    clock.begin()
    watch.now_s += 4
    assert not clock.is_up()


def test_more_for_an_item() -> None:
    """An item may have more than its share, but never more than a third of what the run has left."""
    watch = Watch()
    clock = Clock(100, now=watch)
    clock.plan(100)
    clock.begin()
    watch.now_s += 16  # its share, 0.7 s, and half of the pool, 30 s
    assert clock.is_up()
    clock.extend(10)
    watch.now_s += 9
    assert not clock.is_up()
    watch.now_s += 1
    assert clock.is_up()
    clock.extend(1000)
    watch.now_s += 20
    assert not clock.is_up()
    watch.now_s += 10
    assert clock.is_up()
