"""Rows become DynamoDB's items, and items rows again."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from pymacaron.persistence.errors import UnstorableError
from pymacaron.persistence.layout import MORE, Index, Kind, Layout, StoredField
from pymacaron.persistence.rows import Key, Row
from pymacaron.persistence.sort_text import join_sorted, write_sorted

Attribute = dict[str, Any]
"""A typed value: ``{"S": "text"}``, ``{"N": "12.5"}``, ``{"BOOL": True}``, ``{"M": {…}}`` …"""
Item = dict[str, Attribute]

WRITER = "pym_writer"
"""Attribute that tells which write made the item, so that a repeated one knows its own work."""
DIGITS = "pym_digits"
"""Attribute with the texts of decimals that DynamoDB would shorten: ``{"price": "12.50"}``."""
TTL = "pym_ttl"
"""Attribute with the second at which the item may be removed, where ttl_field is a date-time."""
EVERYTHING = "*"
_MOST_DIGITS = 38  # Source: DynamoDB developer guide, "Naming rules and data types", Number
_FIRST_LONGER = 1e38
_LEAST_FLOAT, _MOST_FLOAT = 1e-130, 1e126


def partition_attribute(index: Index) -> str:
    """Return the attribute by which *index* finds."""
    return f"pym_{index.name}_partition"


def sort_attribute(index: Index) -> str:
    """Return the attribute by which *index* orders."""
    return f"pym_{index.name}_sort"


def write_partition(index: Index, value: Any) -> str:
    """Return the text of the partition of *index* with *value*."""
    return f"={write_sorted(index.partition, value)}" if index.partition else EVERYTHING


def to_item(layout: Layout, row: Row, version: int, writer: str) -> Item:
    """Return the item of *row*. Raises: UnstorableError: DynamoDB has no place for a value."""
    item: Item = {}
    digits: Item = {}
    for field in layout.fields:
        value = row[field.column]
        if value is None:
            continue
        item[field.column] = attribute = to_attribute(field, value)
        if field.kind == "decimal" and _is_shortened(attribute["N"], value):
            digits[field.column] = {"S": attribute["N"]}
    item[layout.version_column] = {"N": str(version)}
    item[WRITER] = {"S": writer}
    if digits:
        item[DIGITS] = {"M": digits}
    if layout.has_more and row[MORE]:
        item[MORE] = write_json(row[MORE])
    if layout.ttl and layout.ttl.kind == "date-time" and row[layout.ttl.column]:
        item[TTL] = {"N": str(math.ceil(row[layout.ttl.column].timestamp()))}
    for index in layout.indexes.values():
        if all(row[field.column] is not None for field in index.fields):
            item |= _index_attributes(layout, index, row)
    return item


def _index_attributes(layout: Layout, index: Index, row: Row) -> Item:
    partition = row[index.partition.column] if index.partition else None
    fields = [*([index.sort] if index.sort else []), *layout.key]
    return {
        partition_attribute(index): {"S": write_partition(index, partition)},
        sort_attribute(index): {"S": join_sorted(fields, [row[field.column] for field in fields])},
    }


def possible_names(layout: Layout) -> set[str]:
    """Return the names of all attributes that items of *layout* may have."""
    names = {field.column for field in layout.fields} | {layout.version_column, WRITER, DIGITS, MORE, TTL}
    for index in layout.indexes.values():
        names |= {partition_attribute(index), sort_attribute(index)}
    return names


def to_row(layout: Layout, item: Mapping[str, Attribute]) -> Row:
    """Return the row of *item*, with its version: None where it has none."""
    digits = item[DIGITS]["M"] if DIGITS in item else {}
    row: Row = {}
    for field in layout.fields:
        attribute = digits.get(field.column) or item.get(field.column)
        row[field.column] = None if attribute is None else _from_attribute(field, attribute)
    if layout.has_more:
        row[MORE] = read_json(item[MORE]) if MORE in item else None
    version = item.get(layout.version_column)
    row[layout.version_column] = int(version["N"]) if version and "N" in version else None
    return row


def to_key(layout: Layout, key: Key) -> Item:
    """Return the primary key as DynamoDB has it."""
    return {field.column: to_attribute(field, value) for field, value in zip(layout.key, key, strict=True)}


def to_attribute(field: StoredField, value: Any) -> Attribute:
    """Return *value*, as rows have it, as an attribute. Raises: UnstorableError."""
    if field.kind == "json":
        return _write_set(value) if field.is_set and value else write_json(value)
    name, write = _WRITERS[field.kind]
    try:
        return {name: write(value)}
    except ValueError as error:
        raise UnstorableError(f"{field.column} {error}") from error


def write_json(value: Any) -> Attribute:
    """Return a JSON value as an attribute. Raises: UnstorableError: a number has too many digits."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, (list, tuple)):
        return {"L": [write_json(each) for each in value]}
    if isinstance(value, dict):
        return {"M": {_write_name(name): write_json(each) for name, each in value.items()}}
    if isinstance(value, float) and value.is_integer() and abs(value) < _FIRST_LONGER:
        value = int(value)  # DynamoDB gives 4e16 back as an integer; this is the same one
    try:
        return {"N": _write_float(value) if isinstance(value, float) else _write_decimal(Decimal(value))}
    except ValueError as error:
        raise UnstorableError(f"A number {error}") from error


def read_json(attribute: Attribute) -> Any:
    """Return the JSON value of an attribute."""
    ((name, value),) = attribute.items()
    if name == "N":
        return _read_number(value)
    if name == "NULL":
        return None
    if name == "L":
        return [read_json(each) for each in value]
    if name == "M":
        return {_read_name(key): read_json(each) for key, each in value.items()}
    if name == "NS":
        return [_read_number(each) for each in value]
    return list(value) if name in ("SS", "BS") else value


def _write_set(values: Sequence[Any]) -> Attribute:
    if all(isinstance(value, str) for value in values):
        return {"SS": list(values)}
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return {"NS": [write_json(value)["N"] for value in values]}
    return write_json(values)


def _write_name(name: str) -> str:
    """Return the name of a property inside a value; DynamoDB has no empty ones."""
    return name if name and name[0] != "\x00" else f"\x00{name}"


def _read_name(name: str) -> str:
    return name.removeprefix("\x00")


def _read_number(text: str) -> float:
    digits = text.lstrip("-")
    return int(text) if digits.isdigit() and len(digits) <= _MOST_DIGITS else float(text)


def _from_attribute(field: StoredField, attribute: Attribute) -> Any:
    if field.kind == "json":
        return read_json(attribute)
    ((name, value),) = attribute.items()
    return None if name == "NULL" else _READERS[field.kind](value)


def _is_shortened(text: str, value: Decimal) -> bool:
    return ("." in text and text.endswith("0")) or (not value and value.is_signed())


def _write_decimal(value: Decimal) -> str:
    if len(value.as_tuple().digits) > _MOST_DIGITS or abs(value.adjusted()) >= 125:  # noqa: PLR2004 - the same source
        raise ValueError(f"has more than {_MOST_DIGITS} digits")
    return format(value, "f")


def _write_float(value: float) -> str:
    if value and not _LEAST_FLOAT <= abs(value) < _MOST_FLOAT:
        raise ValueError("is beyond what DynamoDB keeps, 1e-130 to 1e126")
    return repr(value)


def _read_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_WRITERS: Mapping[Kind, tuple[str, Callable[[Any], Any]]] = {
    "text": ("S", str),
    "integer": ("N", str),
    "number": ("N", _write_float),
    "boolean": ("BOOL", bool),
    "decimal": ("N", _write_decimal),
    "date-time": ("S", lambda value: value.isoformat(timespec="microseconds")),
    "date": ("S", lambda value: value.isoformat()),
    "uuid": ("S", str),
    "bytes": ("B", bytes),
}
_READERS: Mapping[Kind, Callable[[Any], Any]] = {
    "text": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "decimal": Decimal,
    "date-time": _read_time,
    "date": date.fromisoformat,
    "uuid": UUID,
    "bytes": bytes,
}
KEY_TYPES: Mapping[Kind, str] = {kind: name for kind, (name, _) in _WRITERS.items()}
"""Kind -> DynamoDB's type of a key: ``S`` or ``N``."""
