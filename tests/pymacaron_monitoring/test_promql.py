from __future__ import annotations

import pytest

from pymacaron_monitoring.promql import format_duration, match, match_bound, select


@pytest.mark.parametrize(
    ("values", "matcher"),
    [
        pytest.param(["getPet"], 'id="getPet"', id="one"),
        pytest.param(["getPet", "put-pet"], 'id=~"getPet|put-pet"', id="several"),
        pytest.param(["a.b", "c(d)"], r'id=~"a\\.b|c\\(d\\)"', id="special characters stand for themselves"),
        pytest.param(['say "hi"'], r'id="say \"hi\""', id="quotes"),
    ],
)
def test_matchers(values: list[str], matcher: str) -> None:
    """A label has one of the values, whatever stands in them."""
    assert match("id", *values) == matcher


@pytest.mark.parametrize(("bound_s", "matcher"), [(0.3, 'le="0.3"'), (1.0, r'le=~"1\\.0|1"'), (0.00005, 'le="5e-05"')])
def test_buckets(bound_s: float, matcher: str) -> None:
    """As they are exposed; whole seconds with and without a point."""
    assert match_bound(bound_s) == matcher


def test_select() -> None:
    """A metric and its matchers."""
    assert select("up", match("job", "shop"), 'instance=~".+"') == 'up{job="shop", instance=~".+"}'


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5s"), (300, "5m"), (5400, "1h30m"), (30 * 86400, "30d"), (20160, "5h36m"), (70, "1m10s")]
)
def test_durations(seconds: float, text: str) -> None:
    """From days down to seconds."""
    assert format_duration(seconds) == text
