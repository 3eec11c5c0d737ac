"""Whether what was counted keeps to the objectives of a document, and for sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from math import isfinite

from pymacaron.spec import Api, Operation
from pymacaron_monitoring.indicators import format_bound
from pymacaron_monitoring.prometheus import Labels, Page, Requests, select_requests
from pymacaron_monitoring.significance import find_p_of_share
from pymacaron_monitoring.slo import Latency, Objectives
from pymacaron_monitoring.verdict import Level, Reason
from pymacaron_monitoring.wilson import count_to_decide, estimate_share

ERROR_RATE = 0.05
"""Highest probability of a wrong verdict about one objective, and of a wrong one about all comparisons together."""

Judged = Sequence[tuple[Api, Objectives]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was counted.

    counts: of the release that is judged. earlier: of the same release in its tests, None where *counts* are those;
    what live traffic leaves open they may show together. running: of the running release in the same time. error_rate:
    highest probability of calling an objective missed that is kept.
    """

    counts: Page
    earlier: Page | None = None
    running: Page | None = None
    error_rate: float = ERROR_RATE


@dataclass(frozen=True, slots=True)
class _Objective:
    """One objective of one subject. what: for people, without numbers. latency: None for availability."""

    subject: str
    operation: str | None
    what: str
    allowed: float
    latency: Latency | None = None

    def count_bad(self, requests: Requests) -> int | None:
        """Return how many of *requests* miss it; None where their histogram has not its bound."""
        if self.latency is None:
            return requests.server_errors
        return requests.count_slower(self.latency.bound_s) if requests.total else 0


def judge_objectives(judged: Judged, evidence: Evidence) -> Iterator[Reason]:
    """Yield what *evidence* says to the objectives of each document."""
    for api, objectives in judged:
        yield from _judge_api(api, objectives, evidence)


def describe_operation(operation: Operation) -> str:
    """Return an operation as verdicts name it: ``GET /pets/{id}``."""
    return f"{operation.method.upper()} {operation.path}"


def is_of(labels: Labels, api: Api, operation: Operation) -> bool:
    """Tell whether *labels* count requests of *operation*; services without our label are matched by their route."""
    if labels.operation_id:
        return labels.operation_id == operation.operation_id
    return labels.method == operation.method.upper() and labels.route in (
        operation.path,
        api.base_path + operation.path,
    )


def _judge_api(api: Api, objectives: Objectives, evidence: Evidence) -> Iterator[Reason]:
    """Yield the availability of the document's operations together, then what each of them declares."""
    pooled = [operation for operation in api.operations if operation.operation_id not in objectives.own_availability]
    if objectives.service.availability is not None and pooled:
        objective = _promise_availability(api.source, None, objectives.service.availability)
        yield _judge_objective(objective, evidence, api, pooled)
    for operation in api.operations:
        slo = objectives.operations[operation.operation_id]
        label = describe_operation(operation)
        if operation.operation_id in objectives.own_availability and slo.availability is not None:
            objective = _promise_availability(label, label, slo.availability)
            yield _judge_objective(objective, evidence, api, [operation])
        for latency in slo.latency:
            yield _judge_objective(_promise_latency(label, latency), evidence, api, [operation])


def _promise_availability(subject: str, operation: str | None, availability: Decimal) -> _Objective:
    what = f"requests answered 5xx, allowed {100 - availability:f} % (availability {availability} %)"
    return _Objective(subject, operation, what, float((100 - availability) / 100))


def _promise_latency(label: str, latency: Latency) -> _Objective:
    what = f"requests over {format_bound(latency.bound_s)}, allowed {100 - latency.percentile:f} % ({latency.name})"
    return _Objective(label, label, what, latency.allowed_share, latency)


def _judge_objective(objective: _Objective, evidence: Evidence, api: Api, operations: Sequence[Operation]) -> Reason:
    find = partial(_select, api=api, operations=operations)
    requests = find(evidence.counts)
    hits = objective.count_bad(requests)
    if hits is None and objective.latency:
        bound = f"{format_bound(objective.latency.bound_s)} ({objective.latency.name})"
        text = f"{objective.subject}: /metrics has no bucket at {bound}; restart the target with this document"
        return Reason("undecided", text, objective.operation)
    reason = _judge_share(objective, hits or 0, requests.total, evidence.error_rate)
    if evidence.earlier is not None and reason.level == "undecided":
        reason = _add_earlier(reason, objective, find(evidence.earlier))
    return reason if evidence.running is None else _add_running(reason, objective, find(evidence.running))


def _select(page: Page, api: Api, operations: Sequence[Operation]) -> Requests:
    return select_requests(page, lambda labels: any(is_of(labels, api, one) for one in operations))


def _judge_share(objective: _Objective, hits: int, total: int, error_rate: float = ERROR_RATE) -> Reason:
    """Compare a share with what is allowed: it passes once all of its interval is, it fails once nothing of it is.

    Of few requests the interval is not exact: one bad request of twenty fails only what chance does not explain.
    """
    limits = estimate_share(hits, total)
    allowed = objective.allowed
    needed = count_to_decide(hits / total if total else 0.0, allowed)
    is_missed = limits.lower > allowed and find_p_of_share(hits, total, allowed) <= error_rate
    level: Level = "fail" if is_missed else "pass" if limits.upper <= allowed else "undecided"
    text = f"{objective.subject}: {hits:,} of {total:,} {objective.what}"
    if level == "undecided":
        text += (
            f"; about {needed:,} requests would decide" if isfinite(needed) else "; the share is just what is allowed"
        )
    numbers = {
        "hits": hits,
        "total": total,
        "allowed": allowed,
        "lower": limits.lower,
        "upper": limits.upper,
        "needed": needed if isfinite(needed) else None,
    }
    return Reason(level, text, objective.operation, numbers)


def _add_earlier(reason: Reason, objective: _Objective, earlier: Requests) -> Reason:
    """Let what the tests counted decide, too, where live traffic alone shows no more than what is allowed."""
    hits, total = int(reason.numbers["hits"] or 0), int(reason.numbers["total"] or 0)
    earlier_hits = objective.count_bad(earlier)
    if earlier_hits is None or hits > total * objective.allowed:
        return reason
    together = _judge_share(objective, hits + earlier_hits, total + earlier.total)
    if together.level != "pass":
        return reason
    text = f"{objective.subject}: {hits:,} of {total:,} {objective.what}"
    text += f"; in its tests {earlier_hits:,} of {earlier.total:,}"
    return Reason("pass", text, objective.operation, together.numbers)


def _add_running(reason: Reason, objective: _Objective, running: Requests) -> Reason:
    """Say how the running release does; where that misses the objective, too, the other one is not to blame."""
    hits = objective.count_bad(running)
    if hits is None:
        return reason
    text = f"{reason.text}; running release {hits:,} of {running.total:,}"
    numbers = {**reason.numbers, "running_hits": hits, "running_total": running.total}
    if reason.level == "fail" and estimate_share(hits, running.total).lower > objective.allowed:
        return replace(reason, level="undecided", text=f"{text}, which misses it, too", numbers=numbers)
    return replace(reason, text=text, numbers=numbers)
