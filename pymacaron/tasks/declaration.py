"""`asynctask`: makes a function a task, which requests queue and workers run."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from flask import has_request_context

from pymacaron.exceptions import ConfigError, Finding, TaskArgumentError
from pymacaron.service import current_service
from pymacaron.tasks.arguments import decode, encode
from pymacaron.tasks.idempotency import keys_of
from pymacaron.tasks.intervals import read_interval
from pymacaron.tasks.settings import SOFT_SHARE

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.service import Service
    from pymacaron.tasks.queued import QueuedTask

P = ParamSpec("P")
R = TypeVar("R")

_DEFAULTS: Mapping[str, Any] = {"max_retries": 3, "retry_backoff": 1, "retry_backoff_max": 600, "retry_jitter": True}
_OWN_OPTIONS = frozenset({"delay", "every", "crontab", "idempotency_key"})
# Options of Celery's Task that a declaration, or `with_options`, may give.
# Source: https://docs.celeryq.dev/en/stable/userguide/tasks.html#list-of-options
_CELERY_OPTIONS = frozenset(
    {
        "name",
        "queue",
        "expires",
        "rate_limit",
        "time_limit",
        "soft_time_limit",
        "autoretry_for",
        "dont_autoretry_for",
        "max_retries",
        "retry_backoff",
        "retry_backoff_max",
        "retry_jitter",
        "acks_late",
        "reject_on_worker_lost",
    }
)
_INTERVALS = frozenset({"expires", "time_limit", "soft_time_limit", "retry_backoff", "retry_backoff_max"})
_ERRORS = frozenset({"autoretry_for", "dont_autoretry_for"})
_CALL_OPTIONS = frozenset({"delay", "queue", "expires", "idempotency_key"})

TASKS: dict[str, AsyncTask[..., Any]] = {}
"""Every task that was declared in this process, by name."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a task is queued and run.

    delay_s: seconds before it may run. schedule: when it is queued by itself: ``every`` as seconds, ``crontab`` as
    text. idempotency_key: makes, of the arguments, a key of which only one run may succeed. celery: Celery's own.
    """

    delay_s: float = 0.0
    every_s: float | None = None
    crontab: str | None = None
    idempotency_key: Callable[..., str] | str | None = None
    celery: Mapping[str, Any] = field(default_factory=dict)


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
        _check_names(self.name, options, _CALL_OPTIONS)
        given = dict(options)
        delay_s = read_interval(given.pop("delay", self.options.delay_s), self.name)
        key = given.pop("idempotency_key", self.options.idempotency_key)
        celery = _read_options({**self.options.celery, **given}, self.name)
        return AsyncTask(self.function, Options(delay_s, idempotency_key=key, celery={**celery, "name": self.name}))

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

    @property
    def needs_keys(self) -> bool:
        """Tell whether its runs are told apart by keys, and so have to have a place where those are kept."""
        options = self.options
        return any(value is not None for value in (options.idempotency_key, options.every_s, options.crontab))

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
        _check_names(name, celery_options, _CELERY_OPTIONS)
        options = Options(
            delay_s=read_interval(delay, name),
            every_s=None if every is None else read_interval(every, name),
            crontab=crontab,
            idempotency_key=idempotency_key,
            celery=_read_options({**_DEFAULTS, **celery_options}, name),
        )
        _check_limits(name, options.celery.get("time_limit"), options.celery.get("soft_time_limit"))
        _check_schedule(name, options, function)
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
        find_limits(task, service.config.task_time_limit)
    if service.config.outbox or tasks:
        from pymacaron.tasks.queue import queue_of  # noqa: PLC0415 - it loads Celery

        queue_of(service)
        if any(task.needs_keys for task in tasks):
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


def _check_names(task: str, options: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(options) - known)
    if unknown:
        fix = f"Choose among {', '.join(sorted(known | (_OWN_OPTIONS - {'every', 'crontab'})))}"
        raise ConfigError(Finding(task, f"a task has no option {', '.join(unknown)}", fix))


def _read_options(options: dict[str, Any], name: str) -> dict[str, Any]:
    """Return *options* with all times in seconds, and exceptions as tuples. Raises: ConfigError."""
    for option in _INTERVALS & options.keys():
        value = options[option]
        if option == "retry_backoff" and isinstance(value, bool):  # as Celery has it
            value = float(value)
        if value is not None:
            options[option] = read_interval(value, f"{name}: {option}")
        elif option in _DEFAULTS:
            options[option] = _DEFAULTS[option]
    for option in _ERRORS & options.keys():
        options[option] = _read_errors(options[option], f"{name}: {option}")
    most = options["max_retries"]
    if most is not None and (type(most) is not int or most < 0):
        found = f"{most!r} is no number of repetitions"
        raise ConfigError(Finding(f"{name}: max_retries", found, "Write a whole number, or None for no limit"))
    return options


def _read_errors(value: Any, where: str) -> tuple[type[BaseException], ...]:
    kinds = tuple(value) if isinstance(value, (tuple, list, set, frozenset)) else () if value is None else (value,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise ConfigError(
            Finding(where, "not all of it are exceptions", "Write classes: (ConnectionError, TimeoutError)")
        )
    return kinds


def find_limits(task: AsyncTask[..., Any], default_s: float) -> tuple[float, float]:
    """Return the hard and the soft time limit of *task*, seconds; *default_s*: the hard one of tasks without.

    Raises: ConfigError: the soft one is not below the other.
    """
    hard_s = task.options.celery.get("time_limit") or default_s
    soft_s = task.options.celery.get("soft_time_limit") or hard_s * SOFT_SHARE
    _check_limits(task.name, hard_s, soft_s)
    return hard_s, soft_s


def _check_limits(name: str, hard_s: float | None, soft_s: float | None) -> None:
    if hard_s and soft_s and soft_s >= hard_s:
        found = f"soft_time_limit {soft_s:g} is not below time_limit {hard_s:g}"
        raise ConfigError(Finding(name, found, "Leave the task some time to end by itself"))


def _check_name(task: AsyncTask[..., Any]) -> None:
    """Refuse a second function under the name of another task; the same one may have been loaded again."""
    known = TASKS.get(task.name)
    if known is not None and _place(known.function) != _place(task.function):
        found = f"{_place(known.function)} and {_place(task.function)} are both tasks of this name"
        raise ConfigError(Finding(task.name, found, "Give one of them another name"))


def _place(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _check_schedule(name: str, options: Options, function: Callable[..., object]) -> None:
    if options.every_s is None and options.crontab is None:
        return
    if options.every_s is not None and options.crontab is not None:
        raise ConfigError(Finding(name, "every and crontab are both given", "Keep one of them"))
    if options.every_s is not None and options.every_s < 1:
        raise ConfigError(Finding(name, f"every is {options.every_s} s", "Leave at least a second between two runs"))
    if options.crontab is not None:
        from pymacaron.tasks.intervals import read_crontab  # noqa: PLC0415 - it loads Celery

        read_crontab(options.crontab, name)
    try:
        inspect.signature(function).bind()
    except TypeError:
        found = "it is queued by itself, and needs arguments"
        raise ConfigError(Finding(name, found, "Give every argument a default")) from None
