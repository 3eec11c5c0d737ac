"""Changes of one item, and of several together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pymacaron.persistence.dynamodb_items import possible_names, to_item, to_key
from pymacaron.persistence.dynamodb_queries import Expression, is_alive
from pymacaron.persistence.errors import AlreadyExistsError, ConflictError, NotFoundError, UnstorableError
from pymacaron.persistence.layout import Layout
from pymacaron.persistence.rows import Key, Row, is_expired, show_key
from pymacaron.persistence.store import Nesting, Write

MOST_IN_TRANSACTION = 100
"""Source: DynamoDB API reference, "TransactWriteItems"."""


def write_upsert(layout: Layout, change: Write, writer: str) -> dict[str, Any]:
    """Return the parameters of ``update_item`` for an object that replaces whatever is there."""
    assert change.row is not None
    key = to_key(layout, change.key)
    item = to_item(layout, change.row, 0, writer)
    expression = Expression()
    version = expression.name(layout.version_column)
    first, one = expression.value({"N": str(change.first_version - 1)}), expression.value({"N": "1"})
    sets = [f"{version} = if_not_exists({version}, {first}) + {one}"]
    wanted = {name for name in item if name not in key and name != layout.version_column}
    sets += [f"{expression.name(name)} = {expression.value(item[name])}" for name in sorted(wanted)]
    known = {name for name in possible_names(layout) if name not in key and name != layout.version_column}
    removed = [expression.name(name) for name in sorted(known - wanted)]
    text = f"SET {', '.join(sets)}" + (f" REMOVE {', '.join(removed)}" if removed else "")
    return {"Key": key, "UpdateExpression": text, "ReturnValues": "UPDATED_NEW", **expression.as_parameters()}


def write_condition(layout: Layout, change: Write) -> dict[str, Any]:
    """Return the parameters that make an insert, update or delete depend on what is there."""
    expression = Expression()
    there = f"attribute_exists({expression.name(layout.key[0].column)})"
    if change.kind == "insert":
        text = f"attribute_not_exists({expression.name(layout.key[0].column)})"
        if layout.ttl:
            text += f" OR NOT {is_alive(layout, expression)}"
    else:
        text = there if change.expected is None else f"{there} AND {_is_version(layout, change.expected, expression)}"
        if layout.ttl:
            text += f" AND {is_alive(layout, expression)}"
    return {
        "ConditionExpression": text,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        **expression.as_parameters(),
    }


def explain(layout: Layout, change: Write, row: Row | None) -> Exception:
    """Return the error of *change* where *row* is what is there."""
    shown = show_key(layout, change.key)
    if change.kind == "insert":
        return AlreadyExistsError(f"There is {shown} already")
    if change.kind == "delete" and (row is None or is_expired(layout, row)):
        return NotFoundError(f"There is no {shown}")
    return ConflictError(f"Somebody else changed or removed {shown} meanwhile. Load it again")


def _is_version(layout: Layout, expected: int, expression: Expression) -> str:
    name = expression.name(layout.version_column)
    return f"{name} = {expression.value({'N': str(expected)})}" if expected else f"attribute_not_exists({name})"


@dataclass(slots=True)
class _Pending:
    """What a transaction will do with one item. before: the row that was there at first, None for nothing."""

    layout: Layout
    table: str
    before: Row | None
    after: Row | None

    @property
    def has_changed(self) -> bool:
        """Tell whether there is something to do: what was refused changes nothing."""
        return self.after is not self.before


@dataclass(slots=True)
class Transaction:
    """The writes of a running transaction, and what its own reads see of them."""

    pending: dict[tuple[str, Key], _Pending] = field(default_factory=dict)
    nesting: Nesting = field(default_factory=Nesting)

    @contextmanager
    def block(self) -> Iterator[None]:
        """Forget what the block writes if it raises, and nothing else of the transaction."""
        before = {key: replace(each) for key, each in self.pending.items()}
        try:
            with self.nesting.level():
                yield
        except BaseException:
            self.pending = before
            raise

    def sees(self, layout: Layout, key: Key) -> bool:
        """Tell whether the transaction has changed the object."""
        return (layout.table, key) in self.pending

    def read(self, layout: Layout, key: Key) -> Row | None:
        """Return the object as the transaction has changed it."""
        return self.pending[layout.table, key].after

    def has_changed(self, layout: Layout) -> bool:
        """Tell whether the transaction has changed an object of the table."""
        return any(table == layout.table and each.has_changed for (table, _), each in self.pending.items())

    def write(self, layout: Layout, change: Write, *, found: Row | None, table: str) -> int:
        """Note *change* of an object that is *found* now, and return its new version. Raises the errors of a write."""
        pending = self.pending.setdefault((layout.table, change.key), _Pending(layout, table, found, found))
        now = pending.after
        is_there = now is not None and not is_expired(layout, now)
        version = (now or {}).get(layout.version_column) or 0
        is_expected = is_there and change.expected in (None, version)
        if change.kind == "upsert":
            version = version or change.first_version - 1
        elif is_there if change.kind == "insert" else not is_expected:
            raise explain(layout, change, now)
        if change.kind == "insert":
            version = change.first_version - 1
        pending.after = None if change.row is None else {**change.row, layout.version_column: version + 1}
        return version + 1

    def as_items(self, writer: str) -> list[dict[str, Any]]:
        """Return the parts of the call that does all of it.

        Raises: UnstorableError: there are too many. RuntimeError: inner blocks ran at once.
        """
        if fault := self.nesting.find_fault():
            raise fault
        changed = {key: each for key, each in self.pending.items() if each.has_changed}
        if len(changed) > MOST_IN_TRANSACTION:
            raise UnstorableError(f"A transaction of DynamoDB changes {MOST_IN_TRANSACTION} objects at most")
        return [_as_item(each, key, writer) for (_, key), each in changed.items()]


def _as_item(pending: _Pending, key: Key, writer: str) -> dict[str, Any]:
    layout, after = pending.layout, pending.after
    expression = Expression()
    first = expression.name(layout.key[0].column)
    if pending.before is None:
        text = f"attribute_not_exists({first})"
    else:
        version = pending.before[layout.version_column] or 0
        text = f"attribute_exists({first}) AND {_is_version(layout, version, expression)}"
    common = {"TableName": pending.table, "ConditionExpression": text, **expression.as_parameters()}
    if after is not None:
        return {"Put": {**common, "Item": to_item(layout, after, after[layout.version_column], writer)}}
    if pending.before is None:
        return {"ConditionCheck": {**common, "Key": to_key(layout, key)}}
    return {"Delete": {**common, "Key": to_key(layout, key)}}
