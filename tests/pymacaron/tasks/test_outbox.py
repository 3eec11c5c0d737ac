"""What a service queues is kept in its database until the broker has it, and belongs to its transaction."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, update
from task_lab import CONFIG, Lab, find_port, run_redis
from tasks_outage import Outage, suffer

from pymacaron import asynctask, service_of
from pymacaron.events import TaskQueued
from pymacaron.exceptions import ConfigError, TaskBrokerError
from pymacaron.persistence import StoreUnavailableError, transaction
from pymacaron.persistence.sql import SqlStore
from pymacaron.persistence.sql_tables import METADATA
from pymacaron.tasks import TASKS, AsyncTask, find_task
from pymacaron.tasks.celery_app import build_celery
from pymacaron.tasks.depth import QueueMeter, WaitingSince
from pymacaron.tasks.outbox import OUTBOX, Outbox
from pymacaron.tasks.queue import TaskQueue, queue_of
from pymacaron_testing.tasks import recorded_tasks

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from store_servers import find_postgresql, run_postgresql

MakeService = Callable[..., Flask]
MakeLab = Callable[..., Lab]


def note(number: int) -> None:
    """Do nothing."""


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Run a PostgreSQL."""
    programs = find_postgresql()
    if programs is None:
        reason = "PostgreSQL is missing: apt-get install postgresql"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
    with run_postgresql(programs) as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return a line of configuration for each kind of database in turn."""
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else "sqlite:///shop.db"
    if request.param == "postgresql":
        store = SqlStore(url)
        store.create_tables([OUTBOX])
        with store.connection() as connection:
            connection.execute(delete(OUTBOX))
        store.close()
    yield f"database_url: {url}\noutbox: true\n"
    if OUTBOX.name in METADATA.tables:
        METADATA.remove(METADATA.tables[OUTBOX.name])


@pytest.fixture
def task() -> Iterator[AsyncTask[..., None]]:
    """Declare a task for the time of a test."""
    task = asynctask()(note)
    yield task
    del TASKS[task.name]


def _open(app: Flask) -> tuple[TaskQueue, Outbox]:
    queue = queue_of(service_of(app))
    assert queue.outbox is not None
    return queue, queue.outbox


def _count(queue: TaskQueue) -> int:
    return QueueMeter(queue.settings, build_celery(queue.settings), WaitingSince()).measure(queue.settings.queue).depth


def _queue_in_vain(task: AsyncTask[..., None], count: Callable[[], int]) -> None:
    with transaction():
        task.queue(1)
        assert count() == 1
        raise ZeroDivisionError


def test_a_call_goes_with_its_transaction(make_service: MakeService, task: AsyncTask[..., None], database: str) -> None:
    """What a transaction queues is sent after it, once and with its event; what a block queues that fails never is."""
    app = make_service(config=CONFIG + database)
    heard: list[TaskQueued] = []
    service_of(app).bus.subscribe(TaskQueued, heard.append)
    queue, outbox = _open(app)
    with app.app_context():
        with pytest.raises(ZeroDivisionError):
            _queue_in_vain(task, lambda: outbox.measure()[0])
        assert (outbox.measure(), _count(queue), heard) == ((0, 0.0), 0, [])
        with transaction():
            queued = task.queue(2)
            with transaction():
                task.queue(3)
            with pytest.raises(ZeroDivisionError), transaction():
                _queue_in_vain(task, lambda: outbox.measure()[0] - 2)
            assert (_count(queue), heard) == (0, [])
        assert (outbox.measure(), _count(queue)) == ((0, 0.0), 2)
        assert (len(heard), heard[0].task_id) == (2, queued.id)
        task.queue(4)
        assert (outbox.measure(), _count(queue), len(heard)) == ((0, 0.0), 3, 3)


def test_what_a_dead_process_left_is_sent_later(
    make_service: MakeService, task: AsyncTask[..., None], database: str
) -> None:
    """A call whose process died after the transaction waits until nobody holds it; then another one sends it, once."""
    app = make_service(config=CONFIG + database)
    queue, outbox = _open(app)
    with app.app_context():
        child = os.fork()
        if child == 0:
            with transaction():
                outbox._store.after_commit(lambda: os._exit(9))
                task.queue(1)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        assert (outbox.measure()[0], _count(queue)) == (1, 0)
        outbox.send_waiting(queue.outlet.send)
        assert (outbox.measure()[0], _count(queue)) == (1, 0)  # its process might still be about to
        with outbox._store.connection() as connection:
            connection.execute(update(OUTBOX).values(held_until_s=OUTBOX.c.held_until_s - 60))
        outbox.send_waiting(queue.outlet.send)
        outbox.send_waiting(queue.outlet.send)
        assert (outbox.measure(), _count(queue)) == ((0, 0.0), 1)


def test_a_file_that_is_locked_stops_no_call(make_service: MakeService, task: AsyncTask[..., None]) -> None:
    """What the embedded broker does not take waits in the outbox, and is sent once it does."""
    app = make_service(config=f"{CONFIG}database_url: sqlite:///shop.db\noutbox: true\n")
    queue, outbox = _open(app)
    file = service_of(app).config.folder / ".pym" / "tasks.sqlite3"
    with app.app_context():
        assert _count(queue) == 0
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            task.queue(1)
            with transaction():
                task.queue(2)
            assert (outbox.measure()[0], _count(queue)) == (2, 0)
        time.sleep(1)
        outbox.send_waiting(queue.outlet.send)
        assert (outbox.measure()[0], _count(queue)) == (0, 2)
    METADATA.remove(METADATA.tables[OUTBOX.name])


def test_a_broker_that_is_down_stops_no_call(
    tmp_path: Path, make_service: MakeService, task: AsyncTask[..., None], database: str
) -> None:
    """Calls are kept, inside of transactions and outside, told as queued, and sent when the broker is back, once."""
    with run_redis(tmp_path / "redis") as broker:
        config = f"{CONFIG}{database}broker_url: {broker.url}\ntask_status: true\ntask_queue: q{find_port()}\n"
        app = make_service(config=config)
        queue, outbox = _open(app)
        with app.app_context():
            task.queue(0)
            broker.stop()
            started = time.monotonic()
            queued = [task.queue(1), task.with_options(delay=60).queue(2), task.with_options(expires="1h").queue(3)]
            with transaction():
                queued.append(task.queue(4))
            assert time.monotonic() - started < 5
            assert outbox.measure()[0] == 4
            with pytest.raises(TaskBrokerError):
                outbox.send_waiting(queue.outlet.send)
            assert outbox.measure()[0] == 4
            assert {find_task(one.id).state for one in queued} == {"queued"}
            broker.start()
            deadline = time.monotonic() + 20
            while outbox.measure()[0] and time.monotonic() < deadline:
                time.sleep(0.2)
                try:
                    outbox.send_waiting(queue.outlet.send)
                except TaskBrokerError:
                    continue
            assert (outbox.measure()[0], _count(queue)) == (0, 4)  # the delayed one waits elsewhere
            assert {find_task(one.id).state for one in queued} == {"queued"}


def test_a_call_that_nothing_keeps_fails(make_service: MakeService, task: AsyncTask[..., None]) -> None:
    """Where neither the broker nor the database takes a call, the caller is told, as without an outbox."""
    app = make_service(
        config=f"{CONFIG}outbox: true\ndatabase_url: sqlite:////proc/none.db\n"
        f"broker_url: redis://127.0.0.1:{find_port()}\n"
    )
    with app.app_context():
        with pytest.raises(TaskBrokerError, match="The task was not queued"):
            task.queue(1)
        with pytest.raises(StoreUnavailableError), transaction():
            task.queue(2)
    METADATA.remove(METADATA.tables[OUTBOX.name])


def test_recorded_tasks_heed_transactions(make_service: MakeService, task: AsyncTask[..., None]) -> None:
    """In tests of a service, too, a call of a transaction that fails was not queued."""
    app = make_service(config=f"{CONFIG}outbox: true\n")
    with recorded_tasks(app) as tasks, app.app_context():
        with pytest.raises(ZeroDivisionError):
            _queue_in_vain(task, lambda: 1)
        with transaction():
            task.with_options(delay="5m").queue(2)
        call = tasks.assert_queued(task)
        assert (call.arguments, call.delay_s) == ({"number": 2}, 300)
    METADATA.remove(METADATA.tables[OUTBOX.name])


def test_an_outbox_needs_sql(make_service: MakeService) -> None:
    """A service whose objects lie elsewhere is told at its start."""
    with pytest.raises(ConfigError, match=r"outbox: dynamodb has no SQL\. Name a SQLite or PostgreSQL database"):
        make_service(config=f"{CONFIG}outbox: true\ndatabase_url: dynamodb://eu-west-1\n")


@pytest.mark.unmeasured
def test_no_call_is_lost_in_outages(make_lab: MakeLab, tmp_path: Path) -> None:
    """A smaller run of the benchmark tasks_outage: Redis is away for a while, and the service is killed meanwhile.

    Every order that is stored has its task run, every one that is not has none, and the service answers throughout.
    """
    with run_redis(tmp_path / "redis") as broker:
        lab = make_lab(broker.url, "outbox: true\nworker_count: 1\n")
        outcome = suffer(lab, broker, Outage(before_s=0.5, away_s=2.5, after_s=0.5))
    assert outcome.stored > 10
    assert (outcome.lost, outcome.unfounded, outcome.refused) == (0, 0, 0)
    assert outcome.waited > 0
