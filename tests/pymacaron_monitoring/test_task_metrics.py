from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask

from pymacaron import asynctask
from pymacaron.events import Event, QueueMeasured, TaskFinished, TaskQueued, TaskStarted, TaskState
from pymacaron.service import service_of
from pymacaron.tasks import TASKS
from pymacaron_monitoring import metrics

MakeApp = Callable[..., Flask]
LABELS = 'queue="mails",task="send_mail"'


def run_task(state: TaskState = "succeeded", duration_s: float = 2.0) -> list[Event]:
    """Return the events of a task that waited for half a second."""
    return [
        TaskQueued("t-1", "send_mail", "mails"),
        TaskStarted("t-1", "send_mail", "mails", wait_s=0.5),
        TaskFinished("t-1", "send_mail", "mails", state, duration_s, wait_s=0.5),
    ]


def show(app: Flask, events: list[Event]) -> list[str]:
    """Emit the events; return the lines of the page that are about tasks, but for buckets."""
    metrics.init_app(app)
    for event in events:
        service_of(app).bus.emit(event)
    lines = app.test_client().get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith("celery_") and "_bucket" not in line]


def test_a_task_is_counted_from_queue_to_end(make_app: MakeApp) -> None:
    """Queued, waited, run, by outcome; the other outcomes are there at zero."""
    assert show(make_app(), run_task()) == [
        'celery_task_duration_seconds_count{queue="mails",state="succeeded",task="send_mail"} 1.0',
        'celery_task_duration_seconds_sum{queue="mails",state="succeeded",task="send_mail"} 2.0',
        'celery_task_duration_seconds_count{queue="mails",state="failed",task="send_mail"} 0.0',
        'celery_task_duration_seconds_sum{queue="mails",state="failed",task="send_mail"} 0.0',
        'celery_task_duration_seconds_count{queue="mails",state="retried",task="send_mail"} 0.0',
        'celery_task_duration_seconds_sum{queue="mails",state="retried",task="send_mail"} 0.0',
        'celery_task_duration_seconds_count{queue="mails",state="lost",task="send_mail"} 0.0',
        'celery_task_duration_seconds_sum{queue="mails",state="lost",task="send_mail"} 0.0',
        'celery_task_duration_seconds_count{queue="mails",state="expired",task="send_mail"} 0.0',
        'celery_task_duration_seconds_sum{queue="mails",state="expired",task="send_mail"} 0.0',
        f"celery_task_wait_seconds_count{{{LABELS}}} 1.0",
        f"celery_task_wait_seconds_sum{{{LABELS}}} 0.5",
        f"celery_tasks_queued_total{{{LABELS}}} 1.0",
        f"celery_active_tasks{{{LABELS}}} 0.0",
        f"celery_tasks_lost_total{{{LABELS}}} 0.0",
    ]


def test_failures_and_retries_are_apart(make_app: MakeApp) -> None:
    """Each run is counted with how it ended."""
    lines = show(make_app(), [*run_task("retried"), *run_task("failed")])
    counts = [line for line in lines if "duration_seconds_count" in line]
    assert [line.rpartition(" ")[2] for line in counts] == ["0.0", "1.0", "1.0", "0.0", "0.0"]


def test_a_running_task_is_seen(make_app: MakeApp) -> None:
    """Between its begin and its end a task is active."""
    assert f"celery_active_tasks{{{LABELS}}} 1.0" in show(make_app(), run_task()[:2])


def test_a_run_that_another_process_tells_of_ends_nothing_here(make_app: MakeApp) -> None:
    """The main process tells of a run whose process died: it is counted, and nothing runs less than nothing."""
    lines = show(make_app(), run_task("lost")[2:])
    assert f"celery_active_tasks{{{LABELS}}} 0.0" in lines
    assert 'celery_task_duration_seconds_count{queue="mails",state="lost",task="send_mail"} 1.0' in lines


def test_a_queue_shows_its_last_measurement(make_app: MakeApp) -> None:
    """Length and age are the newest; an age that the broker cannot tell is left as it was."""
    lines = show(make_app(), [QueueMeasured("mails", 9, 3.5), QueueMeasured("mails", 2, None)])
    assert lines == ['celery_queue_length{queue="mails"} 2.0', 'celery_oldest_message_age_seconds{queue="mails"} 3.5']


def test_tasks_are_bounded(make_app: MakeApp) -> None:
    """Without room in the budget a new task is counted with others like it."""
    lines = show(make_app(metrics_series_budget=1), run_task())
    assert 'celery_tasks_queued_total{queue="_OTHER",task="_OTHER"} 1.0' in lines
    assert not [line for line in lines if "send_mail" in line]


def test_declared_tasks_are_there_from_the_start(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that the service's modules declare stand at zero before the first runs; those of others do not."""
    app = make_app()
    module = ModuleType("service_tasks")
    module.__file__ = str(Path(app.root_path) / "service_tasks.py")
    monkeypatch.setitem(sys.modules, "service_tasks", module)
    for name, queue, home in (("tidy", "slow", "service_tasks"), ("other", "slow", "elsewhere")):

        def work() -> None: ...

        work.__module__, work.__qualname__ = home, name
        asynctask(queue=queue)(work)
    try:
        lines = show(app, [])
    finally:
        del TASKS["service_tasks.tidy"], TASKS["elsewhere.other"]
    assert 'celery_tasks_queued_total{queue="slow",task="service_tasks.tidy"} 0.0' in lines
    assert 'celery_task_duration_seconds_count{queue="slow",state="failed",task="service_tasks.tidy"} 0.0' in lines
    assert not any("elsewhere" in line for line in lines)
