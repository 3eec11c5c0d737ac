from __future__ import annotations

from math import inf

import pytest

from pymacaron_monitoring.burn_rate import BURN_WINDOWS, burn_rate_factor, find_delay_s, scale_windows
from pymacaron_monitoring.slo import DAY_S

PAGES = [window for window in BURN_WINDOWS if window.severity == "page"]


def test_windows_of_the_workbook() -> None:
    """Table 5-8 of the SRE Workbook, for 30 days."""
    found = [(one.long_s, one.short_s, round(one.factor, 6), one.severity) for one in BURN_WINDOWS]
    assert found == [
        (3600, 300, 14.4, "page"),
        (21600, 1800, 6.0, "page"),
        (86400, 7200, 3.0, "ticket"),
        (259200, 21600, 1.0, "ticket"),
    ]


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_no_share_of_a_budget(share: float) -> None:
    """Nothing spends nothing, or more than all."""
    with pytest.raises(ValueError, match="is no share of a budget"):
        burn_rate_factor(share, 3600, 30 * DAY_S)


def test_shorter_periods_have_shorter_windows() -> None:
    """A week's windows are 7/30 as long, its factors the same; a rehearsal shortens them further."""
    week = scale_windows(7 * DAY_S)
    assert [(one.long_s, one.short_s) for one in week] == [(840, 70), (5040, 420), (20160, 1680), (60480, 5040)]
    assert [one.factor for one in week] == [one.factor for one in BURN_WINDOWS]
    assert [(one.long_s, one.short_s) for one in scale_windows(30 * DAY_S, 1 / 60)][:2] == [(60, 5), (360, 30)]


@pytest.mark.parametrize(
    ("allowed_share", "threshold"),
    [
        pytest.param(0.001, 0.0144, id="99.9 %"),
        pytest.param(0.05, 0.72, id="95 %"),
        pytest.param(0.1, 0.9, id="90 %: a total outage must still be seen"),
        pytest.param(0.9, 0.95, id="10 %: between what is allowed and all"),
    ],
)
def test_thresholds(allowed_share: float, threshold: float) -> None:
    """The factor times what is allowed, but never more than an outage can reach."""
    assert BURN_WINDOWS[0].find_threshold(allowed_share) == pytest.approx(threshold)


@pytest.mark.parametrize(
    ("allowed_share", "requests_per_s", "bad_share", "minutes"),
    [
        pytest.param(0.001, 10, 1, (0.9, 1.5), id="99.9 %, total outage: 1.44 % of an hour, and being sure"),
        pytest.param(0.001, 10, 0.05, (17, 21), id="99.9 %, 5 % fail"),
        pytest.param(0.01, 10, 1, (8.6, 9), id="99 %, total outage"),
        pytest.param(0.01, 1 / 60, 1, (13, 15), id="99 %, total outage of one request a minute"),
        pytest.param(0.001, 1 / 60, 1, (2.9, 3.1), id="never before three requests failed"),
        pytest.param(0.01, 10, 0.05, (inf, inf), id="5 times what is allowed makes no page"),
        pytest.param(0.5, 10, 1, (54, 55), id="50 %, total outage: nine tenths of an hour"),
    ],
)
def test_how_soon_a_page_comes(
    allowed_share: float, requests_per_s: float, bad_share: float, minutes: tuple[float, float]
) -> None:
    """Minutes after good times until the first window tells."""
    delay_s = find_delay_s(PAGES, allowed_share, requests_per_s=requests_per_s, bad_share=bad_share)
    assert minutes[0] * 60 <= delay_s <= minutes[1] * 60


def test_a_service_that_is_new_is_told_of_sooner() -> None:
    """Its windows hold less good traffic that outweighs the bad."""
    delay_s = find_delay_s(PAGES, 0.01, requests_per_s=10, history_s=360)
    assert 20 <= delay_s <= 90 < find_delay_s(PAGES, 0.01, requests_per_s=10, history_s=3600)


def test_no_windows_tell_nothing() -> None:
    """Whoever watches nothing waits for ever."""
    assert find_delay_s([], 0.01, requests_per_s=1) == inf
