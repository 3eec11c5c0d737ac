"""Dashboards for Grafana: one of a service, one of all services."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pymacaron.json_types import JsonObject
from pymacaron_monitoring import families
from pymacaron_monitoring.burn_rate import scale_windows
from pymacaron_monitoring.indicators import Indicator
from pymacaron_monitoring.panels import (
    Panel,
    Query,
    Row,
    annotation,
    bars,
    frame,
    graph,
    heatmap,
    lay_out,
    list_variable,
    stat,
    table,
)
from pymacaron_monitoring.promql import format_duration, match, select
from pymacaron_monitoring.rules import ALLOWED, BAD, BUDGET, REQUESTS, SHARE
from pymacaron_monitoring.runbook import dashboard_uid

FLEET_UID = "pymacaron-fleet"
_STEP = "$__rate_interval"
_DURATION = families.REQUESTS.name
_FAILED = 'http_response_status_code=~"5.."'
_OPERATION = "operation_id, http_request_method, http_route"
_LEFT_COLOURS: dict[float | None, str] = {None: "red", 0.0: "orange", 0.25: "green"}
_SHARE_COLOURS: dict[float | None, str] = {None: "green", 0.01: "orange", 0.05: "red"}


@dataclass(frozen=True, slots=True)
class DashboardOptions:
    """What a service's dashboard is written for.

    job: label of its series. live_url: where it answers, for links. scale: that of its rules.
    """

    job: str
    live_url: str | None = None
    scale: float = 1.0


def make_service_dashboard(title: str, indicators: Sequence[Indicator], options: DashboardOptions) -> JsonObject:
    """Return the dashboard of the service *title*."""
    job = match("job", options.job)
    rows = [
        *([_objectives_row(job, indicators, options.scale)] if indicators else []),
        _requests_row(job),
        _operations_row(job, options),
        _errors_row(job),
        _saturation_row(job),
        _sections_row(job),
        _tasks_row(job),
    ]
    values = f"label_values({select(f'{_DURATION}_count', job)}, operation_id)"
    variables = [list_variable("operation", "Operation", values)]
    return frame(f"{title} (service)", dashboard_uid(options.job), lay_out(rows), variables, _annotations(job))


def make_fleet_dashboard() -> JsonObject:
    """Return the dashboard of all services that a Prometheus scrapes; the same for every service."""
    job = 'job=~"$job"'
    variables = [list_variable("job", "Service", f"label_values({_DURATION}_count, job)")]
    return frame("All services", FLEET_UID, lay_out(_fleet_rows(job)), variables, _annotations(job))


def _objectives_row(job: str, indicators: Iterable[Indicator], scale: float) -> Row:
    scaled = [window for one in indicators for window in scale_windows(one.period_s, scale)]
    pages = [window for window in scaled if window.severity == "page"]
    lengths = sorted({window.long_s for window in pages})
    windows = match("window", *map(format_duration, lengths))
    allowed = f"on (job, slo) group_left () {select(ALLOWED, job)}"
    burn = f"{select(SHARE, job, windows)} / {allowed}"
    is_period = f"and on (job, slo, window) {select(BUDGET, job)}"
    limits: dict[float | None, str] = {None: "transparent"}
    limits |= dict(zip(sorted({window.factor for window in pages}), ("orange", "red"), strict=False))
    left = select(BUDGET, job)
    name = "{{slo}} {{operation_id}}"
    firing = select("ALERTS", job, match("alertstate", "firing"))
    columns = {
        "Allowed": f"{select(BUDGET, job)} * 0 + {allowed}",
        "Bad": f"{select(BAD, job)} {is_period}",
        "Requests": f"{select(REQUESTS, job)} {is_period}",
        "Budget left": left,
    }
    return Row(
        "Objectives",
        [
            table(
                "Objectives",
                columns,
                "Each objective over its window: what may be bad, what was, and how much of the budget is left.",
                units={"Allowed": "percentunit", "Budget left": "percentunit", "Requests": "short", "Bad": "short"},
            ),
            bars("Budget left", Query(left, name), "Below zero, more was bad than promised.", _LEFT_COLOURS),
            graph(
                "Budget over time", [Query(left, name)], "Each request weighs the same.", unit="percentunit", width=12
            ),
            graph(
                "Burn rate",
                [Query(burn, f"{name} {{{{window}}}}")],
                "1 spends the budget in just its window; the lines are where a page comes, if it is certain.",
                width=16,
                limits=limits,
            ),
            Panel("table", "Alerts", [Query(firing, is_instant=True, format="table")], "What fires now.", 8, 8),
        ],
    )


def _requests_row(job: str) -> Row:
    chosen = 'operation_id=~"$operation"'
    count, buckets = select(f"{_DURATION}_count", job, chosen), select(f"{_DURATION}_bucket", job, chosen)
    status = f'label_replace(rate({count}[{_STEP}]), "class", "${{1}}xx", "http_response_status_code", "(.).*")'
    failed = select(f"{_DURATION}_count", job, chosen, _FAILED)
    total = f"sum(rate({count}[{_STEP}]))"
    quantiles = [
        Query(_quantile(share, buckets), f"p{share * 100:g}", has_exemplars=share == 0.99)  # noqa: PLR2004 - the slowest
        for share in (0.5, 0.95, 0.99)
    ]
    active = f"sum by (http_request_method) ({select(families.ACTIVE_REQUESTS.name, job)})"
    size = f"sum(rate({select(f'{families.RESPONSE_BYTES.name}_sum', job, chosen)}[{_STEP}]))"
    received = f"sum(rate({select(f'{families.REQUEST_BYTES.name}_sum', job, chosen)}[{_STEP}]))"
    return Row(
        "Requests",
        [
            graph("Rate", [Query(f"sum by (class) ({status})", "{{class}}")], "By class of status.", unit="reqps"),
            graph(
                "Failed",
                [Query(f"sum(rate({failed}[{_STEP}])) / {total}", "5xx")],
                "Share of requests that were answered 5xx.",
                unit="percentunit",
            ),
            graph("Duration", quantiles, "Estimated from buckets: up to 45 % off between wide ones.", unit="s"),
            heatmap("Durations", f"sum by (le) (increase({buckets}[{_STEP}]))", "How many requests took how long."),
            graph("In flight", [Query(active, "{{http_request_method}}")], "Requests that are being handled."),
            graph("Bytes", [Query(size, "sent"), Query(received, "received")], "Bodies.", unit="Bps"),
        ],
    )


def _quantile(share: float, buckets: str, by: str = "le") -> str:
    return f"histogram_quantile({share:g}, sum by ({by}) (rate({buckets}[{_STEP}])))"


def _operations_row(job: str, options: DashboardOptions) -> Row:
    count, buckets = select(f"{_DURATION}_count", job), select(f"{_DURATION}_bucket", job)
    failed = select(f"{_DURATION}_count", job, _FAILED)
    rate = f"sum by ({_OPERATION}) (rate({count}[{_STEP}]))"
    budgets = select(BUDGET, job, 'operation_id!=""')
    left = f"min by (operation_id) ({budgets})"
    columns = {
        "Rate": rate,
        "Failed": f"sum by ({_OPERATION}) (rate({failed}[{_STEP}])) / ({rate} > 0)",
        "p95": _quantile(0.95, buckets, f"le, {_OPERATION}"),
        "Budget left": f"{left} * on (operation_id) group_right () (0 * {rate} + 1)",
        "Rate a week ago": f"sum by ({_OPERATION}) (rate({count}[{_STEP}] offset 1w))",
    }
    here = f"/d/{dashboard_uid(options.job)}?var-operation=${{__value.text}}&${{__url_time_range}}"
    links: dict[str, JsonObject] = {"operation_id": {"title": "Show only this operation", "url": here}}
    if options.live_url:
        links["http_route"] = {"title": "Reference", "url": f"{options.live_url.rstrip('/')}/doc", "targetBlank": True}
    units = {"Rate": "reqps", "Rate a week ago": "reqps", "Failed": "percentunit", "p95": "s"}
    busiest = f"topk(10, sum by (operation_id) (rate({count}[{_STEP}])))"
    slowest = f"topk(10, {_quantile(0.95, buckets, 'le, operation_id')})"
    failing = f"topk(10, sum by (operation_id) (rate({failed}[{_STEP}])))"
    name = "{{operation_id}}"
    return Row(
        "Operations",
        [
            table(
                "Operations",
                columns,
                "One line an operation; click on its id to see it alone.",
                units={**units, "Budget left": "percentunit"},
                links=links,
            ),
            graph("Busiest", [Query(busiest, name)], "The ten that are called most.", unit="reqps"),
            graph("Slowest", [Query(slowest, name)], "The ten with the highest p95.", unit="s"),
            graph("Failing", [Query(failing, name)], "The ten with most 5xx.", unit="reqps"),
        ],
    )


def _errors_row(job: str) -> Row:
    reported = f"sum by (reporter, outcome) (increase({select(families.ERRORS.name, job)}[{_STEP}]))"
    violated = f"sum by (operation_id, place) (increase({select(families.VIOLATIONS.name, job)}[{_STEP}])) > 0"
    lost = f"sum(increase({select(families.LOST_REQUESTS.name, job)}[{_STEP}]))"
    return Row(
        "Errors",
        [
            graph("Reports", [Query(reported, "{{reporter}} {{outcome}}")], "What became of reported errors."),
            graph(
                "Broken promises", [Query(violated, "{{operation_id}} {{place}}")], "Answers that broke the document."
            ),
            graph("Lost requests", [Query(lost, "lost")], "Requests whose worker died while it handled them."),
        ],
    )


def _saturation_row(job: str) -> Row:
    def all_of(family: families.Family) -> str:
        return f"sum({select(family.name, job)})"

    cpu = f"sum(rate({select(families.CPU.name, job)}[{_STEP}]))"
    files = f"max({select(families.OPEN_FILES.name, job)} / {select(families.MOST_FILES.name, job)})"
    starts = f"sum(increase({select(families.WORKER_STARTS.name, job)}[{_STEP}]))"
    series = f"max({select(families.SERIES.name, job)} / {select(families.SERIES_BUDGET.name, job)})"
    scrape = f"max({select('scrape_duration_seconds', job)})"
    memory = f"sum by (worker) ({select(families.MEMORY.name, job)})"
    return Row(
        "Saturation",
        [
            stat("Workers", all_of(families.WORKERS), "Processes that serve.", "short"),
            stat("In flight", all_of(families.ACTIVE_REQUESTS), "Requests that are being handled.", "short"),
            stat("CPU", cpu, "Cores in use.", "short"),
            stat("Open files", files, "Of what one worker may open.", "percentunit", {None: "green", 0.8: "red"}),
            stat("Series", series, "Of the cardinality budget.", "percentunit", {None: "green", 0.9: "red"}),
            stat("Scrape", scrape, "Time that Prometheus takes to scrape.", "s", {None: "green", 1: "red"}),
            graph("Memory", [Query(memory, "worker {{worker}}")], "Resident memory.", unit="bytes"),
            graph("CPU", [Query(cpu, "cores")], "CPU time a second."),
            graph("Worker starts", [Query(starts, "starts")], "More than after a release: workers die."),
        ],
    )


def _sections_row(job: str) -> Row:
    series = families.SECTIONS.name
    slowest = _quantile(0.95, select(f"{series}_bucket", job), "le, kind, method")
    rate = f"sum by (kind, method) (rate({select(f'{series}_count', job)}[{_STEP}]))"
    busy = f"sum by (kind, method) (rate({select(f'{series}_sum', job)}[{_STEP}]))"
    name = "{{kind}} {{method}}"
    panels = [
        graph("Section duration", [Query(slowest, name)], "p95 of blocks timed with monitor().", unit="s"),
        graph("Section rate", [Query(rate, name)], "How often each ran.", unit="ops"),
        graph("Section time", [Query(busy, name)], "Seconds spent in it, a second: what would repay to be faster."),
    ]
    return Row("Timed sections", panels, is_collapsed=True)


def _tasks_row(job: str) -> Row:
    def p95(family: families.Family) -> list[Query]:
        return [Query(_quantile(0.95, select(f"{family.name}_bucket", job), "le, task"), "{{task}}")]

    runs = f"sum by (state) (rate({select(f'{families.TASKS.name}_count', job)}[{_STEP}]))"
    queued = f"sum(rate({select(families.QUEUED_TASKS.name, job)}[{_STEP}]))"
    lost = f"sum(rate({select(families.LOST_TASKS.name, job)}[{_STEP}]))"
    active = f"sum by (task) ({select(families.ACTIVE_TASKS.name, job)})"
    length = f"max by (queue) ({select(families.QUEUE_LENGTH.name, job)})"
    oldest = f"max by (queue) ({select(families.OLDEST_MESSAGE.name, job)})"
    panels = [
        graph("Queued messages", [Query(length, "{{queue}}")], "What waits in each queue."),
        graph("Oldest message", [Query(oldest, "{{queue}}")], "How long it waits already.", unit="s"),
        graph(
            "Runs",
            [Query(runs, "{{state}}"), Query(queued, "queued"), Query(lost, "lost")],
            "By outcome; more queued than run is a queue that grows.",
            unit="ops",
        ),
        graph("Wait", p95(families.TASK_WAITS), "p95 until a worker began.", unit="s"),
        graph("Run time", p95(families.TASKS), "p95 of each task.", unit="s"),
        graph("Running", [Query(active, "{{task}}")], "Tasks that are being run."),
    ]
    return Row("Tasks", panels, is_collapsed=True)


def _annotations(job: str) -> list[JsonObject]:
    """Return releases, seen by a build that was not there before, and alerts."""
    build = f"sum by (job, version, revision) ({select(families.BUILD.name, job)}"
    release = f"{build}) unless {build} offset 2m)"
    firing = f"sum by (alertname, severity, slo, operation_id) ({select('ALERTS', job, match('alertstate', 'firing'))})"
    return [
        annotation("Releases", "blue", release, title="{{job}} {{version}}", text="{{revision}}"),
        annotation("Alerts", "red", firing, title="{{alertname}} {{severity}}", text="{{slo}} {{operation_id}}"),
    ]


def _fleet_rows(job: str) -> list[Row]:
    count = f"sum by (job) (rate({select(f'{_DURATION}_count', job)}[{_STEP}]))"
    failed = f"sum by (job) (rate({select(f'{_DURATION}_count', job, _FAILED)}[{_STEP}])) / ({count} > 0)"
    p95 = _quantile(0.95, select(f"{_DURATION}_bucket", job), "le, job")
    left = f"min by (job) ({select(BUDGET, job)})"
    # of what is scraped, only what counts requests: not every job is a service
    up = f"sum by (job) ({select('up', job)} and on (job) {select(f'{_DURATION}_count', job)})"
    firing = select("ALERTS", job, match("alertstate", "firing"), match("severity", "page"))
    pages = f"count by (job) ({firing}) or 0 * {up}"
    builds = f"count by (job, version, revision) ({select(families.BUILD.name, job)})"
    columns = {"Copies": up, "Rate": count, "Failed": failed, "p95": p95, "Least budget left": left, "Pages": pages}
    units = {"Rate": "reqps", "Failed": "percentunit", "p95": "s", "Least budget left": "percentunit"}
    link = {"title": "Dashboard", "url": "/d/pymacaron-${__value.text}?${__url_time_range}"}
    services = table("Services", columns, "One line a service.", units=units, links={"job": link}, hidden=())
    name = "{{job}}"
    return [
        Row("Services", [services]),
        Row(
            "Compared",
            [
                graph("Rate", [Query(count, name)], "Requests.", unit="reqps"),
                graph("Failed", [Query(failed, name)], "Share answered 5xx.", unit="percentunit"),
                graph("p95", [Query(p95, name)], "Estimated from buckets.", unit="s"),
                bars("Least budget left", Query(left, name), "Of each service's objectives.", _LEFT_COLOURS),
                graph("Pages", [Query(pages, name)], "How many fire.", width=12),
                table(
                    "Builds",
                    {"Copies": builds},
                    "What runs: two lines of a service are a release under way.",
                    hidden=(),
                ),
            ],
        ),
    ]
