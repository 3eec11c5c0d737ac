"""How the workers of a service serve: what is configured, and what the machine suggests for the rest."""

from __future__ import annotations

from dataclasses import dataclass

from pymacaron.config import PymConfig
from pymacaron.serving.capacity import count_cpus, find_memory, find_memory_limit

# Of each worker: more help handlers that wait for others most of the time, and slow down those that compute.
THREADS = 8
BACKLOG = 1024
_WORKER_BYTES = 128 << 20  # what a worker of an ordinary service takes, with room for its requests
_DEVELOPMENT = ("dev", "test", "local")
_LINGER_S = 5.0
_REPLACED_TIMEOUT_S = 30.0
_MEMORY_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Settings:
    """How to serve; all times are seconds, None is without limit.

    workers: processes. threads: of each worker, one request each. connections: that a worker holds at most, idle ones
    included; more wait in the *backlog*, where the kernel keeps them. keep_alive_s: for the head of a request, and
    between two requests of a connection. request_timeout_s: a worker with a request that takes longer is replaced.
    linger_s: a replaced worker waits so long for the last request of each connection, replaced_timeout_s for
    answers after that; a stopped one waits stop_timeout_s. max_requests, lifetime_s, max_memory_bytes: after that
    a worker is replaced, each worker a little sooner or later.
    """

    workers: int = 1
    threads: int = THREADS
    connections: int = BACKLOG
    backlog: int = BACKLOG
    keep_alive_s: float = 75.0
    request_timeout_s: float | None = 300.0
    linger_s: float = _LINGER_S
    replaced_timeout_s: float = _REPLACED_TIMEOUT_S
    stop_timeout_s: float = 10.0
    max_requests: int | None = None
    lifetime_s: float | None = None
    max_memory_bytes: int | None = None


def choose_workers() -> int:
    """Return how many workers suit this machine: one a CPU, if memory allows them and one more during a reload."""
    return max(1, min(count_cpus(), find_memory() // _WORKER_BYTES - 1))


def choose_settings(
    config: PymConfig, *, workers: int | None = None, threads: int | None = None, is_development: bool = False
) -> Settings:
    """Return how to serve: the arguments go before *config*, and that before what the machine suggests.

    is_development, and PYM_ENV dev, test and local: one worker unless something else is asked for.
    """
    is_development = is_development or config.env in _DEVELOPMENT
    count = workers or config.worker_count or (1 if is_development else choose_workers())
    limit = find_memory_limit()
    return Settings(
        workers=count,
        threads=threads or config.thread_count or THREADS,
        connections=config.max_connections,
        keep_alive_s=config.keep_alive,
        request_timeout_s=config.request_timeout or None,
        stop_timeout_s=config.stop_timeout,
        replaced_timeout_s=max(config.stop_timeout, _REPLACED_TIMEOUT_S),
        max_requests=config.worker_max_requests,
        lifetime_s=config.worker_lifetime,
        max_memory_bytes=config.worker_max_memory_bytes or (int(limit * _MEMORY_SHARE / count) if limit else None),
    )
