"""The file of the embedded broker: one SQLite database that all processes of this machine share."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pymacaron.tasks.settings import ANSWER_TIMEOUT_S

log = logging.getLogger(__name__)

WORKER_BUSY_S = 30.0
"""How long a worker waits for another process that writes."""

WAITING, DELAYED, TAKEN = 0, 1, 2
"""States of a message."""

# Write-ahead log: readers do not wait for writers. NORMAL: what was committed survives the death of any process; the
# last moments before a power failure may be lost. Source: https://sqlite.org/pragma.html#pragma_synchronous
_SET_UP = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY,
    tag TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    state INTEGER NOT NULL,
    due_s REAL NOT NULL,
    owner TEXT,
    taken_s REAL,
    is_redelivered INTEGER NOT NULL DEFAULT 0,
    payload TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS waiting ON messages (queue, state, id);
CREATE INDEX IF NOT EXISTS delayed ON messages (state, due_s);
CREATE TABLE IF NOT EXISTS keys (name TEXT PRIMARY KEY, value TEXT NOT NULL, until_s REAL NOT NULL) WITHOUT ROWID;
"""


class SqliteFile:
    """A connection to the file, made anew in each process; safe for threads.

    busy_s: seconds that a statement waits for other processes and threads, before it raises sqlite3.OperationalError;
    set before the first statement, by whoever has more time than a request. version: changes whenever the file does.
    """

    def __init__(self, path: Path) -> None:
        """Take the *path*; nothing is opened yet."""
        self.busy_s = ANSWER_TIMEOUT_S
        self._unsettled: list[tuple[str, list[Any]]] = []
        self._path = path
        self._pid = 0
        self._connection: sqlite3.Connection | None = None
        self._inherited: list[sqlite3.Connection] = []
        self._renew_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)  # another thread may have held it

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def run(self, statement: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with self._opened() as connection:
            return connection.execute(statement, tuple(values)).fetchall()

    def count(self, statement: str, values: Iterable[Any] = ()) -> int:
        """Run one statement and return how many rows it changed."""
        with self._opened() as connection:
            return connection.execute(statement, tuple(values)).rowcount

    def settle(self, statement: str, values: list[Any]) -> None:
        """Run a statement about a message that this process had taken; while the file cannot be written, owe it."""
        try:
            self.run(statement, values)
        except sqlite3.OperationalError as error:
            log.warning("The file of tasks is told later what became of a message: %s", error)
            self._unsettled.append((statement, values))

    def settle_late(self) -> None:
        """Run what is owed. Raises sqlite3.OperationalError."""
        while self._unsettled:
            self.run(*self._unsettled[0])
            self._unsettled.pop(0)

    @property
    def version(self) -> tuple[int, int]:
        """Return what others have changed, and what this connection has.

        Source: https://sqlite.org/pragma.html#pragma_data_version, https://sqlite.org/c3ref/total_changes.html.
        """
        with self._opened() as connection:
            (others,) = connection.execute("PRAGMA data_version").fetchone()
            return int(others), connection.total_changes

    def measure(self, queue: str) -> tuple[int, str | None]:
        """Return how many messages wait in *queue*, and the first of them."""
        where = "FROM messages WHERE queue = ? AND state = ?"
        depth = self.run(f"SELECT count(*) {where}", [queue, WAITING])[0][0]
        first = self.run(f"SELECT payload {where} ORDER BY id LIMIT 1", [queue, WAITING])
        return depth, first[0][0] if first else None

    def close(self) -> None:
        """Close the connection, if it is this process's."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
                self._connection = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if not self._lock.acquire(timeout=self.busy_s):
            raise sqlite3.OperationalError("another thread waits for the file")
        try:
            yield self._open()
        finally:
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        if self._connection is not None:
            # A connection must not cross a fork, nor be closed behind it. Source:
            # https://sqlite.org/howtocorrupt.html, section 2.6.
            self._inherited.append(self._connection)
            self._connection = None
        connection = sqlite3.connect(self._path, timeout=self.busy_s, isolation_level=None, check_same_thread=False)
        try:
            connection.executescript(_SET_UP)
        except BaseException:
            connection.close()
            raise
        self._connection, self._pid = connection, os.getpid()
        return connection


@lru_cache(maxsize=64)
def open_file(url: str) -> SqliteFile:
    """Return the file that ``pymacaron-sqlite:///…`` names: one object for each in a process."""
    return SqliteFile(Path(unquote(urlsplit(url).path)))


def name_owner(pid: int | None = None) -> str:
    """Return a name of a process, this one by default, that no later process of this machine gets."""
    pid = pid or os.getpid()
    return f"{socket.gethostname()}:{pid}:{_find_start(pid)}"


def is_gone(owner: str) -> bool:
    """Tell whether the process that `name_owner` named has ended; false for one of another machine."""
    host, pid, start = owner.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _find_start(int(pid)) != start


def _find_start(pid: int) -> str:
    """Return when a process began, "" where the system does not tell. Source: proc(5), field 22 of stat."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = text.rpartition(")")[2].split()
    return "gone" if state == "Z" else rest[18]
