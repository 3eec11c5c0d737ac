"""Keeps the page of metrics within its budget of lines, and tells how much of it documents take."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pymacaron.config import PymConfig, load_config
from pymacaron.exceptions import ConfigError
from pymacaron.spec import Api
from pymacaron_monitoring.declared import declare_series, find_bounds
from pymacaron_monitoring.page import count_lines
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.store import Series, Store

log = logging.getLogger(__name__)


class Budget:
    """Decides whether a series with a new label value comes on the page of all processes, or another in its place."""

    def __init__(self, store: Store, most_lines: int) -> None:
        """Allow *most_lines* on the page."""
        self._store = store
        self._most_lines = most_lines
        self._is_full = False

    def get(self, wanted: Key, other: Key) -> Series:
        """Return the series of *wanted* if there is room for its lines, else of *other*."""
        return self._store.get(wanted if wanted in self._store or self._has_room(wanted) else other)

    def _has_room(self, wanted: Key) -> bool:
        if self._is_full:
            return False
        known = self._store.read()
        lines = sum(map(count_lines, known))
        if wanted in known or lines + count_lines(wanted) <= self._most_lines:
            return True
        self._is_full = True
        log.warning(
            "%s has a new series, %r, but the %d lines of metrics_series_budget are in use: such are counted as %r",
            wanted.metric,
            wanted.labels,
            self._most_lines,
            "_OTHER",
        )
        return False


def describe_budget(apis: Sequence[Api]) -> str:
    """Return how many lines the metrics of *apis* take of the budget that the working folder's configuration has."""
    operations = [operation for api in apis for operation in api.operations]
    lines = sum(map(count_lines, declare_series(operations, find_bounds(apis))))
    most = _find_most_lines()
    room = f"{most - lines:,} are left for sections, tasks and undeclared statuses"
    rest = room if lines <= most else "raise metrics_series_budget, or new label values become _OTHER"
    return f"Metrics: {lines:,} of {most:,} lines are declared; {rest}"


def _find_most_lines() -> int:
    try:
        return load_config().metrics_series_budget
    except ConfigError:
        return PymConfig().metrics_series_budget
