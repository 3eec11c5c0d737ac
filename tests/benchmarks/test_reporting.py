"""The benchmark of reporting, for a moment: nobody waits for a Sentry that is slow or away."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from reporting import find_shift, percentile, read_outcomes, run_service, send

SENTRY_DELAY_MS = 5000


@pytest.mark.parametrize("state", ["slow", "away"])
def test_nobody_waits(tmp_path: Path, state: str) -> None:
    """Each request is answered long before Sentry would answer, those that fail included."""
    with run_service(tmp_path, state) as port:
        times = send(port, 0.5)
        outcomes = read_outcomes(port)
    assert len(times) == 100
    assert max(times) < SENTRY_DELAY_MS
    assert "sent" not in outcomes


def test_percentiles() -> None:
    """Of a hundred times one may be longer than the 99th percentile; rounds are compared one by one."""
    times = [float(number) for number in range(100)]
    assert (percentile(times, 0.5), percentile(times, 0.99)) == (50, 99)
    assert find_shift([[1.0], [2.0], [9.0]], [[0.5], [1.5], [1.0]]) == 0.5
