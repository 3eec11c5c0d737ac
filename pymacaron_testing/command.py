"""`pymacaron test`: pytest in the service's folder, with the plugin switched on."""

from __future__ import annotations

import sys

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
    short_help="Test the service in this folder, or any live one.",
)
@click.option(
    "--target", metavar="URL", help="The live service to test. Default: the one in this folder, started for the run."
)
@click.option(
    "--spec", metavar="FILE|URL", help="Its API document. Default: apis/*.yaml, else what the target publishes."
)
@click.option("--auth", metavar="'HEADER: VALUE'", multiple=True, help="Header line that identifies the user.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(target: str | None, spec: str | None, auth: tuple[str, ...], pytest_arguments: tuple[str, ...]) -> None:
    """Run contract items and hand-written tests; everything after the options goes to pytest.

    Exit codes: 0 all promises kept, 1 something is broken, 2 could not test.
    """
    import pytest  # noqa: PLC0415 - the command's help must not need it

    arguments = ["--pymacaron"]
    if target:
        arguments.append(f"--pymacaron-target={target}")
    if spec:
        arguments.append(f"--pymacaron-spec={spec}")
    arguments += [f"--pymacaron-auth={line}" for line in auth]
    sys.exit(pytest.main([*arguments, *pytest_arguments]))
