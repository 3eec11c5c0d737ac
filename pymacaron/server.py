"""Serves an app under granian; where it cannot start, the reasons are told once, not by each worker."""

from __future__ import annotations

import functools
import gc
import importlib
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask

from pymacaron.exceptions import ConfigError, Finding, StartupError

if TYPE_CHECKING:
    from granian.server.common import AbstractServer

METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_CANNOT_START = 2
_DEFAULT_PORT = 80
_DEVELOPMENT_PORT = 8000
# Running requests have so long when the service is stopped; also, a worker that was still starting misses the signal.
_STOP_TIMEOUT_S = 10
_THREADS = 16  # of each worker: more only help handlers that wait for others most of the time


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to serve. target: ``module:variable`` of the app, looked up in *folder*. port 0: any free port."""

    folder: Path
    target: str = "server:app"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    is_reloading: bool = False
    is_debug: bool = False


def run(options: ServerOptions) -> int:
    """Serve until a signal ends it; return the exit code.

    Raises: StartupError: the app cannot start or the port is taken; nothing is left behind.
    """
    port = reserve_port(options.host, options.port)
    os.chdir(options.folder)
    sys.path.insert(0, str(options.folder))
    if options.is_debug:
        os.environ["PYM_DEBUG"] = "1"
    os.environ["PORT"] = str(port)  # what the service's own code, imported by the workers, finds
    metrics_folder = _make_metrics_folder()
    try:
        return _serve_reloading(options, port) if options.is_reloading else _serve(options, port)
    finally:
        if metrics_folder:
            shutil.rmtree(metrics_folder, ignore_errors=True)


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


def load_app(target: str) -> Flask:
    """Import ``module:variable`` and return the app.

    Raises: StartupError: there is no such module or variable, or the app refuses to start.
    """
    module_name, _, variable = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        where = f"{Path.cwd()}/{module_name}.py"
        raise ConfigError(
            Finding(
                where,
                "there is no such file",
                "Run this in the service's folder, or name it: --folder DIR --app module:app",
            )
        ) from error
    app = getattr(module, variable or "app", None)
    if not isinstance(app, Flask):
        raise ConfigError(
            Finding(
                f"{module.__file__}", f"{variable or 'app'} is no Flask app", "Write app = create_app(__name__) there"
            )
        )
    return app


def reserve_port(host: str, port: int) -> int:
    """Return *port*, or a free one for 0, if it can be listened on now. Raises: ConfigError: it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            found = f"cannot listen there: {error.strerror or error}"
            raise ConfigError(
                Finding(f"{host}:{port}", found, "Choose another with --port, or stop what uses it")
            ) from error
        return int(probe.getsockname()[1])


def _make_metrics_folder() -> str | None:
    """Give the workers a common folder for their counters; None if the environment already names one."""
    if os.environ.get(METRICS_FOLDER_VARIABLE):
        return None
    folder = tempfile.mkdtemp(prefix="pymacaron-metrics-")
    os.environ[METRICS_FOLDER_VARIABLE] = folder
    return folder


def _check_app(target: str) -> None:
    """Load the app in a child process, so that faults are told once and the workers import it fresh.

    Raises: StartupError: with the child's findings.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_try_app, args=(target, sender))
    child.start()
    sender.close()
    try:
        findings = receiver.recv()
    except EOFError:
        findings = [
            Finding(target, f"the app ended its process with code {child.exitcode}", "Run python -c 'import server'")
        ]
    child.join()
    if findings:
        raise StartupError(findings)


def _try_app(target: str, sender: multiprocessing.connection.Connection) -> None:
    app = _load_or_explain(target)
    sender.send(app if isinstance(app, list) else [])
    sender.close()


def _load_or_explain(target: str) -> Flask | list[Finding]:
    """Return the app, or why there is none: whatever the user's module raises is told in one line, with its place."""
    try:
        return load_app(target)
    except StartupError as error:
        return list(error.findings)
    except Exception as error:  # noqa: BLE001 - it is told, not passed on
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else target
        return [Finding(place, f"{type(error).__name__}: {error}", "Correct it; the service cannot be imported")]


class _Workers:
    """Hears from each worker whether it could load the app; the first that could not ends the server."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.is_serving = False
        self._reports: multiprocessing.SimpleQueue[list[Finding]] = multiprocessing.SimpleQueue()

    def listen(self) -> None:
        """Start to listen."""
        threading.Thread(target=self._listen, daemon=True).start()

    def load(self, folder: str, target: str) -> Flask:
        """Return the app, inside of a worker."""
        if folder not in sys.path:
            sys.path.insert(0, folder)
        # What is built while loading stays: looking for garbage among it costs a sixth of the time, and time later on.
        gc.disable()
        app = _load_or_explain(target)
        gc.enable()
        if isinstance(app, Flask):
            gc.freeze()
            self._reports.put([])
            return app
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._reports.put(app)
        while True:  # a worker that ended now would be replaced
            signal.pause()

    def _listen(self) -> None:
        while not self.findings:
            self.findings = self._reports.get()
            self.is_serving |= not self.findings
        os.kill(os.getpid(), signal.SIGTERM)


def _serve(options: ServerOptions, port: int) -> int:
    """Serve; raises StartupError if a worker could not load the app."""
    workers = _Workers()
    workers.listen()
    try:
        _build_server(options, port).serve(target_loader=functools.partial(workers.load, str(options.folder.resolve())))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    else:
        code = 0
    if not workers.findings and not workers.is_serving and code:
        fix = "Run python -c 'import server'"
        raise StartupError(Finding(options.target, "the app ends the process that imports it", fix))
    if workers.findings:
        raise StartupError(workers.findings)
    return code


def _serve_reloading(options: ServerOptions, port: int) -> int:
    """Serve what is written while it runs, after checking once that it can start: later faults must not end it."""
    _check_app(options.target)
    try:
        _build_server(options, port).serve()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    return 0


def _build_server(options: ServerOptions, port: int) -> AbstractServer[Any]:
    from granian.constants import Interfaces  # noqa: PLC0415 - a server is only loaded where one is started
    from granian.server import Server  # noqa: PLC0415

    name = options.folder.resolve().name
    print(f"Serving {name} on http://{options.host}:{port} (docs at /doc, metrics at /metrics)", flush=True)  # noqa: T201 - for people
    return Server(
        options.target,
        address=options.host,
        port=port,
        interface=Interfaces.WSGI,
        workers=options.workers,
        blocking_threads=_THREADS,
        websockets=False,
        reload=options.is_reloading,
        working_dir=options.folder,
        log_enabled=True,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_TIMEOUT_S,
    )
