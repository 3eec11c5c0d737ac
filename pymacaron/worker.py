"""The command ``pymacaron worker``: runs the tasks of the service in a folder."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from flask import Flask
from werkzeug.serving import make_server

from pymacaron.config import load_config
from pymacaron.exceptions import StartupError
from pymacaron.log import set_level, setup_logging
from pymacaron.server import shared_metrics_folder
from pymacaron.service import service_of
from pymacaron.serving.companion import PARENT_VARIABLE
from pymacaron.serving.loading import enter_folder, load_or_explain

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@click.command()
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(), help="The service's folder. Default: this one."
)
@click.option("--app", "target", default="server:app", show_default=True, help="Module and variable of the app.")
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    default=None,
    help="Processes. Default: task_concurrency in pym-config.yaml, else one a CPU; 2 where somebody develops.",
)
@click.option("--queues", default="", help="Names of queues, with commas. Default: those of all tasks.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=None, help="Serve /ping and the metrics there, on every address."
)
@click.option("--debug", "is_debug", is_flag=True, help="Write stale models again.")
@click.option("--env", default=None, help="Environment, as if set by PYM_ENV.")
def worker(
    folder: Path,
    target: str,
    concurrency: int | None,
    queues: str,
    port: int | None,
    is_debug: bool,  # noqa: FBT001 - click passes it by keyword
    env: str | None,
) -> None:
    """Run the tasks that the service in this folder queues."""
    if env:
        os.environ["PYM_ENV"] = env
    if is_debug:
        os.environ["PYM_DEBUG"] = "1"
    names = tuple(name.strip() for name in queues.split(",") if name.strip())
    sys.exit(run_worker(folder, target, queues=names, concurrency=concurrency, port=port))


@click.command()
@click.option("--concurrency", type=click.IntRange(1), default=None, help="Processes.")
@click.option("--maxmem", type=click.IntRange(1), default=None, help="Megabytes after which a process is replaced.")
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "warning", "error", "critical"], case_sensitive=False),
    default=None,
    help="Level of the log.",
)
@click.option("--keep-alive", is_flag=True, help="Without effect: processes that die are always replaced.")
def pymasync(
    concurrency: int | None,
    maxmem: int | None,
    level: str | None,
    keep_alive: bool,  # noqa: ARG001, FBT001 - kept from pymacaron 2
) -> None:
    """Run the tasks of the service in this folder: ``pymacaron worker`` by the name of pymacaron 2."""
    max_memory_bytes = maxmem * 1024 * 1024 if maxmem else None
    log_level = level.upper() if level else None
    sys.exit(run_worker(Path(), concurrency=concurrency, max_memory_bytes=max_memory_bytes, log_level=log_level))


def run_worker(
    folder: Path,
    target: str = "server:app",
    *,
    queues: Sequence[str] = (),
    concurrency: int | None = None,
    max_memory_bytes: int | None = None,
    port: int | None = None,
    log_level: str | None = None,
) -> int:
    """Run tasks until a signal ends it; return the exit code. Raises StartupError."""
    config = load_config(enter_folder(folder))
    setup_logging(log_level or config.log_level, config.log_format)
    with shared_metrics_folder():
        app = load_or_explain(target)
        if not isinstance(app, Flask):
            raise StartupError(app)
        if log_level:
            set_level(log_level)
        from pymacaron.tasks.worker import WorkerOptions, work  # noqa: PLC0415 - it loads Celery

        options = WorkerOptions(queues, concurrency, max_memory_bytes, on_ready=lambda: _show_life(app, port))
        return work(service_of(app), options)


def run_pymasync() -> None:
    """Run `pymasync`, and tell what keeps it from starting."""
    _run(pymasync, "pymasync")


def _run(command: click.Command, name: str) -> None:
    try:
        command(prog_name=name)
    except StartupError as error:
        click.echo(f"{error}", err=True)
        sys.exit(2)


def _show_life(app: Flask, port: int | None) -> None:
    """Say that tasks are run: at *port*, if one was asked for, and to whoever started this process."""
    if port is not None:
        config = service_of(app).config
        paths = ["/ping"] if config.metrics_port is not None else ["/ping", config.metrics_path]
        server = make_server("0.0.0.0", port, _only(app, paths), threaded=True)  # noqa: S104 - as asked for
        threading.Thread(target=server.serve_forever, name="pymacaron-worker-http", daemon=True).start()
    _tell_ready()


def _only(app: Flask, paths: Sequence[str]) -> WSGIApplication:
    """Return *app* without what lies elsewhere than at *paths*."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in paths:
            return app(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [f"A worker serves nothing but {' and '.join(paths)}".encode()]

    return serve


def _tell_ready() -> None:
    """Tell the process that started this one, if it asked to be told; from now on end when that ends."""
    descriptor = os.environ.pop(PARENT_VARIABLE, None)
    if descriptor is None:
        return
    line = socket.socket(fileno=int(descriptor))
    line.sendall(b"1")

    def wait_for_end() -> None:
        line.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_end, name="pymacaron-parent", daemon=True).start()


if __name__ == "__main__":
    _run(worker, "pymacaron worker")
