"""A task runs as its caller, and once where it says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from task_lab import CONFIG

from pymacaron import KeyInUseError, asynctask, run_once, service_of
from pymacaron.auth import generate_token, get_user_token, get_user_token_data, get_userid, load_auth_token
from pymacaron.events import TaskFinished, TaskStarted
from pymacaron.log import current_request_id, current_trace, restored_context
from pymacaron.tasks import TASKS, AsyncTask
from pymacaron.tasks.caller import Caller
from pymacaron.tasks.queue import queue_of
from pymacaron_testing.tasks import running_worker

MakeService = Callable[..., Flask]
RUNS: list[Any] = []


def work(number: int) -> int:
    """Note that it ran."""
    RUNS.append(number)
    time.sleep(0.05)
    return number


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Leave no task and no run to other tests."""
    known = dict(TASKS)
    RUNS.clear()
    yield
    TASKS.clear()
    TASKS.update(known)


@pytest.fixture
def app(make_service: MakeService) -> Flask:
    """Return a service."""
    return make_service(config=CONFIG)


def test_of_tasks_with_one_key_one_runs(app: Flask, tmp_path: Path) -> None:
    """Tasks with the same idempotency key succeed, and the work is done once; events tell of each run."""
    task: AsyncTask[..., int] = asynctask(idempotency_key=lambda number: f"work-{number}")(work)
    heard: list[TaskStarted | TaskFinished] = []
    service_of(app).bus.subscribe(TaskStarted, heard.append)
    service_of(app).bus.subscribe(TaskFinished, heard.append)
    with running_worker(app, tmp_path) as worker, app.app_context():
        queued = [task.queue(7), task.queue(7), task.queue(8)]
        states = [worker.wait_for(one).state for one in queued]
    assert states == ["succeeded"] * 3
    assert sorted(RUNS) == [7, 8]
    finished = [event for event in heard if isinstance(event, TaskFinished)]
    assert [(event.name, event.state, event.retries) for event in finished] == [(task.name, "succeeded", 0)] * 3
    assert {event.task_id for event in heard} == {one.id for one in queued}
    assert all(event.wait_s >= 0 for event in heard)


def test_run_once_returns_what_the_first_run_returned(app: Flask) -> None:
    """The function is called once for a key; one that fails leaves the key to the next; a busy key is told."""

    def fail() -> int:
        raise ValueError("no")

    def again() -> int:
        return run_once("inner", again)

    with app.app_context():
        queue_of(service_of(app))
        with pytest.raises(ValueError, match="no"):
            run_once("key", fail)
        assert [run_once("key", lambda: 1), run_once("key", lambda: 2)] == [1, 1]
        with pytest.raises(KeyInUseError, match="inner is being worked on elsewhere"):
            run_once("inner", again)


def test_a_caller_is_in_force_again(app: Flask) -> None:
    """User, token, URL, request id and trace are those of the request that called."""
    trace = f"00-{'a' * 32}-{'b' * 16}-01"
    with app.app_context():
        token = generate_token("alice", data={"role": "admin"})
    with restored_context({}), app.test_request_context("/orders?page=2", base_url="https://shop.test:8443"):
        load_auth_token(token)
        data = {**Caller.capture().to_json(), "context": {"request_id": "r-9", "traceparent": trace}}
    caller = Caller.from_json(data)
    assert caller.user_id == "alice"
    with caller.acting(service_of(app), for_s=60):
        assert (get_userid(), get_user_token(), get_user_token_data()["role"]) == ("alice", token, "admin")
        assert request.url == "https://shop.test:8443/orders?page=2"
        assert current_request_id() == "r-9"
        found = current_trace()
        assert found is not None
        assert found.trace_id == "a" * 32


def test_a_token_that_would_expire_is_renewed(app: Flask) -> None:
    """A token that does not last as long as the task is replaced by one with the same claims that does."""
    with app.app_context():
        token = generate_token("alice", expire_in=30, data={"role": "admin"})
    with restored_context({}), app.test_request_context("/"):
        load_auth_token(token)
        caller = Caller.capture()
    with caller.acting(service_of(app), for_s=600):
        renewed = get_user_token()
        assert renewed != token
        claims = load_auth_token(renewed, load=False)
        assert (claims["sub"], claims["role"]) == ("alice", "admin")
        assert claims["exp"] > time.time() + 600
        assert get_user_token_data()["exp"] == claims["exp"]
    with caller.acting(service_of(app), for_s=5):
        assert get_user_token() == token
