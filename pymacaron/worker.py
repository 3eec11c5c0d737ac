"""The command ``pymacaron worker``: runs the tasks of the service in a folder."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path

import click
from flask import Flask

from pymacaron.config import load_config
from pymacaron.exceptions import Finding, StartupError
from pymacaron.log import setup_logging
from pymacaron.server import shared_metrics_folder
from pymacaron.service import service_of
from pymacaron.serving.companion import PARENT_VARIABLE
from pymacaron.serving.loading import load_or_explain


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
@click.option("--debug", "is_debug", is_flag=True, help="Write stale models again.")
@click.option("--env", default=None, help="Environment, as if set by PYM_ENV.")
def worker(
    folder: Path,
    target: str,
    concurrency: int | None,
    queues: str,
    is_debug: bool,  # noqa: FBT001 - click passes it by keyword
    env: str | None,
) -> None:
    """Run the tasks that the service in this folder queues."""
    if env:
        os.environ["PYM_ENV"] = env
    if not folder.is_dir():
        raise StartupError(Finding(str(folder), "there is no such folder", "Name the folder that holds server.py"))
    folder = folder.resolve()
    config = load_config(folder)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    if is_debug:
        os.environ["PYM_DEBUG"] = "1"
    setup_logging(config.log_level, config.log_format)
    with shared_metrics_folder():
        app = load_or_explain(target)
        if not isinstance(app, Flask):
            raise StartupError(app)
        from pymacaron.tasks.worker import WorkerOptions, work  # noqa: PLC0415 - it loads Celery

        names = [name.strip() for name in queues.split(",") if name.strip()]
        sys.exit(work(service_of(app), WorkerOptions(names, concurrency, on_ready=_tell_ready)))


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
    try:
        worker(prog_name="pymacaron worker", standalone_mode=True)
    except StartupError as error:
        click.echo(f"{error}", err=True)
        sys.exit(2)
