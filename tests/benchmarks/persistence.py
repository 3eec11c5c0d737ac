"""Persistent objects under load: many writers of one object, writers that are killed, and what a call costs.

``python tests/benchmarks/persistence.py count|kill|cost [sqlite] [postgresql] [dynamodb] [dynalite]`` starts them,
prints a line of JSON for each store, and ends with 1 if something was lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

sys.path.insert(0, str(Path(__file__).parent))

from store_servers import find_dynalite, find_postgresql, run_dynamodb, run_postgresql

from pymacaron.formats import Date, DateTime, DecimalText, Uuid
from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import Persistent, Store, open_store, transaction, using_store
from pymacaron.persistence.model import layout_of
from pymacaron.persistence.sql import SqlStore
from pymacaron.persistence.sql_tables import table_of

WRITERS = 8
INCREMENTS = 1000
TRANSACTIONS = 1000
PARTS = 3
TIMEOUT_S = 30
ROUNDS = 7


class Counter(Persistent, PymacaronBaseModel):
    """What many processes count up."""

    table_name: ClassVar = "counters"
    primary_key: ClassVar = "name"

    name: str
    value: int = 0


class Part(Persistent, PymacaronBaseModel):
    """One of the objects that a transaction writes together."""

    table_name: ClassVar = "parts"
    primary_key: ClassVar = ("batch", "number")

    batch: int
    number: int
    text: str


class Pet(Persistent, PymacaronBaseModel):
    """An object of ten fields."""

    table_name: ClassVar = "ten_fields"
    primary_key: ClassVar = "id"

    id: Uuid
    name: str
    status: str
    price: DecimalText
    born: Date
    made_at: DateTime
    weight: float
    legs: int
    is_loud: bool
    tags: list[str]


def open_and_create(url: str) -> Store:
    """Open the store with the tables of this file."""
    store = open_store(url, timeout_s=TIMEOUT_S)
    layouts = [layout_of(model) for model in (Counter, Part, Pet)]
    if isinstance(store, SqlStore):
        store.create_tables([table_of(layout) for layout in layouts])
    return store


def tell(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def start_worker(task: str, url: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a process of this file that does one part of a task; it says ``ready`` when it begins."""
    command = [sys.executable, __file__, task, url, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def wait_until_ready(worker: subprocess.Popen[bytes]) -> None:
    """Return when the worker begins."""
    assert worker.stdout is not None
    with worker.stdout:
        assert worker.stdout.readline().strip() == b"ready"


def count(url: str, *, writers: int = WRITERS, increments: int = INCREMENTS) -> dict[str, float]:
    """Let *writers* processes add 1 to one object *increments* times each; return what the object says at the end."""
    store = open_and_create(url)
    with using_store(store):
        Counter(name="hits").save_to_db()
        workers = [start_worker("count-worker", url, increments) for _ in range(writers)]
        for worker in workers:
            wait_until_ready(worker)
        start_s = time.perf_counter()
        codes = [worker.wait() for worker in workers]
        duration_s = time.perf_counter() - start_s
        value = Counter.load_from_db("hits").value
    store.close()
    return {"value": value, "expected": writers * increments, "failed": sum(map(bool, codes)), "duration_s": duration_s}


def count_up(url: str, increments: int) -> None:
    """Add 1 again and again, each time to what is there."""

    def add(counter: Counter) -> None:
        counter.value += 1

    with using_store(open_and_create(url)):
        Counter.load_from_db("hits")
        tell("ready")
        for _ in range(increments):
            Counter.update_in_db("hits", add, timeout_s=120)


def kill(url: str, *, transactions: int = TRANSACTIONS, kills: int = 20) -> dict[str, int]:
    """Kill a process *kills* times while it writes *transactions* of `PARTS` objects each; return what is there.

    whole: transactions of which all objects are there; partial: of which some are.
    """
    store = open_and_create(url)
    with using_store(store):
        for number in range(kills):
            first = number * transactions
            worker = start_worker("kill-worker", url, first, transactions)
            wait_until_ready(worker)
            time.sleep(random.uniform(0.01, 0.4))
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait()
        found = dict.fromkeys(range(kills * transactions), 0)
        cursor = None
        while True:
            page = Part.query(limit=1000, cursor=cursor)
            for part in page:
                found[part.batch] += 1
            cursor = page.cursor
            if cursor is None:
                break
    store.close()
    counts = list(found.values())
    partial = sum(0 < each < PARTS for each in counts)
    return {"kills": kills, "whole": counts.count(PARTS), "partial": partial}


def write_batches(url: str, first: int, transactions: int) -> None:
    """Write transactions until somebody kills this process."""
    with using_store(open_and_create(url)):
        Part.exists((first, 0))
        tell("ready")
        for batch in range(first, first + transactions):
            with transaction():
                for number in range(PARTS):
                    Part(batch=batch, number=number, text="x" * 200).create_in_db()


def make_pet() -> Pet:
    """Return the object of ten fields."""
    return Pet(
        id=UUID(int=1),
        name="Rex",
        status="available",
        price=Decimal("12.50"),
        born=date(2020, 2, 29),
        made_at=datetime(2026, 1, 31, 10, tzinfo=UTC),
        weight=12.25,
        legs=4,
        is_loud=True,
        tags=["a", "b"],
    )


def compare_costs(url: str, *, calls: int = 300, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the medians, in us, of loading, changing and saving an object: ours and as one writes it by hand.

    By hand is SQLAlchemy's ORM (plain) and Core, or boto3 (plain). All take turns, round by round; ratio and
    core_ratio: the medians of the rounds' ratios.
    """
    from plain_stores import plain_core, plain_dynamodb, plain_sql  # noqa: PLC0415 - needs the extras

    store = open_and_create(url)

    def ours(number: int) -> None:
        pet = Pet.load_from_db(UUID(int=1))
        pet.legs = number
        pet.save_to_db()

    sides: dict[str, Callable[[int], object]] = {"ours": ours}
    if isinstance(store, SqlStore):
        sides |= {"plain": plain_sql(store), "core": plain_core(store)}
    else:
        sides |= {"plain": plain_dynamodb(url)}
    with using_store(store):
        make_pet().save_to_db()
        for side in sides.values():
            side(0)
        times = [{name: _time(side, calls) for name, side in sides.items()} for _ in range(rounds)]
    store.close()
    result = {f"{name}_us": statistics.median(each[name] for each in times) for name in sides}
    result["ratio"] = statistics.median(each["ours"] / each["plain"] for each in times)
    if "core" in sides:
        result["core_ratio"] = statistics.median(each["ours"] / each["core"] for each in times)
    return result


def _time(function: Callable[[int], object], calls: int) -> float:
    start_s = time.perf_counter()
    for number in range(calls):
        function(number)
    return (time.perf_counter() - start_s) / calls * 1e6


@contextlib.contextmanager
def run_store(kind: str) -> Iterator[str]:
    """Run what *kind* needs, and yield the URL of an empty store."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/benchmark.db"
    elif kind in ("dynamodb", "dynalite"):
        program = find_dynalite() if kind == "dynalite" else None
        assert program or kind == "dynamodb", "npm install --global dynalite"
        with run_dynamodb(program) as server:
            yield server.url
    else:
        programs = find_postgresql()
        assert programs is not None, "apt-get install postgresql"
        with run_postgresql(programs, is_durable=True) as server:
            yield server.url


def main(task: str, *kinds: str) -> int:
    """Do a task with each store and print what came of it; return the exit code."""
    tasks: dict[str, Callable[[str], dict[str, Any]]] = {"count": count, "kill": kill, "cost": compare_costs}
    has_failed = False
    for kind in kinds or ("sqlite", "postgresql", "dynamodb"):
        with run_store(kind) as url:
            result = tasks[task](url)
        tell(json.dumps({"store": kind, **result}))
        has_failed |= result.get("value") != result.get("expected") or bool(result.get("partial"))
    return int(has_failed)


if __name__ == "__main__":
    if sys.argv[1] == "count-worker":
        count_up(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "kill-worker":
        write_batches(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(main(*sys.argv[1:]))
