"""Two documents, and one operation in each of them, that are compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pymacaron.diff.change import Change
from pymacaron.diff.flat import Direction, Part, Side
from pymacaron.diff.rules import RULES
from pymacaron.diff.sameness import Sameness
from pymacaron.diff.schemas import walk_schemas
from pymacaron.diff.walk import SchemaChange, SchemaWalk
from pymacaron.spec import Api, Operation


@dataclass(frozen=True, slots=True)
class Documents:
    """The two documents; sides and sameness: direction -> what is known of their schemas."""

    old: Api
    new: Api
    sides: dict[Direction, tuple[Side, Side]]
    sameness: dict[Direction, Sameness]

    @classmethod
    def of(cls, old: Api, new: Api) -> Documents:
        """Prepare two documents to be compared."""
        directions: tuple[Direction, ...] = ("request", "answer")
        sides = {direction: (Side(old, direction), Side(new, direction)) for direction in directions}
        return cls(old, new, sides, {direction: Sameness.find(*pair) for direction, pair in sides.items()})

    def tell(self, rule: str, what: str, *, operation: str = "", where: str = "", pointers: tuple[str, str]) -> Change:
        """Return the change that *rule* is about. pointers: in the old and new text; the empty one is in no place."""
        entry = RULES[rule]
        return Change(
            rule=rule,
            severity=entry.severity,
            operation=operation,
            where=where,
            what=what,
            breaks=entry.breaks,
            why=entry.why,
            fix=entry.fix,
            old_place=self.old.place_of(pointers[0]) if pointers[0] else "",
            new_place=self.new.place_of(pointers[1]) if pointers[1] else "",
        )


@dataclass(frozen=True, slots=True)
class OperationPair:
    """One operation, as the two documents have it."""

    documents: Documents
    old: Operation
    new: Operation

    @property
    def title(self) -> str:
        """Return how people call it: ``GET /pets/{petId}``."""
        return f"{self.new.method} {self.new.path}"

    def tell(self, rule: str, what: str, *, where: str = "", pointers: tuple[str, str] | None = None) -> Change:
        """Return the change that *rule* is about. pointers: by default those of the operation."""
        return self.documents.tell(
            rule, what, operation=self.title, where=where, pointers=pointers or (self.old.pointer, self.new.pointer)
        )

    def compare_schemas(
        self, direction: Direction, old: Part, new: Part, *, where: str, is_text: bool = False
    ) -> list[Change]:
        """Return how the schemas of a body, a parameter or a header differ."""
        walk = SchemaWalk(
            *self.documents.sides[direction],
            self.documents.sameness[direction],
            walk_schemas,
            is_text=is_text,
            is_closed_by_version=is_closed_by_version(self.new) and not is_closed_by_version(self.old),
        )
        return list(self._place(walk.compare_all(old, new), where))

    def _place(self, found: Iterable[SchemaChange], where: str) -> Iterable[Change]:
        for change in found:
            yield Change(
                rule=change.rule,
                severity=change.severity,
                operation=self.title,
                where=f"{where} {change.path}" if change.path else where,
                what=change.what,
                breaks="client" if change.severity != "non-breaking" else "",
                why=change.why,
                fix=change.fix,
                old_place=self.documents.old.place_of(change.old_pointer),
                new_place=self.documents.new.place_of(change.new_pointer),
                witness=change.witness,
            )


def is_closed_by_version(operation: Operation) -> bool:
    """Tell whether request bodies refuse properties without a name though the document does not say so."""
    body = operation.body or operation.form
    return body is not None and body.is_object_if_absent
