"""Counts requests: at the begin and at the end of each, in as few steps as can be."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable
from typing import TypeAlias

from pymacaron.request_record import RequestRecord
from pymacaron.spec import Operation
from pymacaron_monitoring.cardinality import Budget
from pymacaron_monitoring.declared import (
    BOUNDS_BYTES,
    METHODS,
    OTHER,
    UNMATCHED,
    active_key,
    bytes_key,
    declare_series,
    request_key,
)
from pymacaron_monitoring.families import REQUEST_BYTES, RESPONSE_BYTES
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.store import EXEMPLAR_EVERY_S, Series, Store

# Where the requests of one operation, method and status are counted: their series and its values; of each bucket of
# durations, when it takes a new example; those that run; sizes of answers and of bodies, None where they are not
# counted. A plain tuple: one with names takes three times as long to be taken apart.
_Bound: TypeAlias = (
    "tuple[Series, memoryview[float], list[float], memoryview[float], "
    "memoryview[float] | None, memoryview[float] | None]"
)
_SMALL_BYTES = int(BOUNDS_BYTES[0])  # most answers are in the first bucket
# Bits of (size - 1) -> bucket of the size: what `bisect_left` finds, as all bounds are powers of two.
_SIZE_BUCKETS = tuple(bisect_left(BOUNDS_BYTES, 1 << bits) for bits in range(128))


class RequestCounter:
    """Counts requests; where those of an operation and status are counted is found out once.

    One lock serves all: a request has it for less than a microsecond, once at its begin and once at its end.
    """

    def __init__(self, store: Store, budget: Budget, bounds_s: tuple[float, ...]) -> None:
        """Count in *store*, durations in buckets of *bounds_s*."""
        self._store = store
        self._budget = budget
        self._bounds_s = bounds_s
        self._first_bound_s = bounds_s[0]
        self.forget()

    def forget(self) -> None:
        """Find out anew where things are counted, after a fork."""
        self._lock = threading.Lock()
        # Of operation, method and status: three dictionaries are looked up in a third of the time that a tuple takes.
        self._bound: dict[str | None, dict[str, dict[int, _Bound]]] = {}
        self._active: dict[str, memoryview[float]] = {}

    def start_at_zero(self, operations: Iterable[Operation]) -> None:
        """Let every series that documents declare exist: a counter born at 20 is never seen by ``rate()``."""
        for key in declare_series(operations, self._bounds_s):
            self._store.get(key)

    def begin(self, record: RequestRecord) -> None:
        """Count a request that begins."""
        active = self._active.get(record.method)
        if active is None:
            active = self._bind_active(record.method)
        lock = self._lock
        lock.acquire()  # faster than a with block
        try:
            active[0] += 1.0
        finally:
            lock.release()

    def finish(self, record: RequestRecord, duration_s: float) -> None:
        """Count a request that was answered."""
        operation = record.operation
        try:
            bound = self._bound[None if operation is None else operation.operation_id][record.method][record.status]
        except KeyError:
            bound = self._bind(record)
        series, durations, due_s, active, responses, requests = bound
        bucket = 0 if duration_s <= self._first_bound_s else bisect_left(self._bounds_s, duration_s)
        lock = self._lock
        lock.acquire()
        try:
            durations[bucket] += 1.0
            durations[-1] += duration_s
            active[1] += 1.0
            if responses is not None:
                response_bytes = record.response_bytes
                is_small = response_bytes <= _SMALL_BYTES
                responses[0 if is_small else _SIZE_BUCKETS[(response_bytes - 1).bit_length()]] += 1.0
                responses[-1] += response_bytes
            if requests is not None:
                request_bytes = record.request_bytes
                is_small = request_bytes <= _SMALL_BYTES
                requests[0 if is_small else _SIZE_BUCKETS[(request_bytes - 1).bit_length()]] += 1.0
                requests[-1] += request_bytes
        finally:
            lock.release()
        now_s = record.started_s + duration_s
        if now_s >= due_s[bucket]:
            due_s[bucket] = now_s + EXEMPLAR_EVERY_S
            series.note_example(bucket, duration_s, record.request_id)

    def _bind_active(self, method: str) -> memoryview[float]:
        values = self._store.get(active_key(method if method in METHODS else OTHER)).values
        if method in METHODS:
            self._active[method] = values
        return values

    def _bind(self, record: RequestRecord) -> _Bound:
        operation, status = record.operation, record.status
        method = record.method if record.method in METHODS else OTHER
        place = (method, UNMATCHED, "") if operation is None else (method, operation.path, operation.operation_id)
        # A status that one does not know is treated as x00 of its class. Source: RFC 9110, section 15.
        wanted = request_key((*place, str(status)), self._bounds_s)
        series = self._budget.get(wanted, request_key((*place, f"{status // 100}00"), self._bounds_s))
        bound = (
            series,
            series.values,
            [0.0] * (len(self._bounds_s) + 1),
            self._bind_active(record.method),
            self._find(bytes_key(RESPONSE_BYTES.name, place)),
            self._find(bytes_key(REQUEST_BYTES.name, place)),
        )
        if method != OTHER:
            operation_id = None if operation is None else operation.operation_id
            self._bound.setdefault(operation_id, {}).setdefault(method, {})[status] = bound
        return bound

    def _find(self, key: Key) -> memoryview[float] | None:
        """Return where *key* is counted if it is declared."""
        return self._store.get(key).values if key in self._store else None
