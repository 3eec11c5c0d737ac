"""What a ``/metrics`` page says about requests, and what happened between two pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf

from prometheus_client.parser import text_string_to_metric_families

from pymacaron_monitoring.families import REQUESTS

METRIC = REQUESTS.name
_START = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class Labels:
    """Which requests one histogram of a page counts. operation_id: empty where the service does not name it."""

    method: str
    route: str
    operation_id: str
    status: int


Histogram = Mapping[float, float]
"""Upper bound in seconds, infinity included -> number of requests that took no longer (cumulative)."""

Page = Mapping[Labels, Histogram]


@dataclass(frozen=True, slots=True)
class Difference:
    """What was counted between two pages.

    restarted: labels of the series that went backwards; if there is one, the counts mean nothing.
    """

    counts: Page
    restarted: tuple[Labels, ...]


@dataclass(frozen=True, slots=True)
class Requests:
    """A set of requests: how many by status, and how many took no longer than each bound."""

    by_status: Mapping[int, int]
    histogram: Histogram

    @property
    def total(self) -> int:
        """How many requests there were."""
        return sum(self.by_status.values())

    @property
    def server_errors(self) -> int:
        """How many were answered 5xx."""
        return sum(count for status, count in self.by_status.items() if status >= 500)  # noqa: PLR2004 - HTTP

    def count_slower(self, bound_s: float) -> int | None:
        """Return how many took longer than *bound_s*; None if that is no bound of the histogram."""
        at_most = self.histogram.get(bound_s)
        return None if at_most is None else self.total - round(at_most)


def read_page(text: str) -> Page:
    """Read the request histograms of a ``/metrics`` page in Prometheus text format; other metrics are skipped.

    Raises ValueError with what is wrong for anything that is no such page.
    """
    page: dict[Labels, dict[float, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name != f"{METRIC}_bucket":
                continue
            page.setdefault(_read_labels(sample.labels), {})[float(sample.labels.get("le", ""))] = sample.value
    for labels, histogram in page.items():
        if inf not in histogram:
            raise ValueError(f"{METRIC} of {labels.method} {labels.route} has no bucket le=+Inf")
    return page


def find_latest_start(text: str) -> float:
    """Return when the youngest process of a ``/metrics`` page started, in seconds since the epoch; 0 if unknown.

    Raises ValueError for what is no such page.
    """
    families = text_string_to_metric_families(text)
    starts = [sample.value for family in families for sample in family.samples if sample.name == _START]
    return max(starts, default=0.0)


def subtract_pages(before: Page, after: Page) -> Difference:
    """Return what was counted between *before* and *after*, two pages of one service."""
    counts = {}
    restarted = [labels for labels in before if labels not in after and before[labels][inf]]
    for labels, histogram in after.items():
        old = before.get(labels, {})
        counts[labels] = {bound: count - old.get(bound, 0) for bound, count in histogram.items()}
        if min(counts[labels].values()) < 0:
            restarted.append(labels)
    return Difference(counts, tuple(restarted))


def select_requests(page: Page, is_wanted: Callable[[Labels], bool]) -> Requests:
    """Return the requests of *page* whose labels are wanted, added up; bounds that some do not have are left out."""
    chosen = {labels: histogram for labels, histogram in page.items() if is_wanted(labels)}
    by_status: dict[int, int] = {}
    for labels, histogram in chosen.items():
        by_status[labels.status] = by_status.get(labels.status, 0) + round(histogram[inf])
    return Requests(by_status, _add_histograms(chosen.values()))


def _add_histograms(histograms: Iterable[Histogram]) -> Histogram:
    first, *others = list(histograms) or [{}]
    return {
        bound: count + sum(other[bound] for other in others)
        for bound, count in first.items()
        if all(bound in other for other in others)
    }


def _read_labels(labels: Mapping[str, str]) -> Labels:
    status = labels.get("http_response_status_code", "")
    if not status.isdecimal():
        raise ValueError(f"{METRIC} has http_response_status_code={status!r}, which is no HTTP status")
    return Labels(
        labels.get("http_request_method", ""), labels.get("http_route", ""), labels.get("operation_id", ""), int(status)
    )
