"""`pymacaron test`: pytest in the service's folder, with the plugin switched on."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from pymacaron_testing.watch import watch as run_after_changes

# What a run itself writes must not begin the next one.
_WRITTEN = frozenset({"pymacaron-report.json", "pymacaron-report.html", "junit.xml"})


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
    short_help="Test the service in this folder, or any live one.",
)
@click.option(
    "--target",
    metavar="URL",
    help="The live service to test, or cmd:COMMAND, docker:IMAGE. Default: the one in this folder, started anew.",
)
@click.option(
    "--spec", metavar="FILE|URL", help="Its API document. Default: apis/*.yaml, else what the target publishes."
)
@click.option(
    "--auth",
    metavar="'HEADER: VALUE'",
    multiple=True,
    help="Header line that identifies a user; again for the next one.",
)
@click.option("--profile", metavar="NAME", help="live changes nothing, quick sends no random cases; default full.")
@click.option("--max-time", metavar="SECONDS", help="Time for all contract items, shared among them.")
@click.option("--watch", is_flag=True, help="Test again whenever a file of the service changes.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(*, auth: tuple[str, ...], watch: bool, pytest_arguments: tuple[str, ...], **named: str | None) -> None:
    """Run contract items and hand-written tests; everything after the options goes to pytest.

    Exit codes: 0 all promises kept, 1 something is broken, 2 could not test.
    """
    arguments = ["--pymacaron"]
    arguments += [f"--pymacaron-{name.replace('_', '-')}={value}" for name, value in named.items() if value]
    arguments += [f"--pymacaron-auth={line}" for line in auth]
    arguments += pytest_arguments
    if not watch:
        sys.exit(_run_pytest(arguments))
    with contextlib.suppress(KeyboardInterrupt):
        command = [sys.executable, "-m", "pytest", *arguments]
        run_after_changes(command, Path.cwd(), lambda line: click.echo(f"\n-- {line}", err=True), but=_WRITTEN)


def run_pymtest() -> None:
    """Run ``pymtest``, as the command was called in pymacaron 2: its arguments go to pytest."""
    sys.exit(_run_pytest(["--pymacaron", *sys.argv[1:]]))


def _run_pytest(arguments: list[str]) -> int:
    import pytest  # noqa: PLC0415 - the command's help must not need it

    return int(pytest.main(arguments))
