"""Objects become rows, dicts of plain values by column, and rows objects again: the same for all stores."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from pymacaron.persistence.errors import StoredDataError, UnstorableError
from pymacaron.persistence.layout import MORE, Kind, Layout, StoredField

Row = dict[str, Any]
"""Column -> str, int, float, bool, Decimal, datetime (UTC), date, UUID, bytes, JSON, or None where there is nothing."""
Key = tuple[Any, ...]
"""The values of the primary key, in its order."""

_LEAST, _MOST = -(2**63), 2**63 - 1


def to_row(layout: Layout, instance: BaseModel) -> Row:
    """Return what is to be stored of *instance*, all but its version.

    Raises: UnstorableError: a value has no place in any store.
    """
    values = instance.__dict__
    row: Row = {}
    for field in layout.fields:
        value = values.get(field.name)
        row[field.column] = None if value is None else _ENCODERS[field.kind](field, value)
    if layout.has_more:
        row[MORE] = _find_more(layout, instance)
    for field in layout.key:
        if row[field.column] is None or row[field.column] == "":
            raise UnstorableError(f"{layout.table}: {field.column} is part of the primary key and is empty")
    return row


def from_row(layout: Layout, row: Mapping[str, Any]) -> Any:
    """Return the object that *row* holds, checked by its model.

    Raises: StoredDataError: it does not fit the model any more.
    """
    more = (row.get(MORE) or {}) if layout.has_more else {}
    values: dict[str, Any] = dict(more.get("extra", ()))
    for field in layout.fields:
        value = row[field.column]
        if value is not None or (field.is_required and field.column not in values):
            values[field.name] = value
    for name in more.get("null", ()):
        values[name] = None
    try:
        return layout.model.__pydantic_validator__.validate_python(values, by_name=True, by_alias=True)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)
        )
        raise StoredDataError(f"An object of {layout.table} does not fit its model: {faults}") from error


def read_key(layout: Layout, key: object) -> Key | None:
    """Return the primary key that a caller gave: one value, or a tuple where it has two parts.

    None stands for one under which no store can have anything.
    Raises: TypeError: it has another number of parts, or a part is of another kind.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) != len(layout.key):
        names = ", ".join(field.column for field in layout.key)
        raise TypeError(f"{layout.table}: the primary key is ({names}), not {len(parts)} values")
    try:
        return tuple(encode(field, part) for field, part in zip(layout.key, parts, strict=True))
    except (UnstorableError, ValueError):
        return None


def key_of(layout: Layout, row: Mapping[str, Any]) -> Key:
    """Return the primary key of *row*."""
    return tuple(row[field.column] for field in layout.key)


def show_key(layout: Layout, key: Sequence[Any]) -> str:
    """Return ``pets with id=3``, for messages to callers who know the key."""
    return f"{layout.table} with " + ", ".join(
        f"{field.column}={value}" for field, value in zip(layout.key, key, strict=True)
    )


def encode(field: StoredField, value: Any) -> Any:
    """Return a value that a caller compares *field* with as rows have it.

    Raises: TypeError: it is of another kind. ValueError: a text is no UUID. UnstorableError: no store can have it.
    """
    if isinstance(value, Enum):
        value = value.value
    if field.kind == "uuid" and isinstance(value, str):
        value = UUID(value)
    if field.kind in ("number", "decimal") and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if field.kind == "number" else Decimal(value)
    expected = _TYPES.get(field.kind)
    is_right = expected is not None and isinstance(value, expected)
    if not is_right or (isinstance(value, bool) and field.kind != "boolean"):
        raise TypeError(f"{field.column} is of kind {field.kind} and cannot be compared with {type(value).__name__}")
    return _ENCODERS[field.kind](field, value)


def is_expired(layout: Layout, row: Mapping[str, Any]) -> bool:
    """Tell whether the object's time is over, so that it counts as absent."""
    end = row[layout.ttl.column] if layout.ttl else None
    return end is not None and end <= now_of(layout)


def now_of(layout: Layout) -> datetime | int:
    """Return this moment as the ttl property of *layout* has it."""
    is_number = layout.ttl is not None and layout.ttl.kind == "integer"
    return int(time.time()) if is_number else datetime.now(UTC)


def _find_more(layout: Layout, instance: BaseModel) -> dict[str, Any] | None:
    was_set, values = instance.__pydantic_fields_set__, instance.__dict__
    more: dict[str, Any] = {}
    nulls = [
        field.name
        for field in layout.fields
        if field.tells_null and field.name in was_set and values.get(field.name) is None
    ]
    if nulls:
        more["null"] = nulls
    if instance.__pydantic_extra__:
        more["extra"] = _to_json("an object's further properties", instance.__pydantic_extra__)
    return more or None


def _encode_text(field: StoredField, value: Any) -> Any:
    if type(value) is not str:
        value = str(value.value if isinstance(value, Enum) else value)
    if "\x00" in value:
        raise UnstorableError(f"{field.column} holds the character U+0000, which stores do not keep")
    if not _is_unicode(value):
        raise UnstorableError(f"{field.column} holds half a character, which stores do not keep")
    return value


def _encode_integer(field: StoredField, value: Any) -> Any:
    value = int(value.value if isinstance(value, Enum) else value)
    if not _LEAST <= value <= _MOST:
        raise UnstorableError(f"{field.column} is beyond 64 bits")
    return value


def _encode_time(field: StoredField, value: Any) -> Any:
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise UnstorableError(f"{field.column} is a time without a time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise UnstorableError(f"{field.column} is outside the years 1 to 9999 in UTC") from None


def _encode_number(field: StoredField, value: Any) -> Any:
    if not math.isfinite(value):
        raise UnstorableError(f"{field.column} is no finite number")
    return value


def _encode_decimal(field: StoredField, value: Any) -> Any:
    if not value.is_finite():
        raise UnstorableError(f"{field.column} is no finite number")
    return value


def _encode_json(field: StoredField, value: Any) -> Any:
    return _to_json(field.column, value)


def _to_json(name: str, value: Any) -> Any:
    try:
        plain = to_jsonable_python(value, by_alias=True)
    except ValueError as error:
        raise UnstorableError(f"{name} holds what JSON cannot express") from error
    if not _is_json(plain):
        raise UnstorableError(f"{name} holds what JSON cannot express")
    return plain


def _is_json(plain: Any) -> bool:
    """Tell whether there is no number that is none and no half of a character in *plain*."""
    kind = type(plain)
    if kind is str:
        return _is_unicode(plain)
    if kind is list:
        return all(map(_is_json, plain))
    if kind is dict:
        return all(map(_is_unicode, plain)) and all(map(_is_json, plain.values()))
    return kind is not float or math.isfinite(plain)


def _is_unicode(text: str) -> bool:
    """Tell whether *text* can be sent: Python allows single surrogates, halves of a character in UTF-16."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _keep(_: StoredField, value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


_ENCODERS: Mapping[Kind, Callable[[StoredField, Any], Any]] = {
    "text": _encode_text,
    "integer": _encode_integer,
    "number": _encode_number,
    "boolean": _keep,
    "decimal": _encode_decimal,
    "date-time": _encode_time,
    "date": _keep,
    "uuid": _keep,
    "bytes": _keep,
    "json": _encode_json,
}
_TYPES: Mapping[Kind, type] = {
    "text": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "decimal": Decimal,
    "date-time": datetime,
    "date": date,
    "uuid": UUID,
    "bytes": bytes,
}
