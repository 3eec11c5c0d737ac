"""What the tables of a database lack, and how they get it, through Alembic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import StringIO
from typing import Any, NoReturn

from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.operations.ops import DropColumnOp, DropIndexOp, MigrateOperation, ModifyTableOps
from sqlalchemy import Connection, Table, exc

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.persistence.layout import Layout
from pymacaron.persistence.sql import SqlStore
from pymacaron.persistence.sql_tables import METADATA, table_of
from pymacaron.persistence.upgrade import Change

_LOCK_NUMBER = 0x70796D61  # one upgrade at a time in a database; any number that others do not use


class SqlUpgrade:
    """Compares the tables of a database with those of *layouts*, and with what else is in `METADATA`.

    Tables that nobody declares are left alone.
    """

    has_revisions = True

    def __init__(self, store: Any, layouts: Sequence[Layout]) -> None:
        """Take the `SqlStore` and what is to be kept in it."""
        self._store: SqlStore = store
        for layout in layouts:
            table_of(layout)

    def turn(self) -> AbstractContextManager[object]:
        """Let no other upgrade change the tables during the block, which is one transaction."""
        return self.connection()

    def plan(self) -> list[Change]:
        """Return what is to be done, in order."""
        with self.connection() as connection:
            options = {"compare_type": self._store.kind == "postgresql", "include_object": _is_declared}
            context = MigrationContext.configure(connection, opts=options)
            found = produce_migrations(context, METADATA).upgrade_ops
            operations = list(_flatten(found.ops if found else ()))
        return [Change(self._write(each), each, isinstance(each, DropColumnOp)) for each in operations]

    def apply(self, changes: Sequence[Change]) -> None:
        """Do it all in one transaction."""
        with self.connection() as connection:
            operations = Operations(MigrationContext.configure(connection))
            try:
                for change in changes:
                    operations.invoke(change.operation)
            except exc.DBAPIError as error:
                self._refuse(error)

    @staticmethod
    def _refuse(error: exc.DBAPIError) -> NoReturn:
        found = f"the database refuses: {str(error.orig).strip()}"
        fix = "Nothing was changed. Run pymacaron db diff, and change by hand what it cannot"
        raise ConfigError(Finding("pymacaron db upgrade", found, fix)) from error

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Open a transaction that may take as long as it needs, the only one of its kind."""
        with self._store.connection() as connection:
            if self._store.kind != "postgresql":
                yield connection
                return
            driver: Any = connection.connection.dbapi_connection
            timeout_s, driver.timeout_s = driver.timeout_s, None
            try:
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
                connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")  # so that the service goes on meanwhile
                yield connection
            finally:
                driver.timeout_s = timeout_s

    def _write(self, operation: MigrateOperation) -> str:
        text = StringIO()
        context = MigrationContext.configure(
            dialect=self._store.engine.dialect, opts={"as_sql": True, "output_buffer": text}
        )
        Operations(context).invoke(operation)
        return " ".join(text.getvalue().split()).removesuffix(";")


def _is_declared(thing: Any, name: str | None, kind: str, is_reflected: bool, counterpart: Any) -> bool:  # noqa: FBT001 - Alembic's signature
    """Leave alone what nobody declares: other people's tables, and indexes that somebody added to ours."""
    if isinstance(thing, Table):
        return name in METADATA.tables
    return not (is_reflected and counterpart is None and kind != "column")


def _flatten(operations: Sequence[MigrateOperation]) -> Iterator[MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ModifyTableOps):
            yield from _flatten(operation.ops)
        elif not isinstance(operation, DropIndexOp):
            yield operation
