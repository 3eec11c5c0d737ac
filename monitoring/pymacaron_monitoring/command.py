"""``pymacaron gate``: prints the verdict on a running service."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
import requests

from pymacaron.config import find_ref_hosts
from pymacaron.exceptions import Finding, TargetError
from pymacaron.json_types import JsonObject
from pymacaron.spec import load_spec
from pymacaron_monitoring.gate import judge
from pymacaron_monitoring.report import ReportError
from pymacaron_monitoring.verdict import render_verdict

_TIMEOUT_S = 10


@click.command()
@click.option("--target", required=True, help="URL of the service to judge.")
@click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path),
    default=Path("pymacaron-report.json"),
    show_default=True,
    help="What 'pymacaron test' wrote about it.",
)
@click.option("--spec", default=None, help="Document whose x-slo counts. Default: those in the report.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), default=None, help="Write the verdict there, too."
)
@click.pass_context
def gate(ctx: click.Context, target: str, report_file: Path, spec: str | None, json_file: Path | None) -> None:
    """Judge a tested service by its contract and its x-slo.

    Prints pass, fail or undecided with every reason. Exit code: 0 pass, 1 fail, 2 undecided or bad input.
    """
    report = _read_report_file(report_file)
    apis = [load_spec(spec, remote_ref_hosts=find_ref_hosts())] if spec else None
    page = fetch_page(target)
    verdict = judge(report, apis=apis, target=target, now=datetime.now(UTC), page=page)
    click.echo(render_verdict(verdict))
    if json_file:
        _write_json(json_file, verdict.to_json())
    ctx.exit(verdict.exit_code)


def fetch_page(target: str) -> str | None:
    """Return the ``/metrics`` page of *target*; None if it has none. Raises TargetError if nobody answers."""
    try:
        answer = requests.get(f"{target.rstrip('/')}/metrics", timeout=_TIMEOUT_S)
    except (requests.RequestException, ValueError) as error:
        fix = "Start the service, or correct the URL"
        raise TargetError(Finding(target, f"it does not answer ({type(error).__name__})", fix)) from error
    return answer.text if answer.ok else None


def _read_report_file(file: Path) -> JsonObject:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        fix = "Run 'pymacaron test --target URL' first, or name its report with --report"
        raise ReportError(Finding(str(file), f"it cannot be read: {error.strerror}", fix)) from error
    except ValueError as error:
        raise ReportError(Finding(str(file), f"it is no JSON: {error}", "Run the tests again")) from error
    if not isinstance(data, dict):
        raise ReportError(Finding(str(file), "it is no JSON object", "Run the tests again"))
    return data


def _write_json(file: Path, data: JsonObject) -> None:
    try:
        file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        found = f"it cannot be written: {error.strerror}"
        raise ReportError(Finding(str(file), found, "Name another file with --json")) from error
