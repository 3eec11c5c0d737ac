"""Waiting for what happens a little later."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pymacaron_testing.eventually import eventually


def test_it_returns_the_first_true_value() -> None:
    values: Iterator[object] = iter([None, 0, [], "there"])
    assert eventually(lambda: next(values)) == "there"


def test_a_probe_may_fail_at_first() -> None:
    ends = time.monotonic() + 0.1

    def probe() -> bool:
        assert time.monotonic() > ends
        return True

    assert eventually(probe) is True


def test_time_runs_out_with_what_came_last() -> None:
    started = time.monotonic()
    with pytest.raises(AssertionError, match=r"did not happen within 0\.1 s .*it returned None"):
        eventually(lambda: None, timeout_s=0.1)
    assert time.monotonic() - started < 5


def test_the_last_error_is_the_cause() -> None:
    record: dict[str, str] = {}
    with pytest.raises(AssertionError, match="it raised KeyError: 'name'") as caught:
        eventually(lambda: record["name"], timeout_s=0.05)
    assert isinstance(caught.value.__cause__, KeyError)
