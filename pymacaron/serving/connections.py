"""The connections of clients that this process holds, found among its open files."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import termios
from collections.abc import Iterator

_FILES = "/proc/self/fd"


def count_connections(port: int) -> int | None:
    """Return how many connections to *port* of this machine are open here; None where the system does not tell."""
    if not os.path.isdir(_FILES):  # noqa: PTH112 - as the loop below, which is told to hurry
        return None
    return sum(1 for _ in _find_connections(port))


def has_unsent(port: int) -> bool:
    """Tell whether a client still has bytes of an answer to take."""
    size = array.array("i", [0])
    for connection in _find_connections(port):
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, size)
        if size[0]:
            return True
    return False


def _find_connections(port: int) -> Iterator[socket.socket]:
    try:
        names = os.listdir(_FILES)  # noqa: PTH208 - thousands of files
    except OSError:
        return
    for name in names:
        try:
            if not os.readlink(f"{_FILES}/{name}").startswith("socket:"):  # noqa: PTH115
                continue
            with socket.socket(fileno=os.dup(int(name))) as found:
                is_client = found.family in {socket.AF_INET, socket.AF_INET6} and found.getsockname()[1] == port
                if is_client and found.getpeername():
                    yield found
        except OSError:  # closed meanwhile, or it listens
            continue
