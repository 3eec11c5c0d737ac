"""Tells what becomes of a run of a task: by events, to clients who ask, in the log, and in reports of errors."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Literal

from pymacaron.crash import report_error
from pymacaron.events import TaskFinished, TaskStarted, TaskState
from pymacaron.exceptions import PyMacaronException
from pymacaron.tasks.queue import describe_arguments, queue_of
from pymacaron.tasks.status import TaskStatus

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.service import Service
    from pymacaron.tasks.current import RunningTask

log = logging.getLogger(__name__)


class Outcome:
    """What becomes of one run."""

    def __init__(self, service: Service, running: RunningTask, message: JsonObject) -> None:
        """Take the run, and the message that `TaskQueue.put` made."""
        self._service = service
        self._running = running
        self._message = message
        self._status = queue_of(service).status

    @property
    def is_shown(self) -> bool:
        """Tell whether clients may ask for the result."""
        return self._status is not None

    def begin(self) -> None:
        """Tell that the run begins."""
        running, caller = self._running, self._running.caller
        self._service.bus.emit(
            TaskStarted(
                running.id,
                running.name,
                running.queue,
                running.wait_s,
                running.retries,
                caller.request_id,
                caller.user_id,
            )
        )
        self._note("running")

    def end(
        self, state: TaskState, duration_s: float, error: BaseException | None = None, *, result: Json = None
    ) -> None:
        """Tell how it ended. What failed, or was lost, is reported; *error* says why, also of what is retried."""
        running, caller = self._running, self._running.caller
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
                caller.request_id,
                caller.user_id,
                error,
            )
        )
        if state == "succeeded":
            self._note("succeeded", result=result)
        elif state in {"failed", "expired"}:
            self._note("failed", error=error.code if isinstance(error, PyMacaronException) else type(error).__name__)
        else:
            self._note("queued")  # by the time this is noted, another worker may have run it
        if state in {"failed", "lost"}:
            self._report(state, error)

    def _note(
        self,
        state: Literal["queued", "running", "succeeded", "failed"],
        *,
        result: Json = None,
        error: str | None = None,
    ) -> None:
        if self._status is None:
            return
        running = self._running
        finished_at = time.time() if state in {"succeeded", "failed"} else None
        queued_at, user_id = self._message["queued_at"], running.caller.user_id
        status = TaskStatus(running.id, running.name, state, queued_at, user_id, finished_at, result, error)
        try:
            (self._status.note_again if state == "queued" else self._status.put)(status)
        except PyMacaronException as lost:  # the task matters more than what is told of it
            log.warning("The state of task %s is not kept: %s", running.id, lost)

    def _report(self, state: TaskState, error: BaseException | None) -> None:
        running = self._running
        facts = {
            "task": running.name,
            "task_id": running.id,
            "queue": running.queue,
            "retries": running.retries,
            "arguments": describe_arguments(self._message),
        }
        title = f"TASK_{state.upper()}: {type(error).__name__} in {running.name}"
        report_error(title, facts, error, state == "failed")
