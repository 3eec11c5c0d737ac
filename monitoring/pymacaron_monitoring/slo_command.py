"""``pymacaron slo``: what objectives mean for Prometheus and Grafana, and how much of their budgets is left."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import click

from pymacaron.config import find_ref_hosts, load_config
from pymacaron.exceptions import Finding, SpecError, TargetError
from pymacaron.spec import Api, load_spec
from pymacaron_monitoring.asked_counts import ask_balances
from pymacaron_monitoring.budget import Balance, balance_page
from pymacaron_monitoring.files import dump_json, dump_yaml, find_stale, write_files, write_header
from pymacaron_monitoring.grafana import DashboardOptions, make_fleet_dashboard, make_service_dashboard
from pymacaron_monitoring.indicators import Indicator, find_indicators
from pymacaron_monitoring.metrics_options import metrics_path_option, read_token, token_option
from pymacaron_monitoring.prometheus import Page, read_page
from pymacaron_monitoring.release_pages import fetch_page
from pymacaron_monitoring.rule_tests import make_rule_tests
from pymacaron_monitoring.rules import RuleOptions, make_rules
from pymacaron_monitoring.slo import read_objectives

_STALE = 1
_MISSED = 1
_SUFFIXES = (".yaml", ".yml", ".json")


@click.group()
def slo() -> None:
    """Make alerts and dashboards of x-slo, and tell how much of its budgets is left."""


_documents = click.argument("documents", nargs=-1, type=click.Path(path_type=Path))
_job = click.option("--job", default=None, help="Label 'job' of the service in Prometheus. Default: its name.")
_out = click.option(
    "--out", "folder", type=click.Path(path_type=Path), default=Path("dashboards"), show_default=True, help="Where to."
)
_check = click.option("--check", "is_check", is_flag=True, help="Write nothing; exit 1 if a file is missing or stale.")


@slo.command()
@_documents
@_job
@_out
@_check
@click.pass_context
def rules(ctx: click.Context, documents: tuple[Path, ...], job: str | None, folder: Path, is_check: bool) -> None:  # noqa: FBT001 - click
    """Write rules for Prometheus, and their tests, of DOCUMENTS (default: those in apis/)."""
    apis, name = load_documents(documents), job or find_job()
    ctx.exit(_settle(folder, plan_rules(apis, RuleOptions(name)), is_check=is_check))


@slo.command()
@_documents
@_job
@_out
@_check
@click.pass_context
def dashboards(ctx: click.Context, documents: tuple[Path, ...], job: str | None, folder: Path, is_check: bool) -> None:  # noqa: FBT001 - click
    """Write dashboards for Grafana of DOCUMENTS (default: those in apis/): one of the service, one of all services."""
    apis = load_documents(documents)
    options = DashboardOptions(job) if job else find_dashboard_options()
    ctx.exit(_settle(folder, plan_dashboards(apis, options), is_check=is_check))


class _ReportOptions(TypedDict):
    documents: tuple[Path, ...]
    job: str | None
    target: str
    metrics_path: str
    token_variable: str
    prometheus: str | None
    is_json: bool


@slo.command()
@_documents
@_job
@click.option("--target", default="http://127.0.0.1:8000", show_default=True, help="URL of a running copy.")
@metrics_path_option
@token_option
@click.option(
    "--prometheus", default=None, metavar="URL", help="Ask a Prometheus about the objectives' windows instead."
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.pass_context
def report(ctx: click.Context, **given: Unpack[_ReportOptions]) -> None:
    """Tell how much of each budget is left: since the target was started, or over the windows by Prometheus.

    Exit code: 0, 1 if an objective is certainly missed, 2 for bad input.
    """
    indicators = read_indicators(load_documents(given["documents"]))
    if given["prometheus"]:
        balances = ask_balances(given["prometheus"], indicators, given["job"] or find_job())
    else:
        page = _read_target(given["target"], given["metrics_path"], read_token(given["token_variable"]))
        balances = balance_page(indicators, page)
    click.echo(json.dumps(to_json(balances), indent=2) if given["is_json"] else render(balances))
    ctx.exit(_MISSED if any(balance.state == "missed" for balance in balances) else 0)


def _read_target(target: str, path: str, token: str | None) -> Page:
    page = fetch_page(target, token, path)
    if page is None:
        found = "it shows no metrics"
        raise TargetError(Finding(target + path, found, "Correct the URL, or ask with --prometheus"))
    try:
        return read_page(page)
    except ValueError as error:
        raise TargetError(Finding(target + path, f"it cannot be read: {error}", "Correct the URL")) from error


def load_documents(documents: Sequence[Path]) -> list[Api]:
    """Return *documents*, by default all of ``apis/``. Raises SpecError with what is wrong in them."""
    files = documents or tuple(file for file in sorted(Path("apis").glob("*")) if file.suffix in _SUFFIXES)
    if not files:
        raise SpecError(Finding("apis", "there is no document in it", "Run this in the service's folder, or name it"))
    hosts = find_ref_hosts()
    return [load_spec(file, remote_ref_hosts=hosts) for file in files]


def find_job() -> str:
    """Return the name of the service in this folder. Raises ConfigError if its configuration cannot be read."""
    return load_config(Path()).name


def find_dashboard_options() -> DashboardOptions:
    """Return what the configuration in this folder says. Raises ConfigError if it cannot be read."""
    config = load_config(Path())
    return DashboardOptions(config.name, config.live_url)


def read_indicators(apis: Sequence[Api], *, may_be_empty: bool = False) -> list[Indicator]:
    """Return what *apis* promise. Raises SpecError for nonsense, and for nothing unless that *may_be_empty*."""
    findings: list[Finding] = []
    indicators: list[Indicator] = []
    for api in apis:
        try:
            indicators += find_indicators(api, read_objectives(api))
        except SpecError as error:
            findings += error.findings
    if not (indicators or findings or may_be_empty):
        names = ", ".join(api.source for api in apis)
        findings.append(Finding(names, "there is no x-slo", "Write x-slo: {availability: 99.9, latency: {p95: 200ms}}"))
    if findings:
        raise SpecError(findings)
    return indicators


def plan_rules(apis: Sequence[Api], options: RuleOptions) -> Mapping[str, str]:
    """Return the rule file and the file of its tests, name -> text."""
    indicators = read_indicators(apis)
    header = write_header("pymacaron slo rules", [api.source for api in apis])
    rule_file = f"{options.job}.rules.yaml"
    tests = make_rule_tests(indicators, options, rule_file)
    return {
        rule_file: dump_yaml(make_rules(indicators, options), header),
        f"{options.job}.rules.test.yaml": dump_yaml(tests, header),
    }


def plan_dashboards(apis: Sequence[Api], options: DashboardOptions) -> Mapping[str, str]:
    """Return the service's dashboard and that of all services, name -> text. Raises SpecError if x-slo is nonsense."""
    header = write_header("pymacaron slo dashboards", [api.source for api in apis])
    title = apis[0].title if len(apis) == 1 else options.job
    service = make_service_dashboard(title, read_indicators(apis, may_be_empty=True), options)
    fleet_header = write_header("pymacaron slo dashboards", ["nothing but the version of pymacaron"])
    return {
        f"{options.job}.json": dump_json(service, header),
        "fleet.json": dump_json(make_fleet_dashboard(), fleet_header),
    }


def render(balances: Sequence[Balance]) -> str:
    """Return one line a balance."""
    return "\n".join(f"{balance.state:7} {balance}" for balance in balances)


def to_json(balances: Sequence[Balance]) -> list[dict[str, object]]:
    """Return ``[{slo, operation_id, state, requests, bad, allowed_share, budget_left, period_s}]``."""
    return [
        {
            "slo": balance.indicator.name,
            "operation_id": balance.subject.operation_id if balance.subject else None,
            "state": balance.state,
            "requests": balance.requests,
            "bad": balance.bad,
            "allowed_share": balance.indicator.allowed_share,
            "budget_left": balance.budget_left,
            "period_s": balance.indicator.period_s,
        }
        for balance in balances
    ]


def _settle(folder: Path, planned: Mapping[str, str], *, is_check: bool) -> int:
    """Write what is stale and say so, or only say it; return the exit code."""
    stale = find_stale(folder, planned) if is_check else write_files(folder, planned)
    for path in stale:
        click.echo(f"{path}: {'stale' if is_check else 'written'}")
    if not stale:
        click.echo(f"{len(planned)} files in {folder} are up to date")
    return _STALE if is_check and stale else 0
