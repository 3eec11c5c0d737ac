"""Tasks in tests of a service: what was queued, without a broker; and a worker that runs it, in a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymacaron import AsyncTask, QueuedTask, TaskStatus, service_of
from pymacaron.tasks import TASKS
from pymacaron.tasks.idempotency import replace_keys
from pymacaron.tasks.keys import open_keys
from pymacaron.tasks.queue import CeleryOutlet, TaskQueue, find_outbox, replace_queue
from pymacaron.tasks.queued import Parcel
from pymacaron.tasks.settings import TaskSettings, make_embedded
from pymacaron.tasks.sqlite_file import WORKER_BUSY_S, open_file
from pymacaron.tasks.status import StatusStore
from pymacaron.tasks.worker import build_worker_app, find_queues

if TYPE_CHECKING:
    from flask import Flask


_START_S = 10.0


@dataclass(frozen=True, slots=True)
class TaskCall:
    """One call of a task that was queued. arguments: by name, as the worker would get them. user_id: of the caller."""

    task: AsyncTask[..., Any]
    id: str
    queue: str
    arguments: Mapping[str, Any]
    delay_s: float
    user_id: str | None


class QueuedTasks:
    """Takes what a service queues in place of a broker; nothing runs. ``calls``: what was queued, in order."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.calls: list[TaskCall] = []

    def send(self, parcel: Parcel) -> None:
        """Take a call; what a service's queue calls."""
        task = TASKS[parcel.name]
        delay_s = 0.0 if parcel.due_s is None else parcel.due_s - parcel.message["queued_at"]
        arguments = task.name_arguments(parcel.message)
        self.calls.append(TaskCall(task, parcel.id, parcel.queue, arguments, round(delay_s, 6), parcel.user_id))

    def of(self, task: AsyncTask[..., Any]) -> list[TaskCall]:
        """Return the calls of one task."""
        return [call for call in self.calls if call.task.name == task.name]

    def assert_queued(self, task: AsyncTask[..., Any], **arguments: Any) -> TaskCall:
        """Return the one call of *task* that has these arguments, others aside.

        Raises: AssertionError: there is none, or several; with all calls of the task.
        """
        calls = self.of(task)
        fitting = [
            call for call in calls if all(call.arguments.get(name) == value for name, value in arguments.items())
        ]
        shown = "\n".join(f"  {dict(call.arguments)}" for call in calls) or "  nothing"
        what = f"{task.name} with {arguments}" if arguments else task.name
        assert len(fitting) == 1, f"{what} was queued {len(fitting)} times, not once. Queued of it was:\n{shown}"
        return fitting[0]

    def assert_nothing_queued(self) -> None:
        """Raise AssertionError where anything was queued."""
        names = ", ".join(call.task.name for call in self.calls)
        assert not self.calls, f"Nothing was to be queued, and these were: {names}"


class TaskWorker:
    """A worker in a thread of the test; what a service queues it runs, with retries, delays and time of waiting."""

    def __init__(self, store: StatusStore) -> None:
        """Take where states are kept."""
        self._store = store

    def wait_for(self, task: QueuedTask | str, timeout_s: float = 10.0) -> TaskStatus:
        """Return the state of a task, given or by its id, when it has succeeded or failed.

        Raises: AssertionError: it has done neither within *timeout_s*.
        """
        task_id = task if isinstance(task, str) else task.id
        deadline = time.monotonic() + timeout_s
        while True:
            status = self._store.get(task_id)
            if status is not None and status.state in {"succeeded", "failed"}:
                return status
            shown = "unknown" if status is None else status.state
            assert time.monotonic() < deadline, f"Task {task_id} is {shown} after {timeout_s:g} s"
            time.sleep(0.01)


@contextmanager
def recorded_tasks(app: Flask) -> Iterator[QueuedTasks]:
    """Let what *app* queues within the block be recorded, and not run."""
    service = service_of(app)
    tasks = QueuedTasks()
    settings = TaskSettings.of(service.config)
    replace_queue(service, TaskQueue(service, tasks, settings, outbox=find_outbox(service)))
    try:
        yield tasks
    finally:
        replace_queue(service, None)


@contextmanager
def running_worker(app: Flask, folder: Path) -> Iterator[TaskWorker]:
    """Run the tasks of *app* in a thread within the block, from a broker of its own in *folder*."""
    from celery.contrib.testing.worker import TestWorkController  # noqa: PLC0415 - an optional dependency
    from celery.worker import state  # noqa: PLC0415

    service = service_of(app)
    broker = make_embedded(folder / "tasks.sqlite3")
    settings = replace(TaskSettings.of(service.config), broker=broker, results=broker)
    keys = open_keys(settings)
    store = StatusStore(keys)
    open_file(broker).busy_s = WORKER_BUSY_S
    celery = build_worker_app(service, settings)
    outlet = CeleryOutlet(celery, settings, store)
    replace_queue(service, TaskQueue(service, outlet, settings, status=store, outbox=find_outbox(service)))
    replace_keys(service, keys)
    worker = TestWorkController(
        app=celery,
        hostname="test",
        pool="solo",
        concurrency=1,
        queues=find_queues(settings),
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
    )

    def work() -> None:
        celery.set_current()  # in this thread
        worker.start()

    thread = threading.Thread(target=work, name="pymacaron-task-worker", daemon=True)
    thread.start()
    try:
        assert worker._on_started.wait(_START_S), "the worker did not start"  # noqa: SLF001 - what ensure_started waits for
        yield TaskWorker(store)
    finally:
        state.should_terminate = 0
        thread.join(_START_S)
        state.should_terminate = None
        replace_queue(service, None)
        replace_keys(service, None)
        celery.close()
