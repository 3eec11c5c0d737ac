"""A few trials of the benchmark of the gate: two real copies of a service, the same code and a slower one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gate_statistics import run_trials


def test_the_gate_tells_a_slower_release_from_the_same_one() -> None:
    """Requests by turns, on a machine that does other things meanwhile; the slower one takes several times as long."""
    same, slower = (run_trials(1, loops, compared=0, size=100) for loops in (0, 60_000))
    assert (same.failed, slower.failed) == (0, 1)
    assert slower.ratios[0] > max(1.3, same.ratios[0])
    assert "of 100 requests" in slower.reasons[0]
