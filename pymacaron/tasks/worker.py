"""Runs the tasks of a service: Celery's worker, with the service's app in every process."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.apps.worker import Worker
from celery.platforms import SecurityWarning

from pymacaron.tasks.celery_app import build_celery
from pymacaron.tasks.consumer import ServiceTask
from pymacaron.tasks.declaration import TASKS, AsyncTask
from pymacaron.tasks.depth import WaitingSince
from pymacaron.tasks.housekeeping import Housekeeping
from pymacaron.tasks.queue import open_queue, replace_queue
from pymacaron.tasks.running import run_packed
from pymacaron.tasks.settings import TaskSettings, warn_of_embedded
from pymacaron.tasks.sqlite_file import WORKER_BUSY_S, name_owner, open_file

if TYPE_CHECKING:
    from celery import Celery

    from pymacaron.service import Service

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How to run tasks.

    queues: names, those of all declared tasks by default. concurrency: processes. max_memory_bytes: that a process may
    hold before it is replaced. on_ready: called once the worker takes tasks.
    """

    queues: Sequence[str] = ()
    concurrency: int | None = None
    max_memory_bytes: int | None = None
    pool: str = "prefork"
    on_ready: Callable[[], object] | None = None


def build_worker_app(service: Service, settings: TaskSettings) -> Celery:
    """Return the Celery app that knows every declared task, and runs it in *service*."""
    longest_s = max((task.options.celery.get("time_limit") or 0.0 for task in TASKS.values()), default=0.0)
    celery = build_celery(settings, longest_s=longest_s, worker=name_owner())
    celery.pymacaron_app = service.app
    celery.pymacaron_since = WaitingSince()
    for task in TASKS.values():
        _register(celery, service, task, settings)
    return celery


def find_queues(settings: TaskSettings) -> list[str]:
    """Return the names of the queues that the declared tasks wait in."""
    own = {task.options.celery.get("queue") for task in TASKS.values()}
    return sorted({settings.queue, *(name for name in own if name)})


def work(service: Service, options: WorkerOptions) -> int:
    """Run tasks until a signal ends it; return the exit code.

    TERM and INT: take no more tasks, finish those that run, give back those that do not end within task_stop_timeout.
    """
    settings = TaskSettings.of(service.config)
    if options.max_memory_bytes:
        settings = replace(settings, max_memory_bytes=options.max_memory_bytes)
    warn_of_embedded(service.config)
    if settings.is_embedded:
        open_file(settings.broker).busy_s = WORKER_BUSY_S
    celery = build_worker_app(service, settings)
    # Tasks queue others over connections of their own, which give up within a second.
    replace_queue(service, open_queue(service, settings))
    logging.getLogger("celery.app.trace").setLevel(logging.CRITICAL)  # `running` tells it, without values
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=SecurityWarning)  # of being root, as in most containers
    queues = list(options.queues) or find_queues(settings)
    worker = Worker(
        app=celery,
        hostname=f"{settings.name}@{os.uname().nodename}:{os.getpid()}",
        concurrency=options.concurrency or settings.concurrency,
        queues=queues,
        pool=options.pool,
        loglevel=logging.getLogger().level,
        quiet=True,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        optimization="fair",
    )
    housekeeping = Housekeeping(service, celery, settings, queues)
    with _Signals(settings, housekeeping, options.on_ready):
        worker.start()
    return int(worker.exitcode or 0)


def _register(celery: Celery, service: Service, task: AsyncTask[..., Any], settings: TaskSettings) -> None:
    options = {
        name: value
        for name, value in task.options.celery.items()
        if name not in {"autoretry_for", "dont_autoretry_for", "name"} and not name.startswith("retry_")
    }

    # Celery looks at the hard limit only after the soft one.
    options["time_limit"], options["soft_time_limit"] = task.options.find_limits(task.name, settings.time_limit_s)

    def run(self: Any, message: Any) -> None:
        run_packed(service, task, self, message)

    celery.task(name=task.name, base=ServiceTask, bind=True, shared=False, **options)(run)


def _keep_logging(**_: object) -> None:
    """Leave the logs as they are: that somebody listens keeps Celery from setting them up."""


class _Signals:
    """Heeds what Celery's worker tells: that it is ready, and that it is to end."""

    def __init__(
        self, settings: TaskSettings, housekeeping: Housekeeping, on_ready: Callable[[], object] | None
    ) -> None:
        self._settings = settings
        self._housekeeping = housekeeping
        self._on_ready = on_ready
        self._timer: threading.Timer | None = None

    def __enter__(self) -> None:
        signals.setup_logging.connect(_keep_logging)
        signals.worker_ready.connect(self._ready)
        signals.worker_shutting_down.connect(self._stopping)

    def __exit__(self, *_: object) -> None:
        signals.worker_ready.disconnect(self._ready)
        signals.worker_shutting_down.disconnect(self._stopping)
        self._housekeeping.stop()
        if self._timer is not None:
            self._timer.cancel()

    def _ready(self, **_: object) -> None:
        log.info("Running tasks of %s from %s", self._settings.name, self._settings.shown_broker)
        self._housekeeping.start()
        if self._on_ready is not None:
            self._on_ready()

    def _stopping(self, **_: object) -> None:
        """Give back what still runs when the time is over: Celery does so on QUIT."""
        self._housekeeping.stop()
        if self._timer is None:
            log.info("Stopping: running tasks have %s s to end", self._settings.stop_timeout_s)
            self._timer = threading.Timer(self._settings.stop_timeout_s, os.kill, (os.getpid(), signal.SIGQUIT))
            self._timer.daemon = True
            self._timer.start()
