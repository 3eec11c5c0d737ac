"""Lets work be done once although its task may run several times."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from pymacaron.exceptions import PyMacaronException, TaskBrokerError
from pymacaron.log import pymlogger
from pymacaron.service import current_service
from pymacaron.tasks.arguments import decode, encode
from pymacaron.tasks.keys import KeyStore, open_keys
from pymacaron.tasks.settings import TaskSettings

if TYPE_CHECKING:
    from pymacaron.service import Service
    from pymacaron.tasks.current import RunningTask

T = TypeVar("T")
log = pymlogger(__name__)

KEEP_S = 7 * 86400.0
_MARGIN_S = 60.0
_BUSY_PAUSE_S = 5.0
_EXTENSION = "pymacaron-task-keys"


class KeyInUseError(PyMacaronException):
    """Work under the same idempotency key is being done now; try again later."""

    code = "IDEMPOTENCY_KEY_IN_USE"
    status = 409


class Claim:
    """The right of one task to do what an idempotency key stands for."""

    def __init__(self, keys: KeyStore, name: str, lease_s: float, running: RunningTask) -> None:
        """Take the key's *name*; the right ends by itself after *lease_s*."""
        self._keys = keys
        self._name = f"once:{name}"
        self._lease_s = lease_s
        self._running = running
        self._mark = f"running:{running.id}:{uuid4().hex}"

    @classmethod
    def of(cls, service: Service, key: str | None, running: RunningTask, limit_s: float) -> Claim | None:
        """Return the claim of a task with *key* that may take *limit_s*, None without a key."""
        if key is None:
            return None
        return cls(keys_of(service), f"{running.name}:{key}", limit_s + _MARGIN_S, running)

    def take(self) -> bool:
        """Return whether the work is still to be done.

        Raises Celery's Retry: another task is doing it, or what keeps the keys does not answer; the task comes again.
        """
        try:
            return self._take()
        except TaskBrokerError as error:
            raise self._running.repeat(_BUSY_PAUSE_S, error, is_counted=False) from error

    def _take(self) -> bool:
        if self._keys.claim(self._name, self._mark, self._lease_s):
            return True
        other = self._keys.get(self._name)
        if other is None:
            return self._take()
        if other == "done":
            log.info("Task %s (%s) has nothing to do: its key is done", self._running.name, self._running.id)
            return False
        is_own = other.startswith(f"running:{self._running.id}:")  # of a run whose worker is gone
        if is_own and self._keys.replace(self._name, other, self._mark, self._lease_s):
            return True
        raise self._running.repeat(
            _BUSY_PAUSE_S, KeyInUseError("Another task with the same key runs"), is_counted=False
        )

    def finish(self) -> None:
        """Note that the work is done."""
        _replace(self._keys, self._name, self._mark, "done", KEEP_S)

    def release(self) -> None:
        """Let another run do the work."""
        _replace(self._keys, self._name, self._mark, "", self._lease_s)


def run_once(key: str, function: Callable[[], T], *, keep_s: float = KEEP_S, lease_s: float | None = None) -> T:
    """Call *function* unless it was called under *key* before; return what it returned then, or now.

    What it returns has to be what a task may be given. keep_s: how long the result is remembered. lease_s: how long it
    may take; after that it counts as dead. By default a minute more than task_time_limit.
    If the process dies between the work and the note that it is done, or that cannot be noted, it is done again: pass
    the key on to where the work is done, if that can tell too.
    Raises: KeyInUseError: it is being called elsewhere. TaskArgumentError: the result cannot be remembered.
    TaskBrokerError: what remembers it does not answer, and *function* was not called. What *function* raises; then
    nothing is remembered.
    """
    service = current_service()
    keys = keys_of(service)
    name = f"once:{key}"
    lease_s = lease_s or service.config.task_time_limit + _MARGIN_S
    mark = f"running:{time.time()}:{uuid4().hex}"
    if not keys.claim(name, mark, lease_s):
        known = keys.get(name)
        if known is not None and known.startswith("{"):
            result: T = decode(json.loads(known)["result"])
            return result
        raise KeyInUseError(f"{key} is being worked on elsewhere")
    try:
        made = function()
        text = json.dumps({"result": encode(made, f"run_once({key!r}): the result")})
    except BaseException:
        _replace(keys, name, mark, "", lease_s)
        raise
    _replace(keys, name, mark, text, keep_s)
    return made


def _replace(keys: KeyStore, name: str, mark: str, value: str, for_s: float) -> None:
    """Note what became of work that is over: it is neither done again nor told as failed because it cannot be noted."""
    try:
        keys.replace(name, mark, value, for_s)
    except TaskBrokerError as error:
        log.warning("%s stays claimed until its lease ends, and may be worked on again then: %s", name, error)


def keys_of(service: Service) -> KeyStore:
    """Return where *service* keeps keys. Raises ConfigError."""
    extensions = service.app.extensions
    if _EXTENSION not in extensions:
        extensions[_EXTENSION] = open_keys(TaskSettings.of(service.config))
    keys: KeyStore = extensions[_EXTENSION]
    return keys


def replace_keys(service: Service, keys: KeyStore | None) -> None:
    """Make *keys* the place where *service* keeps its own; None: the next who asks opens the configured one."""
    if keys is None:
        service.app.extensions.pop(_EXTENSION, None)
    else:
        service.app.extensions[_EXTENSION] = keys
