"""Whether live requests show that a release does worse than the one that runs beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf, log

from pymacaron.spec import Api, Operation
from pymacaron_monitoring.indicators import format_bound
from pymacaron_monitoring.kept_objectives import describe_operation, is_of
from pymacaron_monitoring.prometheus import Page, Requests, select_requests
from pymacaron_monitoring.significance import adjust_p_values, find_p_of_counts
from pymacaron_monitoring.verdict import Reason

LEAST_REQUESTS = ceil(log(0.05) / log(1 - 0.05))
"""Requests of which one shows a fault that hits one in twenty, in 95 % of cases."""

_REFUSED, _FAILED = 400, 500
_RAREST, _MOST_COMMON = 0.01, 0.99


@dataclass(frozen=True, slots=True)
class _Finding:
    """One comparison. kind: of several of one kind about one operation the clearest is told."""

    label: str
    kind: str
    what: str
    hits: int
    total: int
    other_hits: int
    other_total: int
    p: float

    @property
    def numbers(self) -> dict[str, float | None]:
        return {
            "hits": self.hits,
            "total": self.total,
            "running_hits": self.other_hits,
            "running_total": self.other_total,
            "p": self.p,
        }


def compare_traffic(
    apis: Sequence[Api], candidate: Page, running: Page, *, tolerance: float, error_rate: float
) -> Iterator[Reason]:
    """Yield where *candidate* does worse than *running*, two releases that had live requests in the same time.

    tolerance: by how much it may be slower, and fail more often, 0.1 for 10 %. error_rate: highest probability of
    blaming a release that is just as good, over all operations together.
    """
    counted, other = (select_requests(page, lambda _: True).total for page in (candidate, running))
    if min(counted, other) < LEAST_REQUESTS:
        who, count = ("the candidate", counted) if counted < other else ("the running release", other)
        text = f"Comparison: {who} had {count:,} live requests; about {LEAST_REQUESTS} would decide"
        yield Reason("undecided", text, numbers={"total": count, "needed": LEAST_REQUESTS})
        return
    compared = [
        (api, operation)
        for api in apis
        for operation in api.operations
        if all(_select(page, api, operation).total for page in (candidate, running))
    ]
    if not compared:
        yield Reason("undecided", "Comparison: no operation had live requests at both releases")
        return
    # Of others there is nothing to compare, and Holm's correction must not be paid for them.
    findings = [finding for one in compared for finding in _compare_operation(*one, (candidate, running), tolerance)]
    adjusted = adjust_p_values([finding.p for finding in findings])
    guilty = _choose_clearest([one for one, p in zip(findings, adjusted, strict=True) if p <= error_rate])
    for one in guilty:
        text = f"{one.label}: {one.hits:,} of {one.total:,} requests {one.what}; "
        text += f"running release {one.other_hits:,} of {one.other_total:,} (p {one.p:.1g})"
        yield Reason("fail", text, one.label, one.numbers)
    if not guilty:
        text = (
            f"Comparison: no operation slower or failing more than {tolerance * 100:g} % beyond the running release, "
        )
        text += f"by {counted:,} live requests and {other:,} of that one"
        yield Reason("pass", text, numbers={"total": counted, "running_total": other, "p": min(adjusted, default=1.0)})


def _compare_operation(
    api: Api, operation: Operation, pages: tuple[Page, Page], tolerance: float
) -> Iterator[_Finding]:
    label = describe_operation(operation)
    ours, theirs = (_select(page, api, operation) for page in pages)
    for least, most, words in ((_FAILED, inf, "answered 5xx"), (_REFUSED, _FAILED, "answered 4xx")):
        hits, other_hits = (_count_statuses(requests, least, most) for requests in (ours, theirs))
        if not hits and not other_hits:
            continue  # so few that no outcome could be a finding: R. E. Tarone (1990)
        allowed = min(theirs.total, ceil(other_hits * (1 + tolerance)))
        p = find_p_of_counts(hits, ours.total, other_hits=allowed, other_total=theirs.total)
        yield _Finding(label, words, words, hits, ours.total, other_hits, theirs.total, p)
    good, other_good = (_select(page, api, operation, most=_REFUSED) for page in pages)
    yield from _compare_times(label, good, other_good, tolerance)


def _select(page: Page, api: Api, operation: Operation, most: float = inf) -> Requests:
    """Return the requests of *operation* that were answered with a status below *most*."""
    return select_requests(page, lambda labels: is_of(labels, api, operation) and labels.status < most)


def _count_statuses(requests: Requests, least: int, most: float) -> int:
    return sum(count for status, count in requests.by_status.items() if least <= status < most)


def _compare_times(label: str, ours: Requests, theirs: Requests, tolerance: float) -> Iterator[_Finding]:
    """Compare the share above each bound with the running release's share above what stands a tolerance lower.

    A release that is no slower than the tolerance allows has no more requests above a bound than the running one has
    above that bound divided by it; the next lower bound of the histogram counts no fewer.
    """
    if not ours.total or not theirs.total:
        return
    for bound_s in ours.histogram:
        lower_s = max((one for one in theirs.histogram if one <= bound_s / (1 + tolerance)), default=None)
        hits = ours.count_slower(bound_s) or 0
        other_hits = theirs.count_slower(lower_s) if lower_s is not None else None
        if bound_s == inf or other_hits is None:
            continue
        share = (hits + (theirs.count_slower(bound_s) or 0)) / (ours.total + theirs.total)
        if not _RAREST <= share <= _MOST_COMMON:
            continue
        p = find_p_of_counts(hits, ours.total, other_hits=other_hits, other_total=theirs.total)
        over = f"over {format_bound(bound_s)}"
        yield _Finding(label, "slow", over, hits, ours.total, theirs.count_slower(bound_s) or 0, theirs.total, p)


def _choose_clearest(findings: list[_Finding]) -> list[_Finding]:
    """Return of each operation and kind the finding that chance explains the least."""
    clearest: dict[tuple[str, str], _Finding] = {}
    for finding in findings:
        known = clearest.get((finding.label, finding.kind))
        if known is None or finding.p < known.p:
            clearest[finding.label, finding.kind] = finding
    return list(clearest.values())
