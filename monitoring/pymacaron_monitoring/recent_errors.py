"""The last errors of a service, whichever of its worker processes met them."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from pymacaron.events import ErrorReported
from pymacaron.json_types import JsonObject

log = logging.getLogger(__name__)

MOST_ERRORS = 20
"""How many are kept."""

_MOST_A_SECOND = 10
_MOST_BYTES = 1 << 16
_LONGEST_TITLE = 200


class RecentErrors:
    """Keeps the last errors in a file that the workers share, or in memory where they share none.

    The file never holds much more than 64 KiB. A storm of errors costs each process ten lines a second. What cannot be
    written or read is left out: this is for people who look, not for the record.
    """

    def __init__(self, path: Path | None) -> None:
        """Take the file, None where there are no other workers."""
        self._path = path
        self._lines: deque[bytes] = deque(maxlen=MOST_ERRORS)
        self._lock = threading.Lock()
        self._second, self._taken = 0, 0
        _all.add(self)

    def add(self, event: ErrorReported) -> None:
        """Keep an error: its title, where and when; nothing of what was sent, and no user."""
        now = time.time()
        with self._lock:
            if int(now) != self._second:
                self._second, self._taken = int(now), 0
            self._taken += 1
            if self._taken > _MOST_A_SECOND:
                return
            entry = {
                "at": round(now, 3),
                "title": event.title[:_LONGEST_TITLE],
                "error_id": event.error_id,
                "is_fatal": event.fatal,
                **{name: event.data.get(name) for name in ("operation_id", "method", "route", "status", "request_id")},
            }
            self._keep(json.dumps(entry, default=str).encode() + b"\n")

    def read(self) -> list[JsonObject]:
        """Return up to `MOST_ERRORS` of them, newest first.

        Each is ``{at, title, error_id, is_fatal, operation_id, method, route, status, request_id}``, *at* in seconds
        since the epoch.
        """
        if self._path is None:
            return _parse(self._lines)
        try:
            return _parse(self._path.read_bytes().splitlines())
        except OSError:
            return []

    def _keep(self, line: bytes) -> None:
        if self._path is None:
            self._lines.append(line)
            return
        try:
            with self._path.open("a+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # the kernel lets go of it when a process dies
                if file.tell() > _MOST_BYTES:
                    file.seek(0)
                    last = file.read().splitlines(keepends=True)[-MOST_ERRORS:]
                    file.truncate(0)
                    file.write(b"".join(last))
                file.write(line)
        except OSError as error:
            log.debug("An error is not shown among the last ones: %s", error)

    def renew_lock(self) -> None:
        """Free what another thread of the parent may have locked, after a fork."""
        self._lock = threading.Lock()


def _parse(lines: Iterable[bytes]) -> list[JsonObject]:
    """Return the entries of whole *lines*, newest first; one that was torn by a killed process is left out."""
    entries: list[JsonObject] = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("at"), int | float):
            entries.append(entry)
    entries.reverse()  # of two at the same moment, the one that was written later comes first
    entries.sort(key=lambda entry: float(entry["at"]), reverse=True)
    return entries[:MOST_ERRORS]


_all: weakref.WeakSet[RecentErrors] = weakref.WeakSet()


def _renew_locks() -> None:
    for one in list(_all):
        one.renew_lock()


os.register_at_fork(after_in_child=_renew_locks)
