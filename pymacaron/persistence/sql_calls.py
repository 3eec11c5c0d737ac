"""Statements of one object, compiled once and handed to the driver: SQLAlchemy's way costs more than SQLite does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from sqlalchemy import ClauseElement, Column, Dialect, exc
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.compiler import SQLCompiler

from pymacaron.persistence.rows import Row

_Processor = Callable[[Any], Any]


class Borrowed(Protocol):
    """A connection of the pool: SQLAlchemy's `Connection`, or what is in it."""

    def invalidate(self, exception: BaseException) -> None:
        """Let nobody else have it."""


class DirectStatement:
    """A statement whose parameters and answers are converted as its columns' types say."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        """Compile *statement* for *dialect*."""
        compiled = cast("SQLCompiler", statement.compile(dialect=dialect))
        self._dialect = dialect
        self._text = compiled.string
        self._is_positional = compiled.positional
        names = compiled.positiontup if compiled.positional else list(compiled.binds)
        self._parameters = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names or ()
        ]
        self._sent_names = [compiled.escaped_bind_names.get(name, name) for name, _ in self._parameters]
        self._constants = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
        self._columns = cast("list[Column[Any]]", list(getattr(statement, "exported_columns", ())))
        self._names = [column.name for column in self._columns]
        self._processors: list[tuple[int, _Processor]] | None = None

    def fetch(self, cursor: DBAPICursor, borrowed: Borrowed, values: Mapping[str, Any]) -> list[Row]:
        """Return the rows that are answered. Raises: sqlalchemy.exc.DBAPIError."""
        self._execute(cursor, borrowed, values)
        if self._processors is None:
            self._processors = self._find_processors(cursor)
        rows = []
        for answer in cursor.fetchall():
            row = list(answer)
            for number, process in self._processors:
                row[number] = process(row[number])
            rows.append(dict(zip(self._names, row, strict=True)))
        return rows

    def change(self, cursor: DBAPICursor, borrowed: Borrowed, values: Mapping[str, Any]) -> int:
        """Return how many rows were changed. Raises: sqlalchemy.exc.DBAPIError."""
        self._execute(cursor, borrowed, values)
        return cursor.rowcount

    def _find_processors(self, cursor: DBAPICursor) -> list[tuple[int, _Processor]]:
        """Return what converts a column, for those that need it: it may depend on the driver's type of the answer."""
        kinds = [described[1] for described in cursor.description or ()]
        found = [
            column.type.dialect_impl(self._dialect).result_processor(self._dialect, kind)
            for column, kind in zip(self._columns, kinds, strict=True)
        ]
        return [(number, each) for number, each in enumerate(found) if each]

    def _execute(self, cursor: DBAPICursor, borrowed: Borrowed, values: Mapping[str, Any]) -> None:
        if self._constants:
            values = {**self._constants, **values}
        sent = [values[name] if process is None else process(values[name]) for name, process in self._parameters]
        driver_error: Any = self._dialect.loaded_dbapi.Error
        try:
            cursor.execute(self._text, sent if self._is_positional else dict(zip(self._sent_names, sent, strict=True)))
        except driver_error as error:
            is_gone = self._dialect.is_disconnect(error, cast("Any", cursor.connection), cursor)
            if is_gone:
                borrowed.invalidate(error)
            raise exc.DBAPIError.instance(
                self._text,
                None,
                error,
                driver_error,
                hide_parameters=True,
                connection_invalidated=is_gone,
                dialect=self._dialect,
            ) from error
