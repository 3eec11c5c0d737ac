"""What a worker's main process does beside running tasks: queues what is due, sends what waits, measures the queues."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pymacaron.events import QueueMeasured
from pymacaron.exceptions import ConfigError
from pymacaron.tasks.declaration import TASKS
from pymacaron.tasks.depth import QueueMeter
from pymacaron.tasks.idempotency import keys_of
from pymacaron.tasks.keys import SqliteKeys
from pymacaron.tasks.queue import queue_of
from pymacaron.tasks.schedule import Schedule

if TYPE_CHECKING:
    from celery import Celery

    from pymacaron.service import Service
    from pymacaron.tasks.outbox import Outbox
    from pymacaron.tasks.settings import TaskSettings

log = logging.getLogger(__name__)

MEASURE_S = 5.0
SEND_S = 1.0
_LEAST_PAUSE_S = 0.05
_FAILURE_PAUSE_S = 1.0


class Chore:
    """Something to do again and again. One that fails is told of once, and does not keep others from theirs."""

    def __init__(self, what: str, work: Callable[[], float]) -> None:
        """Take *work*, which returns after how many seconds to come back; logs call it *what*."""
        self._what = what
        self._work = work
        self._is_failing = False
        self.due_s = 0.0

    def do(self) -> None:
        """Do it, if it is due."""
        if time.monotonic() < self.due_s:
            return
        try:
            pause_s = self._work()
            self._is_failing = False
        except Exception:
            if not self._is_failing:
                log.exception("%s: this has to wait", self._what)
            self._is_failing, pause_s = True, _FAILURE_PAUSE_S
        self.due_s = time.monotonic() + max(_LEAST_PAUSE_S, pause_s)


class Housekeeping:
    """A thread that does it, from `start` to `stop`."""

    def __init__(self, service: Service, celery: Celery, settings: TaskSettings, queues: Sequence[str]) -> None:
        """Take the *queues* to measure. Raises: ConfigError: tasks need keys, and nothing can keep them."""
        self._service = service
        self._queues = queues
        self._settings = settings
        self._meter = QueueMeter(settings, celery, celery.pymacaron_since)
        self._queue = queue_of(service)
        self._is_over = threading.Event()
        self._chores = [Chore("Measuring the queues", self._measure)]
        outbox = self._queue.outbox
        if outbox is not None:
            self._chores += [
                Chore("Sending what waits in the outbox", lambda: self._send(outbox)),
                Chore("Measuring the outbox", lambda: self._measure_outbox(outbox)),
            ]
        self._add_schedule(celery)

    def _add_schedule(self, celery: Celery) -> None:
        try:
            keys = keys_of(self._service)
        except ConfigError:
            if any(task.options.needs_keys for task in TASKS.values()):
                raise
            return
        self._chores.append(Chore("Queueing scheduled tasks", Schedule(self._service, celery, keys).queue_due))
        if isinstance(keys, SqliteKeys):
            self._chores.append(Chore("Forgetting old keys", lambda: self._forget(keys)))

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="pymacaron-housekeeping", daemon=True).start()

    def stop(self) -> None:
        """End, soon."""
        self._is_over.set()

    def _run(self) -> None:
        while not self._is_over.is_set():
            for chore in self._chores:
                chore.do()
            self._is_over.wait(max(0.0, min(chore.due_s for chore in self._chores) - time.monotonic()))

    def _measure(self) -> float:
        for queue in self._queues:
            self._service.bus.emit(self._meter.measure(queue))
        return MEASURE_S

    def _send(self, outbox: Outbox) -> float:
        outbox.send_waiting(self._queue.outlet.send)
        return SEND_S

    def _measure_outbox(self, outbox: Outbox) -> float:
        depth, oldest_age_s = outbox.measure()
        self._service.bus.emit(QueueMeasured(f"{self._settings.name}.outbox", depth, oldest_age_s))
        return MEASURE_S

    @staticmethod
    def _forget(keys: SqliteKeys) -> float:
        keys.forget_old()
        return MEASURE_S
