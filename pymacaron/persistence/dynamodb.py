"""Keeps objects in DynamoDB, through boto3."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.persistence.dynamodb_calls import ConditionFailedError, DynamoCalls, knows_region
from pymacaron.persistence.dynamodb_items import WRITER, Item, to_item, to_key, to_row
from pymacaron.persistence.dynamodb_queries import write_query
from pymacaron.persistence.dynamodb_tables import Step, plan_table, take_steps
from pymacaron.persistence.dynamodb_writes import Transaction, explain, write_condition, write_upsert
from pymacaron.persistence.errors import StoreUnavailableError
from pymacaron.persistence.layout import Layout
from pymacaron.persistence.query import Query
from pymacaron.persistence.rows import Key, Row, key_of
from pymacaron.persistence.store import DEFAULT_TIMEOUT_S, Write

_MOST_KEYS = 100  # Source: DynamoDB API reference, "BatchGetItem"
_BATCH_PAUSE_S = 0.05
_WRITER_BYTES = 8
_SETTINGS = ("endpoint_url", "table_prefix", "create_tables")
_LOCAL = ("localhost", "127.0.0.1", "::1")


class DynamoStore:
    """The tables of one account and region.

    Reads are consistent, but those along an index: DynamoDB brings its indexes up to date a little later.
    """

    kind = "dynamodb"

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        pool_size: int = 10,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        """Open ``dynamodb://REGION?…``; nothing is connected yet. See `open_store`."""
        parts = urlsplit(url)
        settings = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        unknown = sorted(settings.keys() - set(_SETTINGS))
        if unknown:
            fix = f"Use {', '.join(_SETTINGS)}"
            raise ConfigError(Finding("database_url", f"it has the unknown setting {unknown[0]}", fix))
        endpoint_url = settings.get("endpoint_url")
        if endpoint_url and urlsplit(endpoint_url).hostname in _LOCAL:
            credentials = credentials or ("local", "local")
        creates = settings.get("create_tables", "false")
        if creates not in ("true", "false"):
            raise ConfigError(Finding("database_url", f"create_tables is {creates}", "Write true or false"))
        if not re.fullmatch("[a-z0-9-]*", parts.netloc):  # nor is it told: it may hold credentials
            fix = "Write it like dynamodb://eu-west-1, without credentials"
            raise ConfigError(Finding("database_url", "what follows dynamodb:// is no region", fix))
        if not parts.netloc and not knows_region():
            raise ConfigError(Finding("database_url", "it names no region", "Write it like dynamodb://eu-west-1"))
        self.calls = DynamoCalls(
            parts.netloc, endpoint_url=endpoint_url, credentials=credentials, timeout_s=timeout_s, pool_size=pool_size
        )
        self._prefix = settings.get("table_prefix", "")
        self._creates = creates == "true"
        self._timeout_s = timeout_s
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()
        self._active: ContextVar[Transaction | None] = ContextVar("pymacaron_transaction", default=None)

    def read(self, layout: Layout, keys: Sequence[Key]) -> dict[Key, Row]:
        """Return the rows under *keys* that there are, as the running transaction sees them."""
        active = self._active.get()
        changed = [key for key in keys if active and active.sees(layout, key)]
        rows = self._fetch(layout, [key for key in keys if key not in changed] if changed else keys)
        for key in changed:
            row = active.read(layout, key) if active else None
            if row is not None:
                rows[key] = row
        return rows

    def write(self, layout: Layout, change: Write) -> int:
        """Make *change*, or note it for the end of the running transaction, and return the new version."""
        active = self._active.get()
        if active is None:
            return self._write(layout, change)
        row = self.read(layout, [change.key]).get(change.key)
        return active.write(layout, change, found=row, table=self.name_of(layout))

    def find(self, query: Query) -> list[Row]:
        """Return the rows that *query* asks for, one more than its limit at most."""
        active = self._active.get()
        if active and active.has_changed(query.layout):
            raise RuntimeError(f"{query.layout.table}: in a transaction on DynamoDB, query before you write")
        operation, parameters = write_query(query)
        parameters["TableName"] = self.name_of(query.layout)
        rows: list[Row] = []
        end_s = self.calls.end_now_s()
        while True:
            answer = self.calls.call(operation, end_s=end_s, **parameters)
            rows += [to_row(query.layout, item) for item in answer.get("Items", ())]
            if len(rows) > query.limit or not answer.get("LastEvaluatedKey"):
                return rows[: query.limit + 1]
            if time.monotonic() > end_s:
                raise StoreUnavailableError("The query reads too much of its table", retry_after_s=self._timeout_s)
            parameters["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
            if "FilterExpression" in parameters:
                parameters.pop("Limit", None)  # what it looks for is rare: as much at once as DynamoDB reads

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes of the block as a whole at its end, those of one inside another one with it."""
        active = self._active.get()
        if active is not None:
            with active.block():
                yield
            return
        active = Transaction()
        token = self._active.set(active)
        try:
            yield
        finally:
            self._active.reset(token)
        writer = token_hex(_WRITER_BYTES)
        items = active.as_items(writer)
        if items:
            # The token makes a repeated call do nothing more. Source: DynamoDB API reference, "TransactWriteItems".
            self.calls.call("transact_write_items", TransactItems=items, ClientRequestToken=writer)

    def remove_expired(self, layout: Layout) -> int:  # noqa: ARG002 - DynamoDB does it by itself
        """Return 0: DynamoDB removes them."""
        return 0

    def check(self) -> None:
        """Return if the store answers."""
        self.calls.call("list_tables", Limit=1)

    def close(self) -> None:
        """Close all connections."""
        self.calls.close()

    def name_of(self, layout: Layout) -> str:
        """Return the name of the table, which is created at the first call if the URL says so."""
        name = self._names.get(layout.table)
        if name is None:
            name = f"{self._prefix}{layout.table}"
            if self._creates:
                with self._lock:
                    take_steps(self.calls, name, self.plan(layout))
            self._names[layout.table] = name
        return name

    def plan(self, layout: Layout) -> list[Step]:
        """Return what the table of *layout* lacks."""
        return plan_table(self.calls, layout, f"{self._prefix}{layout.table}")

    def take_steps(self, layout: Layout, steps: Sequence[Step]) -> None:
        """Make what `plan` returned."""
        take_steps(self.calls, f"{self._prefix}{layout.table}", steps)

    def _fetch(self, layout: Layout, keys: Sequence[Key]) -> dict[Key, Row]:
        name = self.name_of(layout)
        if len(keys) == 1:
            answer = self.calls.call("get_item", TableName=name, Key=to_key(layout, keys[0]), ConsistentRead=True)
            return {keys[0]: to_row(layout, answer["Item"])} if "Item" in answer else {}
        rows: list[Row] = []
        end_s = self.calls.end_now_s()
        for start in range(0, len(keys), _MOST_KEYS):
            wanted = [to_key(layout, key) for key in keys[start : start + _MOST_KEYS]]
            while wanted:
                request = {name: {"Keys": wanted, "ConsistentRead": True}}
                answer = self.calls.call("batch_get_item", end_s=end_s, RequestItems=request)
                rows += [to_row(layout, item) for item in answer["Responses"].get(name, ())]
                wanted = answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])
                is_last = not wanted and start + _MOST_KEYS >= len(keys)
                if not is_last and time.monotonic() > end_s:
                    raise StoreUnavailableError("The store is overloaded", retry_after_s=self._timeout_s)
                if wanted:
                    time.sleep(_BATCH_PAUSE_S)
        return {key_of(layout, row): row for row in rows}

    def _write(self, layout: Layout, change: Write) -> int:
        name, writer = self.name_of(layout), token_hex(_WRITER_BYTES)
        if change.kind == "upsert":
            answer = self.calls.call("update_item", TableName=name, **write_upsert(layout, change, writer))
            return int(answer["Attributes"][layout.version_column]["N"])
        version = change.first_version if change.kind == "insert" else (change.expected or 0) + 1
        parameters: dict[str, Any] = {"TableName": name, **write_condition(layout, change)}
        if change.row is None:
            operation, parameters["Key"] = "delete_item", to_key(layout, change.key)
        else:
            operation, parameters["Item"] = "put_item", to_item(layout, change.row, version, writer)
        try:
            self.calls.call(operation, **parameters)
        except ConditionFailedError as error:
            if not _is_own_work(change, error, writer):
                raise explain(layout, change, self._find_reason(layout, change, error)) from None
        return version

    def _find_reason(self, layout: Layout, change: Write, error: ConditionFailedError) -> Row | None:
        """Return what is in the way of *change*; not all servers that speak like DynamoDB tell it."""
        if error.item:
            return to_row(layout, error.item)
        return self._fetch(layout, [change.key]).get(change.key) if change.kind == "delete" else None


def _is_own_work(change: Write, error: ConditionFailedError, writer: str) -> bool:
    """Tell whether an earlier try of the same write had been done, though its answer got lost."""
    item: Item = error.item or {}
    is_ours = item.get(WRITER) == {"S": writer} if change.kind != "delete" else not item
    return error.is_repeated and is_ours
