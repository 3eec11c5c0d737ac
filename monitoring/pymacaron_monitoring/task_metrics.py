"""Counts tasks and their queues."""

from __future__ import annotations

from typing import get_args

from pymacaron.events import QueueMeasured, TaskFinished, TaskQueued, TaskStarted, TaskState
from pymacaron_monitoring.cardinality import Budget
from pymacaron_monitoring.declared import OTHER
from pymacaron_monitoring.families import (
    ACTIVE_TASKS,
    OLDEST_MESSAGE,
    QUEUE_LENGTH,
    QUEUED_TASKS,
    TASK_WAITS,
    TASKS,
)
from pymacaron_monitoring.records import Key, Kind
from pymacaron_monitoring.store import Series, Store

BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Histogram bounds in seconds: tasks take, and wait, longer than requests."""

_STATES = get_args(TaskState)


class TaskCounter:
    """Counts events of tasks; all series of a task and queue exist from the start, or its first event on, at zero."""

    def __init__(self, store: Store, budget: Budget) -> None:
        """Count in *store*, within *budget*."""
        self._store = store
        self._budget = budget
        self._known: set[tuple[str, str]] = set()
        self._running: set[str] = set()

    def count_queued(self, event: TaskQueued) -> None:
        """Count a task that was put into a queue."""
        self.start_at_zero(event.name, event.queue)
        self._get(QUEUED_TASKS.name, event.name, event.queue).add()

    def begin(self, event: TaskStarted) -> None:
        """Count a run that begins."""
        self.start_at_zero(event.name, event.queue)
        self._running.add(event.task_id)
        self._get(ACTIVE_TASKS.name, event.name, event.queue, kind="running").begin()
        self._get(TASK_WAITS.name, event.name, event.queue, kind="histogram").observe(event.wait_s)

    def finish(self, event: TaskFinished) -> None:
        """Count a run that ended.

        One that its process did not survive is told of by another one: as its process it is lost, not ended.
        """
        self.start_at_zero(event.name, event.queue)
        if event.task_id in self._running:
            self._running.discard(event.task_id)
            self._get(ACTIVE_TASKS.name, event.name, event.queue, kind="running").end()
        self._get(TASKS.name, event.name, event.queue, event.state, kind="histogram").observe(event.duration_s)

    def measure_queue(self, event: QueueMeasured) -> None:
        """Take what waits in a queue."""
        measured = {QUEUE_LENGTH.name: float(event.depth)}
        if event.oldest_age_s is not None:
            measured[OLDEST_MESSAGE.name] = event.oldest_age_s
        for name, value in measured.items():
            wanted, other = (Key(name, labels, None, "latest") for labels in ((event.queue,), (OTHER,)))
            self._budget.get(wanted, other).measure(value)

    def start_at_zero(self, name: str, queue: str) -> None:
        """Let the series of a task exist."""
        if (name, queue) in self._known:
            return
        self._known.add((name, queue))
        self._get(QUEUED_TASKS.name, name, queue)
        self._get(ACTIVE_TASKS.name, name, queue, kind="running")
        self._get(TASK_WAITS.name, name, queue, kind="histogram")
        for state in _STATES:
            self._get(TASKS.name, name, queue, state, kind="histogram")

    def _get(self, metric: str, name: str, queue: str, *rest: str, kind: Kind = "counter") -> Series:
        bounds = BOUNDS_S if kind == "histogram" else None
        wanted = Key(metric, (name, queue, *rest), bounds, kind)
        return self._budget.get(wanted, Key(metric, (OTHER, OTHER, *rest), bounds, kind))
