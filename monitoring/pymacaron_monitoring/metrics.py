"""Events of a service, counted per operation and shown at ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask

from pymacaron.events import (
    ContractViolated,
    QueueMeasured,
    RequestFinished,
    RequestStarted,
    SectionTimed,
    StoreCalled,
    TaskFinished,
    TaskQueued,
    TaskStarted,
)
from pymacaron.service import Service, service_of
from pymacaron_monitoring import families
from pymacaron_monitoring.cardinality import Budget
from pymacaron_monitoring.declared import (
    BOUNDS_S,
    METHODS,
    OTHER,
    UNMATCHED,
    active_key,
    bytes_key,
    declare_series,
    find_bounds,
    request_key,
)
from pymacaron_monitoring.families import ERRORS, REQUEST_BYTES, RESPONSE_BYTES, SECTIONS, STORE_CALLS, VIOLATIONS
from pymacaron_monitoring.page import Page, Sample
from pymacaron_monitoring.processes import measure_process
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.release import find_release
from pymacaron_monitoring.scrape import serve_page
from pymacaron_monitoring.store import Series, Store, store_of
from pymacaron_monitoring.task_metrics import TaskCounter

_EXTENSION = "pymacaron_monitoring.metrics"


def init_app(app: Flask) -> None:
    """Count the events of the service in *app* and show them at its ``metrics_path``; a second call changes nothing.

    Raises: SpecError: an ``x-slo`` makes no sense; all findings of all documents. ConfigError: the folder that the
    workers share cannot be written.
    """
    if _EXTENSION in app.extensions:
        return
    service = service_of(app)
    store = store_of(app)
    bounds_s = find_bounds(api for api in service.apis.values() if _is_served(service, api.operations))
    budget = Budget(store, service.config.metrics_series_budget)
    requests = _RequestCounter(store, budget, bounds_s)
    requests.start_at_zero(service)
    others = _OtherCounter(store, budget)
    tasks = TaskCounter(store, budget)
    app.extensions[_EXTENSION] = page = Page(store, _Facts(service, store).find_samples)
    store.counter(families.WORKER_STARTS.name).add()
    store.on_reopen = lambda: store.counter(families.WORKER_STARTS.name).add()
    service.bus.subscribe(RequestStarted, requests.begin)
    service.bus.subscribe(RequestFinished, requests.finish)
    service.bus.subscribe(ContractViolated, others.count_violation)
    service.bus.subscribe(SectionTimed, others.count_section)
    service.bus.subscribe(StoreCalled, others.count_store_call)
    service.bus.subscribe(TaskQueued, tasks.count_queued)
    service.bus.subscribe(TaskStarted, tasks.begin)
    service.bus.subscribe(TaskFinished, tasks.finish)
    service.bus.subscribe(QueueMeasured, tasks.measure_queue)
    serve_page(service, page, store)


def get_report_counter(app: Flask, reporter: str, outcome: families.ReportOutcome) -> Series:
    """Return the counter of errors with which that happened at *reporter*; it stands at zero from now on."""
    return store_of(app).counter(ERRORS.name, (reporter, outcome))


def _is_served(service: Service, operations: Iterable[object]) -> bool:
    """Tell whether a document's operations are served, not only its models used."""
    own = service.operations.values()
    return any(operation in own for operation in operations)


class _RequestCounter:
    """Counts requests; the series of an operation and status are bound once, then found in a dictionary."""

    def __init__(self, store: Store, budget: Budget, bounds_s: tuple[float, ...]) -> None:
        self._store = store
        self._budget = budget
        self._bounds_s = bounds_s
        self._bound: dict[tuple[str | None, str, int], tuple[Series, Series, Series | None, Series | None]] = {}
        self._active: dict[str, Series] = {}

    def begin(self, event: RequestStarted) -> None:
        active = self._active.get(event.method)
        (active or self._bind_active(event.method)).begin()

    def finish(self, event: RequestFinished) -> None:
        key = (event.operation_id, event.method, event.status)
        active, durations, request_bytes, response_bytes = self._bound.get(key) or self._bind(event)
        durations.observe_example(event.duration_s, event.request_id)
        if response_bytes is not None:
            response_bytes.observe(event.response_bytes)
        if request_bytes is not None:
            request_bytes.observe(event.request_bytes)
        active.end()

    def start_at_zero(self, service: Service) -> None:
        """Let every series that the documents declare exist: a counter born at 20 is never seen by ``rate()``."""
        for key in declare_series(service.operations.values(), self._bounds_s):
            self._store.get(key)

    def _bind_active(self, method: str) -> Series:
        series = self._store.get(active_key(method if method in METHODS else OTHER))
        if method in METHODS:
            self._active[method] = series
        return series

    def _bind(self, event: RequestFinished) -> tuple[Series, Series, Series | None, Series | None]:
        method = event.method if event.method in METHODS else OTHER
        place = (method, event.route or UNMATCHED, event.operation_id or "")
        # A status that one does not know is treated as x00 of its class. Source: RFC 9110, section 15.
        wanted = request_key((*place, str(event.status)), self._bounds_s)
        durations = self._budget.get(wanted, request_key((*place, f"{event.status // 100}00"), self._bounds_s))
        sizes = [bytes_key(name, place) for name in (REQUEST_BYTES.name, RESPONSE_BYTES.name)]
        found = [self._store.get(key) if key in self._store else None for key in sizes]
        bound = self._bind_active(event.method), durations, found[0], found[1]
        if method != OTHER:
            self._bound[event.operation_id, event.method, event.status] = bound
        return bound


class _OtherCounter:
    """Counts what broke the document, timed sections, and calls of the store."""

    def __init__(self, store: Store, budget: Budget) -> None:
        self._store = store
        self._budget = budget
        self._sections: dict[tuple[str, str], Series] = {}
        self._store_calls: dict[tuple[str, str, str, str], Series] = {}

    def count_violation(self, event: ContractViolated) -> None:
        self._store.counter(VIOLATIONS.name, (event.operation_id, event.place)).add()

    def count_section(self, event: SectionTimed) -> None:
        labels = (event.kind, event.method)
        series = self._sections.get(labels)
        if series is None:
            wanted, other = (Key(SECTIONS.name, one, BOUNDS_S, "histogram") for one in (labels, (OTHER, OTHER)))
            series = self._budget.get(wanted, other)
            if series.key == wanted:
                self._sections[labels] = series
        series.observe(event.duration_s)

    def count_store_call(self, event: StoreCalled) -> None:
        labels = (event.store, event.table, event.call, event.outcome)
        series = self._store_calls.get(labels)
        if series is None:
            wanted, other = (Key(STORE_CALLS.name, one, BOUNDS_S, "histogram") for one in (labels, (OTHER,) * 4))
            series = self._budget.get(wanted, other)
            if series.key == wanted:
                self._store_calls[labels] = series
        series.observe(event.duration_s)


class _Facts:
    """What is not counted but found out when the page is read."""

    def __init__(self, service: Service, store: Store) -> None:
        self._store = store
        self._budget = service.config.metrics_series_budget
        release = find_release(service)
        self._build = (release.version, release.revision, release.spec_sha256)

    def find_samples(self, lines: int) -> list[Sample]:
        processes = self._store.find_processes()
        samples = [Sample(families.BUILD, self._build, 1), Sample(families.WORKERS, (), len(processes))]
        for slot, pid in processes.items():
            samples += measure_process(str(slot), pid)
        samples += [Sample(families.SERIES, (), lines + len(samples) + 2)]
        return [*samples, Sample(families.SERIES_BUDGET, (), self._budget)]
