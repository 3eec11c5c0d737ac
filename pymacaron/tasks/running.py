"""Runs a task in a worker: as its caller, with its events, repeated where it declares that, told where it fails."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore, Reject, Retry
from celery.utils.time import get_exponential_backoff_interval

from pymacaron.crash import report_error
from pymacaron.events import TaskFinished, TaskStarted, TaskState
from pymacaron.exceptions import PyMacaronException, TaskArgumentError
from pymacaron.tasks.arguments import encode
from pymacaron.tasks.caller import Caller
from pymacaron.tasks.current import RunningTask, running_var
from pymacaron.tasks.idempotency import Claim
from pymacaron.tasks.queue import describe_arguments, queue_of
from pymacaron.tasks.status import TaskStatus

if TYPE_CHECKING:
    from celery import Task as CeleryTask

    from pymacaron.json_types import Json, JsonObject
    from pymacaron.service import Service
    from pymacaron.tasks.declaration import AsyncTask

log = logging.getLogger(__name__)


def run_packed(service: Service, task: AsyncTask[..., Any], celery_task: CeleryTask, message: JsonObject) -> None:
    """Run *task* with a message that `TaskQueue.put` made. Raises what the function raises, and Celery's Retry."""
    request = celery_task.request
    caller = Caller.from_json(message["caller"])
    due_s = datetime.fromisoformat(request.eta).timestamp() if request.eta else message["queued_at"]
    queue = (request.delivery_info or {}).get("routing_key") or ""
    running = RunningTask(
        request.id, task.name, queue, request.retries, caller, max(0.0, time.time() - due_s), celery_task
    )
    limit_s = (request.timelimit or [None])[0] or task.options.celery.get("time_limit")
    with caller.acting(service, for_s=limit_s or service.config.task_time_limit):
        token = running_var.set(running)
        try:
            _TaskRun(service, task, running, message).run()
        finally:
            running_var.reset(token)


class _TaskRun:
    """One run of a task."""

    def __init__(self, service: Service, task: AsyncTask[..., Any], running: RunningTask, message: JsonObject) -> None:
        self._service = service
        self._task = task
        self._running = running
        self._message = message
        self._status = queue_of(service).status

    def run(self) -> None:
        running = self._running
        started_s = time.perf_counter()
        self._service.bus.emit(
            TaskStarted(
                running.id,
                running.name,
                running.queue,
                running.wait_s,
                running.retries,
                running.caller.request_id,
                running.caller.user_id,
            )
        )
        self._note("running")
        try:
            result = self._call()
        except (Retry, Ignore, Reject) as again:
            self._finish("retried", started_s, again.exc if isinstance(again, Retry) else None)
            self._note("queued")
            raise
        except (SystemExit, KeyboardInterrupt):
            raise  # the process ends; the main process queues the task again and tells it
        except BaseException as error:
            self._finish("failed", started_s, error)
            self._note("failed", error=error.code if isinstance(error, PyMacaronException) else type(error).__name__)
            self._report(error)
            raise
        self._finish("succeeded", started_s, None)
        self._note("succeeded", result=result)

    def _call(self) -> Json:
        """Call the function; repeat the task where it fails in a way that the declaration names."""
        options = self._task.options.celery
        claim = Claim.of(self._service, self._message.get("key"), self._running)
        if claim is not None and not claim.take():
            return None
        try:
            args, kwargs = self._task.unpack(self._message)
            result = self._task.function(*args, **kwargs)
        except BaseException as error:
            if claim is not None:
                claim.release()
            repeated = tuple(options.get("autoretry_for") or ())
            is_repeated = isinstance(error, repeated) and not isinstance(error, options.get("dont_autoretry_for") or ())
            if not is_repeated or self._running.retries >= options["max_retries"]:
                raise
            raise self._running.repeat(self._find_pause(), error) from error
        if claim is not None:
            claim.finish()
        return self._pack(result)

    def _find_pause(self) -> float:
        options = self._task.options.celery
        factor = options["retry_backoff"]
        if not factor:
            return 0.0
        return float(
            get_exponential_backoff_interval(
                factor=int(max(1, factor)),
                retries=self._running.retries,
                maximum=options["retry_backoff_max"],
                full_jitter=options["retry_jitter"],
            )
        )

    def _pack(self, result: object) -> Json:
        if self._status is None or result is None:
            return None
        try:
            return encode(result, f"{self._task.name}: its result")
        except TaskArgumentError as error:
            log.warning("The result is not shown to clients: %s", error)
            return None

    def _note(self, state: Any, *, result: Json = None, error: str | None = None) -> None:
        if self._status is None:
            return
        running = self._running
        finished_at = time.time() if state in {"succeeded", "failed"} else None
        try:
            self._status.put(
                TaskStatus(
                    running.id,
                    running.name,
                    state,
                    self._message["queued_at"],
                    running.caller.user_id,
                    finished_at,
                    result,
                    error,
                )
            )
        except PyMacaronException as lost:  # the task matters more than what is told of it
            log.warning("The state of task %s is not kept: %s", running.id, lost)

    def _finish(self, state: TaskState, started_s: float, exception: BaseException | None) -> None:
        running = self._running
        duration_s = time.perf_counter() - started_s
        log.info("Task %s (%s) %s in %.3f s", running.name, running.id, state, duration_s)
        self._service.bus.emit(
            TaskFinished(
                running.id,
                running.name,
                running.queue,
                state,
                duration_s,
                running.wait_s,
                running.retries,
                running.caller.request_id,
                running.caller.user_id,
                exception,
            )
        )

    def _report(self, error: BaseException) -> None:
        running = self._running
        report_error(
            f"TASK_FAILED: {type(error).__name__} in {running.name}",
            {
                "task": running.name,
                "task_id": running.id,
                "queue": running.queue,
                "retries": running.retries,
                "arguments": describe_arguments(self._message),
            },
            error,
        )
