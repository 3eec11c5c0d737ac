"""A failure is shown by the smallest request that still shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pymacaron.spec import Operation
from pymacaron_testing.exchange import Exchange
from pymacaron_testing.smaller import MAX_REQUESTS, make_smaller
from pymacaron_testing.suite import Suite

BIG = {"name": "Rex", "kind": "dog", "tags": ["a", "b"], "weight": 3.5}


def _find(suite: Suite, operation_id: str) -> Operation:
    return next(one for one in suite.api.operations if one.operation_id == operation_id)


def _send(suite: Suite, operation_id: str, location: str, part: Any) -> Exchange:
    operation = _find(suite, operation_id)
    case = next(one for one in suite.generator.generate(operation) if one.is_valid and not one.is_probe)
    return suite.send(suite.generator.with_part(case, location, part))


def _is_accepted(exchange: Exchange) -> bool:
    return exchange.is_success


def _has_tags(exchange: Exchange) -> bool:
    return exchange.is_success and bool(json.loads(exchange.request.body or b"{}").get("tags"))


@pytest.mark.parametrize(
    ("shows", "expected"),
    [
        pytest.param(_is_accepted, {"kind", "name"}, id="what is required stays"),
        pytest.param(_has_tags, {"kind", "name", "tags"}, id="what it is about stays"),
        pytest.param(lambda _exchange: False, set(BIG), id="nothing smaller shows it"),
    ],
)
def test_body(build_suite: Callable[..., Suite], shows: Callable[[Exchange], bool], expected: set[str]) -> None:
    """Optional properties are left out as long as the rest shows the same; not many requests are sent for that."""
    suite = build_suite()
    exchange = _send(suite, "create_pet", "body", BIG)
    assert exchange.status == 201
    sent: list[Exchange] = []

    def note(answer: Exchange) -> bool:
        sent.append(answer)
        return shows(answer)

    smaller = make_smaller(suite, exchange, note)
    assert set(json.loads(smaller.request.body or b"")) == expected
    assert 0 < len(sent) <= MAX_REQUESTS


def test_query(build_suite: Callable[..., Suite]) -> None:
    """Optional parameters are left out, all at once where that shows it."""
    suite = build_suite()
    exchange = _send(suite, "list_pets", "query", {"limit": 3, "kind": "cat"})
    assert str(make_smaller(suite, exchange, _is_accepted).request.url).endswith("/pets")


def test_invalid_stays(build_suite: Callable[..., Suite]) -> None:
    """An invalid request is shown as it was sent: its invalid part might be what was left out."""
    suite = build_suite()
    operation = _find(suite, "create_pet")
    case = next(one for one in suite.generator.generate(operation) if not one.is_valid)
    exchange = suite.send(case)
    assert make_smaller(suite, exchange, lambda _exchange: True) is exchange
