"""Values as texts that sort as the values do: what the indexes of DynamoDB are made of."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pymacaron.persistence.layout import Kind, StoredField

END = "\x00"
"""Ends each part: it is less than any character of a part, so that a beginning comes before what it begins."""
BEHIND_END = "\x01"
"""In place of `END`: greater than everything that goes on with the same part, less than any longer part."""
_INTEGER_OFFSET = 2**63
_SIGN_BIT = 1 << 63
_ALL_BITS = (1 << 64) - 1
_EXPONENT_OFFSET = 500_000
_NINES_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def write_sorted(field: StoredField, value: Any) -> str:
    """Return the text of *value*, of the kind of *field*, without an end; of equal values the same."""
    return _WRITERS[field.kind](value)


def join_sorted(fields: Sequence[StoredField], values: Sequence[Any]) -> str:
    """Return the text by which rows are sorted by several fields."""
    return "".join(write_sorted(field, value) + END for field, value in zip(fields, values, strict=True))


def _write_number(value: float) -> str:
    """Source: IEEE 754, section 5.10: positive numbers are ordered as their bits, negative ones the other way round."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))  # -0.0 becomes 0.0
    return f"{bits ^ (_ALL_BITS if bits & _SIGN_BIT else _SIGN_BIT):016x}"


def _write_decimal(value: Decimal) -> str:
    """Sign, exponent of the first digit, digits; for negative numbers each digit turned round, then a high end."""
    if not value:
        return "1"
    digits = "".join(map(str, value.as_tuple().digits)).lstrip("0")
    exponent = f"{value.adjusted() + _EXPONENT_OFFSET:06d}"
    text = exponent + digits.rstrip("0")
    return f"2{text}" if value > 0 else f"0{text.translate(_NINES_COMPLEMENT)}~"


_WRITERS: Mapping[Kind, Callable[[Any], str]] = {
    "text": str,
    "integer": lambda value: f"{value + _INTEGER_OFFSET:020d}",
    "number": _write_number,
    "boolean": lambda value: "1" if value else "0",
    "decimal": _write_decimal,
    "date-time": lambda value: str(value.isoformat(timespec="microseconds")),
    "date": lambda value: str(value.isoformat()),
    "uuid": str,
}
