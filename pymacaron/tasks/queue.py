"""Hands tasks to the broker, for the processes that serve requests and for tasks that queue others."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from kombu.exceptions import OperationalError

from pymacaron.events import TaskQueued
from pymacaron.exceptions import ConfigError, Finding, TaskBrokerError
from pymacaron.tasks.arguments import describe_packed
from pymacaron.tasks.caller import Caller
from pymacaron.tasks.celery_app import build_celery, check_broker
from pymacaron.tasks.current import QUEUED_AT
from pymacaron.tasks.queued import Parcel, QueuedTask
from pymacaron.tasks.settings import TaskSettings, warn_of_embedded
from pymacaron.tasks.status import StatusStore, open_status

if TYPE_CHECKING:
    from celery import Celery

    from pymacaron.json_types import JsonObject
    from pymacaron.service import Service
    from pymacaron.tasks.declaration import AsyncTask
    from pymacaron.tasks.outbox import Outbox

_EXTENSION = "pymacaron-tasks"
_PAUSE_S = 1.0  # in which a broker that did not answer is not asked again, so that requests do not wait in a row
_LATER = {"Retry-After": "1"}
_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class Outlet(Protocol):
    """Where calls of tasks go."""

    def send(self, parcel: Parcel) -> None:
        """Keep the call. Raises: TaskBrokerError: it cannot be kept."""
        ...


class CeleryOutlet:
    """Sends calls to the broker of a Celery app, and notes that they are queued, where states are kept."""

    def __init__(self, celery: Celery, settings: TaskSettings, status: StatusStore | None = None) -> None:
        """Take the app; no connection is made yet."""
        self._celery = celery
        self._settings = settings
        self._status = status
        self._down_until = 0.0
        # Queues of these two need not be declared, which takes a tenth of a call. None: Celery's default.
        self._declare: list[Any] | None = [] if settings.is_embedded or settings.is_redis else None

    @property
    def is_down(self) -> bool:
        """Tell whether the broker did not answer in the last second."""
        return time.monotonic() < self._down_until

    def send(self, parcel: Parcel) -> None:
        """See Outlet. A broker that is down is not asked again for a second."""
        if self.is_down:
            raise self._complain("does not answer")
        if self._status is not None:
            self._note(self._status, parcel)
        now = time.time()
        try:
            self._celery.send_task(
                parcel.name,
                [parcel.message],
                task_id=parcel.id,
                queue=parcel.queue,
                countdown=None if parcel.due_s is None else max(0.0, parcel.due_s - now) or None,
                expires=None if parcel.expires_s is None else max(0.0, parcel.expires_s - now),
                argsrepr=describe_arguments(parcel.message),
                kwargsrepr="{}",
                ignore_result=True,
                retry=not self._settings.is_embedded,
                retry_policy=_RETRY,
                add_to_parent=False,
                declare=self._declare,
                headers={QUEUED_AT: parcel.message["queued_at"]},
            )
        except (OperationalError, OSError) as error:
            self._down_until = time.monotonic() + _PAUSE_S
            raise self._complain("does not answer") from error
        except sqlite3.Error as error:
            self._down_until = time.monotonic() + _PAUSE_S
            raise self._complain(f"does not take it ({error})") from error
        except self._refusals() as error:
            raise self._complain(f"refuses it ({type(error).__name__})") from error

    def _note(self, status: StatusStore, parcel: Parcel) -> None:
        try:
            status.note_queued(parcel)
        except TaskBrokerError as error:
            self._down_until = time.monotonic() + _PAUSE_S
            raise TaskBrokerError(f"The task was not queued. {error}", headers=_LATER) from error

    def _refusals(self) -> tuple[type[Exception], ...]:
        """Return what the broker's client raises for a broker that answers, and does not take a message."""
        errors: tuple[type[Exception], ...] = self._celery.connection_for_write().channel_errors
        if self._settings.broker.startswith("sqs"):
            from botocore.exceptions import ClientError  # noqa: PLC0415 - an optional dependency

            return (*errors, ClientError)
        return errors

    def _complain(self, found: str) -> TaskBrokerError:
        return TaskBrokerError(
            f"The task was not queued: {self._settings.shown_broker} {found}. Try again", headers=_LATER
        )


class TaskQueue:
    """The tasks that one service queues, in this process."""

    def __init__(
        self,
        service: Service,
        outlet: Outlet,
        settings: TaskSettings,
        *,
        status: StatusStore | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        """Take where tasks go, where their states are kept, and what waits for the broker, if they are."""
        self.outlet = outlet
        self.settings = settings
        self.status = status
        self.outbox = outbox
        self._service = service

    def put(self, task: AsyncTask[..., Any], packed: JsonObject) -> QueuedTask:
        """Queue *task* with what `AsyncTask.pack` packed, for whoever calls now. Raises TaskBrokerError."""
        options = task.options
        queued = QueuedTask(str(uuid4()), task.name, options.celery.get("queue") or self.settings.queue)
        caller = Caller.capture()
        now = time.time()
        expires_s = options.celery.get("expires")
        parcel = Parcel(
            queued.id,
            queued.name,
            queued.queue,
            {**packed, "caller": caller.to_json(), "queued_at": now},
            now + options.delay_s if options.delay_s else None,
            now + expires_s if expires_s else None,
        )
        event = TaskQueued(queued.id, queued.name, queued.queue, caller.request_id, caller.user_id, options.delay_s)
        if self.outbox is None:
            self.outlet.send(parcel)
            self._service.bus.emit(event)
        else:
            self.outbox.put(parcel, self.outlet.send, lambda: self._service.bus.emit(event))
        return queued


_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - in a child, another thread of its parent may have held it
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def queue_of(service: Service) -> TaskQueue:
    """Return the queue of *service*, made when it is first asked for."""
    extensions = service.app.extensions
    if _EXTENSION not in extensions:
        with _lock:
            if _EXTENSION not in extensions:
                settings = TaskSettings.of(service.config)
                check_broker(settings)
                warn_of_embedded(service.config)
                extensions[_EXTENSION] = open_queue(service, settings)
    queue: TaskQueue = extensions[_EXTENSION]
    return queue


def open_queue(service: Service, settings: TaskSettings) -> TaskQueue:
    """Return the queue of *service* at the broker of *settings*. Raises ConfigError."""
    status = open_status(service.config, settings)
    outlet = CeleryOutlet(build_celery(settings), settings, status)
    return TaskQueue(service, outlet, settings, status=status, outbox=find_outbox(service))


def find_outbox(service: Service) -> Outbox | None:
    """Return the outbox of *service*, None where its configuration asks for none. Raises ConfigError."""
    if not service.config.outbox:
        return None
    try:
        from pymacaron.tasks.outbox import open_outbox  # noqa: PLC0415 - needs the extra sql

        return open_outbox(service)
    except ModuleNotFoundError as error:
        found = f"it needs {error.name}, which is not installed"
        raise ConfigError(Finding("outbox", found, "Run: pip install 'pymacaron[sql]'")) from error


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
