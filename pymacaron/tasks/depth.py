"""How much waits in a queue, and since when."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pymacaron.events import QueueMeasured
from pymacaron.tasks.keys import open_redis
from pymacaron.tasks.settings import TaskSettings
from pymacaron.tasks.sqlite_file import open_file

if TYPE_CHECKING:
    from celery import Celery

_WAITING = 0


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
            return self._measure_file(queue)
        if self._settings.is_redis:
            return self._measure_redis(queue)
        now = time.time()
        with self._celery.connection_for_write() as connection:
            depth = int(connection.default_channel.queue_declare(queue, passive=True).message_count)
        if depth == 0:
            self._since.note(queue, now)
        return QueueMeasured(queue, depth, self._since.find_age(queue) if depth else 0.0)

    def _measure_file(self, queue: str) -> QueueMeasured:
        file = open_file(self._settings.broker)
        where = "FROM messages WHERE queue = ? AND state = ?"
        depth = file.run(f"SELECT count(*) {where}", [queue, _WAITING])[0][0]
        first = file.run(f"SELECT payload {where} ORDER BY id LIMIT 1", [queue, _WAITING])
        return QueueMeasured(queue, depth, find_age(first[0][0]) if first else 0.0)

    def _measure_redis(self, queue: str) -> QueueMeasured:
        if self._redis is None:
            self._redis = open_redis(self._settings.broker)
        depth = self._redis.llen(queue)
        first = self._redis.lindex(queue, -1)
        return QueueMeasured(queue, depth, find_age(first) if first else 0.0)


def find_age(message: str | bytes) -> float | None:
    """Return how long a message of kombu has waited: seconds since it was queued, or since its ETA."""
    try:
        content = json.loads(message)
        body = json.loads(base64.b64decode(content["body"]))
        since_s = float(body[0][0]["queued_at"])
        eta = content["headers"].get("eta")
    except (ValueError, LookupError, TypeError):
        return None  # of another program
    if eta:
        since_s = max(since_s, datetime.fromisoformat(eta).timestamp())
    return max(0.0, time.time() - since_s)
