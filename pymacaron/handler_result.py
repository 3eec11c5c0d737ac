"""What a handler returned, taken apart, and the answer that is being made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel

from pymacaron.exceptions import is_error

if TYPE_CHECKING:
    from pymacaron.call import Call
    from pymacaron.declared_answer import DeclaredAnswer, Representation
    from pymacaron.response_check import Violation


@dataclass(frozen=True, slots=True)
class Result:
    """A handler's return value, taken apart. status None: the document decides."""

    value: object
    status: int | None
    headers: Mapping[str, object]

    @classmethod
    def of(cls, returned: object) -> Result:
        """Take apart ``value``, ``(value, status)``, ``(value, status, headers)`` or ``(value, headers)``.

        A model with the fields of an error body says its own status.
        """
        if isinstance(returned, BaseModel) and is_error(returned):
            return cls(returned, int(getattr(returned, "status")), {})  # noqa: B009 - a generated field
        if not isinstance(returned, tuple) or not 2 <= len(returned) <= 3:  # noqa: PLR2004 - the forms above
            return cls(returned, None, {})
        value, second, *rest = returned
        if isinstance(second, Mapping):
            return cls(value, None, dict(second))
        if not isinstance(second, int):
            return cls(returned, None, {})
        return cls(value, int(second), dict(rest[0]) if rest else {})


@dataclass(slots=True)
class Draft:
    """An answer in the making. is_checked: whether violations count; they are settled when it is done."""

    call: Call
    value: object
    status: int
    headers: Mapping[str, object]
    declared: DeclaredAnswer | None
    is_checked: bool
    violations: list[Violation] = field(default_factory=list)
    representation: Representation | None = None
    content_type: str = ""

    @property
    def is_head(self) -> bool:
        """Tell whether the request wants no body."""
        return bool(self.call.environ["REQUEST_METHOD"] == "HEAD")

    def violate(self, violation: Violation) -> None:
        """Note *violation* if this answer is checked."""
        if self.is_checked:
            self.violations.append(violation)
