"""Events of a service, counted per operation and shown at ``/metrics``."""

from __future__ import annotations

from flask import Flask

from pymacaron.events import (
    ContractViolated,
    QueueMeasured,
    SectionTimed,
    StoreCalled,
    TaskFinished,
    TaskQueued,
    TaskStarted,
)
from pymacaron.service import Service, service_of
from pymacaron.tasks import find_tasks
from pymacaron_monitoring import families
from pymacaron_monitoring.cardinality import Budget
from pymacaron_monitoring.declared import (
    BOUNDS_S,
    OTHER,
    find_bounds,
)
from pymacaron_monitoring.families import ERRORS, SECTIONS, VIOLATIONS
from pymacaron_monitoring.page import Page, Sample
from pymacaron_monitoring.processes import measure_process
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.release import find_release, is_served
from pymacaron_monitoring.request_metrics import RequestCounter
from pymacaron_monitoring.scrape import serve_page
from pymacaron_monitoring.store import Series, Store, store_of
from pymacaron_monitoring.store_call_metrics import StoreCallCounter
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
    apis = service.apis.values()
    bounds_s = find_bounds(api for api in apis if any(is_served(service, one) for one in api.operations))
    budget = Budget(store, service.config.metrics_series_budget)
    requests = RequestCounter(store, budget, bounds_s)
    requests.start_at_zero(service.operations.values())
    others = _OtherCounter(store, budget)
    tasks = TaskCounter(store, budget)
    for name, queue in find_tasks(service):
        tasks.start_at_zero(name, queue)
    app.extensions[_EXTENSION] = page = Page(store, _Facts(service, store).find_samples)
    starts = store.counter(families.WORKER_STARTS.name)
    starts.add()

    def count_fork() -> None:
        requests.forget()
        starts.add()

    store.on_reopen = count_fork
    service.bus.follow_requests(requests.begin, requests.finish)
    service.bus.subscribe(ContractViolated, others.count_violation)
    service.bus.subscribe(SectionTimed, others.count_section)
    service.bus.subscribe(StoreCalled, StoreCallCounter(budget).count)
    service.bus.subscribe(TaskQueued, tasks.count_queued)
    service.bus.subscribe(TaskStarted, tasks.begin)
    service.bus.subscribe(TaskFinished, tasks.finish)
    service.bus.subscribe(QueueMeasured, tasks.measure_queue)
    serve_page(service, page, store)


def get_report_counter(app: Flask, reporter: str, outcome: families.ReportOutcome) -> Series:
    """Return the counter of errors with which that happened at *reporter*; it stands at zero from now on."""
    return store_of(app).counter(ERRORS.name, (reporter, outcome))


class _OtherCounter:
    """Counts what broke the document, and timed sections."""

    def __init__(self, store: Store, budget: Budget) -> None:
        self._store = store
        self._budget = budget
        self._sections: dict[tuple[str, str], Series] = {}

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
