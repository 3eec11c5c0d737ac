"""The command `pymacaron db`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from pymacaron.exceptions import ConfigError, Finding, PyMacaronException, StartupError
from pymacaron.persistence.layout import Layout
from pymacaron.persistence.model import find_layouts
from pymacaron.persistence.store import Store, current_store
from pymacaron.persistence.upgrade import Change, Upgrade
from pymacaron.serving.loading import enter_folder, load_or_explain

if TYPE_CHECKING:
    from pymacaron.persistence.migration import SqlUpgrade
    from pymacaron.persistence.revisions import Revisions

_folder = click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(), help="The service's folder. Default: this one."
)
_app = click.option("--app", "target", default="server:app", show_default=True, help="Module and variable of the app.")
_drop = click.option("--drop", "may_lose", is_flag=True, help="Also remove columns that no class has any more.")
_files = click.option(
    "--migrations",
    "files",
    type=click.Path(path_type=Path),
    default=Path("migrations"),
    show_default=True,
    help="Folder of the revision files, inside the service's.",
)


_NOT_DONE = 3


class _Commands(click.Group):
    """Tells in one line what the store refuses."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the chosen command; exit code 3 if the store does not let it."""
        try:
            return super().invoke(ctx)
        except PyMacaronException as error:
            reason = getattr(error.__cause__, "orig", None) or error.__cause__
            more = f" ({' '.join(str(reason).split())})" if reason else ""
            click.echo(f"pymacaron db: {error.message}{more}", err=True)
            sys.exit(_NOT_DONE)


@click.group(cls=_Commands)
def db() -> None:
    """Compare the store's tables with the service's classes, and bring them up to date."""


@db.command()
@_folder
@_app
@_files
@_drop
def diff(folder: Path, target: str, files: Path, may_lose: bool) -> None:  # noqa: FBT001 - click passes it by keyword
    """Show what `upgrade` would do; exit code 1 if there is something."""
    wanted = _open_upgrade(folder, target)
    pending = _pending_of(wanted, files)
    for script in pending:
        click.echo(f"-- not applied yet: {_show(script)}")
    if pending:
        sys.exit(1)
    sys.exit(int(_tell_changes(wanted.plan(), may_lose=may_lose)))


@db.command()
@_folder
@_app
@_files
@_drop
@click.option("--to", "revision", help="The last revision to apply. Default: all.")
def upgrade(folder: Path, target: str, files: Path, may_lose: bool, revision: str | None) -> None:  # noqa: FBT001 - as above
    """Apply the revision files that the database has not had; without such files, create what is missing.

    Nothing is removed without --drop.
    """
    wanted = _open_upgrade(folder, target)
    revisions = _open_revisions(wanted, files) if _has_files(files) else None
    if revisions is None and revision:
        raise ConfigError(Finding("pymacaron db upgrade", f"{files} has no revisions", "Run: pymacaron db revision"))
    if revisions is not None:
        applied = revisions.apply(revision)
        for script in applied:
            click.echo(f"applied {_show(script)}")
        click.echo(f"{len(applied)} revisions" if applied else "Nothing to do")
        if revision is None and _tell_changes(wanted.plan(), may_lose=may_lose):
            click.echo("-- The classes need this too. Run: pymacaron db revision")
            sys.exit(1)
        return
    with wanted.turn():
        changes = [change for change in wanted.plan() if may_lose or not change.is_loss]
        for change in changes:
            click.echo(f"{change.text};")
        wanted.apply(changes)
    click.echo(f"{len(changes)} changes" if changes else "Nothing to do")


@db.command()
@click.argument("message")
@_folder
@_app
@_files
@_drop
def revision(message: str, folder: Path, target: str, files: Path, may_lose: bool) -> None:  # noqa: FBT001 - as above
    """Write what the classes need beyond the database as the next revision file, to be read and changed by you."""
    wanted = _open_upgrade(folder, target)
    changes = [change for change in wanted.plan() if may_lose or not change.is_loss]
    path = _open_revisions(wanted, files).write(message, changes)
    click.echo(
        f"wrote {path}" + ("" if changes else ", which does nothing yet: the database has what the classes need")
    )


@db.command()
@click.argument("revision")
@_folder
@_app
@_files
def downgrade(revision: str, folder: Path, target: str, files: Path) -> None:
    """Undo the revisions that came after REVISION, the last first; `base` undoes all."""
    reverted = _open_revisions(_open_upgrade(folder, target), files).revert(revision)
    for script in reverted:
        click.echo(f"undid {_show(script)}")
    click.echo(f"{len(reverted)} revisions" if reverted else "Nothing to do")


@db.command()
@click.argument("revision")
@_folder
@_app
@_files
def stamp(revision: str, folder: Path, target: str, files: Path) -> None:
    """Note that the database has had all revisions up to REVISION, and change nothing."""
    _open_revisions(_open_upgrade(folder, target), files).stamp(revision)


def _tell_changes(changes: Sequence[Change], *, may_lose: bool) -> bool:
    """Show *changes*, and tell whether one of them is to be made."""
    for change in changes:
        kept = change.is_loss and not may_lose
        click.echo(f"-- kept without --drop: {change.text}" if kept else f"{change.text};")
    return any(may_lose or not change.is_loss for change in changes)


def _has_files(files: Path) -> bool:
    return any(files.glob("*.py"))


def _pending_of(upgrade: Upgrade, files: Path) -> Sequence[Any]:
    return _open_revisions(upgrade, files).find_pending() if _has_files(files) else ()


def _show(script: Any) -> str:
    return str(os.path.relpath(script.path))


def _open_revisions(upgrade: Upgrade, files: Path) -> Revisions:
    if not upgrade.has_revisions:
        raise ConfigError(Finding("pymacaron db", "DynamoDB has no revisions", "Run: pymacaron db upgrade"))
    from pymacaron.persistence.revisions import Revisions  # noqa: PLC0415 - needs the extra

    return Revisions(cast("SqlUpgrade", upgrade), files)


def _open_upgrade(folder: Path, target: str) -> Upgrade:
    enter_folder(folder)
    app = load_or_explain(target)
    if isinstance(app, list):
        raise StartupError(app)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells each step that it looks at
    with app.app_context():
        return choose_upgrade(current_store(), find_layouts())


def choose_upgrade(store: Store, layouts: Sequence[Layout]) -> Upgrade:
    """Return what brings *store* up to date for *layouts*. Raises: ConfigError: an extra is not installed."""
    if store.kind == "dynamodb":
        from pymacaron.persistence.dynamodb_tables import DynamoUpgrade  # noqa: PLC0415 - needs the extra

        return DynamoUpgrade(store, layouts)
    try:
        from pymacaron.persistence.migration import SqlUpgrade  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        found = f"it needs {error.name}, which is not installed"
        raise ConfigError(Finding("pymacaron db", found, "Run: pip install 'pymacaron[sql]'")) from error
    return SqlUpgrade(store, layouts)
