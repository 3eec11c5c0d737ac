"""Programs that pymacaron 2 had, each a command of its own."""

from __future__ import annotations

import sys

import click

from pymacaron.exceptions import StartupError

_BAD_INPUT = 2


def run_alone(command: click.Command, name: str) -> None:
    """Run *command* as the program *name*; what keeps it from its work is told in a line, with exit code 2."""
    try:
        command(prog_name=name)
    except StartupError as error:
        click.echo(f"{error}", err=True)
        sys.exit(_BAD_INPUT)
