"""The command `pymacaron db`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from pymacaron.exceptions import ConfigError, Finding, StartupError
from pymacaron.persistence.layout import Layout
from pymacaron.persistence.model import find_layouts
from pymacaron.persistence.store import Store, current_store
from pymacaron.persistence.upgrade import DynamoUpgrade, Upgrade
from pymacaron.serving.loading import load_or_explain

_folder = click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(), help="The service's folder. Default: this one."
)
_app = click.option("--app", "target", default="server:app", show_default=True, help="Module and variable of the app.")
_drop = click.option("--drop", "may_lose", is_flag=True, help="Also remove columns that no class has any more.")


@click.group()
def db() -> None:
    """Compare the store's tables with the service's classes, and bring them up to date."""


@db.command()
@_folder
@_app
@_drop
def diff(folder: Path, target: str, may_lose: bool) -> None:  # noqa: FBT001 - click passes it by keyword
    """Show what `upgrade` would do; exit code 1 if there is something."""
    changes = _open_upgrade(folder, target).plan()
    for change in changes:
        kept = change.is_loss and not may_lose
        click.echo(f"-- kept without --drop: {change.text}" if kept else f"{change.text};")
    sys.exit(int(any(may_lose or not change.is_loss for change in changes)))


@db.command()
@_folder
@_app
@_drop
def upgrade(folder: Path, target: str, may_lose: bool) -> None:  # noqa: FBT001 - click passes it by keyword
    """Create missing tables, columns and indexes; nothing is removed without --drop."""
    wanted = _open_upgrade(folder, target)
    changes = [change for change in wanted.plan() if may_lose or not change.is_loss]
    for change in changes:
        click.echo(f"{change.text};")
    wanted.apply(changes)
    click.echo(f"{len(changes)} changes" if changes else "Nothing to do")


def _open_upgrade(folder: Path, target: str) -> Upgrade:
    os.chdir(folder)
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - where the service's modules are
    app = load_or_explain(target)
    if isinstance(app, list):
        raise StartupError(app)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells each step that it looks at
    with app.app_context():
        return choose_upgrade(current_store(), find_layouts())


def choose_upgrade(store: Store, layouts: Sequence[Layout]) -> Upgrade:
    """Return what brings *store* up to date for *layouts*. Raises: ConfigError: an extra is not installed."""
    if store.kind == "dynamodb":
        return DynamoUpgrade(store, layouts)
    try:
        from pymacaron.persistence.migration import SqlUpgrade  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        found = f"it needs {error.name}, which is not installed"
        raise ConfigError(Finding("pymacaron db", found, "Run: pip install 'pymacaron[sql]'")) from error
    return SqlUpgrade(store, layouts)
