"""How fast an error budget may burn before somebody is told, and how soon that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from pymacaron_monitoring.slo import DEFAULT_WINDOW_S
from pymacaron_monitoring.wilson import estimate_share

Severity = Literal["page", "ticket"]

LEAST_BAD = 3
"""Bad requests below which nobody is told, whatever their share: two of them are no outage."""

_HIGHEST_THRESHOLD = 0.9
_PRECISION_S = 0.5


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """Somebody is told when the budget burns too fast both over *long_s* and over *short_s* seconds.

    The long window says that it matters, the short one that it still goes on. factor: multiple of the rate that spends
    the budget in just its period.
    """

    long_s: float
    short_s: float
    factor: float
    severity: Severity

    def find_threshold(self, allowed_share: float) -> float:
        """Return the share of bad requests, 0 to 1, that burns the budget at this rate.

        Loose objectives allow so much that even a total outage does not burn at *factor*; the threshold then is 90 %,
        or half way from what is allowed to everything where even more is allowed.
        """
        return min(self.factor * allowed_share, max(_HIGHEST_THRESHOLD, (1 + allowed_share) / 2))


def burn_rate_factor(budget_share: float, window_s: float, period_s: float) -> float:
    """Return the burn rate that spends *budget_share* of the budget within *window_s*.

    Args: budget_share: part of the whole budget, above 0 and up to 1. window_s, period_s: seconds, of the same unit.
    Returns: multiple of the sustainable rate, no unit; 1.0 spends the budget in one period.
    Raises: ValueError: *budget_share* is outside its range.
    Source: Google SRE Workbook, "Alerting on SLOs" (2 % in 1 h of 30 d: 14.4).
    """
    if not 0 < budget_share <= 1:
        raise ValueError(f"{budget_share} is no share of a budget")
    return budget_share * period_s / window_s


def _window(budget_share: float, long_s: int, short_s: int, severity: Severity) -> BurnWindow:
    return BurnWindow(long_s, short_s, burn_rate_factor(budget_share, long_s, DEFAULT_WINDOW_S), severity)


BURN_WINDOWS = (
    _window(0.02, 3600, 300, "page"),
    _window(0.05, 6 * 3600, 1800, "page"),
    _window(0.10, 24 * 3600, 2 * 3600, "ticket"),
    _window(0.10, 72 * 3600, 6 * 3600, "ticket"),
)
"""Windows for a period of 30 days: factors 14.4, 6, 3 and 1.

Source: Google SRE Workbook, chapter 5, "Recommended parameters for an SLO-based alerting configuration" (table 5-8).
"""


def scale_windows(period_s: float, scale: float = 1.0) -> tuple[BurnWindow, ...]:
    """Return `BURN_WINDOWS` for another period: as much of the budget in as much of the period, the same factors.

    scale: shortens all of them, for a rehearsal that cannot wait for hours. Lengths are whole seconds.
    """
    ratio = period_s / DEFAULT_WINDOW_S * scale
    return tuple(
        replace(window, long_s=max(1, round(window.long_s * ratio)), short_s=max(1, round(window.short_s * ratio)))
        for window in BURN_WINDOWS
    )


def find_delay_s(
    windows: Iterable[BurnWindow],
    allowed_share: float,
    *,
    requests_per_s: float,
    bad_share: float = 1.0,
    history_s: float = inf,
) -> float:
    """Return how many seconds after good times, once *bad_share* of steady traffic is bad, the first window tells.

    history_s: how long the good times were; the shorter, the sooner it tells. What comes on top is waiting for the
    scrape and for the evaluation of the rule. Infinity: none of them ever does.
    """
    traffic = _Traffic(requests_per_s, bad_share, history_s)
    return min((_find_delay_s(one, allowed_share, traffic) for one in windows), default=inf)


@dataclass(frozen=True, slots=True)
class _Traffic:
    requests_per_s: float
    bad_share: float
    history_s: float


def _find_delay_s(window: BurnWindow, allowed_share: float, traffic: _Traffic) -> float:
    threshold = window.find_threshold(allowed_share)

    def tells(after_s: float) -> bool:
        seen_s = after_s + traffic.history_s
        bad = traffic.requests_per_s * traffic.bad_share * after_s
        lower = estimate_share(bad, traffic.requests_per_s * min(window.long_s, seen_s)).lower
        recent_share = traffic.bad_share * min(1.0, after_s / min(window.short_s, seen_s))
        return bad >= LEAST_BAD and lower > threshold and recent_share > threshold

    if not tells(window.long_s):
        return inf
    low, high = 0.0, window.long_s
    while high - low > _PRECISION_S:
        middle = (low + high) / 2
        low, high = (low, middle) if tells(middle) else (middle, high)
    return high
