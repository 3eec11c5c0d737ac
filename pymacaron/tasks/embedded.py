"""The embedded broker: a transport for Celery's kombu whose messages lie in a SQLite file.

kombu has two transports that need no server. Its filesystem transport deletes a message when a worker takes it, its
SQLAlchemy transport marks it as taken for ever: with both, a worker that is killed takes its messages along. Here a
message is taken by a process, and comes back when that process is gone.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from queue import Empty
from typing import Any

from kombu.transport import virtual

from pymacaron.tasks.messages import find_due
from pymacaron.tasks.sqlite_file import DELAYED, TAKEN, WAITING, SqliteFile, is_gone, name_owner, open_file

_POLL_S = 0.02
_RECOVERY_S = 1.0
_VISIBILITY_S = 3600.0
_ACKNOWLEDGE = "DELETE FROM messages WHERE tag = ?"
_GIVE_BACK = "UPDATE messages SET state = ?, owner = NULL, is_redelivered = 1 WHERE tag = ? AND owner = ?"


class QoS(virtual.QoS):
    """Acknowledges in the file; what a file that is locked or full does not take keeps no place, and is told later."""

    def ack(self, delivery_tag: str) -> None:
        """Delete the message."""
        self.channel.file.settle(_ACKNOWLEDGE, [delivery_tag])
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Let the message wait again at its old place, or delete it."""
        if requeue:
            self.channel.give_back(delivery_tag)
            super().ack(delivery_tag)
        else:
            self.ack(delivery_tag)


class Channel(virtual.Channel):
    """Puts and takes messages."""

    QoS = QoS
    supports_fanout = False

    def __init__(self, connection: Any, **options: Any) -> None:
        """Open the file that the connection's URL names."""
        super().__init__(connection, **options)
        self.file: SqliteFile = open_file(connection.client.hostname)
        self._owner = name_owner()
        self._visibility_s = float(connection.client.transport_options.get("visibility_timeout", _VISIBILITY_S))
        self._recovered_at = 0.0
        self._seen: dict[str, tuple[int, int]] = {}
        self._next_due = 0.0

    def give_back(self, tag: str) -> None:
        """Let a message wait again at its old place."""
        self.file.settle(_GIVE_BACK, [WAITING, tag, self._owner])

    def _put(self, queue: str, message: dict[str, Any], **_options: Any) -> None:
        due_s = find_due(message.get("headers", {}))
        state = DELAYED if due_s > time.time() else WAITING
        self.file.run(
            "INSERT INTO messages (tag, queue, state, due_s, payload) VALUES (?, ?, ?, ?, ?)",
            [message["properties"]["delivery_tag"], queue, state, due_s, json.dumps(message)],
        )

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002 - kombu's signature
        now = time.time()
        self.file.settle_late()
        self._recover(now)
        version = self.file.version
        if self._seen.get(queue) == version and now < self._next_due:
            raise Empty
        self.file.run("UPDATE messages SET state = ? WHERE state = ? AND due_s <= ?", [WAITING, DELAYED, now])
        taken = self.file.run(
            "UPDATE messages SET state = ?, owner = ?, taken_s = ? WHERE id = "
            "(SELECT id FROM messages WHERE queue = ? AND state = ? ORDER BY id LIMIT 1) "
            "RETURNING payload, is_redelivered",
            [TAKEN, self._owner, now, queue, WAITING],
        )
        if not taken:
            due = self.file.run("SELECT min(due_s) FROM messages WHERE state = ?", [DELAYED])[0][0]
            self._next_due = now + _RECOVERY_S if due is None else min(due, now + _RECOVERY_S)
            self._seen[queue] = version
            raise Empty
        payload, is_redelivered = taken[0]
        message: dict[str, Any] = json.loads(payload)
        if is_redelivered:
            message["headers"]["redelivered"] = True
            message["properties"].setdefault("delivery_info", {})["redelivered"] = True
        return message

    def _recover(self, now: float) -> None:
        """Put back the messages of processes that are gone, and those that were taken too long ago."""
        if now < self._recovered_at + _RECOVERY_S:
            return
        self._recovered_at = now
        for owner, oldest in self.file.run(
            "SELECT owner, min(taken_s) FROM messages WHERE state = ? GROUP BY owner", [TAKEN]
        ):
            latest = now if is_gone(owner) else now - self._visibility_s
            if oldest <= latest:
                self.file.run(
                    "UPDATE messages SET state = ?, owner = NULL, is_redelivered = 1 "
                    "WHERE state = ? AND owner = ? AND taken_s <= ?",
                    [WAITING, TAKEN, owner, latest],
                )

    def _restore(self, message: Any) -> None:
        if self._owner == name_owner():  # not what a forked process inherited
            self.give_back(message.delivery_tag)

    _restore_at_beginning = _restore

    def _size(self, queue: str) -> int:
        counted = self.file.run("SELECT count(*) FROM messages WHERE queue = ? AND state = ?", [queue, WAITING])
        return int(counted[0][0])

    def _purge(self, queue: str) -> int:
        return self.file.count("DELETE FROM messages WHERE queue = ? AND state != ?", [queue, TAKEN])

    def _delete(self, queue: str, *_args: Any, **_options: Any) -> None:
        self._purge(queue)

    def _has_queue(self, queue: str, **_options: Any) -> bool:  # noqa: ARG002 - kombu's signature
        return True


class Transport(virtual.Transport):
    """Polls the file at each turn of a worker's event loop: looking whether it has changed takes microseconds."""

    Channel = Channel
    implements = virtual.Transport.implements.extend(asynchronous=True, exchange_type=frozenset({"direct"}))
    can_parse_url = True
    polling_interval = _POLL_S
    default_port = None
    driver_type = "sqlite"
    driver_name = "sqlite3"
    connection_errors = (*virtual.Transport.connection_errors, sqlite3.OperationalError)  # it is locked, or full
    _loop: Any = None

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:  # noqa: ARG002 - kombu's signature
        """Have *loop* take messages as long as they may be taken, at least every `_POLL_S` seconds."""
        self._loop = loop
        loop.on_tick.add(self._take_all)
        self._timer = loop.call_repeatedly(_POLL_S, lambda: None)

    def close_connection(self, connection: Any) -> None:
        """Let go of the event loop, and of the messages that were taken and not acknowledged."""
        if self._loop is not None:
            self._loop.on_tick.discard(self._take_all)
            self._timer.cancel()
            self._loop = None
        super().close_connection(connection)

    def _take_all(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self.cycle.get(self._deliver)

    def driver_version(self) -> str:
        """Return the version of SQLite."""
        return sqlite3.sqlite_version
