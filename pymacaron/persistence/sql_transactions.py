"""A transaction while it runs: what its blocks share, and what keeps it from being stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, exc
from sqlalchemy.engine import Transaction

from pymacaron.persistence.errors import StoreUnavailableError
from pymacaron.persistence.sql_errors import ABORTED, told_errors

T = TypeVar("T")


class RunningTransaction:
    """The transaction of one connection; blocks inside it are savepoints.

    A call that the database refuses ends the block that it is made in, as PostgreSQL has it, on SQLite too: the block's
    further calls and its end raise the same error, and nothing of it is stored.

    connection: SQLAlchemy's. created: names of tables that may be gone with it.
    """

    __slots__ = ("_afterwards", "_broken", "_timeout_s", "connection", "created")

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        """Take the *connection* on which a transaction has begun."""
        self.connection = connection
        self.created: set[str] = set()
        self._timeout_s = timeout_s
        self._broken: Exception | None = None
        self._afterwards: list[Callable[[], object]] = []

    def run(self, function: Callable[[Connection], T]) -> T:
        """Return what *function* does with the connection. Raises: what ended the block, errors of stores."""
        if self._broken is not None:
            raise self._broken
        try:
            with told_errors(self._timeout_s):
                return function(self.connection)
        except Exception as error:
            if isinstance(error, exc.DBAPIError) or isinstance(error.__cause__, exc.SQLAlchemyError):
                self._broken = error
            raise

    def call_later(self, function: Callable[[], object]) -> None:
        """Have *function* called by `call_afterwards`, unless the running block is undone."""
        self._afterwards.append(function)

    def call_afterwards(self) -> None:
        """Call what waits for the transaction to be stored, which it is now."""
        for function in self._afterwards:
            function()

    @contextmanager
    def block(self) -> Iterator[Connection]:
        """Undo what the block does if it raises, and nothing else of the transaction."""
        if self._broken is not None:
            raise self._broken
        waiting = len(self._afterwards)
        try:
            with told_errors(self._timeout_s), self.connection.begin_nested() as savepoint:
                yield self.connection
                self.end(savepoint, waiting)
        except BaseException as error:
            del self._afterwards[waiting:]
            self._broken = None if self._find_fault() is None or not isinstance(error, Exception) else error
            raise

    def end(self, transaction: Transaction, waiting: int = 0) -> None:
        """Return if the block that *transaction* is can be stored; *waiting* functions were there at its beginning.

        Raises: what ended it. RuntimeError: a statement failed, its error was caught, and the database gave up all.
        """
        if not transaction.is_active:  # somebody undid it by hand
            del self._afterwards[waiting:]
            return
        fault = self._broken or self._find_fault()
        if fault is not None:
            raise fault

    def _find_fault(self) -> Exception | None:
        """Return why the database would not store the transaction, without asking it."""
        connection = self.connection
        if connection.invalidated:
            return StoreUnavailableError("The store is not reachable", retry_after_s=self._timeout_s)
        driver: Any = connection.connection.dbapi_connection
        if connection.dialect.name == "postgresql":
            is_whole = driver.info.transaction_status.name not in ("INERROR", "UNKNOWN")
        else:
            is_whole = driver.in_transaction  # after some errors SQLite ends it by itself
        return None if is_whole else RuntimeError(ABORTED)
