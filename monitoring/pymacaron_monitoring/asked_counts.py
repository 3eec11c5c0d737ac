"""What Prometheus counted of an objective: as PromQL, and asked of a running server."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import requests

from pymacaron_monitoring.budget import Balance
from pymacaron_monitoring.indicators import Indicator
from pymacaron_monitoring.prometheus import METRIC
from pymacaron_monitoring.prometheus_server import ask_server
from pymacaron_monitoring.promql import format_duration, match, match_bound, select


@dataclass(frozen=True, slots=True)
class Counts:
    """Two expressions of the same labels: ``job``, and ``operation_id`` where operations are judged one by one."""

    requests: str
    bad: str


def count_requests(indicator: Indicator, job: str, length: str) -> Counts:
    """Return PromQL for how many requests there were within *length*, ``30d``, and how many of them were bad."""
    grouping = "job" if indicator.is_pooled else "job, operation_id"
    ids = match("operation_id", *(operation.operation_id for operation in indicator.operations))

    def sum_increase(suffix: str, *matchers: str) -> str:
        series = select(f"{METRIC}_{suffix}", match("job", job), ids, *matchers)
        return f"sum by ({grouping}) (increase({series}[{length}]))"

    total = sum_increase("count")
    if indicator.latency is None:
        return Counts(total, sum_increase("count", 'http_response_status_code=~"5.."'))
    fast = sum_increase("bucket", match_bound(indicator.latency.bound_s))
    return Counts(total, f"clamp_min({total} - {fast}, 0)")


def ask_balances(url: str, indicators: Iterable[Indicator], job: str) -> list[Balance]:
    """Return the balance of each objective over its window, by the Prometheus server at *url*.

    Raises: TargetError: nobody answers there, or it is no Prometheus.
    """
    balances = []
    with requests.Session() as http:
        for indicator in indicators:
            counts = count_requests(indicator, job, format_duration(indicator.period_s))
            total, bad = _ask(http, url, counts.requests), _ask(http, url, counts.bad)
            for subject in indicator.subjects:
                key = subject.operation_id if subject else ""
                # Nothing of it was ever scraped: no request is known of. No 5xx was: there was none; our services show
                # such a series at zero, others may begin with the first.
                none = 0.0 if indicator.latency is None and key in total else None
                balances.append(Balance(indicator, subject, total.get(key, 0.0), bad.get(key, none)))
    return balances


def _ask(http: requests.Session, url: str, expr: str) -> dict[str, float]:
    """Return the samples by operation id."""
    found = ask_server(url, expr, http=http)
    return {dict(labels).get("operation_id", ""): value for labels, value in found.items()}
