"""Exact tests of what is more than chance, by small formulas instead of a library of statistics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from math import exp, lgamma, log, log1p

_MOST_SIGNED = 32  # half of them have 65,536 combinations of signs
_ROUNDING = 1e-9


def find_p_of_counts(hits: int, total: int, *, other_hits: int, other_total: int) -> float:
    """Return how probable at least *hits* of *total* are, if what is counted were as frequent there as in the other.

    Returns: p-value, 0 to 1; 1 where they are not more frequent, or one of the totals is 0.
    Source: R. A. Fisher, "On the interpretation of chi-squared from contingency tables" (1922), one-sided.
    """
    if hits * other_total <= other_hits * total:
        return 1.0
    all_hits = hits + other_hits
    whole = _log_choose(total + other_total, all_hits)
    tail = 0.0
    for count in range(hits, min(all_hits, total) + 1):
        part = exp(_log_choose(total, count) + _log_choose(other_total, all_hits - count) - whole)
        tail += part
        if part < tail * _ROUNDING:
            break
    return min(1.0, tail)


def find_p_of_share(hits: int, total: int, allowed: float) -> float:
    """Return how probable at least *hits* of *total* are, if each were one with the probability *allowed*, 0 to 1.

    Returns: p-value, 0 to 1; 1 where they are no more than that.
    Source: C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits" (1934), one-sided.
    """
    if hits <= total * allowed:
        return 1.0
    tail = 0.0
    for count in range(hits, total + 1):
        part = exp(_log_choose(total, count) + count * log(allowed) + (total - count) * log1p(-allowed))
        tail += part
        if part < tail * _ROUNDING:
            break
    return min(1.0, tail)


def find_p_of_differences(differences: Sequence[float]) -> float:
    """Return how probable so great a mean of *differences* is, if each were as likely to have the other sign.

    Of more than 32, neighbours are added up first, so that all combinations of signs can be counted.

    Returns: p-value, 0 to 1; 1 without any difference.
    Source: E. J. G. Pitman, "Significance tests which may be applied to samples from any populations" (1937).
    """
    values = _merge(list(differences))
    if not any(values):
        return 1.0
    middle = len(values) // 2
    first, second = _sum_signed(values[:middle]), sorted(_sum_signed(values[middle:]))
    least = sum(values) - _ROUNDING * sum(map(abs, values))
    reached = sum(len(second) - bisect_left(second, least - one) for one in first)
    return float(reached) / 2.0 ** len(values)


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Return *p_values* so that each may be compared with the probability that any of them is wrong.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure" (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    scaled = (min(1.0, p_values[index] * (len(order) - rank)) for rank, index in enumerate(order))
    adjusted = dict(zip(order, accumulate(scaled, max), strict=True))
    return [adjusted[index] for index in range(len(order))]


def _log_choose(total: int, count: int) -> float:
    return lgamma(total + 1) - lgamma(count + 1) - lgamma(total - count + 1)


def _merge(values: list[float]) -> list[float]:
    while len(values) > _MOST_SIGNED:
        values = [sum(values[start : start + 2]) for start in range(0, len(values), 2)]
    return values


def _sum_signed(values: Sequence[float]) -> list[float]:
    """Return the sums of *values* under every combination of signs."""
    sums = [0.0]
    for value in values:
        sums = [one + sign * value for one in sums for sign in (1, -1)]
    return sums
