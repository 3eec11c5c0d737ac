"""What is left of error budgets, by what was counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pymacaron.spec import Operation
from pymacaron_monitoring.indicators import Indicator, format_bound
from pymacaron_monitoring.prometheus import Labels, Page, Requests, select_requests
from pymacaron_monitoring.runbook import describe_operation
from pymacaron_monitoring.wilson import estimate_share

State = Literal["kept", "missed", "unsure", "unseen"]


@dataclass(frozen=True, slots=True)
class Balance:
    """One objective of one subject, and what was counted of it.

    subject: the operation, None for all of the indicator's together. requests: how many there were. bad: how many of
    them were; None where it was not counted.
    """

    indicator: Indicator
    subject: Operation | None
    requests: float
    bad: float | None

    @property
    def state(self) -> State:
        """Tell what is certain, one-sided at 95 %: kept, missed, unsure; unseen if there was no request."""
        if not self.requests or self.bad is None:
            return "unseen"
        limits = estimate_share(self.bad, self.requests)
        if limits.lower > self.indicator.allowed_share:
            return "missed"
        return "kept" if limits.upper <= self.indicator.allowed_share else "unsure"

    @property
    def budget_left(self) -> float | None:
        """Share of the budget that is left, 1 being all; negative if more was spent; None where it is unknown."""
        if self.bad is None:
            return None
        return 1 - self.bad / max(self.requests, 1) / self.indicator.allowed_share

    def __str__(self) -> str:
        """Return it in words, without the state."""
        what = describe_operation(self.subject) if self.subject else f"{self.indicator.api}, all operations together"
        text = f"{what}: {self.indicator.promise}"
        if self.bad is None:
            latency = self.indicator.latency
            return f"{text}; there is no bucket at {format_bound(latency.bound_s) if latency else ''}"
        left = f"{100 * (self.budget_left or 0):.0f} % of the budget left"
        return f"{text}; {self.bad:,.0f} of {self.requests:,.0f} bad, {left}"


def balance_page(indicators: Iterable[Indicator], page: Page) -> list[Balance]:
    """Return the balance of each objective by a page of metrics: of all requests since the service started."""
    balances = []
    for indicator in indicators:
        for subject in indicator.subjects:
            chosen = indicator.operations if subject is None else (subject,)
            requests = select_requests(page, partial(_is_of, ids={one.operation_id for one in chosen}))
            balances.append(Balance(indicator, subject, requests.total, _count_bad(indicator, requests)))
    return balances


def _is_of(labels: Labels, ids: set[str]) -> bool:
    return labels.operation_id in ids


def _count_bad(indicator: Indicator, requests: Requests) -> int | None:
    if indicator.latency is None:
        return requests.server_errors
    return requests.count_slower(indicator.latency.bound_s) if requests.total else 0
