"""Keeps objects in SQLite or PostgreSQL, through SQLAlchemy."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, Table, exc, inspect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.orm import Session

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.persistence.errors import AlreadyExistsError, ConflictError, NotFoundError, StoredDataError
from pymacaron.persistence.layout import Layout
from pymacaron.persistence.model import Persistent, layout_of
from pymacaron.persistence.query import Query
from pymacaron.persistence.rows import Key, Row, is_expired, key_of, now_of, show_key
from pymacaron.persistence.sql_calls import Borrowed, DirectStatement
from pymacaron.persistence.sql_connections import Connections
from pymacaron.persistence.sql_engine import open_engine
from pymacaron.persistence.sql_errors import told_errors
from pymacaron.persistence.sql_statements import (
    EXPECTED,
    KEY,
    NOW,
    Statements,
    build_statements,
    select_keys,
    select_query,
)
from pymacaron.persistence.sql_tables import METADATA
from pymacaron.persistence.sql_transactions import RunningTransaction, Savepoints
from pymacaron.persistence.store import DEFAULT_TIMEOUT_S, Write, current_store

_MOST_KEYS = 500
T = TypeVar("T")


class SqlStore:
    """A SQLite file or a PostgreSQL database. Writers of SQLite take turns; readers never wait.

    engine: SQLAlchemy's, whose transactions write at once on SQLite (``BEGIN IMMEDIATE``).
    """

    def __init__(
        self, url: str, *, folder: Path | None = None, timeout_s: float = DEFAULT_TIMEOUT_S, pool_size: int = 10
    ) -> None:
        """Open *url*; nothing is connected yet. See `open_store`."""
        self.engine = open_engine(url, folder=folder, timeout_s=timeout_s, pool_size=pool_size)
        self.kind = self.engine.dialect.name
        self._timeout_s = timeout_s
        self._connections = Connections(self.engine)
        self._statements: dict[type, tuple[Layout, Statements]] = {}
        self._savepoints = Savepoints(self.engine.dialect)
        self._lock = threading.Lock()
        self._active: ContextVar[RunningTransaction | None] = ContextVar("pymacaron_transaction", default=None)
        _stores.add(self)

    def read(self, layout: Layout, keys: Sequence[Key]) -> dict[Key, Row]:
        """Return the rows under *keys* that there are."""
        statements = self._prepare(layout)
        if len(keys) == 1:
            rows = self._run_direct(statements.read.fetch, _key_parameters(keys[0]))
        else:
            rows = [
                row
                for start in range(0, len(keys), _MOST_KEYS)
                for row in self.run(_fetcher(select_keys(layout, keys[start : start + _MOST_KEYS])))
            ]
        return {key_of(layout, row): row for row in rows}

    def write(self, layout: Layout, change: Write) -> int:
        """Make *change* and return the new version."""
        statements = self._prepare(layout)
        version = change.first_version if change.kind in ("insert", "upsert") else (change.expected or 0) + 1
        values = {**_key_parameters(change.key), EXPECTED: change.expected}
        if layout.ttl:
            values[NOW] = now_of(layout)
        if change.row is not None:
            values |= {**change.row, layout.version_column: version}
        if change.kind in ("insert", "upsert"):
            statement = statements.insert if change.kind == "insert" else statements.upsert
            answers = self._run_direct(statement.fetch, values)
            done = bool(answers)
            version = answers[0][layout.version_column] if answers else version
        else:
            done = self._run_direct(_pick(statements, change).change, values) == 1
        if not done:
            raise self._explain(layout, change)
        return version

    def find(self, query: Query) -> list[Row]:
        """Return the rows that *query* asks for, one more than its limit at most."""
        self._prepare(query.layout)
        return self.run(_fetcher(select_query(query)))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes of the block as a whole; of one inside another one too, which then stands for itself."""
        running = self._active.get()
        with self.connection() if running is None else running.block():
            yield

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Open SQLAlchemy's connection as a transaction, inside of the one that runs if one does.

        What is executed on it is stored together with the objects that the block saves.
        """
        running = self._active.get()
        if running is not None:
            with running.block(is_known=True) as connection:
                yield connection
            return
        with (
            told_errors(self._timeout_s),
            self._connections.borrow(is_single=False) as connection,
            connection.begin() as transaction,
        ):
            running = RunningTransaction(connection, self._savepoints, self._timeout_s)
            token = self._active.set(running)
            try:
                yield connection
                running.end(transaction)
            finally:
                self._active.reset(token)
        running.call_afterwards()

    @property
    def is_in_transaction(self) -> bool:
        """Tell whether a transaction runs here."""
        return self._active.get() is not None

    def after_commit(self, function: Callable[[], object]) -> None:
        """Call *function* once the running transaction is stored; never, if it or the running block is not.

        It must not raise. Where no transaction runs it is called at once.
        """
        running = self._active.get()
        if running is None:
            function()
        else:
            running.call_later(function)

    def run(self, function: Callable[[Connection], T]) -> T:
        """Return what *function* does with the connection of the running transaction, without a block of its own.

        Where none runs, each statement is a transaction.
        """
        running = self._active.get()
        if running is not None:
            return running.run(function)
        with told_errors(self._timeout_s), self._connections.borrow(is_single=True) as connection:
            return function(connection)

    def table_of(self, model: type[Persistent]) -> Table:
        """Return SQLAlchemy's table of *model*, which is there. Raises: StoredDataError: it lacks a column."""
        return self._prepare(layout_of(model)).table

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open an ORM session as a transaction, inside of the one that runs if one does; flushed at its end."""
        with self.connection() as connection, Session(connection, join_transaction_mode="rollback_only") as session:
            yield session
            session.flush()

    def fetch(self, statement: Executable) -> list[Row]:
        """Return the rows that *statement* reads, by column name, as the running transaction sees them."""
        return self.run(_fetcher(statement))

    def remove_expired(self, layout: Layout) -> int:
        """Remove the objects whose time is over, and return how many."""
        statement = self._prepare(layout).remove_expired
        if statement is None:
            return 0
        return self.run(lambda connection: connection.execute(statement, {NOW: now_of(layout)}).rowcount)

    def check(self) -> None:
        """Return if the store answers."""
        self.run(lambda connection: connection.exec_driver_sql("SELECT 1").close())

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def create_tables(self, tables: Sequence[Table] | None = None) -> None:
        """Create those of *tables* (by default all of this process) that are missing; several processes may at once."""
        with told_errors(self._timeout_s), self.engine.begin() as connection:
            METADATA.create_all(connection, tables)

    def forget_connections(self) -> None:
        """Leave all connections to the process that this one was forked from."""
        self.engine.dispose(close=False)
        self._connections.forget()
        self._lock = threading.Lock()  # another thread may have held it

    def _run_direct(
        self, call: Callable[[DBAPICursor, Borrowed, Mapping[str, Any]], T], values: Mapping[str, Any]
    ) -> T:
        """Let *call* of a `DirectStatement` go, on the connection of the running transaction if there is one."""

        def run(connection: Connection) -> T:
            cursor = connection.connection.cursor()
            try:
                return call(cursor, connection, values)
            finally:
                cursor.close()

        return self.run(run)

    def _prepare(self, layout: Layout) -> Statements:
        known = self._statements.get(layout.model)
        if known is not None and known[0] is layout:
            return known[1]
        with self._lock:
            statements = build_statements(layout, self.engine.dialect)
        if self._check_table(statements.table):  # it may wait for writers
            self._statements[layout.model] = (layout, statements)
        return statements

    def _check_table(self, table: Table) -> bool:
        """Look whether the table has all columns; on SQLite it is created if it is missing.

        Returns whether it is there to stay: not if the running transaction, which may fail, creates it.
        """

        def find_columns(connection: Connection) -> set[str]:
            try:
                return {column["name"] for column in inspect(connection).get_columns(table.name)}
            except exc.NoSuchTableError:
                return set()

        found = self.run(find_columns)
        running = self._active.get()
        if not found and self.kind == "sqlite":
            if running is not None:
                running.run(lambda connection: table.create(connection, checkfirst=True))
                running.created.add(table.name)
                return False
            self.create_tables([table])
            return True
        missing = [column.name for column in table.columns if column.name not in found]
        if missing:
            lacks = f"lacks {', '.join(missing)}" if found else "does not exist"
            raise StoredDataError(f"The table {table.name} {lacks}. Run: pymacaron db upgrade")
        return running is None or table.name not in running.created

    def _explain(self, layout: Layout, change: Write) -> Exception:
        """Return why *change* found nothing that it could change."""
        shown = show_key(layout, change.key)
        if change.kind == "insert":
            return AlreadyExistsError(f"There is {shown} already")
        row = self.read(layout, [change.key]).get(change.key)
        if change.kind == "delete" and (row is None or is_expired(layout, row)):
            return NotFoundError(f"There is no {shown}")
        return ConflictError(f"Somebody else changed or removed {shown} meanwhile. Load it again")


_stores: weakref.WeakSet[SqlStore] = weakref.WeakSet()


def _leave_connections() -> None:
    for store in _stores:
        store.forget_connections()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_connections)


def _fetch(connection: Connection, statement: Executable, parameters: dict[str, Any] | None = None) -> list[Row]:
    result: CursorResult[Any] = connection.execute(statement, parameters)
    columns = list(result.keys())
    return [dict(zip(columns, row, strict=True)) for row in result]


def _fetcher(statement: Executable) -> Callable[[Connection], list[Row]]:
    return lambda connection: _fetch(connection, statement)


def _key_parameters(key: Key) -> dict[str, Any]:
    return {f"{KEY}{number}": value for number, value in enumerate(key)}


def _pick(statements: Statements, change: Write) -> DirectStatement:
    if change.kind == "delete":
        return statements.delete if change.expected is None else statements.delete_expected
    return statements.update


def current_sql_store() -> SqlStore:
    """Return the store in force, if it is SQLite or PostgreSQL: for tables and queries of your own.

    Raises: ConfigError: it is another one.
    """
    store = current_store()
    if not isinstance(store, SqlStore):
        raise ConfigError(Finding("database_url", f"{store.kind} has no SQL", "Name a SQLite or PostgreSQL database"))
    return store
