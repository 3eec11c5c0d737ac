"""What happens in a service, as typed events, and the bus that carries them to whoever listens."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from pymacaron.redaction import redact

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.trace_context import TraceContext

log = logging.getLogger(__name__)

Place = Literal["status", "media type", "header", "body", "item"]
StoreOutcome = Literal["ok", "not found", "already exists", "conflict", "unavailable", "refused", "error"]
TaskState = Literal["succeeded", "failed", "retried", "lost", "expired"]


class RequestStarted(NamedTuple):
    """A request arrived. *route* and *operation_id* are None outside the documents (404, /doc …)."""

    request_id: str
    method: str
    route: str | None
    operation_id: str | None


class RequestFinished(NamedTuple):
    """A request was answered, its body closed.

    route: path template of the document, or None when no operation matched. duration_s: seconds from arrival until
    the body was ready, for streams until it was closed. exception: what an unexpected failure raised.
    """

    request_id: str
    method: str
    route: str | None
    operation_id: str | None
    status: int
    duration_s: float
    request_bytes: int
    response_bytes: int
    user_id: str | None = None
    exception: BaseException | None = None


class ContractViolated(NamedTuple):
    """A handler's answer broke the document. where: ``response 200 /items/0/id``; detail: why, without any value.

    pointer: JSON pointer into the body (or the item of a stream), ``""`` where it is not about a part of one.
    place: what is wrong: ``status``, ``media type``, ``header``, ``body`` or ``item``.
    """

    operation_id: str
    where: str
    detail: str
    pointer: str = ""
    place: Place = "body"


class ErrorReported(NamedTuple):
    """An error that its owners should hear of.

    title: one line. data: JSON-like facts without secrets (request id, user id, operation, trace …).
    fatal: True for unexpected failures (5xx), False for warnings. redact: takes the same secrets out of whatever JSON
    or text else a listener tells of the error, such as the message of its exception. callers: of what the service's own
    code reports, the calls that led there, the innermost first, at most 20: file, line and function of each.
    """

    title: str
    data: dict[str, object]
    exception: BaseException | None
    error_id: str
    fatal: bool = True
    redact: Callable[[Json], Json] = redact
    callers: tuple[tuple[str, int, str], ...] = ()


class StoreCalled(NamedTuple):
    """A call of the store of persistent objects ended after *duration_s* seconds.

    store: ``sqlite``, ``postgresql`` or ``dynamodb``. table: ``""`` for a transaction. call: ``load``, ``exists``,
    ``get_many``, ``query``, ``save``, ``create``, ``delete`` or ``transaction``. outcome: ``refused`` for an answer of
    another kind (a wrong cursor, an exception of the service's own), ``error`` for what nobody expected.
    """

    store: str
    table: str
    call: str
    duration_s: float
    outcome: StoreOutcome


class SectionTimed(NamedTuple):
    """A block under ``monitor(kind=, method=)`` ran for *duration_s* seconds.

    span: of the block, where the service records spans. exception: what ended it, if one did.
    """

    kind: str
    method: str
    duration_s: float
    span: TraceContext | None = None
    exception: BaseException | None = None


class TaskQueued(NamedTuple):
    """A task was handed to the broker, or is kept in the outbox for it; emitted where it was called.

    name: of the task, one of those that the service declares. delay_s: seconds that the task is to wait at least.
    request_id, user_id: of the request that called it.
    """

    task_id: str
    name: str
    queue: str
    request_id: str | None = None
    user_id: str | None = None
    delay_s: float = 0.0


class TaskStarted(NamedTuple):
    """A worker began to run a task.

    wait_s: seconds since it could have run: since it was queued, its delay subtracted. retries: runs before this one
    that failed and are repeated by it. request_id, user_id: of the request that called it.
    """

    task_id: str
    name: str
    queue: str
    wait_s: float
    retries: int = 0
    request_id: str | None = None
    user_id: str | None = None


class TaskFinished(NamedTuple):
    """A worker ran a task to its end.

    state: ``retried`` where it failed and is queued again, ``failed`` where it failed for good, ``lost`` where the
    process that ran it died and it is queued again, ``expired`` where its time was over before it ran. duration_s: 0
    for the last two. wait_s, retries: as in TaskStarted. exception: why it failed, None after success.
    """

    task_id: str
    name: str
    queue: str
    state: TaskState
    duration_s: float
    wait_s: float
    retries: int = 0
    request_id: str | None = None
    user_id: str | None = None
    exception: BaseException | None = None


class QueueMeasured(NamedTuple):
    """How much waits in a queue of the broker, or in the outbox; told every few seconds by each worker's main process.

    depth: messages that no worker has taken. oldest_age_s: seconds since the oldest of them was queued, 0 where none
    waits, None where the broker cannot tell.
    """

    queue: str
    depth: int
    oldest_age_s: float | None


Event = (
    RequestStarted
    | RequestFinished
    | ContractViolated
    | ErrorReported
    | SectionTimed
    | StoreCalled
    | TaskQueued
    | TaskStarted
    | TaskFinished
    | QueueMeasured
)
"""What a bus carries: named tuples, because a frozen dataclass takes four times as long to make."""

EventT = TypeVar(
    "EventT",
    RequestStarted,
    RequestFinished,
    ContractViolated,
    ErrorReported,
    SectionTimed,
    StoreCalled,
    TaskQueued,
    TaskStarted,
    TaskFinished,
    QueueMeasured,
)


class Bus:
    """Carries events from one app to its listeners; listeners never change or break a request."""

    def __init__(self) -> None:
        """Start without listeners."""
        self._listeners: dict[type[Event], list[Callable[[Any], object]]] = {}
        self.followers: list[tuple[Callable[[Any], object], Callable[[Any, float], object]]] = []

    def follow_requests(self, begin: Callable[[Any], object], finish: Callable[[Any, float], object]) -> None:
        """Call *begin* with the `RequestRecord` of each request, *finish* with it and its seconds at the end.

        They learn what listeners of `RequestStarted` and `RequestFinished` do, without an event being made for them.
        """
        self.followers.append((begin, finish))

    def subscribe(self, event_type: type[EventT], listener: Callable[[EventT], object]) -> None:
        """Call *listener* with each event whose class is exactly *event_type*, in order of subscription."""
        self._listeners.setdefault(event_type, []).append(listener)

    def listeners_of(self, event_type: type[EventT]) -> Sequence[Callable[[EventT], object]]:
        """Return who listens: a list that stays up to date, for whoever tells them at each request."""
        return self._listeners.setdefault(event_type, [])

    def is_heard(self, event_type: type[Event]) -> bool:
        """Tell whether anyone listens, so that costly events need not be built."""
        return bool(self._listeners.get(event_type))

    def emit(self, event: Event) -> None:
        """Pass *event* to its listeners; one that raises is logged and changes nothing."""
        for listener in self._listeners.get(type(event), ()):
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - any at all, and it is logged
                note_failure(type(event))


def note_failure(event_type: type[Event]) -> None:
    """Log the exception that a listener of such an event raised; for whoever calls listeners or followers itself."""
    log.exception("A listener of %s failed", event_type.__name__)  # noqa: LOG004 - in the callers' handlers
