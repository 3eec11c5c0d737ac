"""What Celery does with messages and lost processes, where its own way would lose a task."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from billiard.exceptions import WorkerLostError
from celery import Task
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.request import Request

from pymacaron.crash import report_error
from pymacaron.events import TaskFinished, TaskState
from pymacaron.service import service_of
from pymacaron.tasks.caller import Caller
from pymacaron.tasks.queue import describe_arguments

if TYPE_CHECKING:
    from pymacaron.service import Service

log = logging.getLogger(__name__)

_UNKNOWN_PAUSE_S = 10.0
_MOST_UNKNOWN = 360  # an hour
_UNKNOWN_HEADER = "pymacaron_unknown"


class Consumer(CeleryConsumer):
    """Gives back tasks that this worker does not know: during a release another one does.

    Celery's own drops them. After an hour in which no worker knew a task it is put into ``<queue>.unknown``.
    """

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Publish the message again, to come back later."""
        headers = dict(message.headers)
        name, queue = headers["task"], message.delivery_info.get("routing_key")
        count = headers.get(_UNKNOWN_HEADER, 0) + 1
        headers[_UNKNOWN_HEADER] = count
        if count > _MOST_UNKNOWN:
            queue = f"{queue}.unknown"
            log.error("No worker knows the task %s; it is kept in the queue %s", name, queue)
        else:
            log.warning("This worker does not know the task %s; another one may", name)
            headers["eta"] = (datetime.now(UTC) + timedelta(seconds=_UNKNOWN_PAUSE_S)).isoformat()
        with self.app.producer_pool.acquire(block=True) as producer:
            producer.publish(
                message.body,
                routing_key=queue,
                declare=[self.app.amqp.queues[queue]],
                headers=headers,
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                correlation_id=message.properties.get("correlation_id"),
                delivery_mode=2,
                retry=True,
            )
        message.ack_log_error(log, self.connection_errors)


class TaskRequest(Request):
    """Tells of runs that ended together with their process: by a time limit, a signal or lack of memory."""

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 - Celery's signature
        """Tell of a task that was killed at its hard time limit."""
        super().on_timeout(soft, timeout)
        if not soft:
            self._tell("failed", TimeoutError(f"The task took longer than its time_limit of {timeout} s"), timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - Celery's signature
        """Tell of a task whose process died; Celery queues it again."""
        super().on_failure(exc_info, send_failed_event, return_ok)
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError):
            self._tell("lost", error, 0.0)

    def _tell(self, state: TaskState, error: Exception, duration_s: float) -> None:
        service: Service = service_of(self.task.app.pymacaron_app)
        message = self.args[0]
        caller = Caller.from_json(message["caller"])
        wait_s = max(0.0, time.time() - duration_s - message["queued_at"])
        queue = self.delivery_info.get("routing_key") or ""
        retries = self.request_dict.get("retries") or 0
        service.bus.emit(
            TaskFinished(
                self.id,
                self.name,
                queue,
                state,
                duration_s,
                wait_s,
                retries,
                caller.request_id,
                caller.user_id,
                error,
            )
        )
        with caller.acting(service, for_s=0):
            facts = {"task": self.name, "task_id": self.id, "arguments": describe_arguments(message)}
            report_error(
                f"TASK_{state.upper()}: {type(error).__name__} in {self.name}", facts, error, state == "failed"
            )


class ServiceTask(Task):
    """What each task of a service is to Celery."""

    abstract = True
    Request = TaskRequest
    typing = False
