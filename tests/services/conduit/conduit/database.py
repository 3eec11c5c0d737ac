"""Opens the SQLite file that all worker processes share."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from conduit.tables import Table
from pymacaron import get_config

BUSY_TIMEOUT_MS = 10_000


class Database:
    """One SQLite file. Readers never wait; writers, in whatever process, take turns.

    A write transaction takes its turn when it begins (``BEGIN IMMEDIATE``): one that has read already could not wait
    any more. Source: sqlite.org/lang_transaction.html and sqlite.org/wal.html.
    """

    def __init__(self, path: Path) -> None:
        """Open *path*, creating the file and its tables if they are missing; several processes may do so at once."""
        # Values of a failed statement may be secrets: hide_parameters keeps them out of messages and logs.
        self._engine = create_engine(f"sqlite:///{path}", hide_parameters=True, max_overflow=-1)
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        self._writing = self._engine.execution_options(is_writing=True)
        with _lock(path.with_name(f"{path.name}.lock")):
            _turn_on_wal(path)
            with self._writing.begin() as connection:
                Table.metadata.create_all(connection)

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine, for reading."""
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that sees one moment of the data."""
        with Session(self._engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a session that is committed at the end, or rolled back if the block raises."""
        with Session(self._writing) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time run the block: SQLite does not wait when two turn a new file into WAL at once."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _turn_on_wal(path: Path) -> None:
    """Turn the write-ahead log on; the file remembers it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # sqlite3: transactions begin in _begin only
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    is_writing = connection.get_execution_options().get("is_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


@cache
def database() -> Database:
    """Return this process's database: the file ``CONDUIT_DATABASE``, else ``database`` of pym-config.yaml."""
    config = get_config()
    return Database(config.folder / os.environ.get("CONDUIT_DATABASE", str(config.database)))
