"""A few trials of the benchmark of the gate: two real copies of a service, the same code and a slower one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gate_statistics import run_trials


@pytest.mark.unmeasured
def test_the_gate_tells_a_slower_release_from_the_same_one() -> None:
    """Requests by turns, on a machine that does other things meanwhile; the slower one takes several times as long.

    One trial of three may fail for the same code: the gate promises few false failures, not none.
    """
    same, slower = (run_trials(count, loops, compared=0, size=100) for count, loops in ((3, 0), (1, 300_000)))
    assert same.failed <= 1
    assert slower.failed == 1
    assert slower.ratios[0] > max(same.ratios)
    assert "of 100 requests" in slower.reasons[0]
