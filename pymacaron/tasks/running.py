"""Runs a task in a worker: as its caller, with its events, repeated where it declares that, told where it fails."""

from __future__ import annotations

import inspect
import logging
import random
import time
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore, Reject, Retry

from pymacaron.exceptions import TaskArgumentError
from pymacaron.tasks.arguments import encode
from pymacaron.tasks.caller import Caller
from pymacaron.tasks.current import RunningTask, running_var
from pymacaron.tasks.idempotency import Claim
from pymacaron.tasks.messages import find_due
from pymacaron.tasks.outcome import Outcome

if TYPE_CHECKING:
    from celery import Task as CeleryTask

    from pymacaron.json_types import Json, JsonObject
    from pymacaron.service import Service
    from pymacaron.tasks.declaration import AsyncTask

log = logging.getLogger(__name__)

_MOST_DOUBLINGS = 60


def run_packed(service: Service, task: AsyncTask[..., Any], celery_task: CeleryTask, message: JsonObject) -> None:
    """Run *task* with a message that `TaskQueue.put` made. Raises what the function raises, and Celery's Retry."""
    request = celery_task.request
    caller = Caller.from_json(message["caller"])
    due_s = find_due({"eta": request.eta}) or message["queued_at"]
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
        except (Retry, Ignore, Reject) as wish:
            is_again = isinstance(wish, Retry) or (isinstance(wish, Reject) and wish.requeue)
            error = wish.exc if isinstance(wish, Retry) else None if is_again else wish
            self._outcome.end("retried" if is_again else "failed", time.perf_counter() - started_s, error)
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
            result = _demand_plain(self._task.function(*args, **kwargs))
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
        most = options["max_retries"]
        return is_named and (most is None or self._running.retries < most)

    def _find_pause(self) -> float:
        options = self._task.options.celery
        doubled = min(self._running.retries, _MOST_DOUBLINGS)
        longest_s = min(options["retry_backoff_max"], options["retry_backoff"] * 2.0**doubled)
        return random.uniform(0, longest_s) if options["retry_jitter"] else longest_s  # noqa: S311 - only spreads them

    def _pack(self, result: object) -> Json:
        if not self._outcome.is_shown or result is None:
            return None
        try:
            return encode(result, f"{self._task.name}: its result")
        except TaskArgumentError as error:
            log.warning("The result is not shown to clients: %s", error)
            return None


def _demand_plain(result: object) -> object:
    """Return *result*. Raises: TypeError: it is only the beginning of a call, which nobody would await."""
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("A task has returned a coroutine; a worker calls plain functions")
    return result
