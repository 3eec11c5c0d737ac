"""How a service's tasks are queued and run: from its configuration, with defaults that lose nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.serving.capacity import count_cpus, find_memory_limit

if TYPE_CHECKING:
    from pymacaron.config import PymConfig

log = logging.getLogger(__name__)

_DEVELOPMENT = frozenset({"dev", "test", "local", None})
_REDIS = frozenset({"redis", "rediss"})
_EMBEDDED = "pymacaron-sqlite"
_EMBEDDED_FILE = Path(".pym") / "tasks.sqlite3"
_VISIBILITY_MARGIN_S = 60
SOFT_SHARE = 0.9
_MEMORY_SHARE = 0.9
CONNECT_TIMEOUT_S = 0.4
ANSWER_TIMEOUT_S = 0.7


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """How tasks are queued and run. Times are seconds.

    broker, results: addresses as Celery takes them, with passwords; results is None where the broker keeps none and
    nothing else was configured. queue: name of the queue of tasks that choose none. concurrency: processes of a
    worker.
    """

    name: str
    broker: str = field(repr=False)
    results: str | None = field(repr=False)
    queue: str
    concurrency: int
    time_limit_s: float
    soft_time_limit_s: float
    stop_timeout_s: float
    max_memory_bytes: int | None
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, config: PymConfig) -> TaskSettings:
        """Take the settings of *config*.

        Raises: ConfigError: an address cannot be read, or the embedded broker's folder cannot be written.
        """
        broker = _find_broker(config)
        results = config.result_backend.get_secret_value() if config.result_backend else None
        if results is not None:
            _check_address("result_backend", results)
        if results is None and (is_embedded(broker) or urlsplit(broker).scheme in _REDIS):
            results = broker
        concurrency = config.task_concurrency or (2 if config.env in _DEVELOPMENT else count_cpus())
        limit = find_memory_limit()
        return cls(
            name=config.name,
            broker=broker,
            results=results,
            queue=config.task_queue or f"{config.name}.tasks",
            concurrency=concurrency,
            time_limit_s=config.task_time_limit,
            soft_time_limit_s=config.task_time_limit * SOFT_SHARE,
            stop_timeout_s=config.task_stop_timeout,
            max_memory_bytes=config.task_max_memory_bytes
            or (int(limit * _MEMORY_SHARE / (concurrency + 1)) if limit else None),
            extra=dict(config.celery),
        )

    @property
    def is_embedded(self) -> bool:
        """Tell whether the broker is a file on this machine."""
        return is_embedded(self.broker)

    @property
    def is_redis(self) -> bool:
        """Tell whether the broker is Redis."""
        return urlsplit(self.broker).scheme in _REDIS

    @property
    def redis_prefix(self) -> str:
        """Return what names of this service's keys in Redis begin with, those of its queues aside."""
        return f"pymacaron:{self.name}:"

    @property
    def transport(self) -> str | None:
        """Return the transport of kombu for the broker, None for the one that kombu finds itself."""
        if self.is_embedded:
            return "pymacaron.tasks.embedded:Transport"
        return "pymacaron.tasks.redis_transport:Transport" if self.is_redis else None

    def visibility_timeout_s(self, longest_s: float) -> float:
        """Return after what time a message that nobody acknowledged runs again; *longest_s*: any task's time limit."""
        return max(longest_s, self.time_limit_s) + _VISIBILITY_MARGIN_S

    @property
    def shown_broker(self) -> str:
        """Return the broker's address without user and password."""
        if self.is_embedded:
            return f"the embedded broker ({urlsplit(self.broker).path})"
        servers = []
        for address in self.broker.split(";"):
            parts = urlsplit(address)
            port = f":{parts.port}" if parts.port else ""
            servers.append(f"{parts.scheme}://{parts.hostname or 'localhost'}{port}")
        return ", ".join(servers)


def make_embedded(file: Path) -> str:
    """Return the address of the embedded broker whose messages lie in *file*."""
    return f"{_EMBEDDED}://{quote(str(file))}"


def is_embedded(broker: str) -> bool:
    """Tell whether *broker* is the address of an embedded one."""
    return broker.startswith(f"{_EMBEDDED}:")


def _find_broker(config: PymConfig) -> str:
    if config.broker_url is not None:
        _check_address("broker_url", config.broker_url.get_secret_value())
        return config.broker_url.get_secret_value()
    file = config.folder / _EMBEDDED_FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError as error:
        found = f"the embedded broker cannot write there: {error.strerror}"
        raise ConfigError(Finding(str(file), found, "Set broker_url, or make the folder writable")) from error
    return make_embedded(file)


def _check_address(option: str, url: str) -> None:
    """Raise ConfigError where *url*, one address or several with ``;``, cannot be cut into its parts.

    Nothing of it is shown: what stands at the wrong place may be a part of a password.
    """
    if not all(map(_is_readable, url.split(";"))):
        found = "it cannot be read: its port is no number, or a character of its password ends it"
        fix = "In names and passwords write / as %2F, # as %23, ? as %3F, @ as %40, : as %3A, [ as %5B and ; as %3B"
        raise ConfigError(Finding(option, found, fix))


def _is_readable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it is read here
    except ValueError:
        return False
    rest = f"{parts.path}{parts.fragment}" + ("" if parts.hostname else parts.query)
    return "@" not in rest  # else the address was cut inside of its password


def warn_of_embedded(config: PymConfig) -> None:
    """Warn where tasks of a service in production wait in a file."""
    if config.broker_url is None and config.env not in _DEVELOPMENT:
        log.warning(
            "Tasks wait in %s: they are lost with this machine's disk, and other machines cannot work on them. "
            "Set broker_url to a Redis or RabbitMQ server",
            config.folder / _EMBEDDED_FILE,
        )
