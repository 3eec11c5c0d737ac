"""Files that say step by step what becomes of the tables of a database, in order, forth and back: Alembic's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.autogenerate import render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.operations.ops import CreateTableOp, UpgradeOps
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, exc

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.persistence.migration import SqlUpgrade
from pymacaron.persistence.upgrade import Change

BASE = "base"
"""Stands for the database before the first revision."""
_TEMPLATE = '''\
"""{message}."""

from __future__ import annotations

{imports}

revision = "{revision}"
down_revision = {before}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
'''
_TYPES = "pymacaron.persistence.sql_tables"


class Revisions:
    """The revision files of a folder, one after the other, and how far a database is."""

    def __init__(self, upgrade: SqlUpgrade, folder: Path) -> None:
        """Take what compares the database, and the folder, which need not be there yet.

        Raises: ConfigError: the files are in no order.
        """
        self._upgrade = upgrade
        self._folder = folder
        self._directory = None
        self.scripts: list[Script] = []
        if not any(folder.glob("*.py")):
            return
        self._directory = ScriptDirectory(str(folder), version_locations=[str(folder)])
        with self._told():
            heads = self._directory.get_heads()
            if len(heads) > 1:
                fix = f"Let one follow the other: write down_revision = {heads[0]!r} into that of {heads[1]}"
                raise ConfigError(Finding(str(folder), f"{' and '.join(heads)} follow the same revision", fix))
            self.scripts = list(self._directory.walk_revisions())[::-1]

    def find_pending(self) -> list[Script]:
        """Return what the database has not had yet. Raises: ConfigError: it is ahead of the files."""
        with self._upgrade.connection() as connection:
            return self.scripts[self._find_position(connection) :]

    def write(self, message: str, changes: Sequence[Change]) -> Path:
        """Write the next file, which makes *changes*, and undoes them. Raises: ConfigError: the database is behind."""
        pending = self.find_pending()
        if pending:
            found = f"the database has not had {pending[0].revision} yet"
            raise ConfigError(Finding("pymacaron db revision", found, "Run pymacaron db upgrade first"))
        last = self.scripts[-1].revision if self.scripts else None
        number = f"{int(last) + 1 if last and last.isdigit() else len(self.scripts) + 1:04d}"
        for change in changes:
            if isinstance(change.operation, CreateTableOp):
                change.operation.info = {}  # that of this process
        forth = UpgradeOps([change.operation for change in changes])
        with self._upgrade.connection() as connection:
            context = MigrationContext.configure(connection)
            there, back = (render_python_code(each, migration_context=context) for each in (forth, forth.reverse()))
        imports = ["import sqlalchemy as sa", "from alembic import op"]
        if _TYPES in there + back:
            imports.append(f"\nimport {_TYPES}")
        text = _TEMPLATE.format(
            message=message.rstrip(".").replace('"', "'"),
            imports="\n".join(imports),
            revision=number,
            before=repr(last),
            upgrade=_clean(there),
            downgrade=_clean(back),
        )
        path = self._folder / f"{number}_{re.sub(r'[^a-z0-9]+', '_', message.lower()).strip('_')[:40]}.py"
        self._folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def apply(self, target: str | None = None) -> list[Script]:
        """Make what is pending up to *target*, by default all, in one transaction; return it.

        Raises: ConfigError: there is no such revision, or the database refuses a step: nothing was changed then.
        """
        with self._upgrade.connection() as connection:
            position = self._find_position(connection)
            end = len(self.scripts) if target is None else self._position_of(target)
            wanted = self.scripts[position:end]
            for script in wanted:
                self._make(connection, script, script.module.upgrade, script.revision)
        return wanted

    def revert(self, target: str) -> list[Script]:
        """Undo what came after *target*, a revision or ``base``, the last first, in one transaction; return it.

        Raises: as `apply`.
        """
        with self._upgrade.connection() as connection:
            position, end = self._find_position(connection), self._position_of(target)
            wanted = self.scripts[end:position][::-1]
            for script in wanted:
                before: Any = script.down_revision or BASE
                self._make(connection, script, script.module.downgrade, before)
        return wanted

    def stamp(self, target: str) -> None:
        """Note that the database is at *target*, changing nothing else: for one that was made without the files."""
        self._position_of(target)
        with self._upgrade.connection() as connection:
            self._note(MigrationContext.configure(connection), target)

    def _make(self, connection: Connection, script: Script, step: Any, revision: str) -> None:
        context = MigrationContext.configure(connection)
        try:
            with Operations.context(context):
                step()
            self._note(context, revision)
        except Exception as error:
            reason = (
                str(error.orig).strip() if isinstance(error, exc.DBAPIError) else f"{type(error).__name__}: {error}"
            )
            fix = "Nothing was changed. Mend the file or the data"
            raise ConfigError(Finding(script.path, f"its step is refused: {reason}", fix)) from error

    def _note(self, context: MigrationContext, revision: str) -> None:
        assert self._directory is not None
        context.stamp(self._directory, revision)

    def _find_position(self, connection: Connection) -> int:
        """Return how many revisions the database has had."""
        with self._told():
            current = MigrationContext.configure(connection).get_current_revision()
        known = [script.revision for script in self.scripts]
        if current is None:
            return 0
        if current not in known:
            found = f"the database is at revision {current}, which {self._folder} does not have"
            fix = "Use the code that has it, with it go back by pymacaron db downgrade, or fetch the missing files"
            raise ConfigError(Finding("pymacaron db", found, fix))
        return known.index(current) + 1

    def _position_of(self, target: str) -> int:
        known = [BASE, *(script.revision for script in self.scripts)]
        if target not in known:
            raise ConfigError(Finding(str(self._folder), f"it has no revision {target}", f"Use {', '.join(known)}"))
        return known.index(target)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except CommandError as error:
            raise ConfigError(Finding(str(self._folder), f"Alembic says: {error}", "Mend the files")) from error
        except SyntaxError as error:
            where = f"{error.filename}:{error.lineno}"
            raise ConfigError(Finding(where, f"it cannot be read: {error.msg}", "Mend the file")) from error


def _clean(code: str) -> str:
    """Return *code* without Alembic's own comments."""
    lines = [line for line in code.splitlines() if not line.strip().startswith("# ###")]
    return "\n".join(lines).strip() or "pass"
