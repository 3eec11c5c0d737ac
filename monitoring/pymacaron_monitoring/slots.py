"""Places in a folder, each taken by one living process at a time; the kernel frees those of a process that dies.

A slot is a byte of the lock file that a process has locked for as long as it lives. Such locks belong to a process: a
fork has none of its parent's, and however a process ends, they end with it. So a successor takes the place of a
process that was killed, and there are never more places than processes that lived at the same time.

Source: fcntl(2), "Advisory record locking". Closing any descriptor of the file drops all locks that the process has on
it; therefore each process opens the file once. systemd-tmpfiles(8), tmpfiles.d(5): what is old in /tmp is removed, but
nothing in a directory on which there is a BSD lock.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path

MOST_SLOTS = 4096
_OWN_PORT = 1 << 30  # byte that the process which serves a port of its own has locked
_FLOCK = struct.Struct("hhqqi4x")  # type, whence, start, length, pid: struct flock of 64-bit Linux
_HAS_QUERY = sys.platform == "linux" and struct.calcsize("P") == struct.calcsize("q")

_tables: dict[str, SlotTable] = {}
_tables_lock = threading.Lock()


class SlotTable:
    """The slots of one lock file, as this process sees them."""

    def __init__(self, path: Path) -> None:
        """Open the lock file. Raises OSError: it cannot be written."""
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        with suppress(OSError):  # not every file system can
            fcntl.flock(self._folder, fcntl.LOCK_SH | fcntl.LOCK_NB)
        self._own: set[int] = set()

    def take(self) -> int:
        """Take the first slot that is free and return its number. Raises OSError: all are taken."""
        for number in range(MOST_SLOTS):
            if number not in self._own and lock_byte(self._file, number):
                self._own.add(number)
                return number
        raise OSError(f"all {MOST_SLOTS} places are taken")

    def release(self, number: int) -> None:
        """Give a slot of this process back."""
        with _tables_lock:
            self._own.discard(number)
            if self._own:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)
            elif _tables.get(str(self._path)) is self:
                del _tables[str(self._path)]
                self.close()

    def close(self) -> None:
        """Close the files, which ends all locks of this process."""
        os.close(self._file)
        os.close(self._folder)

    def is_alive(self, number: int, pid: int, file: int) -> bool:
        """Tell whether process *pid* has slot *number*: it lives, and is done with taking it.

        file: that of the slot, on whose first byte it has a lock, too, if somebody has removed the lock file.
        """
        if number in self._own:
            return True
        if not _HAS_QUERY:
            return _is_running(pid)
        return _is_locked(self._file, number, pid) or _is_locked(file, 0, pid)

    def wait_for_port(self) -> None:
        """Return when no other process that shares the lock file is to serve the port of its own."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, _OWN_PORT)


def open_slots(path: Path) -> SlotTable:
    """Return the slots of a lock file, made where there is none. Raises OSError: it cannot be written."""
    with _tables_lock:
        table = _tables.get(str(path))
        if table is None:
            table = _tables[str(path)] = SlotTable(path)
        return table


def lock_byte(file: int, number: int) -> bool:
    """Lock a byte of a file for this process; return False if another one has it."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
        return False
    return True


def _is_locked(file: int, number: int, pid: int) -> bool:
    """Tell whether process *pid* has locked a byte of a file."""
    query = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0)
    kind, _, _, _, holder = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, query))
    # A process that this one cannot see, in another container, is 0 or -1.
    return bool(kind != fcntl.F_UNLCK and (holder == pid or holder <= 0))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _forget_all() -> None:
    """Close what was the parent's, after a fork: its locks are not affected."""
    global _tables_lock  # noqa: PLW0603 - another thread of the parent may have held it
    _tables_lock = threading.Lock()
    for table in _tables.values():
        table.close()
    _tables.clear()


os.register_at_fork(after_in_child=_forget_all)
