"""Workers run what was queued, as its caller, and lose nothing when they are stopped or killed; on every broker."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import yaml
from kombu import Connection
from redis import Redis
from task_lab import SQS_OPTIONS, Lab, run_redis
from tasks_endurance import Ordeal, endure

from pymacaron.config import load_config
from pymacaron.tasks.celery_app import build_celery
from pymacaron.tasks.depth import QueueMeter, WaitingSince
from pymacaron.tasks.keys import SqliteKeys
from pymacaron.tasks.settings import TaskSettings, make_embedded
from pymacaron.tasks.sqlite_file import open_file
from pymacaron.tasks.status import StatusStore

MakeLab = Callable[..., Lab]
SOONER = """
from pymacaron.tasks import redis_transport

redis_transport.SIGN_OF_LIFE_S, redis_transport.GONE_S = 1.0, 6.0
"""

CHARGE = """
from pymacaron.tasks import idempotency

idempotency._BUSY_PAUSE_S = 0.3


@asynctask(idempotency_key=lambda number: f"charge-{number}")
def charge(number):
    note(f"charged-{number}")
"""


def test_tasks_run_as_their_caller_and_again_where_they_fail(make_lab: MakeLab, broker_url: str | None) -> None:
    """A request's task has its arguments, user, token, URL and id; one that fails, or whose process dies, runs again.

    One that hangs is ended at its time_limit and not run again; one whose process dies each time is put aside. What
    went wrong is reported, without values.
    """
    lab = make_lab(broker_url, "task_max_losses: 2\n")
    lab.run(
        "from pymacaron.auth import generate_token\n"
        "headers = {'Authorization': 'Bearer ' + generate_token('alice'), 'X-Request-Id': 'r-1'}\n"
        "answer = app.test_client().post('/orders?from=shop', json={'name': 'tea', 'count': 3}, headers=headers)\n"
        "assert answer.status_code == 202, answer.text\n"
        "handlers.fail.queue(1)\n"
        "handlers.die.queue(2)\n"
        "handlers.take_for_ever.queue(3)\n"
        "handlers.kill.queue(4)\n"
        "handlers.record.with_options(delay=1).queue('late')"
    )
    lab.start_worker(concurrency=2)
    expected = {
        "shipped Order tea 3 alice http://localhost/orders?from=shop r-1 True": 1,
        "run-1-0": 1,
        "run-1-1": 1,
        "run-1-2": 1,
        "begin-2": 2,
        "end-2": 1,
        "begin-3": 1,
        "SoftTimeLimitExceeded-3": 1,
        "begin-4": 3,
        "late": 1,
    }
    assert lab.wait_for(lambda lines: lines.total() >= sum(expected.values()), timeout_s=60) == expected
    reports = [
        "TASK_FAILED: ConnectionError in handlers.fail",
        "TASK_LOST: WorkerLostError in handlers.die",
        "TASK_FAILED: TimeoutError in handlers.take_for_ever",
        "TASK_FAILED: TaskLostError in handlers.kill",
    ]
    lab.wait_for(lambda _: all(report in lab.read_logs() for report in reports))
    assert "alice" not in "".join(line for line in lab.read_logs().splitlines() if '"user_id": "alice"' not in line)


@pytest.mark.unmeasured
def test_workers_that_are_killed_or_stopped_lose_nothing(make_lab: MakeLab, broker_url: str | None) -> None:
    """What a worker had taken when it was killed is run by the next one.

    One that is told to stop ends its running task, takes no other, and leaves the rest in the queue.
    """
    lab = make_lab(broker_url)
    with (lab.folder / "handlers.py").open("a") as handlers:
        handlers.write(SOONER)
    lab.run("for number in range(3): handlers.hold.queue(number, 2 if number == 0 else 0)")
    worker = lab.start_worker()
    lab.wait_for(lambda lines: "begin-0" in lines)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    worker = lab.start_worker()
    known = lab.wait_for(lambda lines: lines["begin-0"] == 2, timeout_s=60)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    assert lab.read() == known | {"end-0": 1}
    lab.start_worker()
    names = [f"{word}-{number}" for word in ("begin", "end") for number in range(3)]
    assert lab.wait_for(lambda lines: len(lines) == 6) == dict.fromkeys(names, 1) | {"begin-0": 2}


@contextmanager
def _refusing(lab: Lab, broker_url: str | None) -> Iterator[None]:
    """Let the broker take nothing within the block: its file is locked, its Redis wants for replicas."""
    if broker_url is None:
        with closing(sqlite3.connect(lab.folder / ".pym" / "tasks.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    with Redis.from_url(broker_url) as client:
        client.config_set("min-replicas-to-write", 1)
        try:
            yield
        finally:
            client.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("broker_url", ["embedded", "redis"], indirect=True)
def test_a_worker_outlives_a_broker_that_takes_nothing(make_lab: MakeLab, broker_url: str | None) -> None:
    """While it cannot write, a worker ends what runs; then it goes on, and has told of each end."""
    lab = make_lab(broker_url)
    with (lab.folder / "handlers.py").open("a") as handlers:
        handlers.write("\nfrom pymacaron.tasks import worker\n\nworker.WORKER_BUSY_S = 0.3\n")
    lab.run("for number in range(4): handlers.hold.queue(number, 1 if number < 2 else 0)")
    worker = lab.start_worker(concurrency=2)
    lab.wait_for(lambda lines: {"begin-0", "begin-1"} <= lines.keys())
    with _refusing(lab, broker_url):
        lab.wait_for(lambda lines: {"end-0", "end-1"} <= lines.keys())
        lab.wait_for(lambda _: "Connection to broker lost" in lab.read_logs())
        time.sleep(1)
    expected = {f"{word}-{number}" for word in ("begin", "end") for number in range(4)}
    lab.wait_for(lambda lines: expected <= lines.keys())
    settings = TaskSettings.of(load_config(lab.folder))
    meter = QueueMeter(settings, build_celery(settings), WaitingSince())
    lab.wait_for(lambda _: meter.measure(settings.queue).depth == 0)
    assert worker.poll() is None
    assert "EMERGENCY" not in lab.read_logs()


@pytest.mark.parametrize("broker_url", ["rabbitmq"], indirect=True)
def test_a_task_waits_for_the_server_of_its_key(make_lab: MakeLab, broker_url: str, tmp_path: Path) -> None:
    """While the Redis that keeps keys is down, a task that has one comes again and again; then it runs, once."""
    with run_redis(tmp_path / "keys") as redis:
        lab = make_lab(broker_url, f"result_backend: {redis.url}\n")
        with (lab.folder / "handlers.py").open("a") as handlers:
            handlers.write(CHARGE)
        lab.run("handlers.charge.queue(1)\nhandlers.charge.queue(1)\nhandlers.record.queue('other')")
        redis.stop()
        lab.start_worker()
        lab.wait_for(lambda lines: "other" in lines and lab.read_logs().count("retried in") >= 3)
        redis.start()
        lab.wait_for(lambda _: lab.read_logs().count("succeeded in") == 3)
        assert lab.read() == {"other": 1, "charged-1": 1}


def test_a_task_that_kills_workers_is_put_aside(make_lab: MakeLab) -> None:
    """A task that takes its whole worker along, each time, is kept in the queue of the dead, and is run no more."""
    lab = make_lab(None, "task_max_losses: 1\ntask_status: true\n")
    task_id = lab.run("print(handlers.kill.queue(1, True).id)\nhandlers.record.queue('after')").strip()
    for number in (1, 2):
        worker = lab.start_worker()
        worker.wait(timeout=60)
        assert lab.read()["begin-1"] == number
    lab.start_worker()
    assert lab.wait_for(lambda lines: "after" in lines) == {"begin-1": 2, "after": 1}
    lab.wait_for(lambda _: "TASK_FAILED: TaskLostError in handlers.kill" in lab.read_logs())
    broker = make_embedded(lab.folder / ".pym" / "tasks.sqlite3")
    assert open_file(broker).run("SELECT count(*) FROM messages WHERE queue LIKE '%.dead'") == [(1,)]
    status = StatusStore(SqliteKeys(broker)).get(task_id)
    assert status is not None
    assert (status.state, status.error) == ("failed", "TaskLostError")


@pytest.mark.parametrize("broker_url", ["rabbitmq", "sqs"], indirect=True)
def test_what_is_not_due_goes_back(make_lab: MakeLab, broker_url: str) -> None:
    """Where the broker hands out what is not due yet, a worker does not keep it; it runs at its time, and once.

    On SQS tasks are queued, repeated, and run again when their process dies, as elsewhere.
    """
    lab = make_lab(broker_url, SQS_OPTIONS if broker_url.startswith("sqs") else "")
    with (lab.folder / "handlers.py").open("a") as handlers:
        handlers.write("\nfrom pymacaron.tasks import consumer\n\nconsumer._LONGEST_HELD_S = 1.0\n")
    mark = lab.folder / "queued"
    note = f"import pathlib, time\npathlib.Path({str(mark)!r}).write_text(str(time.time()))\n"
    calls = "handlers.record.with_options(delay=4).queue('late')\nhandlers.fail.queue(1)\nhandlers.die.queue(2)"
    lab.run(note + calls)
    lab.start_worker(concurrency=2)
    expected = {"run-1-0": 1, "run-1-1": 1, "run-1-2": 1, "begin-2": 2, "end-2": 1, "late": 1}
    lab.wait_for(lambda lines: "late" in lines)
    assert time.time() - float(mark.read_text()) > 4
    assert lab.wait_for(lambda lines: lines.total() >= sum(expected.values())) == expected
    if broker_url.startswith("amqp"):
        name = yaml.safe_load((lab.folder / "pym-config.yaml").read_text())["task_queue"]
        with Connection(broker_url) as connection:
            later = connection.default_channel.queue_declare(f"{name}.later", passive=True)
        assert later.message_count == 0


@pytest.mark.parametrize("broker_url", ["redis"], indirect=True)
def test_a_task_that_does_not_end_in_time_goes_back(make_lab: MakeLab, broker_url: str | None) -> None:
    """After task_stop_timeout a stopped worker gives back what still runs, and ends."""
    lab = make_lab(broker_url, "task_stop_timeout: 1\n")
    lab.run("handlers.hold.queue(0, 60)")
    worker = lab.start_worker()
    lab.wait_for(lambda lines: "begin-0" in lines)
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=40)
    assert time.monotonic() - started < 40
    lab.start_worker()
    lab.wait_for(lambda lines: lines["begin-0"] == 2)


@pytest.mark.unmeasured
@pytest.mark.parametrize("broker_url", ["embedded"], indirect=True)
def test_no_task_is_lost_where_processes_are_killed(make_lab: MakeLab, broker_url: str | None) -> None:
    """A smaller run of the benchmark tasks_endurance: each task runs at least once, whoever is killed."""
    lab = make_lab(broker_url)
    outcome = endure(lab, None, Ordeal(tasks=150, workers=2, pause_s=0.02, kill_every_s=0.5))
    assert outcome.lost == 0
    assert outcome.kills > 0
