"""Objectives of a document as what is counted: which requests, which of them are bad, how many may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pymacaron.spec import Api, Operation
from pymacaron_monitoring.slo import DAY_S, Latency, Objectives


@dataclass(frozen=True, slots=True)
class Indicator:
    """One objective, and the operations that it holds for.

    name: unique in a service, the label ``slo`` of its series: ``shop/availability``, ``shop/p95-300ms``. api: name of
    the document. operations: in the document's order, never empty. is_pooled: their requests are judged together, each
    of them weighing the same; otherwise each operation is judged by itself. allowed_share: of requests that may be bad,
    between 0 and 1. period_s: seconds that this budget is for. latency: None for availability, where a request is bad
    that is answered 5xx.
    """

    name: str
    api: str
    operations: tuple[Operation, ...]
    is_pooled: bool
    allowed_share: float
    period_s: int
    latency: Latency | None = None

    @property
    def subjects(self) -> Sequence[Operation | None]:
        """Return what is judged by itself: each operation, or None for all of them together."""
        return (None,) if self.is_pooled else self.operations

    @property
    def promise(self) -> str:
        """The objective in words: ``95 % of requests take at most 300 ms``."""
        share = f"{100 - Decimal(str(self.allowed_share)) * 100:f}".rstrip("0").rstrip(".")
        if self.latency is None:
            return f"{share} % of requests are not answered 5xx"
        return f"{share} % of requests take at most {format_bound(self.latency.bound_s)}"


def find_indicators(api: Api, objectives: Objectives) -> list[Indicator]:
    """Return what *objectives*, those of *api*, promise; operations that promise the same share an indicator."""
    found = []
    pooled = tuple(one for one in api.operations if one.operation_id not in objectives.own_availability)
    service = objectives.service
    if service.availability is not None and pooled:
        share = float((100 - service.availability) / 100)
        found.append(Indicator(f"{api.name}/availability", api.name, pooled, True, share, service.period_s))  # noqa: FBT003
    groups: dict[tuple[str, float, int, Latency | None], list[Operation]] = {}
    for operation in api.operations:
        slo = objectives.operations[operation.operation_id]
        suffix = "" if slo.period_s == service.period_s else f"-{slo.period_s // DAY_S}d"
        if operation.operation_id in objectives.own_availability and slo.availability is not None:
            key = (
                f"availability-{slo.availability}{suffix}",
                float((100 - slo.availability) / 100),
                slo.period_s,
                None,
            )
            groups.setdefault(key, []).append(operation)
        for latency in slo.latency:
            bound = format_bound(latency.bound_s).replace(" ", "")
            name = f"{latency.name}-{bound}{suffix}"
            groups.setdefault((name, latency.allowed_share, slo.period_s, latency), []).append(operation)
    for (name, share, period_s, of), operations in sorted(groups.items(), key=lambda item: item[0][0]):
        found.append(Indicator(f"{api.name}/{name}", api.name, tuple(operations), False, share, period_s, of))  # noqa: FBT003
    return found


def format_bound(bound_s: float) -> str:
    """Return seconds as a document would write them: ``300 ms``, ``1.5 s``."""
    return f"{bound_s:g} s" if bound_s >= 1 else f"{bound_s * 1000:g} ms"
