"""The SQL of one table, built once, and that of queries."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Dialect,
    Insert,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    literal,
    not_,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from pymacaron.persistence.layout import Layout
from pymacaron.persistence.query import Condition, Operator, Query
from pymacaron.persistence.rows import now_of
from pymacaron.persistence.sql_calls import DirectStatement
from pymacaron.persistence.sql_tables import table_of

# No property has such a name: see `build_layout`.
KEY = "pym_key_"
EXPECTED = "pym_expected"
NOW = "pym_now"


@dataclass(frozen=True, slots=True)
class Statements:
    """What is sent for each kind of call.

    Parameters: each column by name, ``pym_key_0``, ``pym_key_1``, ``pym_expected`` (version), ``pym_now``.
    """

    table: Table
    read: DirectStatement
    insert: DirectStatement
    upsert: DirectStatement
    update: DirectStatement
    delete: DirectStatement
    delete_expected: DirectStatement
    remove_expired: Delete | None


def build_statements(layout: Layout, dialect: Dialect) -> Statements:
    """Return the statements of *layout* for SQLite or PostgreSQL."""
    table = table_of(layout)
    version = table.c[layout.version_column]
    keys = [table.c[field.column] for field in layout.key]
    is_key = and_(*(column == bindparam(f"{KEY}{number}") for number, column in enumerate(keys)))
    is_expected = func.coalesce(version, 0) == bindparam(EXPECTED)
    is_alive = _is_alive(layout, table, bindparam(NOW))
    is_there = is_key if is_alive is None else and_(is_key, is_alive)
    insert = postgresql.insert(table) if dialect.name == "postgresql" else sqlite.insert(table)
    rest = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    values: dict[str, Any] = {column.name: bindparam(column.name) for column in table.columns}
    changed = {name: value for name, value in values.items() if not table.c[name].primary_key}
    if is_alive is None:
        insert_new: Insert = insert.values(values).on_conflict_do_nothing(index_elements=keys)
    else:
        insert_new = insert.values(values).on_conflict_do_update(index_elements=keys, set_=rest, where=not_(is_alive))
    upsert = insert.values(values).on_conflict_do_update(
        index_elements=keys, set_={**rest, layout.version_column: func.coalesce(version, 0) + 1}
    )
    return Statements(
        table=table,
        read=DirectStatement(select(table).where(is_key), dialect),
        insert=DirectStatement(insert_new.returning(version), dialect),
        upsert=DirectStatement(upsert.returning(version), dialect),
        update=DirectStatement(update(table).where(is_there, is_expected).values(changed), dialect),
        delete=DirectStatement(delete(table).where(is_there), dialect),
        delete_expected=DirectStatement(delete(table).where(is_there, is_expected), dialect),
        remove_expired=None if is_alive is None else delete(table).where(not_(is_alive)),
    )


def select_keys(layout: Layout, keys: Sequence[tuple[Any, ...]]) -> Select[Any]:
    """Return the statement that reads several rows by key."""
    table = table_of(layout)
    columns = [table.c[field.column] for field in layout.key]
    if len(columns) == 1:
        return select(table).where(columns[0].in_([key[0] for key in keys]))
    return select(table).where(tuple_(*columns).in_(list(keys)))


def select_query(query: Query) -> Select[Any]:
    """Return the statement of *query*."""
    layout = query.layout
    table = table_of(layout)
    conditions = [_compare(table, each) for each in (query.partition, *query.conditions) if each]
    if query.index:
        conditions += [table.c[field.column].is_not(None) for field in query.index.fields]
    alive = _is_alive(layout, table, literal(now_of(layout), table.c[layout.ttl.column].type)) if layout.ttl else None
    if alive is not None:
        conditions.append(alive)
    columns = [table.c[field.column] for field in query.position_fields]
    if query.after is not None:
        conditions.append(_is_behind(columns, query.after, is_descending=query.is_descending))
    ordered = [column.desc() if query.is_descending else column.asc() for column in columns]
    return select(table).where(*conditions).order_by(*ordered).limit(query.limit + 1)


def _is_alive(layout: Layout, table: Table, now: Any) -> ColumnElement[bool] | None:
    if layout.ttl is None:
        return None
    end = table.c[layout.ttl.column]
    return or_(end.is_(None), end > now)


def _is_behind(
    columns: Sequence[ColumnElement[Any]], values: Sequence[Any], *, is_descending: bool
) -> ColumnElement[bool]:
    """Hold for rows behind the position: as a comparison of tuples, written so that SQLite compares by collation."""
    first, *others = columns
    is_further: ColumnElement[bool] = first < values[0] if is_descending else first > values[0]
    if not others:
        return is_further
    return or_(is_further, and_(first == values[0], _is_behind(others, values[1:], is_descending=is_descending)))


def _compare(table: Table, condition: Condition) -> ColumnElement[bool]:
    column, value = table.c[condition.field.column], condition.value
    if condition.operator == "=":
        return column.is_(None) if value is None else operator.eq(column, value)
    return _COMPARISONS[condition.operator](column, value)


def _starts_with(column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
    """No LIKE: on SQLite it does not care for case. The first part lets an index help."""
    return and_(column >= value, func.substr(column, 1, len(value)) == value)


_COMPARISONS: Mapping[Operator, Callable[[Any, Any], ColumnElement[bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda column, value: column.in_(value),
    "between": lambda column, value: column.between(*value),
    "starts_with": _starts_with,
}
