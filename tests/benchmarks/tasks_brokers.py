"""Brokers that need no server, side by side: ``python tests/benchmarks/tasks_brokers.py``."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kombu import Connection, Queue

sys.path.insert(0, str(Path(__file__).parents[2]))

from pymacaron.tasks.settings import make_embedded

MESSAGES = 300
_RECOVERY_S = 3.0
BODY = {"x": "y" * 280}


def open_filesystem(folder: Path) -> Connection:
    """Return a connection to kombu's filesystem transport."""
    for name in ("queue", "control", "processed"):
        (folder / name).mkdir(exist_ok=True)
    options = {
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
        "store_processed": False,
    }
    return Connection("filesystem://", transport_options=options)


def open_sqlalchemy(folder: Path) -> Connection:
    """Return a connection to kombu's SQLAlchemy transport on SQLite."""
    return Connection(f"sqla+sqlite:///{folder}/kombu.sqlite3")


def open_own(folder: Path) -> Connection:
    """Return a connection to pymacaron's embedded broker."""
    return Connection(make_embedded(folder / "own.sqlite3"), transport="pymacaron.tasks.embedded:Transport")


def measure(connect: Callable[[Path], Connection], folder: Path, count: int = MESSAGES) -> tuple[float, float]:
    """Return messages put a second, and taken and acknowledged a second."""
    return _put(connect(folder), count), _take(connect(folder), count)


def count_kept(connect: Callable[[Path], Connection], folder: Path) -> int:
    """Return how many of three messages can still be taken after a process was killed that held one."""
    _put(connect(folder), 3)
    child = os.fork()
    if child == 0:
        with connect(folder) as connection:
            assert Queue("lab", channel=connection.default_channel).get() is not None
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    kept, deadline = 0, time.monotonic() + _RECOVERY_S
    with connect(folder) as connection:
        queue = Queue("lab", channel=connection.default_channel)
        while kept < 3 and time.monotonic() < deadline:
            message = queue.get()
            if message is None:
                time.sleep(0.1)
            else:
                message.ack()
                kept += 1
    return kept


def _put(connection: Connection, count: int) -> float:
    with connection, connection.Producer() as producer:
        started = time.perf_counter()
        for _ in range(count):
            producer.publish(BODY, routing_key="lab", exchange="", declare=[Queue("lab", routing_key="lab")])
        return count / (time.perf_counter() - started)


def _take(connection: Connection, count: int) -> float:
    seen: list[Any] = []

    def take(_body: Any, message: Any) -> None:
        message.ack()
        seen.append(message)

    with connection, connection.Consumer(Queue("lab", routing_key="lab"), callbacks=[take]):
        connection.transport.polling_interval = 0
        started = time.perf_counter()
        while len(seen) < count:
            connection.drain_events(timeout=30)
        return count / (time.perf_counter() - started)


def main() -> None:
    """Print a line for each."""
    for name, connect in {"filesystem": open_filesystem, "sqlalchemy": open_sqlalchemy, "own": open_own}.items():
        with tempfile.TemporaryDirectory() as folder:
            put, taken = measure(connect, Path(folder))
            kept = count_kept(connect, Path(folder))
            print(f"{name}: put {put:.0f}/s, taken {taken:.0f}/s, kept {kept} of 3", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
