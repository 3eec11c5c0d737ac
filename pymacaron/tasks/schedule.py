"""Queues scheduled tasks when they are due: once, however many workers look at the clock."""

from __future__ import annotations

import logging
import math
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymacaron.exceptions import PyMacaronException
from pymacaron.tasks.declaration import TASKS, AsyncTask
from pymacaron.tasks.intervals import read_crontab

if TYPE_CHECKING:
    from celery import Celery

    from pymacaron.service import Service
    from pymacaron.tasks.keys import KeyStore

log = logging.getLogger(__name__)

_KEEP_S = 400 * 86400.0
_LONGEST_WAIT_S = 5.0
CLAIM_S = 10.0  # that a worker has to queue what it claimed


class Schedule:
    """The scheduled tasks of a service.

    When a task was queued last stands in the key store. Whoever claims the next time queues it, and notes that it did.
    One that dies in between leaves the time to another worker, `CLAIM_S` later: it is never skipped, and queued twice
    only if the process died after it was queued. What was due while no worker ran is queued once.
    """

    def __init__(self, service: Service, celery: Celery, keys: KeyStore) -> None:
        """Take the *service* whose tasks they are, and Celery's app, which knows the time zone."""
        self._service = service
        self._celery = celery
        self._keys = keys

    def queue_due(self) -> float:
        """Queue what is due; return after how many seconds to come back. Raises: TaskBrokerError."""
        now = time.time()
        pause_s = _LONGEST_WAIT_S
        for task in find_scheduled():
            name = f"scheduled:{task.name}"
            last = self._keys.get(name)
            if last is None:
                self._keys.claim(name, repr(now), _KEEP_S)  # known from now on: nothing was missed before
                last = repr(now)
            due = self.find_next(task, float(last))
            if due <= now:
                self._queue(task, name, last, due, now)
                due = self.find_next(task, now)
            pause_s = min(pause_s, due - now)
        return max(0.0, pause_s)

    def find_next(self, task: AsyncTask[..., Any], after_s: float) -> float:
        """Return when *task* is due next after a time, both seconds since 1970."""
        options = task.options
        if options.every_s is not None:
            return (math.floor(after_s / options.every_s) + 1) * options.every_s
        assert options.crontab is not None
        after = datetime.fromtimestamp(after_s, self._celery.timezone)
        times = read_crontab(options.crontab, task.name)
        times.app = self._celery
        times.nowfun = lambda: after
        left: timedelta = times.remaining_estimate(after)
        return (after + left).timestamp()

    def _queue(self, task: AsyncTask[..., Any], name: str, last: str, due: float, now: float) -> None:
        claim = f"{name}:{due:.0f}"
        if not self._keys.claim(claim, "claimed", CLAIM_S) or self._keys.get(name) != last:
            return  # another worker does it, or has done it
        try:
            with self._service.app.app_context():
                task.queue()
        except PyMacaronException:
            self._keys.replace(claim, "claimed", "", CLAIM_S)
            raise
        self._keys.replace(name, last, repr(now), _KEEP_S)


def find_scheduled() -> list[AsyncTask[..., Any]]:
    """Return the tasks that queue themselves."""
    return [task for task in TASKS.values() if task.options.is_scheduled]
