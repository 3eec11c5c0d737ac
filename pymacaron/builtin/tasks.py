"""Handler of tasks.yaml."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pymacaron.tasks import find_task
from pymacaron.tasks.arguments import to_plain_json

if TYPE_CHECKING:
    from uuid import UUID

    from pymacaron.json_types import JsonObject


def get_task(task_id: UUID) -> JsonObject:
    """Return the state of a task. Raises: HttpError: 404."""
    status = find_task(str(task_id))
    answer: JsonObject = {
        "task_id": status.id,
        "state": status.state,
        "queued_at": _format(status.queued_at),
        "finished_at": _format(status.finished_at) if status.finished_at else None,
        "result": to_plain_json(status.result),
        "error": status.error,
    }
    return {name: value for name, value in answer.items() if value is not None}


def _format(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
