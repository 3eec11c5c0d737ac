"""Counts calls of the store of persistent objects."""

from __future__ import annotations

from collections.abc import Mapping

from pymacaron.events import StoreCalled, StoreOutcome
from pymacaron_monitoring.cardinality import Budget
from pymacaron_monitoring.declared import BOUNDS_S, OTHER
from pymacaron_monitoring.families import STORE_CALLS
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.store import Series

_Labels = tuple[str, str, str, str]
_OUTCOMES: Mapping[str, tuple[StoreOutcome, ...]] = {
    "load": ("ok", "not found", "unavailable"),
    "exists": ("ok", "unavailable"),
    "get_many": ("ok", "unavailable"),
    "query": ("ok", "unavailable"),
    "save": ("ok", "conflict", "unavailable"),
    "create": ("ok", "already exists", "unavailable"),
    "delete": ("ok", "not found", "conflict", "unavailable"),
    "transaction": ("ok", "conflict", "unavailable"),
}
"""Call -> what usually comes of it."""


class StoreCallCounter:
    """Counts how long calls took and what came of them, by table."""

    def __init__(self, budget: Budget) -> None:
        """Take what finds room for series."""
        self._budget = budget
        self._series: dict[_Labels, Series] = {}
        self._started: set[_Labels] = set()

    def count(self, event: StoreCalled) -> None:
        """Count a call that ended."""
        labels = (event.store, event.table, event.call, event.outcome)
        series = self._series.get(labels)
        if series is None:
            self._start_at_zero(event)
            series = self._find(labels)
        series.observe(event.duration_s)

    def _start_at_zero(self, event: StoreCalled) -> None:
        """Let the series exist that come next: a counter born at 20 is never seen by ``rate()``.

        These are, at a table's first call, all other calls of it that go well, and what else may come of this one.
        """
        calls = ("transaction",) if event.table == "" else tuple(_OUTCOMES)[:-1]
        wanted = [(event.store, event.table, call, "ok") for call in calls]
        wanted += [(event.store, event.table, event.call, outcome) for outcome in _OUTCOMES.get(event.call, ())]
        for labels in wanted:
            if labels not in self._started:
                self._started.add(labels)
                self._find(labels)

    def _find(self, labels: _Labels) -> Series:
        wanted, other = (Key(STORE_CALLS.name, one, BOUNDS_S, "histogram") for one in (labels, (OTHER,) * 4))
        series = self._budget.get(wanted, other)
        if series.key == wanted:
            self._series[labels] = series
        return series
