"""``pymacaron gate``: prints the verdict on a running service, whatever it is written in."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

import click

from pymacaron.config import find_ref_hosts
from pymacaron.exceptions import Finding
from pymacaron.json_types import JsonObject
from pymacaron.published import fetch_documents
from pymacaron.spec import Api, load_spec
from pymacaron_monitoring.gate import TOLERANCE, Pages, judge
from pymacaron_monitoring.metrics_options import metrics_path_option, read_token, token_option
from pymacaron_monitoring.release_pages import ask_counts, fetch_page
from pymacaron_monitoring.report import ReportError
from pymacaron_monitoring.slo import parse_duration
from pymacaron_monitoring.verdict import Reason, Verdict, render_verdict

_MINUTE_S = 60
_file = click.Path(path_type=Path)


class _Seconds(click.ParamType[float]):
    """A duration on the command line: ``45s``, ``10m``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            minutes = text.endswith("m") and not text.endswith("ms")
            return float(text[:-1]) * _MINUTE_S if minutes else parse_duration(text)
        except ValueError:
            self.fail(f"{text!r} is no duration; write 45s or 10m", param, ctx)


class _Given(TypedDict):
    """The options, by name."""

    target: str | None
    report_file: Path
    spec: str | None
    baseline: str | None
    baseline_spec: str | None
    watch_s: float | None
    prometheus: str | None
    select: str | None
    baseline_select: str | None
    last_s: float
    tolerance_percent: float
    is_breaking_allowed: bool
    metrics_path: str
    token_variable: str
    json_file: Path | None
    junit_file: Path | None
    html_file: Path | None


@click.command()
@click.option("--target", help="URL of the service to judge; with --prometheus it may be left out.")
@click.option(
    "--report",
    "report_file",
    type=_file,
    default=Path("pymacaron-report.json"),
    show_default=True,
    help="What 'pymacaron test' wrote about it. It may be missing with --watch and --prometheus.",
)
@click.option("--spec", help="Document whose x-slo counts, file or URL. Default: those in the report.")
@click.option("--baseline", help="URL of the running release: no worse than that, no new errors, no broken client.")
@click.option("--baseline-spec", help="Its document, file or URL. Default: what it publishes.")
@click.option(
    "--watch", "watch_s", type=_Seconds(), help="Judge live requests: those of so long from now, such as 60s."
)
@click.option("--prometheus", help="URL of a Prometheus: judge the live requests that it saw.")
@click.option("--select", help='There: labels of the service\'s series, such as job="shop",version="2".')
@click.option("--baseline-select", help="There: labels of the running release's series.")
@click.option("--last", "last_s", type=_Seconds(), default="10m", show_default=True, help="There: how far back.")
@click.option(
    "--tolerance",
    "tolerance_percent",
    type=click.FloatRange(0, 1000),
    default=TOLERANCE * 100,
    show_default=True,
    help="Per cent by which it may be slower, or fail more often, than the running release.",
)
@click.option("--allow-breaking", "is_breaking_allowed", is_flag=True, help="Let its document break clients.")
@metrics_path_option
@token_option
@click.option("--json", "json_file", type=_file, help="Write the verdict there, too.")
@click.option("--junit", "junit_file", type=_file, help="Write it there as JUnit's XML.")
@click.option("--html", "html_file", type=_file, help="Write it there as a page.")
@click.pass_context
def gate(ctx: click.Context, **given: Unpack[_Given]) -> None:
    """Judge a service by its tests, its x-slo and the running release.

    Prints pass, fail or undecided with every reason. Exit code: 0 pass, 1 fail, 2 undecided or bad input.
    """
    if given["target"] is None and given["prometheus"] is None:
        raise click.UsageError("Name the service with --target URL, or --prometheus URL and --select LABELS.")
    if (given["prometheus"] is None) != (given["select"] is None):
        raise click.UsageError("--prometheus and --select belong together.")
    verdict = _judge(given)
    click.echo(render_verdict(verdict))
    title = given["target"] or f"{given['select']} in {given['prometheus']}"
    if given["json_file"]:
        _write(given["json_file"], json.dumps(verdict.to_json(), indent=2) + "\n", "--json")
    if given["junit_file"]:
        _write(given["junit_file"], verdict.to_junit(), "--junit")
    if given["html_file"]:
        _write(given["html_file"], verdict.to_html(title), "--html")
    ctx.exit(verdict.exit_code)


def _judge(given: _Given) -> Verdict:
    """Gather what the options name, and judge it."""
    is_live = given["watch_s"] is not None or given["prometheus"] is not None
    is_missing = is_live and not given["report_file"].exists()
    report = None if is_missing else _read_report_file(given["report_file"])
    if report is None and given["spec"] is None:
        raise click.UsageError("Without a report, name the document whose x-slo counts with --spec.")
    apis = [load_spec(given["spec"], remote_ref_hosts=find_ref_hosts())] if given["spec"] else None
    published, unknown = _find_published(given, apis, report)
    now = datetime.now(UTC)
    how = read_token(given["token_variable"]), given["metrics_path"]
    page = fetch_page(given["target"], *how) if given["target"] else None
    candidate, baseline = _gather_pages(given)
    verdict = judge(
        report,
        apis=apis,
        candidate=candidate,
        baseline=baseline,
        target=given["target"],
        now=now,
        page=page,
        published=published,
        is_breaking_allowed=given["is_breaking_allowed"],
        tolerance=given["tolerance_percent"] / 100,
    )
    return Verdict((*verdict.reasons, *unknown))


def _find_published(
    given: _Given, apis: list[Api] | None, report: JsonObject | None
) -> tuple[list[Api] | None, list[Reason]]:
    """Return what the running release publishes, None if no such release was named, and what is not known of it."""
    names = [api.name for api in apis] if apis else _name_documents(report)
    if given["baseline_spec"]:
        api = load_spec(given["baseline_spec"], remote_ref_hosts=find_ref_hosts())
        return [replace(api, name=names[0]) if len(names) == 1 else api], []
    if given["baseline"] is None:
        return None, []
    found = fetch_documents(given["baseline"], names)
    unknown = [
        Reason(
            "undecided",
            f"Documents: of the running release, {why}, so whether clients of {name} break is unknown; "
            "name its document with --baseline-spec",
        )
        for name, why in found.missing.items()
    ]
    return list(found.apis), unknown


def _name_documents(report: JsonObject | None) -> list[str]:
    documents = report.get("documents") if report else None
    return [str(one.get("name")) for one in documents if isinstance(one, dict)] if isinstance(documents, list) else []


def _gather_pages(given: _Given) -> tuple[Pages | None, Pages | None]:
    """Return the pages of the release that is judged, None for those in the report, and of the running one."""
    if given["prometheus"] and given["select"]:
        now_s, window_s = time.time(), given["last_s"]
        ask = [given["select"], given["baseline_select"]]
        pages = [("", ask_counts(given["prometheus"], one, window_s, now_s)) if one else None for one in ask]
        return pages[0], pages[1]
    how = read_token(given["token_variable"]), given["metrics_path"]
    urls = [url for url in (given["target"], given["baseline"]) if url]
    before = [fetch_page(url, *how) for url in urls]
    if given["watch_s"] is None:
        return None, (before[1], before[1]) if len(urls) > 1 else None
    time.sleep(given["watch_s"])
    watched = list(zip(before, (fetch_page(url, *how) for url in urls), strict=True))
    return watched[0], watched[1] if len(watched) > 1 else None


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


def _write(file: Path, text: str, option: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        found = f"it cannot be written: {error.strerror}"
        raise ReportError(Finding(str(file), found, f"Name another file with {option}")) from error
