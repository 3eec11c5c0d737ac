from __future__ import annotations

from math import inf

import pytest

from pymacaron_monitoring.wilson import Interval, count_to_decide, estimate_share


@pytest.mark.parametrize(
    ("hits", "total"),
    [
        pytest.param(5, 200, id="200"),
        pytest.param(9, 500, id="500"),
        pytest.param(16, 1000, id="1000"),
        pytest.param(28, 2000, id="2000"),
    ],
)
def test_lower_limit(hits: int, total: int) -> None:
    """The fewest hits that show a share above 1 %, as worked out independently."""
    assert estimate_share(hits, total).lower > 0.01 >= estimate_share(hits - 1, total).lower


@pytest.mark.parametrize(
    ("hits", "total", "lower", "upper"),
    [
        pytest.param(0, 51, 0.0, 0.0504, id="51 good ones are too few for 5 %"),
        pytest.param(0, 52, 0.0, 0.0495, id="52 good ones are enough for 5 %"),
        pytest.param(14, 212, 0.0431, 0.0999, id="some"),
        pytest.param(10, 10, 0.7871, 1.0, id="all"),
    ],
)
def test_limits(hits: int, total: int, lower: float, upper: float) -> None:
    """Both limits, to four digits."""
    found = estimate_share(hits, total)
    assert (round(found.lower, 4), round(found.upper, 4)) == (lower, upper)


def test_nothing_seen_says_nothing() -> None:
    """Without a request the share may be anything."""
    assert estimate_share(0, 0) == Interval(0.0, 1.0)


@pytest.mark.parametrize(
    ("share", "allowed", "expected"),
    [
        pytest.param(0.0, 0.05, 52, id="p95"),
        pytest.param(0.0, 0.01, 268, id="p99"),
        pytest.param(0.0, 0.001, 2703, id="99.9 %"),
        pytest.param(0.06, 0.05, 1286, id="a little too much"),
        pytest.param(0.05, 0.05, inf, id="just what is allowed"),
    ],
)
def test_count_to_decide(share: float, allowed: float, expected: float) -> None:
    """How many requests it takes, if the share stays."""
    assert count_to_decide(share, allowed) == expected


@pytest.mark.parametrize("share", [0.0, 0.01, 0.03, 0.07, 0.5])
def test_count_to_decide_is_where_the_interval_decides(share: float) -> None:
    """One request fewer leaves it open."""
    needed = int(count_to_decide(share, 0.05))
    at, below = (estimate_share(share * total, total) for total in (needed, needed - 1))
    assert at.upper <= 0.05 or at.lower >= 0.05
    assert below.lower < 0.05 < below.upper
