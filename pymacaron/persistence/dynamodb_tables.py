"""The tables that persistent models need in DynamoDB, and how they come into being."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymacaron.persistence.dynamodb_calls import DynamoCalls
from pymacaron.persistence.dynamodb_items import KEY_TYPES, TTL, partition_attribute, sort_attribute
from pymacaron.persistence.errors import StoredDataError, StoreUnavailableError
from pymacaron.persistence.layout import Index, Layout
from pymacaron.persistence.upgrade import Change

_PAUSE_S = 0.1
_LONGEST_WAIT_S = 600


@dataclass(frozen=True, slots=True)
class Step:
    """One call that brings a table nearer to what its model needs. text: what it does, for people."""

    text: str
    operation: str
    parameters: dict[str, Any]


def plan_table(calls: DynamoCalls, layout: Layout, name: str) -> list[Step]:
    """Return what the table *name* lacks. Raises: StoreUnavailableError."""
    try:
        found = calls.call("describe_table", TableName=name)["Table"]
    except StoredDataError:
        return [_create(layout, name), *_expire(layout, name)]
    existing = {each["IndexName"] for each in found.get("GlobalSecondaryIndexes", ())}
    steps = [_add_index(layout, index, name) for index in layout.indexes.values() if index.name not in existing]
    if layout.ttl:
        status = calls.call("describe_time_to_live", TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"]
        if status not in ("ENABLED", "ENABLING"):
            steps += _expire(layout, name)
    return steps


def take_steps(calls: DynamoCalls, name: str, steps: Iterable[Step]) -> None:
    """Make *steps* one after the other, and wait until the table can be used."""
    for step in steps:
        calls.call(step.operation, **step.parameters)
        _wait_until_active(calls, name)


class DynamoUpgrade:
    """Compares the tables of DynamoDB with those of *layouts*."""

    has_revisions = False

    def __init__(self, store: Any, layouts: Sequence[Layout]) -> None:
        """Take the `DynamoStore` and what is to be kept in it."""
        self._store = store
        self._layouts = layouts

    def turn(self) -> AbstractContextManager[object]:
        """Let the block begin at once: DynamoDB knows no locks, and refuses to create what is there."""
        return nullcontext()

    def plan(self) -> list[Change]:
        """Return what is to be done, in order."""
        return [
            Change(step.text, partial(self._store.take_steps, layout, [step]))
            for layout in self._layouts
            for step in self._store.plan(layout)
        ]

    def apply(self, changes: Sequence[Change]) -> None:
        """Do it, one after the other, each waiting until the table can be used."""
        for change in changes:
            change.operation()


def _wait_until_active(calls: DynamoCalls, name: str) -> None:
    end_s = time.monotonic() + _LONGEST_WAIT_S
    while time.monotonic() < end_s:
        table = calls.call("describe_table", TableName=name)["Table"]
        states = [table["TableStatus"], *(each["IndexStatus"] for each in table.get("GlobalSecondaryIndexes", ()))]
        if set(states) == {"ACTIVE"}:
            return
        time.sleep(_PAUSE_S)
    raise StoreUnavailableError(f"The table {name} did not become usable within {_LONGEST_WAIT_S} s")


def _create(layout: Layout, name: str) -> Step:
    attributes = {field.column: KEY_TYPES[field.kind] for field in layout.key}
    for index in layout.indexes.values():
        attributes |= _index_types(index)
    parameters: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": _definitions(attributes),
        "KeySchema": _schema([field.column for field in layout.key]),
    }
    if layout.indexes:
        parameters["GlobalSecondaryIndexes"] = [_index(index) for index in layout.indexes.values()]
    return Step(f"create table {name}", "create_table", parameters)


def _add_index(layout: Layout, index: Index, name: str) -> Step:
    attributes = {field.column: KEY_TYPES[field.kind] for field in layout.key} | _index_types(index)
    parameters = {
        "TableName": name,
        "AttributeDefinitions": _definitions(attributes),
        "GlobalSecondaryIndexUpdates": [{"Create": _index(index)}],
    }
    return Step(f"add index {index.name} to {name}", "update_table", parameters)


def _expire(layout: Layout, name: str) -> list[Step]:
    if layout.ttl is None:
        return []
    attribute = layout.ttl.column if layout.ttl.kind == "integer" else TTL
    specification = {"Enabled": True, "AttributeName": attribute}
    parameters = {"TableName": name, "TimeToLiveSpecification": specification}
    return [Step(f"let objects of {name} expire", "update_time_to_live", parameters)]


def _index(index: Index) -> dict[str, Any]:
    return {
        "IndexName": index.name,
        "KeySchema": _schema([partition_attribute(index), sort_attribute(index)]),
        "Projection": {"ProjectionType": "ALL"},
    }


def _index_types(index: Index) -> dict[str, str]:
    return {partition_attribute(index): "S", sort_attribute(index): "S"}


def _definitions(types: dict[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def _schema(names: list[str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]
