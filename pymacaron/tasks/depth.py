"""How much waits in a queue, and since when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pymacaron.events import QueueMeasured
from pymacaron.tasks.keys import open_redis
from pymacaron.tasks.messages import find_age
from pymacaron.tasks.settings import TaskSettings
from pymacaron.tasks.sqlite_file import open_file

if TYPE_CHECKING:
    from celery import Celery


class WaitingSince:
    """Since when at most messages wait in queues of a broker that does not tell, such as RabbitMQ.

    Queues are served in order: what waits came after the last message that this worker took, and after it last saw
    the queue empty.
    """

    def __init__(self) -> None:
        """Know of nothing."""
        self._since_s: dict[str, float] = {}

    def note(self, queue: str, since_s: float) -> None:
        """Note that what waits in *queue* came after that moment, seconds since 1970."""
        self._since_s[queue] = max(since_s, self._since_s.get(queue, 0.0))

    def find_age(self, queue: str) -> float | None:
        """Return how many seconds the oldest message of *queue* has waited at most, None where nothing is known."""
        since_s = self._since_s.get(queue)
        return None if since_s is None else max(0.0, time.time() - since_s)


class QueueMeter:
    """Measures queues of one broker."""

    def __init__(self, settings: TaskSettings, celery: Celery, since: WaitingSince) -> None:
        """Take the broker of *settings*; *celery* asks those that have no way of their own; *since* knows the rest."""
        self._settings = settings
        self._celery = celery
        self._since = since
        self._redis: Any = None

    def measure(self, queue: str) -> QueueMeasured:
        """Return what waits in *queue* now. Raises what the broker's client raises."""
        if self._settings.is_embedded:
            return _to_event(queue, *open_file(self._settings.broker).measure(queue))
        if self._settings.is_redis:
            if self._redis is None:
                self._redis = open_redis(self._settings.broker)
            return _to_event(queue, self._redis.llen(queue), self._redis.lindex(queue, -1))
        now = time.time()
        with self._celery.connection_for_write() as connection:
            depth = int(connection.default_channel.queue_declare(queue, passive=True).message_count)
        if depth == 0:
            self._since.note(queue, now)
        return QueueMeasured(queue, depth, self._since.find_age(queue) if depth else 0.0)


def _to_event(queue: str, depth: int, oldest: str | bytes | None) -> QueueMeasured:
    return QueueMeasured(queue, depth, find_age(oldest) if oldest else 0.0)
