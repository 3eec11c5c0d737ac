"""What Celery does with messages and lost processes, where its own way would lose a task, or run one for ever."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from billiard.exceptions import WorkerLostError
from celery import Task
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.request import Request
from kombu import Queue

from pymacaron.service import service_of
from pymacaron.tasks.caller import Caller
from pymacaron.tasks.current import LOSSES, QUEUED_AT, UNKNOWN, RunningTask
from pymacaron.tasks.messages import find_due
from pymacaron.tasks.outcome import Outcome

if TYPE_CHECKING:
    from pymacaron.events import TaskState
    from pymacaron.json_types import JsonObject
    from pymacaron.service import Service

log = logging.getLogger(__name__)

_UNKNOWN_PAUSE_S = 10.0
_MOST_UNKNOWN = 360  # an hour
_LONGEST_LOSS_PAUSE_S = 60.0
_LONGEST_HELD_S = 300.0  # that a worker keeps a message whose time has not come
_LONGEST_SQS_DELAY_S = 900.0  # Source: Amazon SQS, SendMessage, DelaySeconds
_OWN_HEADERS = frozenset({"redelivered"})  # what transports write of one delivery


class TaskLostError(Exception):
    """The processes that ran a task died, again and again."""


class TaskExpiredError(Exception):
    """A task was not run before its time was over."""


class Consumer(CeleryConsumer):
    """Gives back tasks that this worker does not know, and counts how often the others come back.

    During a release another worker knows the task; Celery's own consumer drops it. After an hour in which none knew it,
    it is put into ``<queue>.unknown``.

    A message that comes again was not acknowledged: who had it died, or gave it back. One that has come back more than
    ``task_max_losses`` times is put into ``<queue>.dead``: it may be what they die of.
    """

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's signature
        """Publish the message again, to come back later."""
        name, queue = message.headers["task"], _queue_of(message)
        count = message.headers.get(UNKNOWN, 0) + 1
        if count > _MOST_UNKNOWN:
            log.error("No worker knows the task %s; it is kept in the queue %s.unknown", name, queue)
            self._publish_again(message, f"{queue}.unknown")
        else:
            log.warning("This worker does not know the task %s; another one may", name)
            self._publish_again(message, queue, {UNKNOWN: count}, pause_s=_UNKNOWN_PAUSE_S)

    def heed_loss(self, task: Task, message: Any) -> bool:
        """Count that *message* comes again, and publish it with that number; return whether that was to be done.

        It is done before the task runs: no process outlives the running of what kills it.
        """
        if not _is_redelivered(message) or find_due(message.headers) > time.time():  # what is not due runs nowhere
            return False
        queue, count = _queue_of(message), message.headers.get(LOSSES, 0) + 1
        service = service_of(self.app.pymacaron_app)
        if count <= service.config.task_max_losses:
            pause_s = 0.0 if count == 1 else min(_LONGEST_LOSS_PAUSE_S, 2.0 ** (count - 2))
            self._publish_again(message, queue, {LOSSES: count}, pause_s=pause_s)
            return True
        dead = queue if queue.endswith(".dead") else f"{queue}.dead"
        log.error(
            "The task %s has come back %d times; it is kept in the queue %s", message.headers["task"], count, dead
        )
        self._publish_again(message, dead)
        (packed,) = message.decode()[0]
        _tell(service, task, message.headers, queue, packed, "failed", TaskLostError(f"It was lost {count} times"))
        return True

    def put_off(self, message: Any) -> bool:
        """Give back a message whose time is far, where the broker hands it out before; return whether it was.

        RabbitMQ ends the connection of who keeps a message for half an hour, SQS hands it to another worker.
        Source: https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout
        """
        left_s, queue = find_due(message.headers) - time.time(), _queue_of(message)
        if left_s <= _LONGEST_HELD_S:
            return False
        kept = {name: message.headers[name] for name in (LOSSES, UNKNOWN) if name in message.headers}
        broker = self.app.connection_for_write().transport.driver_type
        if broker == "sqs":
            self._publish_again(message, queue, kept, DelaySeconds=int(min(left_s, _LONGEST_SQS_DELAY_S)))
        elif broker == "amqp":
            arguments = {
                "x-message-ttl": int(_LONGEST_HELD_S * 1000),
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": queue,
            }
            later = Queue(f"{queue}.later", routing_key=f"{queue}.later", queue_arguments=arguments)
            self._publish_again(message, later, kept)
        return broker in {"sqs", "amqp"}

    def note_taken(self, message: Any) -> None:
        """Note since when, at most, the messages behind this one wait."""
        queued_at = message.headers.get(QUEUED_AT)
        if queued_at is not None:
            self.app.pymacaron_since.note(_queue_of(message), queued_at)

    def _publish_again(
        self,
        message: Any,
        queue: str | Queue,
        counters: dict[str, int] | None = None,
        *,
        pause_s: float = 0.0,
        **properties: Any,
    ) -> None:
        """Put *message* into *queue* in place of where it came from."""
        queue = self.app.amqp.queues[queue] if isinstance(queue, str) else queue
        kept = {name: value for name, value in message.headers.items() if name not in _OWN_HEADERS | {LOSSES, UNKNOWN}}
        if pause_s:
            kept["eta"] = (datetime.now(UTC) + timedelta(seconds=pause_s)).isoformat()
        with self.app.producer_pool.acquire(block=True) as producer:
            producer.publish(
                message.body,
                exchange="",
                routing_key=queue.name,
                declare=[queue],
                headers={**kept, **(counters or {})},
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                correlation_id=message.properties.get("correlation_id"),
                delivery_mode=2,
                retry=True,
                **properties,
            )
        message.ack_log_error(log, self.connection_errors)


class TaskRequest(Request):
    """Tells of runs that ended with their process, by a time limit, a signal or lack of memory, or never began."""

    def on_timeout(self, soft: bool, timeout: float) -> None:  # noqa: FBT001 - Celery's signature
        """Tell of a task that was killed at its hard time limit."""
        super().on_timeout(soft, timeout)
        if not soft:
            error = TimeoutError(f"The task took longer than its time_limit of {timeout} s")
            self._tell("failed", error, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - Celery's signature
        """Tell of a task whose process died; Celery queues it again."""
        super().on_failure(exc_info, send_failed_event, return_ok)
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        if isinstance(error, WorkerLostError):
            self._tell("lost", error)

    def maybe_expire(self) -> bool:
        """Tell of a task that was not run before its time was over; Celery drops it."""
        is_over = bool(super().maybe_expire())
        if is_over:
            self._tell("expired", TaskExpiredError("It was not run before its time was over"))
        return is_over

    def _tell(self, state: TaskState, error: Exception, duration_s: float = 0.0) -> None:
        service = service_of(self.task.app.pymacaron_app)
        queue = self.delivery_info.get("routing_key") or ""
        _tell(service, self.task, self.request_dict, queue, self.args[0], state, error, duration_s)


class ServiceTask(Task):
    """What each task of a service is to Celery."""

    abstract = True
    Request = TaskRequest
    typing = False

    def start_strategy(self, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
        """Return what a worker does with each message of this task."""
        handle: Callable[..., Any] = super().start_strategy(app, consumer, **options)

        def receive(message: Any, *rest: Any, **more: Any) -> Any:
            consumer.note_taken(message)
            if consumer.heed_loss(self, message) or consumer.put_off(message):
                return None
            return handle(message, *rest, **more)

        return receive


def _tell(  # noqa: PLR0913 - facts of one run
    service: Service,
    task: Task,
    headers: dict[str, Any],
    queue: str,
    packed: JsonObject,
    state: TaskState,
    error: Exception,
    duration_s: float = 0.0,
) -> None:
    """Tell of a run that its process did not survive."""
    caller = Caller.from_json(packed["caller"])
    wait_s = max(0.0, time.time() - duration_s - packed["queued_at"])
    running = RunningTask(headers["id"], task.name, queue, headers.get("retries") or 0, caller, wait_s, task)
    with caller.acting(service, for_s=0):
        Outcome(service, running, packed).end(state, duration_s, error)


def _queue_of(message: Any) -> str:
    return message.delivery_info.get("routing_key") or ""


def _is_redelivered(message: Any) -> bool:
    info = message.delivery_info
    on_sqs = info.get("sqs_message", {}).get("Attributes", {}).get("ApproximateReceiveCount", 1)
    return bool(info.get("redelivered") or message.headers.get("redelivered") or int(on_sqs) > 1)
