"""Loading, changing and saving one object as one writes it without pymacaron: SQLAlchemy's ORM, and boto3."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import boto3
from sqlalchemy import JSON, DateTime, Numeric, Table, bindparam, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from pymacaron.persistence.sql import SqlStore

_ID = UUID(int=1)


class Base(DeclarativeBase):
    """Parent of the tables."""


class PetRow(Base):
    """An object of ten fields and the version by which the ORM locks."""

    __tablename__ = "plain_ten_fields"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    status: Mapped[str]
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2, asdecimal=False))  # SQLite has no decimals
    born: Mapped[date]
    made_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    weight: Mapped[float]
    legs: Mapped[int]
    is_loud: Mapped[bool]
    tags: Mapped[list[str]] = mapped_column(JSON)
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - as SQLAlchemy's documentation writes it


def plain_sql(store: SqlStore) -> Callable[[int], object]:
    """Return what loads, changes and saves by the ORM, on the same engine."""
    Base.metadata.create_all(store.engine)
    with Session(store.engine) as session, session.begin():
        session.add(PetRow(**_values(), price=12.5))

    def run(number: int) -> None:
        with Session(store.engine) as session, session.begin():
            pet = session.get_one(PetRow, _ID)
            pet.legs = number + 1_000_000
            pet.name = f"Rex{number}"

    return run


def plain_core(store: SqlStore) -> Callable[[int], object]:
    """Return what loads, changes and saves by statements of SQLAlchemy's Core, after `plain_sql` made the table."""
    table = PetRow.__table__
    assert isinstance(table, Table)
    find = select(table).where(table.c.id == bindparam("key"))
    change = update(table).where(table.c.id == bindparam("key"), table.c.version == bindparam("seen"))

    def run(number: int) -> None:
        with store.engine.begin() as connection:
            row = connection.execute(find, {"key": _ID}).one()
            values = {**row._mapping, "legs": number, "version": row.version + 1}
            assert connection.execute(change, {**values, "key": _ID, "seen": row.version}).rowcount == 1

    return run


def plain_dynamodb(url: str) -> Callable[[int], object]:
    """Return what loads, changes and saves by boto3's table, with a condition on the version."""
    endpoint = parse_qs(urlsplit(url).query)["endpoint_url"][0]
    resource: Any = boto3.resource(
        "dynamodb",
        region_name="eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    table = resource.create_table(
        TableName="plain_ten_fields",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    values = _values() | {"price": Decimal("12.50"), "weight": Decimal("12.25")}
    item = {name: str(value) if isinstance(value, (UUID, date)) else value for name, value in values.items()}
    table.put_item(Item=item)

    def run(number: int) -> None:
        pet = table.get_item(Key={"id": str(_ID)}, ConsistentRead=True)["Item"]
        version = pet["version"]
        pet["legs"] = number
        pet["version"] = version + 1
        table.put_item(
            Item=pet,
            ConditionExpression="#v = :v",
            ExpressionAttributeNames={"#v": "version"},
            ExpressionAttributeValues={":v": version},
        )

    return run


def _values() -> dict[str, Any]:
    return {
        "id": _ID,
        "name": "Rex",
        "status": "available",
        "born": date(2020, 2, 29),
        "made_at": datetime(2026, 1, 31, 10, tzinfo=UTC),
        "weight": 12.25,
        "legs": 4,
        "is_loud": True,
        "tags": ["a", "b"],
        "version": 1,
    }
