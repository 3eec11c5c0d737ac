"""A task runs as its caller, and once where it says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Task
from celery.exceptions import Ignore, Reject
from flask import Flask, request
from task_lab import CONFIG

from pymacaron import KeyInUseError, asynctask, run_once, service_of
from pymacaron.auth import generate_token, get_user_token, get_user_token_data, get_userid, load_auth_token
from pymacaron.events import TaskFinished, TaskStarted
from pymacaron.exceptions import TaskBrokerError
from pymacaron.log import current_request_id, current_trace, restored_context
from pymacaron.tasks import TASKS, AsyncTask, RunningTask, idempotency
from pymacaron.tasks.caller import Caller
from pymacaron.tasks.consumer import TaskExpiredError
from pymacaron.tasks.idempotency import keys_of, replace_keys
from pymacaron.tasks.keys import KeyStore
from pymacaron.tasks.outcome import Outcome
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


class ShakyKeys:
    """Keys of which the first call of one operation gets no answer."""

    def __init__(self, keys: KeyStore, operation: str) -> None:
        """Take the *keys* behind it."""
        self._keys = keys
        self._failing = {operation}

    def _ask(self, operation: str) -> KeyStore:
        if operation in self._failing:
            self._failing.discard(operation)
            raise TaskBrokerError("no answer")
        return self._keys

    def claim(self, name: str, value: str, for_s: float) -> bool:
        """See KeyStore."""
        return self._ask("claim").claim(name, value, for_s)

    def replace(self, name: str, old: str, new: str, for_s: float) -> bool:
        """See KeyStore."""
        return self._ask("release" if not new else "finish" if new == "done" else "replace").replace(
            name, old, new, for_s
        )

    def put(self, name: str, value: str, for_s: float) -> None:
        """See KeyStore."""
        self._keys.put(name, value, for_s)

    def get(self, name: str) -> str | None:
        """See KeyStore."""
        return self._ask("get").get(name)


@pytest.mark.parametrize("operation", ["claim", "release", "finish"])
def test_keys_that_do_not_answer_lose_no_task(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """A task whose key cannot be claimed comes again; one whose end cannot be noted has ended as it did."""
    monkeypatch.setattr(idempotency, "_BUSY_PAUSE_S", 0.05)
    failures = ["nobody answers"] if operation == "release" else []

    def once(number: int) -> int:
        if failures:
            raise ConnectionError(failures.pop())
        return work(number)

    task = asynctask(idempotency_key="work", autoretry_for=(ConnectionError,), retry_backoff=0)(once)
    with running_worker(app, tmp_path) as worker, app.app_context():
        replace_keys(service_of(app), ShakyKeys(keys_of(service_of(app)), operation))
        status = worker.wait_for(task.queue(7))
    assert (status.state, status.error, RUNS) == ("succeeded", None, [7])


def test_work_that_cannot_be_noted_is_not_told_as_failed(app: Flask) -> None:
    """`run_once` returns what the function returned, and raises what it raised, whatever becomes of the note."""
    inner = keys_of(service_of(app))

    def fail() -> int:
        raise ValueError("no")

    with app.app_context():
        replace_keys(service_of(app), ShakyKeys(inner, "replace"))
        assert run_once("noted", lambda: 1) == 1
        replace_keys(service_of(app), ShakyKeys(inner, "release"))
        with pytest.raises(ValueError, match="no"):
            run_once("failed", fail)


async def _begin() -> int:
    return 1


def begin() -> Any:
    """Return what would have to be awaited, as a function under an old decorator does."""
    return _begin()


def refuse(kind: type[Exception]) -> None:
    """End by a word of Celery."""
    raise kind("no")


def connect() -> None:
    """Fail."""
    RUNS.append("connect")
    raise ConnectionError("nobody answers")


@pytest.mark.parametrize(
    ("function", "error"),
    [
        pytest.param(begin, "TypeError", id="coroutine"),
        pytest.param(lambda: refuse(Reject), "Reject", id="rejected"),
        pytest.param(lambda: refuse(Ignore), "Ignore", id="ignored"),
    ],
)
def test_what_did_not_run_to_its_end_has_failed(
    app: Flask, tmp_path: Path, function: Callable[[], object], error: str
) -> None:
    """A call that only began something has not succeeded; what Celery is told to drop is not waited for."""
    task = asynctask()(function)
    with running_worker(app, tmp_path) as worker, app.app_context():
        status = worker.wait_for(task.queue())
    assert (status.state, status.error) == ("failed", error)


@pytest.mark.parametrize("is_spread", [True, False])
def test_pauses_before_repetitions_may_be_parts_of_seconds(app: Flask, tmp_path: Path, is_spread: bool) -> None:
    """A task is repeated as often as it says, and told as failed with its own error."""
    task = asynctask(
        autoretry_for=(ConnectionError,),
        max_retries=2,
        retry_backoff=0.02,
        retry_backoff_max=0.03,
        retry_jitter=is_spread,
    )(connect)
    with running_worker(app, tmp_path) as worker, app.app_context():
        queued = task.queue()
        status = worker.wait_for(queued)
    assert (status.state, status.error, RUNS) == ("failed", "ConnectionError", ["connect"] * 3)


def test_a_task_whose_time_is_over_is_told(app: Flask, tmp_path: Path) -> None:
    """What was not run in time emits an event of its own, and is failed to those who wait for it."""
    slow: AsyncTask[..., int] = asynctask()(work)
    heard: list[TaskFinished] = []
    service_of(app).bus.subscribe(TaskFinished, heard.append)
    with running_worker(app, tmp_path) as worker, app.app_context():
        slow.queue(1)
        status = worker.wait_for(slow.with_options(expires=0.001).queue(2))
    assert (status.state, status.error, RUNS) == ("failed", "TaskExpiredError", [1])
    assert [(event.task_id, type(event.exception)) for event in heard if event.state == "expired"] == [
        (status.id, TaskExpiredError)
    ]


def test_a_run_that_is_repeated_does_not_hide_how_the_next_one_ended(make_service: MakeService) -> None:
    """A repetition may have ended before the run that asked for it is told of: its state stays."""
    service = service_of(make_service(config=f"{CONFIG}task_status: true\n"))
    store = queue_of(service).status
    assert store is not None
    caller = Caller({"request_id": "r-1"})
    running = RunningTask("t-1", "work", "q", 0, caller, 0.0, celery_task=Task())
    outcome = Outcome(service, running, {"queued_at": time.time(), "args": [], "kwargs": {}})
    states = []
    with service.app.app_context():
        outcome.end("retried", 0.1)
        states.append(store.get("t-1"))
        outcome.begin()
        outcome.end("retried", 0.1)
        states.append(store.get("t-1"))
        outcome.begin()
        outcome.end("succeeded", 0.1, result=3)
        outcome.end("lost", 0.1)
        states.append(store.get("t-1"))
    assert [status and status.state for status in states] == ["queued", "queued", "succeeded"]


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
