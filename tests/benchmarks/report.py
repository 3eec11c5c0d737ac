"""Makes medians, ratios, promises and tables of what was measured, and puts them into docs/performance.md."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chart import draw
from peer import ROOT

RESULTS = Path(__file__).parent / "serving_results.json"
PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "serving.svg"
OURS = "pymacaron run"  # its usual server, as the others are on theirs
OURS_ON_SAME = "pymacaron on granian"  # the same server, with the same settings, as other WSGI services have
ALL_OURS = ("pymacaron on ", OURS)
OPERATIONS = {"ping": "ping", "post": "protected POST", "list": "list of 20"}
MOST_OVERHEAD_US = {"ping": 15, "post": 20}
Rates = dict[str, dict[str, float]]
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Promise:
    """In requests per second, ``pymacaron run`` is so many times *than*, or more."""

    operation: str
    than: str
    ratio: float


PROMISES = (
    Promise("post", "FastAPI on uvicorn", 4.5),
    Promise("post", "Litestar on uvicorn", 3.5),
    Promise("post", "bare WSGI on granian", 2.5),
    Promise("list", "FastAPI on uvicorn", 1.5),
    Promise("ping", "Flask + pydantic on granian", 4),
    Promise("ping", "Litestar on uvicorn", 2),
)


def find_medians(samples: Iterable[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], dict[str, float]]:
    """Return, for each combination of values of *keys*, the medians of the other numbers."""
    grouped: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for sample in samples:
        if all(key in sample for key in keys):
            grouped.setdefault(tuple(sample[key] for key in keys), []).append(sample)
    skipped = {"round", *keys}
    return {
        group: {
            name: statistics.median(one[name] for one in members)
            for name, value in members[0].items()
            if name not in skipped and not isinstance(value, str)
        }
        for group, members in grouped.items()
    }


def find_rates(found: dict[str, Any]) -> Rates:
    """Return service -> operation -> requests per second of the service's CPU time; the fastest protected POST first.

    On a core that nobody else uses that is the rate by the clock; other load of the machine changes it far less.
    """
    rates: Rates = {}
    samples = [
        one | {"rate": one["requests_per_s"] / one["core_share"]} for one in found["samples"] if "operation" in one
    ]
    for (service, operation), medians in find_medians(samples, "service", "operation").items():
        rates.setdefault(service, {})[operation] = medians["rate"]
    return dict(sorted(rates.items(), key=lambda pair: -pair[1]["post"]))


def find_clock_rates(found: dict[str, Any]) -> Rates:
    """Return service -> operation -> requests per second by the clock."""
    rates: Rates = {}
    for (service, operation), medians in find_medians(found["samples"], "service", "operation").items():
        rates.setdefault(service, {})[operation] = medians["requests_per_s"]
    return rates


def make_report(found: dict[str, Any]) -> str:
    """Return all tables, for people who ran it."""
    return "\n\n".join(f"{name}\n\n{text}" for name, text in make_tables(found).items() if text)


def make_tables(found: dict[str, Any]) -> dict[str, str]:
    """Return name -> table, in Markdown."""
    rates = find_rates(found)
    return {
        "rates": make_rates(rates),
        "promises": make_promises(rates, find_clock_rates(found), found.get("in_process", {})),
        "costs": make_costs(found),
        "in_process": make_in_process(found.get("in_process", {})),
        "operations": make_scaling(found, "operations", "operations"),
        "bodies": make_scaling(found, "body", "bytes"),
        "versions": make_versions(found),
    }


def make_rates(rates: Rates) -> str:
    """Return requests per second of each service, and how many times as many ``pymacaron run`` answers."""
    rows = []
    for service, found in rates.items():
        cells = [f"{found[operation]:,.0f}{tell_ratio(rates, service, operation)}" for operation in OPERATIONS]
        rows.append([f"**{service}**" if service.startswith(ALL_OURS) else service, *cells])
    return make_table(["requests per second", *OPERATIONS.values()], rows)


def tell_ratio(rates: Rates, service: str, operation: str) -> str:
    """Return `` (3.1x)`` where ``pymacaron run`` answers 3.1 times as many requests."""
    if service.startswith(ALL_OURS) or OURS not in rates:
        return ""
    return f" ({rates[OURS][operation] / rates[service][operation]:.1f}x)"


def make_promises(rates: Rates, clock_rates: Rates, in_process: Rates) -> str:
    """Return each promise, what was found, also by the clock and on granian itself, and whether it is kept."""
    rows = []
    for promise in PROMISES:
        ratio = find_ratio(rates, OURS, promise)
        if ratio is not None:
            others = (find_ratio(clock_rates, OURS, promise), find_ratio(rates, OURS_ON_SAME, promise))
            said = f"{OPERATIONS[promise.operation]}: {promise.ratio:g}x {promise.than}, or more"
            cells = [f"{one:.2f}x" if one else "" for one in (ratio, *others)]
            rows.append([said, *cells, "kept" if ratio >= promise.ratio else "missed"])
    for operation, most in MOST_OVERHEAD_US.items() if in_process else ():
        overhead = find_overhead(in_process[operation])
        said = f"{OPERATIONS[operation]}, in process: {most} µs over bare WSGI without JWT, or less"
        rows.append([said, f"{overhead:.1f} µs", "", "", "kept" if overhead <= most else "missed"])
    return make_table(["promise", "found", "by the clock", "on granian itself", ""], rows)


def find_ratio(rates: Rates, service: str, promise: Promise) -> float | None:
    """Return how many times as many requests *service* answers as the one in the promise; None if not measured."""
    if service not in rates or promise.than not in rates:
        return None
    return rates[service][promise.operation] / rates[promise.than][promise.operation]


def find_overhead(times: dict[str, float]) -> float:
    """Return microseconds that pymacaron adds to bare WSGI that lets everybody in."""
    return times["pymacaron"] - times["bare, no JWT"]


def make_costs(found: dict[str, Any]) -> str:
    """Return latencies, start-up time and memory of each service."""
    latencies = find_medians(found["samples"], "service", "operation")
    costs = find_medians((one for one in found["samples"] if "start_s" in one), "service")
    rows = []
    for service in find_rates(found):
        both = [latencies[service, operation] for operation in OPERATIONS]
        cost = costs[service,]
        cells = [f"{one['p50_ms']:.1f} / {one['p99_ms']:.1f}" for one in both]
        rows.append([service, *cells, *(f"{cost[name]:.{digits}f}" for name, digits in COSTS.items())])
    head = ["ms, p50 / p99", *OPERATIONS.values(), "start, s", "worker, MB", "all, MB"]
    return make_table(head, rows)


COSTS = {"start_s": 2, "worker_mb": 0, "service_mb": 0}


def make_in_process(found: dict[str, dict[str, float]]) -> str:
    """Return microseconds of one call of each app, and what pymacaron adds to bare WSGI without a token."""
    if not found:
        return ""
    services = list(next(iter(found.values())))
    rows = [
        [OPERATIONS[operation], *(f"{times[name]:.1f}" for name in services), f"{find_overhead(times):.1f}"]
        for operation, times in found.items()
    ]
    return make_table(["µs of CPU time", *services, "pymacaron over bare, no JWT"], rows)


def make_scaling(found: dict[str, Any], scale: str, unit: str) -> str:
    """Return requests per second of CPU time by *scale*: ``operations`` or ``body``."""
    samples = [
        {"service": one["service"], "size": one["size"], "rate": one["requests_per_s"] / one["core_share"]}
        for one in found.get("scaling", ())
        if one["scale"] == scale
    ]
    medians = find_medians(samples, "service", "size")
    sizes = sorted({size for _, size in medians})
    services = list(dict.fromkeys(service for service, _ in medians))
    rows = [[name, *(f"{medians[name, size]['rate']:,.0f}" for size in sizes)] for name in services]
    return make_table([f"requests per second, {unit}", *(f"{size:,}" for size in sizes)], rows) if rows else ""


def make_versions(found: dict[str, Any]) -> str:
    """Return on what machine, with what packages, and what the numbers hide."""
    machine = found["machine"]
    where = f"{machine['cores']} cores of {machine['processor']}, load {machine['load']} before"
    lines = [f"{machine['date']}, {where}; medians of {found['rounds']} rounds of {found['seconds']:g} s."]
    shares = sorted(one["core_share"] for one in found["samples"] if "operation" in one)
    if shares:
        parts = f"{shares[0]:.0%} to {shares[-1]:.0%}, half of the times at least {statistics.median(shares):.0%}"
        lines += [f"The services had so much of their core: {parts}; on an idle machine that is nearly all.", ""]
    for peer, versions in found["versions"].items():
        lines.append(f"- {peer}: {', '.join(f'{name} {version}' for name, version in versions.items())}")
    lines += [f"- {peer} lets pass what the others refuse: {', '.join(it)}" for peer, it in found["lenient"].items()]
    lines += [f"- not measured: {text}" for text in found["missing"]]
    lines += [f"- {text}" for text in found.get("remarks", ())]
    return "\n".join(lines) + "\n"


def make_table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fill(page: str, tables: dict[str, str]) -> str:
    """Return the text of *page* with the tables between ``<!-- generated: NAME -->`` and ``<!-- end -->``."""
    return _PART.sub(lambda part: f"{part[1]}\n{tables[part[2]]}\n{part[3]}", page)


def write_docs(found: dict[str, Any]) -> None:
    """Put tables and plot into docs/."""
    PAGE.write_text(fill(PAGE.read_text(), make_tables(found)))
    PLOT.write_text(draw(find_rates(found), OPERATIONS, ALL_OURS))


def print_in_process(found: dict[str, dict[str, float]]) -> None:
    """Print microseconds, what pymacaron adds to bare WSGI, and whether that is little enough."""
    print(make_in_process(found))  # noqa: T201
    print(make_promises({}, {}, found))  # noqa: T201
