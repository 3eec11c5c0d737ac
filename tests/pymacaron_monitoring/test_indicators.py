from __future__ import annotations

from collections.abc import Callable

import pytest

from pymacaron.spec import Api
from pymacaron_monitoring.indicators import find_indicators, format_bound
from pymacaron_monitoring.slo import DAY_S, read_objectives

MakeApi = Callable[[str], Api]


def test_operations_that_promise_the_same_share_an_indicator(read_api: MakeApi, pets_text: str) -> None:
    """Availability is judged together but for those with their own; latency by bound, each operation by itself."""
    api = read_api(pets_text)
    found = [
        (one.name, [operation.operation_id for operation in one.operations], one.is_pooled, one.allowed_share)
        for one in find_indicators(api, read_objectives(api))
    ]
    assert found == [
        ("pets/availability", ["listPets", "getPet"], True, 0.01),
        ("pets/availability-90", ["deletePet"], False, 0.1),
        ("pets/p95-200ms", ["listPets", "deletePet"], False, 0.05),
        ("pets/p95-300ms", ["getPet"], False, 0.05),
        ("pets/p99-1.5s", ["getPet"], False, 0.01),
    ]


def test_another_window_is_another_indicator(read_api: MakeApi, pets_text: str) -> None:
    """The same bound over another time is a budget of its own, and its name says so."""
    api = read_api(pets_text.replace("{availability: 90}", "{window: 7d}"))
    indicators = {one.name: one for one in find_indicators(api, read_objectives(api))}
    assert {name: one.period_s // DAY_S for name, one in indicators.items() if "7d" in name} == {
        "pets/availability-99-7d": 7,
        "pets/p95-200ms-7d": 7,
    }
    assert indicators["pets/p95-200ms"].period_s == 30 * DAY_S


def test_who_is_judged(read_api: MakeApi, pets_text: str) -> None:
    """One number for a pool, one for each operation otherwise; each says what it promises."""
    api = read_api(pets_text)
    pooled, _, latency, *_, slowest = find_indicators(api, read_objectives(api))
    assert pooled.subjects == (None,)
    assert latency.subjects == latency.operations
    assert [one.promise for one in (pooled, latency, slowest)] == [
        "99 % of requests are not answered 5xx",
        "95 % of requests take at most 200 ms",
        "99 % of requests take at most 1.5 s",
    ]


@pytest.mark.parametrize(("bound_s", "text"), [(0.3, "300 ms"), (0.0005, "0.5 ms"), (1.0, "1 s"), (1.5, "1.5 s")])
def test_bounds(bound_s: float, text: str) -> None:
    """As a document would write them."""
    assert format_bound(bound_s) == text
