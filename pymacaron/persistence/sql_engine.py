"""Opens SQLite and PostgreSQL so that nothing waits for ever."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.persistence.sql_tables import DECIMAL_ORDER, compare_decimals

SINGLE = "pymacaron_single"
"""Key of `Connection.info`: true while each statement is a transaction of its own."""
IDLE_SINCE = "pymacaron_idle_since_s"
"""Key of `Connection.info`: when the connection was used last, by `time.monotonic`."""
LONGEST_REST_S = 5.0
"""After which a connection is looked at before it is used again."""
_WAL_PAUSE_S = 0.02


def open_engine(url: str, *, folder: Path | None, timeout_s: float, pool_size: int) -> Engine:
    """Open a SQLite file (relative to *folder*) or a PostgreSQL database; nothing is connected yet.

    Raises: ConfigError: the URL is none. ModuleNotFoundError: the driver is not installed.
    """
    try:
        parsed = make_url(url)
        is_readable = "@" not in (parsed.host or "")
    except (exc.ArgumentError, ValueError):  # whose texts hold parts of the password
        is_readable = False
    if not is_readable:
        fix = "Write sqlite:///pets.db or postgresql://user:password@host/pets; in a password @ is %40, : %3A, / %2F"
        raise ConfigError(Finding("database_url", "it is no database URL", fix))
    options: dict[str, Any] = {"pool_timeout": timeout_s, "max_overflow": 0, "hide_parameters": True}
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, folder, timeout_s, pool_size, options)
    return _open_postgresql(parsed, timeout_s, pool_size, options)


def _open_sqlite(url: URL, folder: Path | None, timeout_s: float, pool_size: int, options: dict[str, Any]) -> Engine:
    is_file = url.database not in (None, "", ":memory:")
    if is_file:
        url = url.set(database=str((folder or Path()) / (url.database or "")))
    # A database in memory lives in its one connection.
    options |= {"poolclass": QueuePool, "pool_size": pool_size if is_file else 1}
    engine = create_engine(url, connect_args={"timeout": timeout_s, "check_same_thread": False}, **options)

    def prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin below only
        connection.create_collation(DECIMAL_ORDER, compare_decimals)
        cursor = connection.cursor()
        _turn_on_wal(cursor, timeout_s)
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _turn_on_wal(cursor: Any, timeout_s: float) -> None:
    """Let readers go on while somebody writes; SQLite does not wait by itself when several turn it on at once.

    Source: sqlite.org/wal.html.
    """
    end_s = time.monotonic() + timeout_s
    while cursor.execute("PRAGMA journal_mode").fetchone()[0] not in ("wal", "memory"):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > end_s:
                raise
            time.sleep(_WAL_PAUSE_S)


def _begin_sqlite(connection: Connection) -> None:
    """Take the turn to write at once: a transaction that has read already could not wait any more.

    Source: sqlite.org/lang_transaction.html.
    """
    if not connection.info.get(SINGLE):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _open_postgresql(url: URL, timeout_s: float, pool_size: int, options: dict[str, Any]) -> Engine:
    from pymacaron.persistence.postgresql import PatientConnection  # noqa: PLC0415 - needs the driver

    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    milliseconds = max(1, int(timeout_s * 1000))
    settings = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds} -c timezone=UTC"
    connect_args = {"connect_timeout": max(2, int(timeout_s)), "options": settings}
    engine = create_engine(url, connect_args=connect_args, pool_size=pool_size, **options)

    def connect(dialect: Any, _: Any, arguments: Any, keywords: Any) -> Any:  # noqa: ARG001 - signature
        connection = PatientConnection.connect(*arguments, **keywords)
        connection.timeout_s = timeout_s
        return connection

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "checkin", _note_time)
    event.listen(engine, "checkout", _look_whether_alive)
    return engine


def _note_time(_: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info.setdefault(IDLE_SINCE, time.monotonic())


def _look_whether_alive(connection: DBAPIConnection, entry: ConnectionPoolEntry, _: object) -> None:
    """Replace a connection that rested for long if it is dead: the server may have been restarted."""
    since_s = entry.info.pop(IDLE_SINCE, None)
    if since_s is None or time.monotonic() - since_s < LONGEST_REST_S:
        return
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        cursor.close()
        connection.rollback()
    except Exception as error:
        with suppress(Exception):
            connection.close()
        raise exc.DisconnectionError from error
