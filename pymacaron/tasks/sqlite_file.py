"""The file of the embedded broker: one SQLite database that all processes of this machine share."""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_BUSY_S = 30.0
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

    version: a number that changes when another connection has changed the file.
    """

    def __init__(self, path: Path) -> None:
        """Take the *path*; nothing is opened yet."""
        self._path = path
        self._pid = 0
        self._connection: sqlite3.Connection | None = None
        self._renew_lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)  # another thread may have held it

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def run(self, statement: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        with self._lock:
            return self._open().execute(statement, tuple(values)).fetchall()

    def count(self, statement: str, values: Iterable[Any] = ()) -> int:
        """Run one statement and return how many rows it changed."""
        with self._lock:
            return self._open().execute(statement, tuple(values)).rowcount

    @property
    def version(self) -> int:
        """Return the version. Source: https://sqlite.org/pragma.html#pragma_data_version."""
        return int(self.run("PRAGMA data_version")[0][0])

    def close(self) -> None:
        """Close the connection, if it is this process's."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._pid != os.getpid():
            # A connection must not cross a fork. Source: https://sqlite.org/howtocorrupt.html, section 2.6.
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            connection.executescript(_SET_UP)
            self._connection, self._pid = connection, os.getpid()
        return self._connection


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
