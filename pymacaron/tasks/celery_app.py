"""Makes the Celery app of a service, with defaults under which no task is lost."""

from __future__ import annotations

import logging
from typing import Any

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.tasks.settings import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, TaskSettings

try:
    from celery import Celery
except ModuleNotFoundError as error:
    found = f"{error.name} is not installed"
    raise ConfigError(Finding("asynctask", found, "Run: pip install 'pymacaron[async]'")) from error

log = logging.getLogger(__name__)

_NOTES = ("unacked", "unacked_index", "unacked_mutex")


def build_celery(settings: TaskSettings, *, longest_s: float = 0.0, worker: str = "") -> Celery:
    """Return the Celery app. longest_s: longest time limit of any task. worker: name of the process that runs tasks.

    Without *worker* the app only queues, and gives up on a broker that does not answer within a second.
    Source: https://docs.celeryq.dev/en/stable/userguide/configuration.html
    """
    celery = Celery(settings.name, broker=settings.broker, set_as_current=False)
    celery.conf.update(
        broker_transport=settings.transport,
        broker_connection_timeout=CONNECT_TIMEOUT_S if not worker else 4,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_choose_transport_options(settings, longest_s, worker),
        result_backend="disabled://",
        task_ignore_result=True,
        task_default_queue=settings.queue,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,
        task_time_limit=settings.time_limit_s,
        task_soft_time_limit=settings.soft_time_limit_s,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_concurrency=settings.concurrency,
        worker_max_memory_per_child=settings.max_memory_bytes // 1024 if settings.max_memory_bytes else None,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_consumer="pymacaron.tasks.consumer:Consumer",
        enable_utc=True,
        timezone="UTC",
    )
    options = {**celery.conf.broker_transport_options, **settings.extra.get("broker_transport_options", {})}
    celery.conf.update({**settings.extra, "broker_transport_options": options})
    return celery


def _choose_transport_options(settings: TaskSettings, longest_s: float, worker: str) -> dict[str, Any]:
    options: dict[str, Any] = {"visibility_timeout": settings.visibility_timeout_s(longest_s)}
    if settings.is_redis:
        options["worker"] = worker
        options["prefix"] = settings.redis_prefix
        options["socket_connect_timeout"] = CONNECT_TIMEOUT_S if not worker else 4
        options["socket_keepalive"] = True
        options["health_check_interval"] = 10
        if not worker:
            options["socket_timeout"] = ANSWER_TIMEOUT_S
    elif settings.broker.startswith("sentinel"):  # kombu's own transport; its keys are shared unless they are named
        options |= {f"{name}_key": f"{settings.redis_prefix}{name}" for name in _NOTES}
    elif settings.broker.startswith("amqp"):
        options["confirm_publish"] = True
        if not worker:
            options.update(read_timeout=ANSWER_TIMEOUT_S, write_timeout=ANSWER_TIMEOUT_S)
    elif settings.broker.startswith("sqs") and not worker:
        limits = {"connect_timeout": CONNECT_TIMEOUT_S, "read_timeout": ANSWER_TIMEOUT_S}
        options["client-config"] = {**limits, "retries": {"total_max_attempts": 1}}
    return options


def check_broker(settings: TaskSettings) -> None:
    """Raise ConfigError where the address of the broker cannot be one; it is not asked."""
    fix = "Write redis://host:6379/0, amqp://user:password@host// or what else Celery takes"
    if "://" not in settings.broker:
        raise ConfigError(Finding("broker_url", "it is no address of a broker", fix))
    fault = _find_fault(settings)
    if fault is not None:  # told out of the handler: what it caught may show a part of a password
        raise ConfigError(Finding("broker_url", f"it is no address of a broker{fault}", fix))


def _find_fault(settings: TaskSettings) -> str | None:
    """Return why Celery does not understand the broker's address, as far as it may be shown; None: it does."""
    try:
        assert build_celery(settings).connection_for_write().transport_cls
    except (KeyError, ImportError) as error:
        return f": {error}"
    except ValueError:
        return ""
    return None
