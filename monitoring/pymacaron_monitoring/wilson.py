"""How sure a share is, when it was seen in a sample."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, sqrt

Z_95 = 1.6448536269514722
"""Standard normal quantile of one-sided 95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Limits of a share, 0 to 1, each of which the true share passes in at most 5 % of samples."""

    lower: float
    upper: float


def estimate_share(hits: float, total: float) -> Interval:
    """Return the limits of the true share when *hits* of *total* were counted; 0 to 1 if *total* is 0.

    Source: E. B. Wilson, "Probable inference", JASA 22 (1927), one-sided at 95 %.
    """
    if not total:
        return Interval(0.0, 1.0)
    share, weight = hits / total, Z_95**2 / total
    centre = share + weight / 2
    spread = Z_95 * sqrt(share * (1 - share) / total + weight / (4 * total))
    return Interval(max(0.0, (centre - spread) / (1 + weight)), min(1.0, (centre + spread) / (1 + weight)))


def count_to_decide(share: float, allowed: float) -> float:
    """Return how many requests would decide whether *share* keeps to *allowed*, if it stayed as it is.

    Both are 0 to 1. Infinity if they are equal: then no number decides.
    Source: Wilson's interval turned around; *allowed* is a limit of it at exactly this number.
    """
    if share == allowed:
        return inf
    return ceil(Z_95**2 * allowed * (1 - allowed) / (share - allowed) ** 2)
