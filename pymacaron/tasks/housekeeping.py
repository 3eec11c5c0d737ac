"""What a worker's main process does beside running tasks: queues what is due, and measures the queues."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from pymacaron.exceptions import ConfigError
from pymacaron.tasks.depth import QueueMeter
from pymacaron.tasks.idempotency import keys_of
from pymacaron.tasks.keys import SqliteKeys
from pymacaron.tasks.schedule import Schedule, find_scheduled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery

    from pymacaron.service import Service
    from pymacaron.tasks.settings import TaskSettings

log = logging.getLogger(__name__)

MEASURE_S = 5.0
_LEAST_PAUSE_S = 0.05


class Housekeeping:
    """A thread that does it, from `start` to `stop`."""

    def __init__(self, service: Service, celery: Celery, settings: TaskSettings, queues: Sequence[str]) -> None:
        """Take the *queues* to measure. Raises: ConfigError: tasks are scheduled and nothing can keep their times."""
        self._service = service
        self._queues = queues
        self._meter = QueueMeter(settings, celery)
        self._is_over = threading.Event()
        self._measured_at = 0.0
        self._schedule: Schedule | None = None
        try:
            self._keys = keys_of(service)
        except ConfigError:
            if find_scheduled():
                raise
        else:
            self._schedule = Schedule(service, celery, self._keys)

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="pymacaron-housekeeping", daemon=True).start()

    def stop(self) -> None:
        """End, soon."""
        self._is_over.set()

    def _run(self) -> None:
        is_failing = False
        while not self._is_over.is_set():
            try:
                pause_s = self._do()
                is_failing = False
            except Exception:
                if not is_failing:
                    log.exception("Scheduled tasks and lengths of queues have to wait")
                is_failing, pause_s = True, 1.0
            self._is_over.wait(max(_LEAST_PAUSE_S, pause_s))

    def _do(self) -> float:
        pause_s = self._schedule.queue_due() if self._schedule is not None else MEASURE_S
        now = time.monotonic()
        if now >= self._measured_at + MEASURE_S:
            self._measured_at = now
            for queue in self._queues:
                self._service.bus.emit(self._meter.measure(queue))
            if self._schedule is not None and isinstance(self._keys, SqliteKeys):
                self._keys.forget_old()
        return min(pause_s, self._measured_at + MEASURE_S - now)
