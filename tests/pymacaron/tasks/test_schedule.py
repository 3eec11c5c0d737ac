"""Scheduled tasks are queued when they are due, by one worker of many."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from task_lab import CONFIG, Broker

from pymacaron import asynctask, service_of
from pymacaron.tasks import TASKS, AsyncTask, schedule
from pymacaron.tasks.celery_app import build_celery
from pymacaron.tasks.keys import SqliteKeys, open_keys
from pymacaron.tasks.schedule import Schedule
from pymacaron.tasks.settings import TaskSettings, make_embedded
from pymacaron_testing.tasks import recorded_tasks

MakeService = Callable[..., Flask]


def tick() -> None:
    """Do nothing."""


@pytest.fixture
def declare() -> Iterator[Callable[..., AsyncTask[..., Any]]]:
    """Return a function that declares the one scheduled task."""
    known = dict(TASKS)
    TASKS.clear()
    yield lambda **options: asynctask(**options)(tick)
    TASKS.clear()
    TASKS.update(known)


@pytest.fixture
def schedules(make_service: MakeService, tmp_path: Path) -> tuple[Flask, list[Schedule]]:
    """Return an app and the schedules of two workers."""
    app = make_service(config=CONFIG)
    service = service_of(app)
    celery = build_celery(TaskSettings.of(service.config))
    keys = [SqliteKeys(make_embedded(tmp_path / "keys.sqlite3")) for _ in range(2)]
    return app, [Schedule(service, celery, own) for own in keys]


@pytest.mark.parametrize(
    ("options", "after", "due"),
    [
        ({"every": "5m"}, "2030-01-01T10:02:00", "2030-01-01T10:05:00"),
        ({"every": "5m"}, "2030-01-01T10:05:00", "2030-01-01T10:10:00"),
        ({"every": "1d"}, "2030-01-01T10:05:00", "2030-01-02T00:00:00"),
        ({"crontab": "30 4 * * *"}, "2030-01-01T04:29:59", "2030-01-01T04:30:00"),
        ({"crontab": "30 4 * * *"}, "2030-01-01T04:30:00", "2030-01-02T04:30:00"),
        ({"crontab": "0 4 * * mon"}, "2030-01-01T00:00:00", "2030-01-07T04:00:00"),
        ({"crontab": "*/15 * * * *"}, "2030-01-01T10:20:11", "2030-01-01T10:30:00"),
    ],
    ids=str,
)
def test_when_a_task_is_due_next(
    schedules: tuple[Flask, list[Schedule]],
    declare: Callable[..., AsyncTask[..., Any]],
    options: dict[str, Any],
    after: str,
    due: str,
) -> None:
    """Intervals are multiples since 1970, crontabs what cron means by them."""
    seconds = schedules[1][0].find_next(
        declare(**options), datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp()
    )
    assert datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat() == due


def test_one_of_many_workers_queues(
    schedules: tuple[Flask, list[Schedule]], declare: Callable[..., AsyncTask[..., Any]]
) -> None:
    """However often workers look, each due time is queued once, and nothing of before the task was known."""
    app, both = schedules
    declare(every=1)
    with recorded_tasks(app) as queued:
        pauses = [schedule.queue_due() for schedule in both]
        assert queued.calls == []
        assert all(0 <= pause <= 1 for pause in pauses)
        first = time.time()
        while time.time() < first + 2.5:
            for schedule in both:
                schedule.queue_due()
            time.sleep(0.02)
    assert len(queued.calls) in {1, 2, 3}  # a machine that stood still for a second misses a time


def test_services_on_one_redis_keep_their_own_times(
    make_service: MakeService, redis_broker: Broker, declare: Callable[..., AsyncTask[..., Any]]
) -> None:
    """Of two services with a task of the same name each queues it when it is due."""
    task = declare(every="1h")
    last = repr(time.time() - 3600)
    for _ in range(2):
        app = make_service(
            config=CONFIG.replace("shop\n", f"s{uuid4().hex}\n", 1) + f"broker_url: {redis_broker.url}\n"
        )
        settings = TaskSettings.of(service_of(app).config)
        keys = open_keys(settings)
        assert keys.claim(f"scheduled:{task.name}", last, 60)
        with recorded_tasks(app) as queued:
            Schedule(service_of(app), build_celery(settings), keys).queue_due()
        assert len(queued.calls) == 1


def test_what_was_missed_is_queued_once(
    schedules: tuple[Flask, list[Schedule]], declare: Callable[..., AsyncTask[..., Any]]
) -> None:
    """After a time without workers the task is queued once, not once for each time that was missed."""
    app, both = schedules
    task = declare(every="1h")
    both[0]._keys.put(f"scheduled:{task.name}", repr(time.time() - 10 * 3600), 60)
    with recorded_tasks(app) as queued:
        for schedule in both * 2:
            schedule.queue_due()
    assert len(queued.calls) == 1


def test_a_worker_that_dies_leaves_its_claim_to_another(
    schedules: tuple[Flask, list[Schedule]],
    declare: Callable[..., AsyncTask[..., Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a worker claimed, and was killed before it queued it, another one queues a little later; once."""
    monkeypatch.setattr(schedule, "CLAIM_S", 2.0)
    app, (first, second) = schedules
    task = declare(every="1h")
    first._keys.put(f"scheduled:{task.name}", repr(time.time() - 3600), 60)
    with recorded_tasks(app) as queued:
        monkeypatch.setattr(queued, "send", lambda _: sys.exit("killed"))
        with pytest.raises(SystemExit):
            first.queue_due()
        monkeypatch.delattr(queued, "send")
        second.queue_due()
        assert queued.calls == []
        time.sleep(2.1)
        for one in (second, first):
            one.queue_due()
    assert len(queued.calls) == 1
