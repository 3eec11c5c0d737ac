"""Serves an app under granian; where it cannot start, the reasons are told once, not by each worker."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pymacaron.config import PymConfig
from pymacaron.exceptions import ConfigError, Finding
from pymacaron.log import setup_logging
from pymacaron.serving import Companion, Settings, Supervisor, choose_settings

METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_DEFAULT_PORT = 80
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_DEVELOPMENT_PORT = 8000
_SPARE_FILES = 512  # that a worker has open besides its connections
# What a service writes while it runs is no change of it.
_DATA = (r"\.(db|sqlite3?)(-\w+)?$", r"\.log$")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to serve. target: ``module:variable`` of the app, looked up in *folder*. port 0: any free port.

    workers, threads: None takes them from *config*, else from what the machine has. config: of the service, for what
    is not said here.
    """

    folder: Path
    target: str = "server:app"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int | None = None
    threads: int | None = None
    is_reloading: bool = False
    is_debug: bool = False
    config: PymConfig = field(default_factory=PymConfig)


def run(options: ServerOptions) -> int:
    """Serve until a signal ends it; return the exit code.

    Raises: StartupError: the app cannot start or the port is taken; nothing is left behind.
    """
    settings = find_settings(options)
    settings = replace(settings, connections=allow_files(settings.connections))
    if options.is_reloading:
        settings = replace(settings, linger_s=0.0)  # soon each answer is one of the new code
    with ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in _bind_all(options, settings.workers)]
        port = listeners[0].getsockname()[1]
        os.chdir(options.folder)
        sys.path.insert(0, str(options.folder))
        if options.is_debug:
            os.environ["PYM_DEBUG"] = "1"
        os.environ["PORT"] = str(port)  # what the service's own code, imported by the workers, finds
        setup_logging(options.config.log_level, options.config.log_format)
        _announce(options, port, settings)
        with shared_metrics_folder(), _watched(options.folder, is_watched=options.is_reloading):
            Supervisor(options.target, listeners, settings, _make_companion(options)).run()
    return 0


def _make_companion(options: ServerOptions) -> Companion | None:
    """Return what runs the service's tasks beside it, None without ``with_async``."""
    if not options.config.with_async:
        return None
    command = [sys.executable, "-m", "pymacaron.worker", "--app", options.target]
    return Companion(command, options.folder, {}, stop_timeout_s=options.config.task_stop_timeout)


def find_settings(options: ServerOptions) -> Settings:
    """Return how to serve. Where only this machine can reach the service and PYM_ENV is not set, somebody develops."""
    is_at_home = options.host in _LOOPBACK and not options.config.env
    is_development = options.is_debug or options.is_reloading or is_at_home
    return choose_settings(
        options.config, workers=options.workers, threads=options.threads, is_development=is_development
    )


def find_port() -> int:
    """Return the port that the environment asks for: PORT, else PYM_SERVER_PORT, else 80. Raises ConfigError."""
    for variable in ("PORT", "PYM_SERVER_PORT"):
        text = os.environ.get(variable)
        if text:
            if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004 - the largest TCP port
                raise ConfigError(Finding(variable, f"{text!r} is no port", "Set it to a number up to 65535"))
            return int(text)
    return _DEFAULT_PORT


def find_development_port() -> int:
    """Return the port for a developer's machine: PORT, else PYM_SERVER_PORT, else 8000. Raises ConfigError."""
    is_set = os.environ.get("PORT") or os.environ.get("PYM_SERVER_PORT")
    return find_port() if is_set else _DEVELOPMENT_PORT


def reserve_port(host: str, port: int) -> int:
    """Return *port*, or a free one for 0, if it can be listened on now. Raises: ConfigError: it cannot."""
    with _bind(host, port) as probe:
        return int(probe.getsockname()[1])


def _bind(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Return a socket that has the address; if shared, others may have it too. Raises: ConfigError: it is taken."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted connections have it too
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        found = f"cannot listen there: {error.strerror or error}"
        raise ConfigError(
            Finding(f"{host}:{port}", found, "Choose another with --port, or stop what uses it")
        ) from error
    return listener


def _bind_all(options: ServerOptions, count: int) -> list[socket.socket]:
    """Return a socket for each worker, among which Linux shares out connections. Raises: ConfigError: it is taken.

    If all accepted from one, the first that wakes up would take all connections that come together. Other systems share
    nothing out: there it is one socket for all.
    """
    if sys.platform != "linux":
        return [_bind(options.host, options.port)] * count
    port = reserve_port(options.host, options.port)  # a socket that shares would share with another service too
    return [_bind(options.host, port, is_shared=True) for _ in range(count)]


def allow_files(connections: int) -> int:
    """Let processes open a file for each connection; return how many of *connections* the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return min(connections, max(1, allowed - _SPARE_FILES, allowed // 2))


def _announce(options: ServerOptions, port: int, settings: Settings) -> None:
    name = options.folder.resolve().name
    host = f"[{options.host}]" if ":" in options.host else options.host
    many = "1 worker" if settings.workers == 1 else f"{settings.workers} workers"
    config = options.config
    metrics = (
        config.metrics_path if config.metrics_port is None else f"port {config.metrics_port}, {config.metrics_path}"
    )
    how = f"{many} of {settings.threads} threads; docs at /doc, metrics at {metrics}"
    print(f"Serving {name} on http://{host}:{port} ({how})", flush=True)  # noqa: T201 - for people


@contextmanager
def shared_metrics_folder() -> Iterator[None]:
    """Give the workers a common folder for their counters, unless the environment names one."""
    if os.environ.get(METRICS_FOLDER_VARIABLE):
        yield
        return
    folder = os.environ[METRICS_FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="pymacaron-metrics-")
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _watched(folder: Path, *, is_watched: bool) -> Iterator[None]:
    """Have this process reload when a file in *folder* changes: another process watches, and sends it HUP."""
    if not is_watched:
        yield
        return
    watcher = multiprocessing.get_context("fork").Process(target=_watch, args=(folder, os.getpid()), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        watcher.kill()
        watcher.join()


def _watch(folder: Path, supervisor: int) -> None:
    from watchfiles import DefaultFilter, watch  # noqa: PLC0415 - only while one develops

    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    patterns = (*DefaultFilter.ignore_entity_patterns, *_DATA)
    for _ in watch(folder, watch_filter=DefaultFilter(ignore_entity_patterns=patterns)):
        if os.getppid() != supervisor:
            return
        os.kill(supervisor, signal.SIGHUP)
