"""What a query asks of a store, the same for all stores, and the cursors that continue it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar, cast, get_args
from uuid import UUID

from pymacaron.persistence.errors import InvalidCursorError
from pymacaron.persistence.layout import Index, Kind, Layout, StoredField
from pymacaron.persistence.rows import encode

Operator = Literal["=", "<", "<=", ">", ">=", "between", "in", "starts_with"]
Order = Literal["ascending", "descending"]
T = TypeVar("T")

_OPERATORS: frozenset[str] = frozenset(get_args(Operator))
MOST_ALTERNATIVES = 100
"""Values that ``in`` takes at most. Source: DynamoDB developer guide, "Comparison operator and function reference"."""


class Page(list[T]):
    """Some of the objects that a query finds. cursor: what continues behind them, None if there is nothing more."""

    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a field must be.

    value: None (only with ``=``) for absent or null; a pair for ``between``; a list for ``in``.
    """

    field: StoredField
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class Query:
    """Which objects, in which order.

    index: None for the primary key. partition: value of the field that comes first in the index or key, None for all
    objects. conditions: all others. after: where to go on: the row's values of `position_fields`, in their order.
    """

    layout: Layout
    index: Index | None
    partition: Condition | None
    conditions: tuple[Condition, ...]
    is_descending: bool
    limit: int
    after: tuple[Any, ...] | None = None

    @property
    def sort(self) -> StoredField | None:
        """The field that comes second in the index or key."""
        if self.index:
            return self.index.sort
        return self.layout.key[1] if len(self.layout.key) > 1 else None

    @property
    def position_fields(self) -> tuple[StoredField, ...]:
        """The fields whose values, in this order, say where in the answer an object stands."""
        if self.index and self.index.sort:
            return (self.index.sort, *self.layout.key)
        return self.layout.key


def build_query(
    layout: Layout,
    *,
    index: str | None,
    where: Mapping[str, Any],
    order: Order | None,
    limit: int,
    cursor: str | None,
) -> Query:
    """Return the query that a caller describes: see `Persistent.query`.

    Raises: ValueError: no store could answer it, or not every store. TypeError: a value is of another kind than its
    field. InvalidCursorError: *cursor* is not from this query.
    """
    chosen = _find_index(layout, index)
    conditions = [_read_condition(layout, name, value) for name, value in where.items()]
    first = chosen.partition if chosen else layout.key[0]
    partition = next((each for each in conditions if each.field is first and each.operator == "="), None)
    if chosen and first and (partition is None or partition.value is None):
        raise ValueError(f"{layout.table}: index {chosen.name} needs the value of {first.column} in where")
    if limit < 1:
        raise ValueError("limit must be 1 or more")
    query = Query(
        layout,
        chosen,
        partition,
        tuple(each for each in conditions if each is not partition),
        is_descending=order == "descending",
        limit=limit,
    )
    if order and (query.sort is None or (chosen is None and partition is None)):
        raise ValueError(f"{layout.table}: only an index, or a primary key whose first part is given, has an order")
    for each in query.conditions:
        if each.field is query.sort and each.operator == "in":
            raise ValueError(f"{layout.table}: {each.field.column} orders this query; it cannot be compared by in")
    if cursor is None:
        return query
    return _continue(query, cursor)


def write_cursor(query: Query, row: Mapping[str, Any]) -> str:
    """Return what continues *query* behind *row*."""
    values = [_write_value(row[field.column]) for field in query.position_fields]
    text = json.dumps([_fingerprint(query), *values], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _continue(query: Query, cursor: str) -> Query:
    fields = query.position_fields
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        fingerprint, *values = json.loads(text)
        after = tuple(_read_value(field, value) for field, value in zip(fields, values, strict=True))
    except (binascii.Error, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise InvalidCursorError("The cursor is not from this query. Begin without one") from error
    if fingerprint != _fingerprint(query):
        raise InvalidCursorError("The cursor is from another query. Begin without one")
    return Query(query.layout, query.index, query.partition, query.conditions, query.is_descending, query.limit, after)


def _fingerprint(query: Query) -> str:
    """Return what tells the query from others: a cursor of one makes no sense in another."""
    conditions = sorted(
        (each.field.column, each.operator, repr(each.value)) for each in (query.partition, *query.conditions) if each
    )
    index = query.index.name if query.index else None
    text = repr((query.layout.table, index, conditions, query.is_descending))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _find_index(layout: Layout, name: str | None) -> Index | None:
    if name is None:
        return None
    if name not in layout.indexes:
        raise ValueError(f"{layout.table} has no index {name}; it has {', '.join(layout.indexes) or 'none'}")
    return layout.indexes[name]


def _read_condition(layout: Layout, name: str, value: Any) -> Condition:
    field = layout.find_field(name)
    if field is None:
        raise ValueError(f"{layout.table} has no property {name}")
    operator: str = "="
    if isinstance(value, tuple):
        operator, value = value if len(value) == 2 else ("", None)  # noqa: PLR2004 - operator and value
    if operator not in _OPERATORS:
        raise ValueError(f"{name}: write a value, or (operator, value) with one of {', '.join(get_args(Operator))}")
    if field.kind == "json" and value is not None:
        raise ValueError(f"{name} is no single value; queries cannot look inside it")
    return Condition(field, cast("Operator", operator), _read_operand(field, operator, value))


def _read_operand(field: StoredField, operator: str, value: Any) -> Any:
    if operator == "=" and value is None:
        return None
    if operator == "in":
        values = [encode(field, each) for each in value]
        if not 1 <= len(values) <= MOST_ALTERNATIVES:
            raise ValueError(f"{field.column}: in takes 1 to {MOST_ALTERNATIVES} values")
        return values
    if operator == "between":
        least, most = value
        return encode(field, least), encode(field, most)
    if operator == "starts_with" and (field.kind != "text" or not value):
        raise ValueError(f"{field.column}: starts_with compares text with the beginning of it")
    return encode(field, value)


def _write_value(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return str(value) if isinstance(value, (UUID, Decimal)) else value


def _read_value(field: StoredField, value: Any) -> Any:
    if value is None:
        raise ValueError("a position is never empty")
    reader = _READERS.get(field.kind)
    return encode(field, reader(value) if reader else value)


_READERS: Mapping[Kind, Any] = {
    "date-time": datetime.fromisoformat,
    "date": date.fromisoformat,
    "uuid": UUID,
    "decimal": Decimal,
}
