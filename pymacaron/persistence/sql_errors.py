"""Tells the errors of SQLite and PostgreSQL as those of all stores."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from pymacaron.persistence.errors import (
    AlreadyExistsError,
    ConflictError,
    StoredDataError,
    StoreUnavailableError,
    UnstorableError,
)

ABORTED = (
    "A statement of the transaction failed, and the database keeps nothing of it. "
    "What may fail and be caught goes into a `with transaction():` of its own"
)
_TAKEN = "Another object has a value that only one may have"
_RULE = "The database has a rule that forbids this value, or this change"
_TABLE = "A table of the store is not as the service needs it. Run: pymacaron db upgrade"
_SIZE = "A value is larger than the store can keep"
_INVALID_CONNECTION = "8s2b"
"""Of a connection that broke in a transaction. Source: SQLAlchemy, "Error Messages"."""
_UNAVAILABLE = ("08", "25006", "53", "57", "58", "55P03")
"""Connections, resources, interventions, system, lock_timeout. Source: PostgreSQL, "Appendix A. Error Codes"."""
_STATES: tuple[tuple[str, type[Exception], str], ...] = (
    ("25P02", RuntimeError, ABORTED),
    ("40", ConflictError, "Others changed the same objects meanwhile"),
    ("42P01", StoredDataError, _TABLE),
    ("42703", StoredDataError, _TABLE),
    ("3F000", StoredDataError, _TABLE),
    ("23505", AlreadyExistsError, _TAKEN),
    ("23", UnstorableError, _RULE),
    ("22001", UnstorableError, _SIZE),
    ("22003", UnstorableError, _SIZE),
    ("54", UnstorableError, _SIZE),
    ("22", UnstorableError, "A value does not fit its column"),
)
"""Beginning of the state, error, message; the first that fits counts. Source: the same."""
_TAKEN_IN_SQLITE = ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_ROWID")
"""Source: https://sqlite.org/rescode.html."""
_UNAVAILABLE_IN_SQLITE = (
    "SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_CORRUPT", "SQLITE_FULL", "SQLITE_INTERRUPT", "SQLITE_IOERR",
    "SQLITE_LOCKED", "SQLITE_NOMEM", "SQLITE_NOTADB", "SQLITE_PERM", "SQLITE_PROTOCOL", "SQLITE_READONLY",
)  # fmt: skip
"""Beginnings of names. Source: the same."""


@contextmanager
def told_errors(timeout_s: float) -> Iterator[None]:
    """Raise what SQLAlchemy raises in the block as an error of stores, where it is one."""
    try:
        yield
    except exc.TimeoutError as error:
        raise StoreUnavailableError("All connections to the store are in use", retry_after_s=timeout_s) from error
    except exc.DBAPIError as error:
        told = _tell(error, timeout_s)
        if told is None:
            raise
        raise told from error
    except exc.PendingRollbackError as error:
        if error.code != _INVALID_CONNECTION:
            raise
        raise StoreUnavailableError("The store is not reachable", retry_after_s=timeout_s) from error
    except exc.DisconnectionError as error:
        raise StoreUnavailableError("The store is not reachable", retry_after_s=timeout_s) from error


def _tell(error: exc.DBAPIError, timeout_s: float) -> Exception | None:
    if isinstance(error.orig, sqlite3.Error):
        return _tell_sqlite(error.orig, timeout_s)
    return _tell_postgresql(error, timeout_s)


def _tell_postgresql(error: exc.DBAPIError, timeout_s: float) -> Exception | None:
    state = getattr(error.orig, "sqlstate", None)
    if state is None and isinstance(error, (exc.OperationalError, exc.InterfaceError)):
        return StoreUnavailableError("The store is not reachable", retry_after_s=timeout_s)
    state = state or ""
    if state.startswith(_UNAVAILABLE) or error.connection_invalidated:
        return StoreUnavailableError("The store is down, full, locked or too slow", retry_after_s=timeout_s)
    return next((kind(message) for start, kind, message in _STATES if state.startswith(start)), None)


def _tell_sqlite(error: sqlite3.Error, timeout_s: float) -> Exception | None:
    text = str(error)
    if text.startswith(("no such table", "no such column")) or "has no column" in text:
        return StoredDataError(_TABLE)
    if "too big" in text:
        return UnstorableError(_SIZE)
    if isinstance(error, sqlite3.IntegrityError):
        is_taken = error.sqlite_errorname in _TAKEN_IN_SQLITE
        return AlreadyExistsError(_TAKEN) if is_taken else UnstorableError(_RULE)
    if getattr(error, "sqlite_errorname", "").startswith(_UNAVAILABLE_IN_SQLITE):
        return StoreUnavailableError("The store is full, locked or not readable", retry_after_s=timeout_s)
    return None
