"""The `pymacaron` command."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import click

from pymacaron.config import load_config
from pymacaron.exceptions import Finding, StartupError
from pymacaron.server import ServerOptions, find_development_port, run

_BAD_INPUT = 2


class _Commands(click.Group):
    """Finds commands by entry point, other packages' among them, and tells start-up errors in one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(
            {*super().list_commands(ctx), *(entry.name for entry in entry_points(group="pymacaron.commands"))}
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name; what it needs is loaded only when it is asked for: `run` starts sooner."""
        own = super().get_command(ctx, cmd_name)
        found = entry_points(group="pymacaron.commands", name=cmd_name)
        if own is not None or not found:
            return own
        try:
            command: click.Command = next(iter(found)).load()
        except ModuleNotFoundError as error:
            return _missing_command(cmd_name, error.name or "a package")
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except StartupError as error:
            click.echo(f"{error}", err=True)
            sys.exit(_BAD_INPUT)


def _missing_command(name: str, package: str) -> click.Command:
    """Stand in for a command whose optional dependency is not installed."""
    message = f"pymacaron {name} needs {package}, which is not installed. Run: pip install 'pymacaron[testing]'"

    def tell(**_: object) -> None:
        click.echo(message, err=True)
        sys.exit(_BAD_INPUT)

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=tell, help=f"Needs {package}.", context_settings=settings)


@click.group(cls=_Commands)
@click.version_option(version("pymacaron"), prog_name="pymacaron")
def main() -> None:
    """Spec-first microservices: one OpenAPI file, and the handlers that you write."""


@main.command("run")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=Path(), help="The service's folder. Default: this one."
)
@click.option("--app", "target", default="server:app", show_default=True, help="Module and variable of the app.")
@click.option(
    "--host", default=lambda: os.environ.get("PYM_SERVER_HOST", "127.0.0.1"), help="Address. Default: 127.0.0.1."
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=None, help="Port; 0 is any free one. Default: $PORT or 8000."
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    envvar="PYM_GUNICORN_WORKERS_COUNT",
    default=None,
    help="Processes. Default: worker_count in pym-config.yaml, else one a CPU; 1 where somebody develops.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    envvar="PYM_GUNICORN_THREADS_COUNT",
    default=None,
    help="Threads of each process. Default: thread_count in pym-config.yaml, else 16.",
)
@click.option("--reload", "is_reloading", is_flag=True, help="Restart when a file changes.")
@click.option(
    "--debug", "is_debug", is_flag=True, help="Show the texts of errors to callers; write stale models again."
)
@click.option("--env", default=None, help="Environment, as if set by PYM_ENV.")
def run_command(  # noqa: PLR0913 - one argument an option
    folder: Path,
    target: str,
    host: str,
    port: int | None,
    workers: int | None,
    threads: int | None,
    is_reloading: bool,  # noqa: FBT001 - click passes it by keyword
    is_debug: bool,  # noqa: FBT001
    env: str | None,
) -> None:
    """Serve the service in this folder."""
    if env:
        os.environ["PYM_ENV"] = env
    if not folder.is_dir():
        raise StartupError(Finding(str(folder), "there is no such folder", "Name the folder that holds server.py"))
    options = ServerOptions(
        folder=folder.resolve(),
        target=target,
        host=host,
        port=find_development_port() if port is None else port,
        workers=workers,
        threads=threads,
        config=load_config(folder.resolve()),
        is_reloading=is_reloading,
        is_debug=is_debug,
    )
    sys.exit(run(options))


if __name__ == "__main__":
    main(prog_name="pymacaron")
