"""Values as DynamoDB has them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pymacaron.persistence.dynamodb_items import read_json, write_json


@pytest.mark.parametrize(
    "value",
    [
        0,
        -7,
        2**60 + 1,
        10**37 + 1,
        0.5,
        -0.1,
        3.0,
        4e16,
        -4.010841934914142e16,
        1e22,
        123456789e30,
        1.7e40,
        -2e100,
        5e-100,
    ],
)
def test_numbers_that_dynamodb_writes_otherwise(value: Any) -> None:
    """A number inside JSON is the same after DynamoDB has written it without exponent and needless zeros."""
    answered = format(Decimal(write_json(value)["N"]), "f")
    answered = answered.rstrip("0").rstrip(".") if "." in answered else answered
    assert read_json({"N": answered}) == value
