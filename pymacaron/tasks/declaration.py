"""`asynctask`: makes a function a task, which requests queue and workers run."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from flask import has_request_context

from pymacaron.exceptions import ConfigError, Finding, TaskArgumentError
from pymacaron.service import current_service
from pymacaron.tasks.arguments import decode, encode
from pymacaron.tasks.idempotency import keys_of
from pymacaron.tasks.options import Options

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.service import Service
    from pymacaron.tasks.queued import QueuedTask

P = ParamSpec("P")
R = TypeVar("R")

TASKS: dict[str, AsyncTask[..., Any]] = {}
"""Every task that was declared in this process, by name."""


class AsyncTask(Generic[P, R]):
    """A function that is called at once, or queued for a worker. Made by `asynctask`.

    name: of the task, module and function. function: what it runs. options: see `Options`.
    """

    def __init__(self, function: Callable[P, R], options: Options) -> None:
        """Take the *function*."""
        functools.update_wrapper(self, function)
        self.function = function
        self.options = options
        self.name: str = options.celery.get("name") or _place(function)
        self._signature = inspect.signature(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R | QueuedTask:
        """Queue the task, in a request or another task; elsewhere call the function.

        Raises: TypeError: the arguments do not fit the function. TaskArgumentError: one cannot be carried to a worker.
        TaskBrokerError: the broker does not answer. Without a request: what the function raises.
        """
        return self.queue(*args, **kwargs) if has_request_context() else self.function(*args, **kwargs)

    def queue(self, *args: P.args, **kwargs: P.kwargs) -> QueuedTask:
        """Queue the task, wherever this is called in the context of a service's app. Raises as a call does."""
        from pymacaron.tasks.queue import queue_of  # noqa: PLC0415 - it loads Celery

        return queue_of(current_service()).put(self, self.pack(args, kwargs))

    def with_options(self, **options: Any) -> AsyncTask[P, R]:
        """Return the same task with other options for one call: delay, queue, expires, idempotency_key."""
        return AsyncTask(self.function, self.options.change(self.name, options))

    def pack(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> JsonObject:
        """Return the arguments as JSON. Raises TypeError, TaskArgumentError."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            found = f"is called with arguments that do not fit it: {error}"
            raise TaskArgumentError(self.name, found, f"Call it as {self.__name__}{self._signature}") from None  # type: ignore[attr-defined]
        packed: JsonObject = {
            "args": [encode(value, self._place(place)) for place, value in enumerate(bound.args)],
            "kwargs": {name: encode(value, f"{self.name}: argument {name}") for name, value in bound.kwargs.items()},
        }
        key = self.options.idempotency_key
        if key is not None:
            packed["key"] = key if isinstance(key, str) else str(key(*args, **kwargs))
        return packed

    def _place(self, number: int) -> str:
        """Return what errors call the argument at a position, from 0."""
        names = list(self._signature.parameters)
        return f"{self.name}: argument {names[min(number, len(names) - 1)]}"

    def unpack(self, packed: JsonObject) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments that `pack` packed. Raises LookupError, ValueError: a class of them has changed."""
        args = [decode(value) for value in packed["args"]]
        return args, {name: decode(value) for name, value in packed["kwargs"].items()}

    def name_arguments(self, packed: JsonObject) -> dict[str, Any]:
        """Return the arguments that `pack` packed, by name, defaults included."""
        args, kwargs = self.unpack(packed)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def __repr__(self) -> str:
        return f"<task {self.name}>"


def asynctask(
    delay: float | str = 0,
    *,
    every: float | str | None = None,
    crontab: str | None = None,
    idempotency_key: Callable[..., str] | str | None = None,
    **celery_options: Any,
) -> Callable[[Callable[P, R]], AsyncTask[P, R]]:
    """Make a function a task: ``@asynctask()``. Called in a request it is queued, elsewhere it runs at once.

    delay: seconds, or ``"5m"``, before a worker may run it. every: queue it by itself at this interval (``"90s"``,
    ``"5m"``, ``"1d"`` or seconds), at multiples of it since 1970. crontab: queue it at these times, ``"0 4 * * mon"``.
    idempotency_key: function of the task's arguments; of all tasks with the same key only one runs to success.
    celery_options: queue, expires, rate_limit, time_limit, soft_time_limit, autoretry_for (tuple of exceptions),
    max_retries (3; None: no limit), retry_backoff (before the first repetition, doubled each time, 1),
    retry_backoff_max (600), retry_jitter (True), acks_late (True), reject_on_worker_lost (True). All times are seconds,
    or ``"5m"``.
    Raises: ConfigError: an option is unknown or its value does not fit.
    """
    if callable(delay):
        name = getattr(delay, "__qualname__", "the function")
        raise ConfigError(Finding(name, "@asynctask stands there without parentheses", "Write @asynctask()"))

    def declare(function: Callable[P, R]) -> AsyncTask[P, R]:
        name = _place(function)
        _check_plain(name, function)
        options = Options.read(
            name, celery_options, delay=delay, every=every, crontab=crontab, idempotency_key=idempotency_key
        )
        options.check_schedule(name, inspect.signature(function))
        task = AsyncTask(function, options)
        _check_name(task)
        TASKS[task.name] = task
        return task

    return declare


def find_tasks(service: Service) -> list[tuple[str, str]]:
    """Return name and queue of each task that modules in the service's folder declare, as far as they are loaded."""
    folder, config = Path(service.app.root_path), service.config
    own = config.task_queue or f"{config.name}.tasks"
    tasks = [task for task in TASKS.values() if _is_of(task, folder)]
    return [(task.name, task.options.celery.get("queue") or own) for task in tasks]


def prepare_tasks(service: Service) -> None:
    """Load what queues tasks, if modules in the service's folder declare any; the first request need not do it.

    With an outbox it is always loaded: `pymacaron db` then knows its table.

    Raises: ConfigError: the extra is not installed, or the configuration of tasks is wrong.
    """
    tasks = [TASKS[name] for name, _ in find_tasks(service)]
    for task in tasks:
        task.options.find_limits(task.name, service.config.task_time_limit)
    if service.config.outbox or tasks:
        from pymacaron.tasks.queue import queue_of  # noqa: PLC0415 - it loads Celery

        queue_of(service)
        if any(task.options.needs_keys for task in tasks):
            keys_of(service)


def _is_of(task: AsyncTask[..., Any], folder: Path) -> bool:
    file = getattr(sys.modules.get(task.function.__module__), "__file__", None)
    return file is not None and Path(file).is_relative_to(folder)


def _check_plain(name: str, function: Callable[..., object]) -> None:
    """Refuse what a worker's call would only begin: nobody awaits it there, or iterates over it."""
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction)
    if any(is_kind(function) for is_kind in kinds):
        found = "it is async def, or a generator, and a worker calls plain functions"
        raise ConfigError(Finding(name, found, "Write a plain def, with asyncio.run(…) in it where it has to await"))


def _check_name(task: AsyncTask[..., Any]) -> None:
    """Refuse a second function under the name of another task; the same one may have been loaded again."""
    known = TASKS.get(task.name)
    if known is not None and not _is_same(known.function, task.function):
        found = f"{_place(known.function)} and {_place(task.function)} are both tasks of this name"
        raise ConfigError(Finding(task.name, found, "Give one of them another name"))


def _is_same(one: Callable[..., object], other: Callable[..., object]) -> bool:
    """Tell whether both are one function of the code: its module may run as ``__main__`` too."""
    files = {getattr(sys.modules.get(each.__module__), "__file__", None) for each in (one, other)}
    is_same_file = len(files) == 1 and None not in files
    return one.__qualname__ == other.__qualname__ and (one.__module__ == other.__module__ or is_same_file)


def _place(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
