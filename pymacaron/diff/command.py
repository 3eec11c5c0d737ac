"""The command `pymacaron diff`."""

from __future__ import annotations

import sys

import click

from pymacaron.config import find_ref_hosts
from pymacaron.diff.compare import compare
from pymacaron.diff.report import render_json, render_text
from pymacaron.exceptions import Finding, SpecError
from pymacaron.spec import Api, load_spec


@click.command()
@click.argument("old")
@click.argument("new")
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to tell it."
)
def diff(old: str, new: str, style: str) -> None:
    """Tell what changed from the document OLD to NEW, and whom it breaks.

    Each is a file or an http(s) URL, of any version of OpenAPI. Exit code 0: nothing breaks; 1: something does; 2: a
    document cannot be used.
    """
    changes = compare(*_load(old, new))
    render = render_json if style == "json" else render_text
    click.echo(render(old, new, changes))
    sys.exit(any(change.severity == "breaking" for change in changes))


def _load(*sources: str) -> tuple[Api, ...]:
    """Read the documents. Raises SpecError with the findings of all of them."""
    apis: list[Api] = []
    findings: list[Finding] = []
    hosts = find_ref_hosts()
    for source in sources:
        try:
            apis.append(load_spec(source, remote_ref_hosts=hosts))
        except SpecError as error:
            findings += error.findings
    if findings:
        raise SpecError(findings)
    return tuple(apis)
