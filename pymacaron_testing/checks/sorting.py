"""Lists are in the order that was asked for: numbers by value, instants by time, words by letters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pymacaron_testing.pages import largest_size
from pymacaron_testing.selection import Order, comparable, find_orders
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.stage import Stage

_MAX_ORDERS = 12
_FEW = 2
_SAME_MOMENT_S = 1.0


def check_sorting(stage: Stage) -> Iterator[Failure]:
    """Ask for each order, in a large page and in a small one: the large one is in order, the small one its start."""
    listing = stage.listing
    for order in list(find_orders(stage.suite.api, listing))[:_MAX_ORDERS]:
        sizes = {listing.size.name: largest_size(listing)} if listing.size else {}
        page = stage.ask({**order.query, **sizes})
        if page is None or page.items is None:
            continue
        asked = "&".join(f"{name}={value}" for name, value in order.query.items()) or "nothing else asked for"
        name = next(iter(order.query), "")
        wrong = find_disorder(page.items, order)
        if wrong:
            promise = f"{name_of(listing.operation)} with {asked} is in the order of {order.field}"
            yield stage.fail(page.exchange, "order", promise, wrong, name)
            continue
        small = stage.ask({**order.query, listing.size.name: _FEW}) if listing.size else None
        if small is None or small.items is None or len(small.items) != _FEW:
            continue
        first, whole = (_values(items, order.field)[:_FEW] for items in (small.items, page.items))
        if first != whole:
            promise = f"a small page of {name_of(listing.operation)} with {asked} is the start of a large one"
            detail = f"it begins with {order.field} {first}, a large one with {whole}"
            yield stage.fail(small.exchange, "order", promise, detail, name)


def find_disorder(items: Sequence[Json], order: Order) -> str:
    """Return two neighbours that are in the wrong order, in words; empty if there are none."""
    found = [""]
    for descending in (order.descending,) if order.descending is not None else (False, True):
        values = [value for value in _values(items, order.field) if comparable(value) is not None]
        keys = [comparable(value) for value in values]
        if len({type(key) for key in keys} - {int, float}) > 1 or len({isinstance(key, str) for key in keys}) > 1:
            return ""
        found = [
            f"{order.field} {values[place]!r} comes before {values[place + 1]!r}"
            for place, (one, two) in enumerate(pairwise(keys))
            if one is not None and two is not None and _is_wrong(values[place], one, two, descending=descending)
        ]
        if not found:
            return ""
    return found[0]


def _is_wrong(value: Json, one: Json, two: Json, *, descending: bool) -> bool:
    """Tell whether two neighbours are in the wrong order; instants of one second, made at once, may be in any."""
    first, second = (two, one) if descending else (one, two)
    slack = _SAME_MOMENT_S if isinstance(value, str) and isinstance(one, int | float) else 0
    return bool(first - second > slack) if slack else bool(first > second)


def _values(items: Sequence[Json], field: str) -> list[Json]:
    return [item.get(field) if isinstance(item, dict) else None for item in items]
