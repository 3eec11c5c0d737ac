"""Tests of a service see what it queued, and run it in a thread."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr

from pymacaron import asynctask, create_app, service_of
from pymacaron.tasks import TASKS
from pymacaron_testing.tasks import QueuedTasks, TaskWorker

DOCUMENT = """\
openapi: 3.1.0
info: {title: Bills, version: "1"}
paths:
  /bills:
    post:
      operationId: send_bill
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Bill"}}}}
      responses:
        "202": {description: queued, content: {application/json: {schema: {type: object}}}}
components:
  schemas:
    Bill: {type: object, required: [to], properties: {to: {type: string}, due: {type: string, format: date}}}
"""
HANDLERS = """\
from decimal import Decimal

from pymacaron import asynctask, current_task

RUNS = []


@asynctask(autoretry_for=(ConnectionError,), max_retries=1, retry_backoff=0)
def mail(bill, amount, copies=1):
    RUNS.append((bill, amount, current_task().retries))
    if bill.to == "nobody":
        raise ConnectionError("no such address")
    return {"sent": copies}


def send_bill(body):
    return {"id": mail.queue(body, Decimal("9.50")).id}, 202
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """Build a service with a task."""
    (tmp_path / "apis").mkdir()
    (tmp_path / "apis" / "bills.yaml").write_text(DOCUMENT)
    (tmp_path / "bill_handlers.py").write_text(textwrap.dedent(HANDLERS))
    (tmp_path / "bill_server.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    import bill_server  # type: ignore[import-not-found]  # noqa: PLC0415 - written above

    yield create_app(bill_server.__name__, handlers="bill_handlers", debug=True)
    for name in ("bill_server", "bill_handlers"):
        del sys.modules[name]
    for name in [name for name in TASKS if name.startswith("bill_handlers.")]:
        del TASKS[name]


def test_a_worker_of_a_test_needs_no_server(app: Flask, task_worker: Callable[[Flask], TaskWorker]) -> None:
    """What the configuration names is not there in tests: keys too are kept beside the queue of the test."""
    service = service_of(app)
    config = {name: SecretStr("redis://127.0.0.1:1/0") for name in ("broker_url", "result_backend")}
    service.config = service.config.model_copy(update=config)
    task = asynctask(idempotency_key="once", name="bill_handlers.once")(sys.modules["bill_handlers"].RUNS.append)
    worker = task_worker(app)
    with app.app_context():
        assert [worker.wait_for(task.queue(number)).state for number in (1, 2)] == ["succeeded"] * 2
    assert sys.modules["bill_handlers"].RUNS == [1]


def test_what_was_queued_can_be_asserted(app: Flask, queued_tasks: Callable[[Flask], QueuedTasks]) -> None:
    """Each call is recorded with its typed arguments; nothing runs."""
    tasks = queued_tasks(app)
    tasks.assert_nothing_queued()
    answer = app.test_client().post("/bills", json={"to": "Ann", "due": "2030-01-02"})
    handlers = sys.modules["bill_handlers"]
    call = tasks.assert_queued(handlers.mail, amount=Decimal("9.50"), copies=1)
    assert (call.id, call.arguments["bill"].to, call.user_id) == (answer.get_json()["id"], "Ann", None)
    assert handlers.RUNS == []
    with pytest.raises(AssertionError, match=r"bill_handlers\.mail with \{'copies': 2\} was queued 0 times, not once"):
        tasks.assert_queued(handlers.mail, copies=2)
    with pytest.raises(AssertionError, match=r"these were: bill_handlers\.mail$"):
        tasks.assert_nothing_queued()


def test_a_worker_runs_tasks_in_a_thread(app: Flask, task_worker: Callable[[Flask], TaskWorker]) -> None:
    """What a request queues runs for real, with its repetitions; one waits for it by its id."""
    worker = task_worker(app)
    client = app.test_client()
    good = client.post("/bills", json={"to": "Ann"}).get_json()["id"]
    bad = client.post("/bills", json={"to": "nobody"}).get_json()["id"]
    status = worker.wait_for(good)
    assert (status.state, status.result) == ("succeeded", {"sent": 1})
    status = worker.wait_for(bad)
    assert (status.state, status.error) == ("failed", "ConnectionError")
    runs: list[Any] = sys.modules["bill_handlers"].RUNS
    assert [(bill.to, amount, retries) for bill, amount, retries in runs] == [
        ("Ann", Decimal("9.50"), 0),
        ("nobody", Decimal("9.50"), 0),
        ("nobody", Decimal("9.50"), 1),
    ]
    with pytest.raises(AssertionError, match=r"Task 1 is unknown after 0\.1 s"):
        worker.wait_for("1", timeout_s=0.1)
