"""Brings tables to what the classes need: first told, then done; that of DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from pymacaron.persistence.layout import Layout


@dataclass(frozen=True, slots=True)
class Change:
    """One step of an upgrade. text: what is done, SQL where there is SQL. is_loss: it removes data."""

    text: str
    operation: Any
    is_loss: bool = False


class Upgrade(Protocol):
    """Knows what a store lacks."""

    def plan(self) -> list[Change]:
        """Return what is to be done, in order."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Do it. Raises: ConfigError: the database refuses a change."""


class DynamoUpgrade:
    """Compares the tables of DynamoDB with those of *layouts*."""

    def __init__(self, store: Any, layouts: Sequence[Layout]) -> None:
        """Take the `DynamoStore` and what is to be kept in it."""
        self._store = store
        self._layouts = layouts

    def plan(self) -> list[Change]:
        """Return what is to be done, in order."""
        return [
            Change(step.text, partial(self._store.take_steps, layout, [step]))
            for layout in self._layouts
            for step in self._store.plan(layout)
        ]

    def apply(self, changes: Sequence[Change]) -> None:
        """Do it, one after the other, each waiting until the table can be used."""
        for change in changes:
            change.operation()
