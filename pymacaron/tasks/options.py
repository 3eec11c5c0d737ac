"""Options of tasks: which there are, and what they say, read once where a task is declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.tasks.intervals import read_crontab, read_interval
from pymacaron.tasks.settings import SOFT_SHARE

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


@dataclass(frozen=True, slots=True)
class Options:
    """How a task is queued and run.

    delay_s: seconds before it may run. schedule: when it is queued by itself: ``every`` as seconds, ``crontab`` as
    text. idempotency_key: makes, of the arguments, a key of which only one run may succeed. celery: Celery's own, times
    in seconds.
    """

    delay_s: float = 0.0
    every_s: float | None = None
    crontab: str | None = None
    idempotency_key: Callable[..., str] | str | None = None
    celery: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        name: str,
        celery: Mapping[str, Any],
        *,
        delay: float | str,
        every: float | str | None,
        crontab: str | None,
        idempotency_key: Callable[..., str] | str | None,
    ) -> Options:
        """Read what the declaration of the task *name* says. Raises: ConfigError."""
        _check_names(name, celery, _CELERY_OPTIONS)
        options = cls(
            read_interval(delay, name),
            None if every is None else read_interval(every, name),
            crontab,
            idempotency_key,
            _read_celery({**_DEFAULTS, **celery}, name),
        )
        _check_limits(name, options.celery.get("time_limit"), options.celery.get("soft_time_limit"))
        return options

    def change(self, name: str, given: Mapping[str, Any]) -> Options:
        """Return the options of one call of the task *name*, which is not queued by itself. Raises: ConfigError."""
        _check_names(name, given, _CALL_OPTIONS)
        rest = dict(given)
        delay_s = read_interval(rest.pop("delay", self.delay_s), name)
        key = rest.pop("idempotency_key", self.idempotency_key)
        celery = _read_celery({**self.celery, **rest}, name)
        return Options(delay_s, idempotency_key=key, celery={**celery, "name": name})

    @property
    def is_scheduled(self) -> bool:
        """Tell whether the task is queued by itself."""
        return self.every_s is not None or self.crontab is not None

    @property
    def needs_keys(self) -> bool:
        """Tell whether runs are told apart by keys, and so have to have a place where those are kept."""
        return self.is_scheduled or self.idempotency_key is not None

    def find_limits(self, name: str, default_s: float) -> tuple[float, float]:
        """Return the hard and the soft time limit, seconds; *default_s*: the hard one of tasks without.

        Raises: ConfigError: the soft one is not below the other.
        """
        hard_s = self.celery.get("time_limit") or default_s
        soft_s = self.celery.get("soft_time_limit") or hard_s * SOFT_SHARE
        _check_limits(name, hard_s, soft_s)
        return hard_s, soft_s

    def check_schedule(self, name: str, signature: inspect.Signature) -> None:
        """Raise ConfigError where the task cannot be queued by itself as it says."""
        if not self.is_scheduled:
            return
        if self.every_s is not None and self.crontab is not None:
            raise ConfigError(Finding(name, "every and crontab are both given", "Keep one of them"))
        if self.every_s is not None and self.every_s < 1:
            raise ConfigError(Finding(name, f"every is {self.every_s} s", "Leave at least a second between two runs"))
        if self.crontab is not None:
            read_crontab(self.crontab, name)
        try:
            signature.bind()
        except TypeError:
            found = "it is queued by itself, and needs arguments"
            raise ConfigError(Finding(name, found, "Give every argument a default")) from None


def _check_names(task: str, options: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(options) - known)
    if unknown:
        fix = f"Choose among {', '.join(sorted(known | (_OWN_OPTIONS - {'every', 'crontab'})))}"
        raise ConfigError(Finding(task, f"a task has no option {', '.join(unknown)}", fix))


def _read_celery(options: dict[str, Any], name: str) -> dict[str, Any]:
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


def _check_limits(name: str, hard_s: float | None, soft_s: float | None) -> None:
    if hard_s and soft_s and soft_s >= hard_s:
        found = f"soft_time_limit {soft_s:g} is not below time_limit {hard_s:g}"
        raise ConfigError(Finding(name, found, "Leave the task some time to end by itself"))
