"""One difference between two documents, in words and as data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pymacaron.json_types import Json, JsonObject

Severity = Literal["breaking", "undecided", "non-breaking"]
Breaks = Literal["client", "server", ""]

SEVERITIES: tuple[Severity, ...] = ("breaking", "undecided", "non-breaking")
_MOST_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Witness:
    """A value that one document allows and the other does not, where the change is."""

    value: Json

    def __str__(self) -> str:
        """Return the value as JSON, or what kind of value it is where that would be long."""
        text = json.dumps(self.value, ensure_ascii=False)
        if len(text) <= _MOST_CHARACTERS:
            return text
        if isinstance(self.value, str):
            return f"a text of {len(self.value)} characters"
        if isinstance(self.value, list):
            return f"a list of {len(self.value)} items"
        return "such a value"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    rule: what kind of difference it is, ``request-bound-tightened``. operation: ``GET /pets/{petId}`` as the new
    document writes it (the old one, if it is gone there); empty for what belongs to the whole document.
    where: part of the operation, with a JSON pointer into the value, ``request body /tags/*``. what: how it changed.
    breaks: whose code stops working, ``client`` or ``server``; empty for nobody's. why, fix: reason and remedy, empty
    where nothing breaks. old_place, new_place: ``pets.yaml:12#/paths/…``; empty where that document has no such part.
    witness: a value that shows it.
    """

    rule: str
    severity: Severity
    operation: str
    where: str
    what: str
    breaks: Breaks = ""
    why: str = ""
    fix: str = ""
    old_place: str = ""
    new_place: str = ""
    witness: Witness | None = None

    @property
    def sentence(self) -> str:
        """Return the change as one line, without its operation and places."""
        start = f"{self.where}: {self.what}" if self.where else self.what
        return f"{start}: {self.why}. {self.fix}." if self.why else f"{start}."

    def to_dict(self) -> JsonObject:
        """Return the change as JSON: its fields by name, and ``sentence``; ``witness`` only where there is one."""
        data: JsonObject = {
            name: getattr(self, name)
            for name in (
                "rule", "severity", "operation", "where", "what", "breaks", "why", "fix", "old_place", "new_place",
            )
        }  # fmt: skip
        data["sentence"] = self.sentence
        return data | ({"witness": self.witness.value} if self.witness else {})


def sort_changes(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Return *changes* once each, those of the whole document first, within an operation the worst first."""
    order = {operation: index for index, operation in enumerate(dict.fromkeys(change.operation for change in changes))}
    order[""] = -1
    unique = {(change.rule, change.operation, change.where, change.what): change for change in changes}
    return tuple(
        sorted(unique.values(), key=lambda change: (order[change.operation], SEVERITIES.index(change.severity)))
    )
