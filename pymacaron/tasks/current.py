"""The task that runs now, for the function that it runs."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from celery import Task as CeleryTask

    from pymacaron.tasks.caller import Caller

LOSSES, UNKNOWN = "pymacaron_losses", "pymacaron_unknown"
COUNTERS = frozenset({LOSSES, UNKNOWN})
"""Headers in which a message says how often it came back without having been run to an end."""

QUEUED_AT = "pymacaron_queued_at"
"""Header that says when a task was queued, in seconds since 1970."""

running_var: ContextVar[RunningTask | None] = ContextVar("pymacaron_task", default=None)


@dataclass(frozen=True, slots=True)
class RunningTask:
    """The task that runs now. retries: runs of it that failed before. caller: who queued it."""

    id: str
    name: str
    queue: str
    retries: int
    caller: Caller
    wait_s: float
    celery_task: CeleryTask

    def retry(self, delay_s: float, error: BaseException | None = None) -> NoReturn:
        """End this run, and have the task run again after *delay_s*, however often it was repeated before."""
        raise self.repeat(delay_s, error)

    def repeat(self, delay_s: float, error: BaseException | None = None, *, is_counted: bool = True) -> Any:
        """Queue the task again, and return what has to be raised to end this run.

        is_counted: the next run is one of the task's repetitions.
        """
        from celery.exceptions import Reject, Retry  # noqa: PLC0415 - an optional dependency

        task = self.celery_task
        retries = self.retries + is_counted
        signature = task.signature_from_request(task.request, countdown=delay_s, retries=retries)
        headers = signature.options.get("headers") or {}
        signature.options["headers"] = {name: value for name, value in headers.items() if name not in COUNTERS}
        try:
            task.apply_async(signature.args, signature.kwargs, **signature.options)
        except Exception as lost:  # noqa: BLE001 - Celery's own retry would drop the task
            return Reject(lost, requeue=True)
        return Retry(exc=error, when=delay_s)


def current_task() -> RunningTask | None:
    """Return the task that runs now, None outside of one."""
    return running_var.get()
