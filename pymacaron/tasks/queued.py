"""A task that was queued, as its caller sees it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """A task that the broker has now. id: a UUID, for `find_task` and ``/tasks/<id>``."""

    id: str
    name: str
    queue: str
