"""A transaction while it runs: what its blocks share, and what keeps it from being stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Dialect, exc, text
from sqlalchemy.engine import Transaction

from pymacaron.persistence.errors import StoreUnavailableError
from pymacaron.persistence.sql_calls import DirectStatement
from pymacaron.persistence.sql_errors import ABORTED, told_errors
from pymacaron.persistence.store import Nesting

T = TypeVar("T")


class Savepoints:
    """The statements of savepoints, which go straight to the driver: SQLAlchemy's way takes several times as long.

    Inner ones may have the same name: the latest counts.
    """

    __slots__ = ("begin", "release", "undo")

    def __init__(self, dialect: Dialect) -> None:
        """Compile them."""
        self.begin = DirectStatement(text("SAVEPOINT pymacaron"), dialect)
        self.undo = DirectStatement(text("ROLLBACK TO SAVEPOINT pymacaron"), dialect)
        self.release = DirectStatement(text("RELEASE SAVEPOINT pymacaron"), dialect)


class _Savepoint:
    """One of them, around a block."""

    is_active = True
    __slots__ = ("_connection", "_savepoints")

    def __init__(self, connection: Connection, savepoints: Savepoints) -> None:
        self._connection = connection
        self._savepoints = savepoints

    def __enter__(self) -> Self:
        self._send(self._savepoints.begin)
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if self._connection.invalidated:
            return
        if kind is not None:
            self._send(self._savepoints.undo)
        self._send(self._savepoints.release)

    def _send(self, statement: DirectStatement) -> None:
        cursor = self._connection.connection.cursor()
        try:
            statement.change(cursor, self._connection, {})
        finally:
            cursor.close()


class RunningTransaction:
    """The transaction of one connection; blocks inside it are savepoints.

    A call that the database refuses ends the block that it is made in, as PostgreSQL has it, on SQLite too: the block's
    further calls and its end raise the same error, and nothing of it is stored.

    connection: SQLAlchemy's. created: names of tables that may be gone with it.
    """

    __slots__ = ("_afterwards", "_broken", "_nesting", "_savepoints", "_timeout_s", "connection", "created")

    def __init__(self, connection: Connection, savepoints: Savepoints, timeout_s: float) -> None:
        """Take the *connection* on which a transaction has begun."""
        self.connection = connection
        self._savepoints = savepoints
        self.created: set[str] = set()
        self._timeout_s = timeout_s
        self._nesting = Nesting()
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
    def block(self, *, is_known: bool = False) -> Iterator[Connection]:
        """Undo what the block does if it raises, and nothing else of the transaction.

        is_known: SQLAlchemy knows of it, for sessions, which may undo the block by themselves.
        """
        if self._broken is not None:
            raise self._broken
        waiting = len(self._afterwards)
        try:
            with told_errors(self._timeout_s), self._begin(is_known=is_known) as savepoint:
                with self._nesting.level():
                    yield self.connection
                self.end(savepoint, waiting)
        except BaseException:
            del self._afterwards[waiting:]
            self._broken = self._find_fault()  # all else was undone with the block
            raise

    def _begin(self, *, is_known: bool) -> Transaction | _Savepoint:
        return self.connection.begin_nested() if is_known else _Savepoint(self.connection, self._savepoints)

    def end(self, transaction: Transaction | _Savepoint, waiting: int = 0) -> None:
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
        """Return why the transaction cannot be stored, without asking the database."""
        connection = self.connection
        if fault := self._nesting.find_fault():
            return fault
        if connection.invalidated:
            return StoreUnavailableError("The store is not reachable", retry_after_s=self._timeout_s)
        driver: Any = connection.connection.dbapi_connection
        if connection.dialect.name == "postgresql":
            is_whole = driver.info.transaction_status.name not in ("INERROR", "UNKNOWN")
        else:
            is_whole = driver.in_transaction  # after some errors SQLite ends it by itself
        return None if is_whole else RuntimeError(ABORTED)
