"""Is a call lost while Redis is away and the service is killed? ``python tests/benchmarks/tasks_outage.py``.

A service with an outbox takes orders: each is stored, and its task queued, in one transaction; every fourth of them
fails. Redis is killed and started again a while later, and the service is killed meanwhile. At the end each stored
order must have had its task, and no other.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import requests

sys.path.insert(0, str(Path(__file__).parent))

from task_lab import Broker, Lab, find_port, open_lab, run_redis, wait_for_port

CLIENTS = 2
_LAST_WAIT_S = 90.0
HANDLERS = """

from sqlalchemy import Column, Table, Text

from pymacaron.persistence import ConflictError
from pymacaron.persistence.sql import current_sql_store
from pymacaron.persistence.sql_tables import METADATA

ORDERS = Table("orders", METADATA, Column("name", Text, primary_key=True))


def create_order(body):
    with current_sql_store().connection() as connection:
        connection.execute(ORDERS.insert(), {"name": body.name})
        queued = record.queue(body.name)
        if body.count == 0:
            raise ConflictError("There is none left")
    return {"task_id": queued.id}, 202
"""


@dataclass(frozen=True, slots=True)
class Outage:
    """What happens, in seconds. away_s: between Redis's end and start; in the middle of it the service is killed."""

    before_s: float = 5.0
    away_s: float = 20.0
    after_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the orders.

    lost: stored, without a task. unfounded: tasks of orders that are not stored. again: runs beyond the first of a
    task. refused: answers that were neither 202 nor, for those that are to fail, 409. waited: calls in the outbox when
    Redis came back. slowest_s: of an answer.
    """

    stored: int
    lost: int
    unfounded: int
    again: int
    refused: int
    waited: int
    slowest_s: float
    seconds: float


class Shop:
    """The service of *lab*, and clients that order until they are told to stop."""

    def __init__(self, lab: Lab) -> None:
        """Take the lab."""
        self.port = find_port()
        self.refused = 0
        self.slowest_s = 0.0
        self._lab = lab
        self._numbers = itertools.count()
        self._is_over = Event()
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the service; return when it listens."""
        log = self._lab.folder / "server.log"
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "pymacaron.cli", "run", "--port", str(self.port)],
                cwd=self._lab.folder,
                env=self._lab.variables(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_for_port(self.port, self._server, log)

    def kill(self) -> None:
        """Kill all of its processes."""
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            self._server = None

    def order(self) -> None:
        """Order one thing after the other until `stop`."""
        with requests.Session() as session:
            while not self._is_over.is_set():
                number = next(self._numbers)
                is_failing = number % 4 == 3
                body = {"name": f"order-{number}", "count": 0 if is_failing else 1}
                started = time.monotonic()
                try:
                    status = session.post(f"http://127.0.0.1:{self.port}/orders", json=body, timeout=30).status_code
                except requests.ConnectionError:  # it is killed just now
                    time.sleep(0.05)
                    continue
                self.slowest_s = max(self.slowest_s, time.monotonic() - started)
                self.refused += status != (409 if is_failing else 202)
                time.sleep(0.02)

    def stop(self) -> None:
        """Let the clients end."""
        self._is_over.set()

    def read(self, statement: str) -> list[str]:
        """Return the first column of what *statement* finds in the service's database."""
        with closing(sqlite3.connect(self._lab.folder / "shop.db", timeout=10)) as connection:
            return [row[0] for row in connection.execute(statement)]


def suffer(lab: Lab, broker: Broker, outage: Outage) -> Outcome:
    """Put the service of *lab* through *outage*. Raises AssertionError: a part of it did not start."""
    with (lab.folder / "handlers.py").open("a") as handlers:
        handlers.write(HANDLERS)
    lab.run("from pymacaron.persistence.sql import current_sql_store\ncurrent_sql_store().create_tables()")
    started = time.monotonic()
    shop = Shop(lab)
    with ThreadPoolExecutor(CLIENTS + 2) as pool:
        list(pool.map(lambda start: start(), [shop.start, lab.start_worker]))
        try:
            clients = [pool.submit(shop.order) for _ in range(CLIENTS)]
            time.sleep(outage.before_s)
            broker.stop()
            time.sleep(outage.away_s / 2)
            shop.kill()
            shop.start()
            time.sleep(outage.away_s / 2)
            waited = shop.read("SELECT count(*) FROM pymacaron_outbox")[0]
            broker.start()
            time.sleep(outage.after_s)
            shop.stop()
            for client in clients:
                client.result()
            stored = set(shop.read("SELECT name FROM orders"))
            deadline = time.monotonic() + _LAST_WAIT_S
            while stored - set(lab.read()) and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            shop.stop()
            shop.kill()
    lines = lab.read()
    return Outcome(
        stored=len(stored),
        lost=len(stored - set(lines)),
        unfounded=len(set(lines) - stored),
        again=sum(lines.values()) - len(lines),
        refused=shop.refused,
        waited=int(waited),
        slowest_s=shop.slowest_s,
        seconds=time.monotonic() - started,
    )


def main() -> None:
    """Print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--away", type=float, default=Outage().away_s, help="seconds that Redis is away")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        broker = stack.enter_context(run_redis(Path(folder) / "redis"))
        lab = stack.enter_context(open_lab(Path(folder) / "service", broker.url, "outbox: true\n"))
        print(suffer(lab, broker, Outage(away_s=options.away)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
