"""What a request queues reaches the broker in no time, or fails within a second; what waits there is measured."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from celery import Celery
from flask import Flask
from pydantic import SecretStr
from redis import Redis
from task_lab import CONFIG, SQS_OPTIONS, Broker, find_port, run_redis

from pymacaron import asynctask, service_of
from pymacaron.config import PymConfig
from pymacaron.events import TaskQueued
from pymacaron.exceptions import ConfigError, TaskBrokerError
from pymacaron.tasks import TASKS, AsyncTask, queue
from pymacaron.tasks.celery_app import build_celery
from pymacaron.tasks.depth import QueueMeter, WaitingSince
from pymacaron.tasks.queue import queue_of
from pymacaron.tasks.settings import TaskSettings

MakeService = Callable[..., Flask]


def note(number: int, text: str = "") -> None:
    """Do nothing."""


@pytest.fixture
def task() -> Iterator[AsyncTask[..., None]]:
    """Declare a task for the time of a test."""
    task = asynctask()(note)
    yield task
    del TASKS[task.name]


def test_a_call_emits_an_event_and_waits_in_the_queue(
    make_service: MakeService, task: AsyncTask[..., None], broker_url: str | None
) -> None:
    """The event names the task, its queue, delay and caller; the queue tells its length, and its age where it can."""
    name = f"q{find_port()}"
    broker = f"broker_url: {broker_url}\n" if broker_url else ""
    app = make_service(config=f"{CONFIG}task_queue: {name}\n{broker}")
    heard: list[TaskQueued] = []
    service_of(app).bus.subscribe(TaskQueued, heard.append)
    with app.app_context():
        queued = [task.queue(1), task.queue(2, text="secret"), task.with_options(delay=60).queue(3)]
    assert [event.task_id for event in heard] == [one.id for one in queued]
    assert [(event.name, event.queue, event.delay_s) for event in heard[1:]] == [
        (task.name, name, 0),
        (task.name, name, 60),
    ]
    settings = queue_of(service_of(app)).settings
    since = WaitingSince()
    meter = QueueMeter(settings, build_celery(settings), since)
    measured = meter.measure(name)
    if settings.is_embedded or settings.is_redis:
        assert (measured.queue, measured.depth) == (name, 2)  # the third is not due
        assert measured.oldest_age_s is not None
        assert 0 <= measured.oldest_age_s < 30
    else:
        assert (measured.queue, measured.depth, measured.oldest_age_s) == (name, 3, None)
        since.note(name, time.time() - 1000)
        age_s = meter.measure(name).oldest_age_s
        assert age_s is not None
        assert 1000 <= age_s < 1030


def test_a_call_in_a_request_is_queued(make_service: MakeService, task: AsyncTask[..., None]) -> None:
    """Inside of a request a plain call queues, and the id of the request goes along."""
    app = make_service(config=CONFIG)
    heard: list[TaskQueued] = []
    service_of(app).bus.subscribe(TaskQueued, heard.append)
    with app.test_request_context("/pets"):
        queued = task(1)
    assert queued is not None
    assert heard[0].request_id
    assert (service_of(app).config.folder / ".pym" / "tasks.sqlite3").exists()


def test_a_call_costs_little_beside_plain_celery(
    make_service: MakeService, task: AsyncTask[..., None], redis_broker: Broker
) -> None:
    """Queueing takes about as much of the processor's time as Celery's own call that does as much, in turns with it."""
    app = make_service(config=f"{CONFIG}task_queue: cost\nbroker_url: {redis_broker.url}\n")
    with Celery("plain", broker=redis_broker.url, set_as_current=False) as celery, app.app_context():
        celery.conf.update(task_default_queue="plain", task_ignore_result=True, result_backend="disabled://")
        plain = celery.task(name="plain.note")(note)
        costs_s: dict[Callable[[int], object], list[float]] = {task.queue: [], plain.delay: []}
        for number in range(100):
            for call, taken_s in costs_s.items():
                before = time.process_time()
                call(number)
                taken_s.append(time.process_time() - before)
    ours_s, plain_s = map(statistics.median, costs_s.values())
    assert ours_s < 1.5 * plain_s, f"{ours_s * 1000:.3f} ms, Celery {plain_s * 1000:.3f} ms"


def test_a_broker_that_is_down_is_told_within_a_second(tmp_path: Path, make_service: MakeService) -> None:
    """The call fails with 503 and says what is down; the next fails at once; later the broker is asked again."""
    task = asynctask()(note)
    with run_redis(tmp_path / "redis") as broker:
        app = make_service(config=f"{CONFIG}broker_url: {broker.url}\n")
        with app.app_context():
            task.queue(1)
            broker.stop()
            before = time.monotonic()
            with pytest.raises(
                TaskBrokerError, match=r"The task was not queued: redis://127\.0\.0\.1:\d+ does not"
            ) as told:
                task.queue(2)
            assert time.monotonic() - before < 3
            assert (told.value.status, told.value.headers) == (503, {"Retry-After": "1"})
            before = time.monotonic()
            with pytest.raises(TaskBrokerError):
                task.queue(3)
            assert time.monotonic() - before < 1
            broker.start()
            time.sleep(1)
            assert task.queue(4).name == task.name
    del TASKS[task.name]


def test_a_file_that_is_locked_is_told_within_a_second(make_service: MakeService, task: AsyncTask[..., None]) -> None:
    """The embedded broker's file fails as a server that is down does, for many requests at once too; then it works."""
    app = make_service(config=f"{CONFIG}task_status: true\n")

    def call(number: int) -> str:
        with app.app_context():
            try:
                return task.queue(number).name
            except TaskBrokerError as error:
                return f"{error.status}: {error}"

    assert call(1) == task.name
    file = service_of(app).config.folder / ".pym" / "tasks.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(call, range(8)))
        assert time.monotonic() - before < 5  # two waits of 0.7 s at most; in a row they would take longer
        assert all(answer.startswith("503: The task was not queued") for answer in answers), answers
        other.execute("ROLLBACK")
        time.sleep(1)
        assert call(2) == task.name
    with closing(sqlite3.connect(file)) as reader:
        assert reader.execute("SELECT count(*) FROM messages").fetchone() == (2,)


def test_a_broker_that_is_full_is_told(
    make_service: MakeService, task: AsyncTask[..., None], redis_broker: Broker
) -> None:
    """A broker that answers, and takes no message, makes the call fail as one that is down does."""
    app = make_service(config=f"{CONFIG}broker_url: {redis_broker.url}\n")
    with Redis.from_url(redis_broker.url) as client, app.app_context():
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(TaskBrokerError, match="The task was not queued"):
                task.queue(1)
        finally:
            client.config_set("maxmemory", "0")


@pytest.mark.parametrize("scheme", ["redis", "amqp", "sqs"])
def test_a_broker_that_says_nothing_is_told_within_a_second(
    make_service: MakeService, task: AsyncTask[..., None], scheme: str
) -> None:
    """A server that accepts and never answers keeps nobody waiting."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        address = f"{'key:secret@' if scheme == 'sqs' else ''}127.0.0.1:{silent.getsockname()[1]}/0"
        app = make_service(config=f"{CONFIG}{SQS_OPTIONS if scheme == 'sqs' else ''}broker_url: {scheme}://{address}\n")
        before = time.monotonic()
        with app.app_context(), pytest.raises(TaskBrokerError):
            task.queue(1)
        assert time.monotonic() - before < 5  # a second, and what a busy machine adds; without limits a minute and more


@pytest.mark.parametrize("url", ["redis//host", "carrier-pigeon://host"])
def test_an_address_that_is_none_stops_the_start(make_service: MakeService, url: str) -> None:
    """A service that declares tasks does not start with a broker_url that nobody understands."""
    handlers = "from pymacaron import asynctask\n\n@asynctask()\ndef later():\n    ...\n"
    pets = "\n".join(f"def {name}(*a, **k): ..." for name in ("list_pets", "create_pet", "get_pet", "delete_pet"))
    try:
        with pytest.raises(ConfigError, match="broker_url: it is no address of a broker"):
            make_service(
                handlers=handlers + pets.replace("*a, **k", "body=None, **k"), config=f"{CONFIG}broker_url: {url}\n"
            )
    finally:
        for name in [name for name in TASKS if name.startswith("handlers_")]:
            del TASKS[name]


@pytest.mark.parametrize("option", ['idempotency_key="k"', 'every="1h"'])
def test_keys_without_a_place_stop_the_start(make_service: MakeService, option: str) -> None:
    """A service whose tasks need keys does not start on a broker that keeps none; its tasks would fail one by one."""
    handlers = f"from pymacaron import asynctask\n\n@asynctask({option})\ndef later():\n    ...\n"
    pets = "\n".join(
        f"def {name}(body=None, **k): ..." for name in ("list_pets", "create_pet", "get_pet", "delete_pet")
    )
    try:
        with pytest.raises(
            ConfigError, match=r"result_backend: amqp://host keeps no states of tasks and no idempotency"
        ):
            make_service(handlers=handlers + pets, config=f"{CONFIG}broker_url: amqp://host//\n")
    finally:
        for name in [name for name in TASKS if name.startswith("handlers_")]:
            del TASKS[name]


@pytest.mark.parametrize("option", ["broker_url", "result_backend"])
@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:first/second@host//",
        "redis://:first#second@host:6379/0",
        "redis://:12#second@host:6379/0",
        "redis://:first?second@host:6379/0",
        "amqp://user:first@second/third@host//",
        "amqp://user:fi[rs]t@second//",
        "amqp://user:pass@fi℀rst//",
        "first@second",
    ],
)
def test_no_part_of_a_password_is_shown(make_service: MakeService, url: str, option: str) -> None:
    """An address that a password makes unreadable is told with what to do; neither it nor its cause is shown."""
    broker = "broker_url: amqp://h\n" if option == "result_backend" else ""
    with pytest.raises(ConfigError) as told:
        queue_of(service_of(make_service(config=f'{CONFIG}{broker}{option}: "{url}"\n')))
    assert str(told.value).startswith(f"{option}: it ")
    assert (told.value.__cause__, told.value.__context__) == (None, None)
    assert not any(part in str(told.value) for part in ("first", "second", "third", "fi[", "12", "host", "user"))


def test_addresses_are_shown_without_passwords(tmp_path: Path) -> None:
    """Logs and errors name the servers."""
    url = "sentinel://:secret@one:26379;sentinel://:secret@two:26379"
    settings = TaskSettings.of(PymConfig(folder=tmp_path, name="shop", broker_url=SecretStr(url)))
    assert settings.shown_broker == "sentinel://one:26379, sentinel://two:26379"


def test_services_behind_one_sentinel_do_not_share_what_they_took(tmp_path: Path) -> None:
    """Where kombu's own transport is used, its notes of what was taken have the service's name too."""
    settings = TaskSettings.of(PymConfig(folder=tmp_path, name="shop", broker_url=SecretStr("sentinel://one:26379")))
    options = build_celery(settings).conf.broker_transport_options
    assert [options[f"unacked{part}_key"] for part in ("", "_index", "_mutex")] == [
        "pymacaron:shop:unacked",
        "pymacaron:shop:unacked_index",
        "pymacaron:shop:unacked_mutex",
    ]


def test_a_child_queues_although_its_parent_was_about_to(make_service: MakeService) -> None:
    """A process that was forked while another thread made the queue of its service does not wait for that thread."""
    service = service_of(make_service(config=CONFIG))
    with queue._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(5)  # ends it, if it waits
            queue_of(service)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_messages_show_shapes_only(make_service: MakeService, task: AsyncTask[..., None]) -> None:
    """What Celery and its tools log of a message says the types of arguments, not their values."""
    app = make_service(config=CONFIG)
    with app.app_context():
        task.queue(1, text="secret")
    file = sys.modules["pymacaron.tasks.sqlite_file"].open_file(queue_of(service_of(app)).settings.broker)
    ((payload,),) = file.run("SELECT payload FROM messages")
    assert '"argsrepr": "(int, str[6])"' in payload
    assert "secret" not in payload.partition('"headers"')[2].partition('"properties"')[0]
