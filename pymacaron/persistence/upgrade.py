"""Brings tables to what the classes need: first told, then done."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Change:
    """One step of an upgrade. text: what is done, SQL where there is SQL. is_loss: it removes data."""

    text: str
    operation: Any
    is_loss: bool = False


class Upgrade(Protocol):
    """Knows what a store lacks."""

    has_revisions: bool
    """Whether its changes may be kept as files."""

    def turn(self) -> AbstractContextManager[object]:
        """Let no other upgrade change the tables during the block."""

    def plan(self) -> list[Change]:
        """Return what is to be done, in order."""

    def apply(self, changes: Sequence[Change]) -> None:
        """Do it. Raises: ConfigError: the database refuses a change."""
