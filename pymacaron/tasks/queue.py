"""Hands tasks to the broker, for the processes that serve requests and for tasks that queue others."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from kombu.exceptions import OperationalError

from pymacaron.events import TaskQueued
from pymacaron.exceptions import TaskBrokerError
from pymacaron.tasks.arguments import describe_shape
from pymacaron.tasks.caller import Caller
from pymacaron.tasks.celery_app import build_celery, check_broker
from pymacaron.tasks.queued import QueuedTask
from pymacaron.tasks.settings import TaskSettings, warn_of_embedded
from pymacaron.tasks.status import StatusStore, open_status

if TYPE_CHECKING:
    from celery import Celery

    from pymacaron.json_types import JsonObject
    from pymacaron.service import Service
    from pymacaron.tasks.declaration import AsyncTask

_EXTENSION = "pymacaron-tasks"
_PAUSE_S = 1.0  # in which a broker that did not answer is not asked again, so that requests do not wait in a row
_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class Outlet(Protocol):
    """Where packed tasks go."""

    def send(self, task: AsyncTask[..., Any], message: JsonObject, queued: QueuedTask) -> None:
        """Keep the task. Raises: TaskBrokerError: it cannot be kept."""
        ...


class CeleryOutlet:
    """Sends tasks to the broker of a Celery app."""

    def __init__(self, celery: Celery, settings: TaskSettings) -> None:
        """Take the app; no connection is made yet."""
        self._celery = celery
        self._settings = settings
        self._down_until = 0.0

    def send(self, task: AsyncTask[..., Any], message: JsonObject, queued: QueuedTask) -> None:
        """See Outlet. A broker that is down is not asked again for a second."""
        if time.monotonic() < self._down_until:
            raise self._complain()
        celery = task.options.celery
        try:
            self._celery.send_task(
                task.name,
                [message],
                task_id=queued.id,
                queue=queued.queue,
                countdown=task.options.delay_s or None,
                expires=celery.get("expires"),
                argsrepr=describe_arguments(message),
                kwargsrepr="{}",
                ignore_result=True,
                retry=True,
                retry_policy=_RETRY,
                add_to_parent=False,
            )
        except (OperationalError, OSError) as error:
            self._down_until = time.monotonic() + _PAUSE_S
            raise self._complain() from error

    def _complain(self) -> TaskBrokerError:
        return TaskBrokerError(
            f"The task was not queued: {self._settings.shown_broker} does not answer. Try again",
            headers={"Retry-After": "1"},
        )


class TaskQueue:
    """The tasks that one service queues, in this process."""

    def __init__(self, service: Service, outlet: Outlet, settings: TaskSettings, status: StatusStore | None) -> None:
        """Take where tasks go, and where their states are kept, if they are."""
        self.outlet = outlet
        self.settings = settings
        self._service = service
        self.status = status

    def put(self, task: AsyncTask[..., Any], packed: JsonObject) -> QueuedTask:
        """Queue *task* with what `AsyncTask.pack` packed, for whoever calls now. Raises TaskBrokerError."""
        queued = QueuedTask(str(uuid4()), task.name, task.options.celery.get("queue") or self.settings.queue)
        caller = Caller.capture()
        message = {**packed, "caller": caller.to_json(), "queued_at": time.time()}
        if self.status is not None:
            self.status.note_queued(queued, caller)
        self.outlet.send(task, message, queued)
        self._service.bus.emit(
            TaskQueued(queued.id, task.name, queued.queue, caller.request_id, caller.user_id, task.options.delay_s)
        )
        return queued


_lock = threading.Lock()


def queue_of(service: Service) -> TaskQueue:
    """Return the queue of *service*, made when it is first asked for."""
    extensions = service.app.extensions
    if _EXTENSION not in extensions:
        with _lock:
            if _EXTENSION not in extensions:
                settings = TaskSettings.of(service.config)
                check_broker(settings)
                warn_of_embedded(service.config)
                outlet = CeleryOutlet(build_celery(settings), settings)
                status = open_status(service.config, settings)
                extensions[_EXTENSION] = TaskQueue(service, outlet, settings, status)
    queue: TaskQueue = extensions[_EXTENSION]
    return queue


def replace_queue(service: Service, queue: TaskQueue | None) -> None:
    """Make *queue* the one of *service*; None: the next call makes a new one."""
    if queue is None:
        service.app.extensions.pop(_EXTENSION, None)
    else:
        service.app.extensions[_EXTENSION] = queue


def describe_arguments(message: JsonObject) -> str:
    """Return how many arguments a packed task has and of what types, nothing of their values."""
    shapes = [describe_packed(value) for value in message["args"]]
    shapes += [f"{name}={describe_packed(value)}" for name, value in message["kwargs"].items()]
    return f"({', '.join(shapes)})"


def describe_packed(value: Any) -> str:
    """Return the type of a packed argument: ``Pet``, ``list[3]``, ``decimal``."""
    if isinstance(value, dict) and "$type" in value:
        kind = value["$type"]
        if kind in {"model", "enum"}:
            return str(value["value"][0].rpartition(":")[2])
        return f"{kind}[{len(value['value'])}]" if kind in {"tuple", "set", "frozenset", "dict"} else str(kind)
    return describe_shape(value)
