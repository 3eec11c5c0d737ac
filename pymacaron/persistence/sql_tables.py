"""SQLAlchemy tables of persistent models, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Double,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from pymacaron.persistence.layout import MORE, Kind, Layout, StoredField

METADATA = MetaData()
"""Every table of this process; add tables of your own to have them created and upgraded with them."""
DECIMAL_ORDER = "PYMACARON_DECIMAL"
"""SQLite collation by which texts of digits are compared as numbers."""
_MOST_NAME_LENGTH = 63  # Source: PostgreSQL, "Identifiers and Key Words"


class UtcTime(TypeDecorator[datetime]):
    """A moment; SQLite itself knows no time zones and keeps it in UTC."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of the product."""
        return dialect.type_descriptor(DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what is sent."""
        return value.replace(tzinfo=None) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - signature
        """Return the moment in UTC."""
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ExactDecimal(TypeDecorator[Decimal]):
    """A decimal with all its digits; SQLite has none and keeps its text, ordered as numbers."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of the product."""
        kind: TypeEngine[Any] = Text(collation=DECIMAL_ORDER) if dialect.name == "sqlite" else Numeric()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Return what is sent."""
        return format(value, "f") if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - signature
        """Return the decimal."""
        return Decimal(value) if isinstance(value, str) else value


_TYPES: Mapping[Kind, TypeEngine[Any]] = {
    # By code points, as SQLite and DynamoDB compare; PostgreSQL's default order depends on the machine.
    "text": Text().with_variant(Text(collation="C"), "postgresql"),
    "integer": BigInteger(),
    "number": Double(),
    "boolean": Boolean(),
    "decimal": ExactDecimal(),
    "date-time": UtcTime(),
    "date": Date(),
    "uuid": Uuid(),
    "bytes": LargeBinary(),
    "json": JSON(none_as_null=True),
}


def table_of(layout: Layout) -> Table:
    """Return the table of *layout*, which is made at the first call.

    Columns but those of the key may be NULL: what an object must have is its model's business, and may change.
    """
    known = METADATA.tables.get(layout.table)
    if known is not None and known.info.get("layout") is layout:
        return known
    if known is not None:
        METADATA.remove(known)
    columns = [_column(field, is_key=field in layout.key) for field in (*layout.key, *_others(layout))]
    if not layout.version:
        columns.append(Column(layout.version_column, BigInteger()))
    if layout.has_more:
        columns.append(Column(MORE, JSON(none_as_null=True)))
    table = Table(layout.table, METADATA, *columns, info={"layout": layout})
    for index in layout.indexes.values():
        names = dict.fromkeys(field.column for field in (*index.fields, *layout.key))
        Index(f"ix_{layout.table}_{index.name}"[:_MOST_NAME_LENGTH], *(table.c[name] for name in names))
    if layout.ttl:
        Index(f"ix_{layout.table}_ttl"[:_MOST_NAME_LENGTH], table.c[layout.ttl.column])
    return table


def compare_decimals(first: str, second: str) -> int:
    """Compare two texts of digits as numbers: -1, 0 or 1."""
    one, other = Decimal(first), Decimal(second)
    return (one > other) - (one < other)


def _others(layout: Layout) -> list[StoredField]:
    return [field for field in layout.fields if field not in layout.key]


def _column(field: StoredField, *, is_key: bool) -> Column[Any]:
    return Column(field.column, _TYPES[field.kind], primary_key=is_key, autoincrement=False, nullable=not is_key)
