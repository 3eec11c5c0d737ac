"""What models cost beyond pydantic-core: JSON texts of 100 bytes to 1 MB read, objects written as dicts.

Run it from the repository: ``python tests/benchmarks/models.py``. It prints microseconds of CPU time of one call, the
best of the repeats, and the ratio to pydantic-core alone.
"""

from __future__ import annotations

import json
import time
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pymacaron.model import PymacaronBaseModel
from pymacaron.validation import JsonReader

SIZES = (1, 10, 100, 1000, 10_000)
REPEATS = 9
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Line(PymacaronBaseModel):
    """One line of an order."""

    sku: str
    count: int
    price: float | None = None
    note: str | None = None


class Order(PymacaronBaseModel):
    """An object of ten fields, some of them objects."""

    id: int
    name: str
    email: str
    made: datetime | None = None
    total: float | None = None
    paid: bool | None = None
    status: str | None = None
    tags: list[str] | None = None
    best: Line | None = None
    lines: list[Line]


class OpenOrder(Order):
    """One that takes anything more: its texts are searched for numbers that are too large."""

    more: Any | None = None


def main() -> None:
    """Measure and print."""
    print(f"{'us':24}{'pydantic-core':>14}{'pymacaron':>12}{'ratio':>8}")  # noqa: T201
    for lines in SIZES:
        for model in (Order, OpenOrder):
            data = make_order(lines)
            reader, core = JsonReader(model), model.__pydantic_validator__
            compare(
                f"read {len(data):,} B{' open' if model is OpenOrder else ''}",
                lambda: core.validate_json(data, strict=True, by_alias=True, by_name=False),  # noqa: B023 - called here
                lambda: reader.read(data, []),  # noqa: B023 - called here
            )
    for lines in SIZES[:3]:
        order = Order.model_validate_json(make_order(lines))
        dump = Order.__pydantic_serializer__.to_python
        compare(
            f"to_json of {lines} lines",
            lambda: dump(order, mode="json", by_alias=True, exclude_unset=True),  # noqa: B023 - called here
            lambda: order.to_json(),  # noqa: B023, PLW0108 - called here
        )


def make_order(lines: int) -> bytes:
    """Return the JSON text of an order with that many lines."""
    line = {"sku": "a-17", "count": 2, "price": 12.5}
    fields = {"id": 7, "name": "Rex Harrison", "email": "rex@example.org", "made": NOON.isoformat(), "total": 25.0}
    return json.dumps({**fields, "paid": True, "tags": ["a", "b"], "best": line, "lines": [line] * lines}).encode()


def compare(name: str, core: Callable[[], object], ours: Callable[[], object]) -> None:
    """Print what both cost."""
    number = max(1, int(0.01 / timeit.timeit(core, number=1)))
    both = [min(timeit.repeat(f, number=number, repeat=REPEATS, timer=time.process_time)) for f in (core, ours)]
    less, more = (seconds / number * 1e6 for seconds in both)
    print(f"{name:24}{less:>14.1f}{more:>12.1f}{more / less:>8.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
