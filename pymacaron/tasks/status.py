"""What became of a task, for the clients of a service: kept for a day, shown to the user who queued it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from pymacaron.auth import get_userid
from pymacaron.exceptions import HttpError, TaskBrokerError
from pymacaron.service import current_service
from pymacaron.tasks.keys import KeyStore, open_keys

if TYPE_CHECKING:
    from pymacaron.config import PymConfig
    from pymacaron.json_types import Json
    from pymacaron.tasks.outbox import Outbox
    from pymacaron.tasks.queued import Parcel
    from pymacaron.tasks.settings import TaskSettings

State = Literal["queued", "running", "succeeded", "failed"]
KEEP_S = 86400.0


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """The state of a task. result: what it returned, as JSON. error: code of what it failed with.

    queued_at, finished_at: seconds since 1970. user_id: who queued it.
    """

    id: str
    name: str
    state: State
    queued_at: float
    user_id: str | None = None
    finished_at: float | None = None
    result: Json = None
    error: str | None = None


class StatusStore:
    """Keeps states of tasks."""

    def __init__(self, keys: KeyStore) -> None:
        """Take where they are kept."""
        self._keys = keys

    def note_queued(self, parcel: Parcel) -> None:
        """Note a task before it is queued."""
        self.put(to_status(parcel))

    def put(self, status: TaskStatus) -> None:
        """Note *status* in place of what was known."""
        self._keys.put(_name(status.id), _write(status), KEEP_S)

    def note_again(self, status: TaskStatus) -> None:
        """Note that a task whose run ends without a result waits again, unless another run has ended it meanwhile."""
        name = _name(status.id)
        known = self._keys.get(name)
        if known is None:
            self._keys.claim(name, _write(status), KEEP_S)
        elif _read(known).state == "running":
            self._keys.replace(name, known, _write(status), KEEP_S)

    def get(self, task_id: str) -> TaskStatus | None:
        """Return what is known of a task, None if it is unknown or older than a day."""
        text = self._keys.get(_name(task_id))
        return None if text is None else _read(text)


def _name(task_id: str) -> str:
    return f"task:{task_id}"


def _write(status: TaskStatus) -> str:
    return json.dumps(asdict(status))


def _read(text: str) -> TaskStatus:
    found: dict[str, Any] = json.loads(text)
    return TaskStatus(**found)


def to_status(parcel: Parcel) -> TaskStatus:
    """Return the state of a task that is queued."""
    return TaskStatus(parcel.id, parcel.name, "queued", parcel.message["queued_at"], parcel.user_id)


def open_status(config: PymConfig, settings: TaskSettings) -> StatusStore | None:
    """Return where states are kept, None without ``task_status``. Raises: ConfigError: nothing can keep them."""
    return StatusStore(open_keys(settings)) if config.task_status else None


def find_task(task_id: str) -> TaskStatus:
    """Return the state of a task that the caller of this request has queued.

    A task that nobody was authenticated for is shown to whoever knows its id.
    Raises: HttpError: 404, there is no such task, it is older than a day, or somebody else's; the service does not keep
    states (``task_status`` in its configuration).
    """
    from pymacaron.tasks.queue import queue_of  # noqa: PLC0415 - it loads Celery

    queue = queue_of(current_service())
    status = _find(queue.status, queue.outbox, task_id) if queue.status is not None else None
    if status is None or (status.user_id is not None and status.user_id != get_userid()):
        raise HttpError(404, "NOT_FOUND", "There is no such task of this user")
    return status


def _find(store: StatusStore, outbox: Outbox | None, task_id: str) -> TaskStatus | None:
    """Return what is known of a task; one that waits in the outbox may be unknown elsewhere."""
    try:
        status = store.get(task_id)
    except TaskBrokerError:
        if outbox is None:
            raise
        status = None
    if status is None and outbox is not None:
        waiting = outbox.find(task_id)
        return None if waiting is None else to_status(waiting)
    return status
