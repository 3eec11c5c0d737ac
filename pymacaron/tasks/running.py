"""Runs a task in a worker: as its caller, with its events, repeated where it declares that, told where it fails."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore, Reject, Retry
from celery.utils.time import get_exponential_backoff_interval

from pymacaron.exceptions import TaskArgumentError
from pymacaron.tasks.arguments import encode
from pymacaron.tasks.caller import Caller
from pymacaron.tasks.current import RunningTask, running_var
from pymacaron.tasks.idempotency import Claim
from pymacaron.tasks.outcome import Outcome

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
    limit_s = (request.timelimit or [None])[0] or service.config.task_time_limit
    with caller.acting(service, for_s=limit_s):
        token = running_var.set(running)
        try:
            _TaskRun(service, task, running, message, limit_s).run()
        finally:
            running_var.reset(token)


class _TaskRun:
    """One run of a task."""

    def __init__(
        self,
        service: Service,
        task: AsyncTask[..., Any],
        running: RunningTask,
        message: JsonObject,
        limit_s: float,
    ) -> None:
        self._service = service
        self._task = task
        self._running = running
        self._message = message
        self._limit_s = limit_s
        self._outcome = Outcome(service, running, message)

    def run(self) -> None:
        started_s = time.perf_counter()
        self._outcome.begin()
        try:
            result = self._call()
        except (Retry, Ignore, Reject) as again:
            error = again.exc if isinstance(again, Retry) else None
            self._outcome.end("retried", time.perf_counter() - started_s, error)
            raise
        except (SystemExit, KeyboardInterrupt):
            raise  # the process ends; the main process queues the task again and tells it
        except BaseException as error:
            self._outcome.end("failed", time.perf_counter() - started_s, error)
            raise
        self._outcome.end("succeeded", time.perf_counter() - started_s, result=result)

    def _call(self) -> Json:
        """Call the function; repeat the task where it fails in a way that the declaration names."""
        claim = Claim.of(self._service, self._message.get("key"), self._running, self._limit_s)
        if claim is not None and not claim.take():
            return None
        try:
            args, kwargs = self._task.unpack(self._message)
            result = self._task.function(*args, **kwargs)
        except BaseException as error:
            if claim is not None:
                claim.release()
            if not self._is_repeated(error):
                raise
            raise self._running.repeat(self._find_pause(), error) from error
        if claim is not None:
            claim.finish()
        return self._pack(result)

    def _is_repeated(self, error: BaseException) -> bool:
        options = self._task.options.celery
        if isinstance(error, (Retry, Ignore, Reject)):
            return False  # the function has said already what is to become of it
        repeated, other = (tuple(options.get(name) or ()) for name in ("autoretry_for", "dont_autoretry_for"))
        is_named = isinstance(error, repeated) and not isinstance(error, other)
        return is_named and self._running.retries < options["max_retries"]

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
        if not self._outcome.is_shown or result is None:
            return None
        try:
            return encode(result, f"{self._task.name}: its result")
        except TaskArgumentError as error:
            log.warning("The result is not shown to clients: %s", error)
            return None
