"""Lines of a log on their way out, in memory that the process which makes them shares with the one that writes them.

To write each line by itself lets other threads take the interpreter's lock each time, which costs a busy service more
than all else that it does for a short request. And what stands in shared memory outlives the process that put it there.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import stat
from collections.abc import Callable
from select import PIPE_BUF
from threading import Lock

SIZE_BYTES = 1 << 18
_PLACES_BYTES = 16


class LogSpool:
    """A ring of bytes with one process that adds lines, from any of its threads, and one that takes them.

    Two numbers stand before the bytes: how many were added and how many taken since the start. Each is written by one
    side only, after the bytes that it is about, as one word of eight bytes: whoever is killed leaves whole lines.
    """

    def __init__(self, wake: Callable[[bool], object], size_bytes: int = SIZE_BYTES) -> None:
        """Make an empty one of *size_bytes*, before the process that adds is forked.

        wake: called there after a line that found all others taken, with False, and when half of the room is used, with
        True.
        """
        self._size_bytes = size_bytes
        self._memory = mmap.mmap(-1, _PLACES_BYTES + size_bytes)
        self._memory.seek(_PLACES_BYTES)
        self._places = memoryview(self._memory)[:_PLACES_BYTES].cast("Q")
        # What the side that adds knows without a look: bytes that it added, those it may add at least, and where next.
        self._added = self._known_room = self._next = 0
        self._lock = Lock()
        self._wake = wake
        self._is_open = False

    def open(self) -> None:
        """Let this process add lines, but none that it forks."""
        self._is_open = True
        os.register_at_fork(after_in_child=self.abandon)

    def add(self, line: bytes) -> bool:
        """Add *line*, with its end; return False if that cannot be done: there is no room, or this process may not."""
        if not self._is_open:
            return False
        size, places, room = len(line), self._places, self._size_bytes
        self._lock.acquire()  # faster than a with block
        try:
            added = self._added
            end = added + size
            if end > self._known_room:
                self._known_room = places[1] + room
                if end > self._known_room:
                    return False
            following = self._next + size
            if following <= room:
                self._memory.write(line)  # in a third of the time that a slice takes
            else:
                following -= room
                self._memory.write(line[: size - following])
                self._memory.seek(_PLACES_BYTES)
                self._memory.write(line[size - following :])
            self._next = following
            self._added = places[0] = end
        finally:
            self._lock.release()
        # Looked at last: whoever takes lines looks again some time after it has found some, and sees this one then.
        waiting = added - places[1]
        if waiting == 0 or waiting < room // 2 <= waiting + size:
            self._wake(waiting > 0)
        return True

    @property
    def has_lines(self) -> bool:
        """Tell whether something was added and not yet taken."""
        return self._places[0] != self._places[1]

    def read(self) -> bytes:
        """Return what was added and not yet taken."""
        added, taken = self._places
        start, size = taken % self._size_bytes, added - taken
        first = self._memory[_PLACES_BYTES + start : _PLACES_BYTES + min(start + size, self._size_bytes)]
        return first + self._memory[_PLACES_BYTES : _PLACES_BYTES + size - len(first)]

    def take(self, size_bytes: int) -> None:
        """Make room: so many bytes of what `read` returned were written out."""
        self._places[1] += size_bytes

    def abandon(self) -> None:
        """Let this process add nothing more; another one may."""
        self._is_open = False

    def close(self) -> None:
        """Let nobody here add anything more, and write what is left: the process that took it is gone."""
        with self._lock:
            self._is_open = False
            with contextlib.suppress(OSError):
                while data := self.read():
                    self.take(os.write(2, cut_lines(data, PIPE_BUF)))


class LogWriter:
    """Writes the lines of spools to a stream of this process without ever waiting for who reads it."""

    def __init__(self, descriptor: int = 2) -> None:
        """Take the number of an open file."""
        self._descriptor = descriptor
        self._own: int | None = None
        self._most_bytes = SIZE_BYTES
        self._socket: socket.socket | None = None
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode):
            self._most_bytes = PIPE_BUF  # such a piece is never mixed with what others write
            with contextlib.suppress(OSError):  # opened anew, for that one alone not to wait
                self._own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
        elif stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(descriptor))

    def write_out(self, spool: LogSpool) -> bool:
        """Write what stands in *spool*, in pieces of whole lines; return False if the reader did not take it all.

        A stream that nobody reads any more swallows everything.
        """
        while data := spool.read():
            start = 0
            while start < len(data):
                piece = cut_lines(data[start : start + self._most_bytes], self._most_bytes)
                try:
                    taken = self._write(piece)
                except BlockingIOError:
                    return False
                except OSError:
                    taken = len(piece)
                spool.take(taken)
                start += taken
        return True

    def close(self) -> None:
        """Close what was opened beside the stream."""
        if self._own is not None:
            os.close(self._own)
        if self._socket is not None:
            self._socket.close()

    def _write(self, piece: bytes) -> int:
        if self._socket is not None:
            return self._socket.send(piece, socket.MSG_DONTWAIT)
        return os.write(self._descriptor if self._own is None else self._own, piece)


def cut_lines(data: bytes, most_bytes: int) -> bytes:
    """Return the whole lines that *data* begins with, of *most_bytes* together; all of it if it holds no whole line."""
    end = data.rfind(b"\n", 0, most_bytes) + 1
    return data[:end] or data
