"""A task that was queued: as its caller sees it, and as it goes to the broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """A task that is kept until it has run. id: a UUID, for `find_task` and ``/tasks/<id>``."""

    id: str
    name: str
    queue: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """One call of a task on its way to the broker.

    message: what `TaskQueue.put` made: arguments, caller, and when it was called. due_s, expires_s: when it may run,
    and until when, seconds since 1970; None: at once, and for ever.
    """

    id: str
    name: str
    queue: str
    message: JsonObject
    due_s: float | None = None
    expires_s: float | None = None

    @property
    def user_id(self) -> str | None:
        """Return who called the task, None if nobody is authenticated."""
        return str(self.message["caller"]["claims"].get("sub") or "") or None
