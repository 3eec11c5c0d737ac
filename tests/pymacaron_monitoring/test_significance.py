from __future__ import annotations

import itertools
import random
from math import comb

import pytest

from pymacaron_monitoring.significance import adjust_p_values, find_p_of_counts, find_p_of_differences, find_p_of_share


def count_tables(hits: int, total: int, other_hits: int, other_total: int) -> float:
    """Return Fisher's p-value by adding up all tables with these margins, in whole numbers."""
    all_hits = hits + other_hits
    tables = {one: comb(total, one) * comb(other_total, all_hits - one) for one in range(min(all_hits, total) + 1)}
    return sum(ways for one, ways in tables.items() if one >= hits) / comb(total + other_total, all_hits)


@pytest.mark.parametrize(
    ("hits", "total", "other_hits", "other_total"),
    [(3, 4, 1, 4), (14, 212, 2, 640), (5, 200, 0, 200), (1, 20, 0, 400), (9, 9, 8, 9)],
)
def test_counts_are_compared_exactly(hits: int, total: int, other_hits: int, other_total: int) -> None:
    """Fisher's test, as whole numbers give it; the tea-tasting lady has 0.243."""
    found = find_p_of_counts(hits, total, other_hits=other_hits, other_total=other_total)
    assert found == pytest.approx(count_tables(hits, total, other_hits, other_total))
    if total == 4:
        assert found == pytest.approx(17 / 70)


@pytest.mark.parametrize(
    ("hits", "total", "other_hits", "other_total"),
    [
        pytest.param(2, 100, 4, 100, id="rarer"),
        pytest.param(2, 100, 4, 200, id="as frequent"),
        pytest.param(0, 0, 1, 9, id="nothing counted"),
        pytest.param(3, 3, 0, 0, id="nothing to compare with"),
    ],
)
def test_what_is_not_more_frequent_shows_nothing(hits: int, total: int, other_hits: int, other_total: int) -> None:
    """The p-value is 1."""
    assert find_p_of_counts(hits, total, other_hits=other_hits, other_total=other_total) == 1


@pytest.mark.parametrize(
    ("hits", "total", "allowed"), [(1, 20, 0.01), (2, 30, 0.01), (5, 200, 0.01), (40, 212, 0.05), (3, 3, 0.5)]
)
def test_shares_are_compared_exactly(hits: int, total: int, allowed: float) -> None:
    """As the binomial coefficients say; one slow request of twenty is no proof of more than one in a hundred."""
    exact = sum(comb(total, one) * allowed**one * (1 - allowed) ** (total - one) for one in range(hits, total + 1))
    assert find_p_of_share(hits, total, allowed) == pytest.approx(exact)


def test_a_share_that_is_allowed_shows_nothing() -> None:
    """The p-value is 1; without requests, too."""
    assert [find_p_of_share(*one, 0.01) for one in ((1, 100), (0, 0))] == [1, 1]


def test_counts_of_millions_are_compared() -> None:
    """Live traffic has no size that is too much."""
    rare = find_p_of_counts(1_400_000, 20_000_000, other_hits=1_390_000, other_total=20_000_000)
    assert 0 < rare < 1e-9
    assert find_p_of_counts(1_400_100, 20_000_000, other_hits=1_400_000, other_total=20_000_000) > 0.4


@pytest.mark.parametrize("seed", range(4))
def test_differences_are_compared_exactly(seed: int) -> None:
    """As every combination of signs says, one by one."""
    values = [random.Random(seed).gauss(0.4, 1) for _ in range(9 + seed)]
    signed = [sum(signs) for signs in itertools.product(*((one, -one) for one in values))]
    expected = sum(one >= sum(values) - 1e-12 for one in signed) / len(signed)
    assert find_p_of_differences(values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([], 1.0, id="none"),
        pytest.param([0.0, 0.0], 1.0, id="all equal"),
        pytest.param([1.0] * 5, 1 / 32, id="all above"),
        pytest.param([-1.0] * 5, 1.0, id="all below"),
        pytest.param([0.1 + 0.2, -0.3], 0.75, id="a sum of zero but for rounding"),
        pytest.param([1.0] * 64, 2**-32, id="many: neighbours are added up"),
    ],
)
def test_differences_of_special_kinds(values: list[float], expected: float) -> None:
    """The most that a few differences can show is one combination of all."""
    assert find_p_of_differences(values) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [([], []), ([0.04], [0.04]), ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]), ([0.6, 0.6], [1.0, 1.0])],
)
def test_many_comparisons_are_adjusted(given: list[float], expected: list[float]) -> None:
    """Holm: the smallest counts once for each, the next once for each but that one, none less than a smaller one."""
    assert adjust_p_values(given) == pytest.approx(expected)
