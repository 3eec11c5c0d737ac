"""Workers run what was queued, as its caller, and lose nothing when they are stopped or killed; on every broker."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from task_lab import Lab

MakeLab = Callable[..., Lab]


def test_tasks_run_as_their_caller(make_lab: MakeLab, broker_url: str | None) -> None:
    """What a request queues runs in a worker: with typed arguments, user, token, URL and request id of the request."""
    lab = make_lab(broker_url)
    lab.run(
        "from pymacaron.auth import generate_token\n"
        "headers = {'Authorization': 'Bearer ' + generate_token('alice'), 'X-Request-Id': 'r-1'}\n"
        "answer = app.test_client().post('/orders?from=shop', json={'name': 'tea', 'count': 3}, headers=headers)\n"
        "assert answer.status_code == 202, answer.text"
    )
    lab.start_worker()
    (line,) = lab.wait_for(bool)
    assert line == "shipped Order tea 3 alice http://localhost/orders?from=shop r-1 True"


def test_failing_tasks_are_repeated_as_often_as_declared(make_lab: MakeLab, broker_url: str | None) -> None:
    """A run that fails as declared is repeated later, until max_retries; then the failure is reported."""
    lab = make_lab(broker_url)
    lab.run("handlers.fail.queue(1)")
    lab.start_worker()
    lab.wait_for(lambda lines: "run-1-2" in lines)
    assert lab.read() == {"run-1-0": 1, "run-1-1": 1, "run-1-2": 1}
    lab.wait_for(lambda _: "TASK_FAILED: ConnectionError in handlers.fail" in lab.read_logs())
    assert "nobody answers" not in [line for line in lab.read_logs().splitlines() if "celery" in line]


def test_a_task_whose_process_dies_runs_again(make_lab: MakeLab, broker_url: str | None) -> None:
    """A killed process takes no task along: another one runs it, and the loss is reported."""
    lab = make_lab(broker_url)
    lab.run("handlers.die.queue(1)")
    lab.start_worker()
    assert lab.wait_for(lambda lines: "end-1" in lines) == {"begin-1": 2, "end-1": 1}
    lab.wait_for(lambda _: "TASK_LOST: WorkerLostError in handlers.die" in lab.read_logs())


def test_a_killed_worker_gives_its_tasks_to_another(make_lab: MakeLab, broker_url: str | None) -> None:
    """What a worker had taken when it was killed as a whole is run by the next one."""
    lab = make_lab(broker_url)
    lab.run("for number in range(4): handlers.hold.queue(number, 3 if number == 0 else 0)")
    worker = lab.start_worker()
    lab.wait_for(lambda lines: "begin-0" in lines)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    lab.start_worker()
    ended = lab.wait_for(lambda lines: sum(line.startswith("end-") for line in lines) == 4, timeout_s=60)
    assert {line for line in ended if line.startswith("end-")} == {f"end-{number}" for number in range(4)}


def test_term_finishes_what_runs_and_leaves_what_waits(make_lab: MakeLab, broker_url: str | None) -> None:
    """A worker that is told to stop ends its running task, takes no other, and leaves the rest in the queue."""
    lab = make_lab(broker_url)
    lab.run("for number in range(3): handlers.hold.queue(number, 2 if number == 0 else 0)")
    worker = lab.start_worker()
    lab.wait_for(lambda lines: "begin-0" in lines)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    assert lab.read() == {"begin-0": 1, "end-0": 1}
    lab.start_worker()
    assert lab.wait_for(lambda lines: len(lines) == 6) == dict.fromkeys(
        [f"{word}-{number}" for word in ("begin", "end") for number in range(3)], 1
    )


def test_a_task_that_does_not_end_in_time_goes_back(make_lab: MakeLab, broker_url: str | None) -> None:
    """After task_stop_timeout a stopped worker gives back what still runs."""
    lab = make_lab(broker_url, "task_stop_timeout: 1\n")
    lab.run("handlers.hold.queue(0, 30)")
    worker = lab.start_worker()
    lab.wait_for(lambda lines: "begin-0" in lines)
    started = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=25)
    assert time.monotonic() - started < 15
    lab.start_worker()
    lab.wait_for(lambda lines: lines["begin-0"] == 2)


def test_a_task_beyond_its_time_limit_is_killed_and_reported(make_lab: MakeLab, broker_url: str | None) -> None:
    """A task that hangs is ended at its time_limit, is not run again, and others run after it."""
    lab = make_lab(broker_url)
    lab.run("handlers.take_for_ever.queue(1)\nhandlers.record.queue(2)")
    lab.start_worker()
    lab.wait_for(lambda lines: "2" in lines)
    lab.wait_for(lambda _: "TASK_FAILED: TimeoutError in handlers.take_for_ever" in lab.read_logs())
    assert lab.read() == {"begin-1": 1, "SoftTimeLimitExceeded-1": 1, "2": 1}
