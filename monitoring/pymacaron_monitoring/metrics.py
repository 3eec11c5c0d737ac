"""Events of a service, counted per operation and shown at ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import inf

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from pymacaron.events import ContractViolated, Place, RequestFinished, SectionTimed
from pymacaron.exceptions import Finding, SpecError
from pymacaron.service import Service, service_of
from pymacaron.spec import Operation
from pymacaron_monitoring.families import ERRORS, REQUESTS, SECTIONS, VIOLATIONS, Family, ReportOutcome
from pymacaron_monitoring.slo import read_objectives
from pymacaron_monitoring.store import Key, Series, Store, store_of

METRICS_PATH = "/metrics"
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Histogram bounds in seconds, before those of x-slo are added.

Source: OpenTelemetry semantic conventions, http.server.request.duration; 1 and 2.5 ms added for fast handlers.
"""

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_OTHER = "_OTHER"
_UNMATCHED = "unmatched"
_MOST_SECTIONS = 1000
_EXTENSION = "pymacaron_monitoring.metrics"


_FAMILIES = (REQUESTS, VIOLATIONS, ERRORS, SECTIONS)


def init_app(app: Flask) -> None:
    """Count the events of the service in *app* and serve them at `METRICS_PATH`; a second call changes nothing.

    Raises: SpecError: an ``x-slo`` makes no sense; all findings of all documents. ConfigError: the folder that the
    workers share cannot be written.
    """
    if _EXTENSION in app.extensions:
        return
    service = service_of(app)
    recorder = _Recorder(service, store_of(app), _find_bounds(service))
    registry = app.extensions[_EXTENSION] = CollectorRegistry()
    registry.register(_Page(store_of(app)))
    service.bus.subscribe(RequestFinished, recorder.count_request)
    service.bus.subscribe(ContractViolated, recorder.count_violation)
    service.bus.subscribe(SectionTimed, recorder.count_section)

    def show_metrics() -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)

    app.add_url_rule(METRICS_PATH, "pymacaron_metrics", show_metrics)


def get_report_counter(app: Flask, reporter: str, outcome: ReportOutcome) -> Series:
    """Return the counter of errors with which that happened at *reporter*; it stands at zero from now on."""
    return store_of(app).counter(ERRORS.name, (reporter, outcome))


def _find_bounds(service: Service) -> tuple[float, ...]:
    """Return the bounds of all request histograms: the same for each, so that they can be added up."""
    bounds_s: set[float] = set(BOUNDS_S)
    findings: list[Finding] = []
    for api in service.apis.values():
        if not any(operation.operation_id in service.operations for operation in api.operations):
            continue  # a document of which only the models are used
        try:
            bounds_s |= read_objectives(api).bounds_s
        except SpecError as error:
            findings += error.findings
    if findings:
        raise SpecError(findings)
    return tuple(sorted(bounds_s))


class _Recorder:
    """Counts events; each series is bound once, then found in a dictionary."""

    def __init__(self, service: Service, store: Store, bounds_s: tuple[float, ...]) -> None:
        self._store = store
        self._bounds_s = bounds_s
        self._requests: dict[tuple[str | None, str, int], Series] = {}
        self._sections: dict[tuple[str, str], Series] = {}
        self._start_at_zero(service)

    def count_request(self, event: RequestFinished) -> None:
        key = (event.operation_id, event.method, event.status)
        series = self._requests.get(key)
        if series is None:
            method = event.method if event.method in _METHODS else _OTHER
            series = self._bind(method, event.route, event.operation_id, event.status)
            if method != _OTHER:
                self._requests[key] = series
        series.observe(event.duration_s)

    def count_violation(self, event: ContractViolated) -> None:
        self._store.counter(VIOLATIONS.name, (event.operation_id, event.place)).add()

    def count_section(self, event: SectionTimed) -> None:
        key = (event.kind, event.method)
        if key not in self._sections and len(self._sections) >= _MOST_SECTIONS:
            key = (_OTHER, _OTHER)
        series = self._sections.get(key)
        if series is None:
            series = self._sections[key] = self._store.histogram(SECTIONS.name, key, BOUNDS_S)
        series.observe(event.duration_s)

    def _start_at_zero(self, service: Service) -> None:
        """Let every series that the documents declare exist: a counter born at 20 is never seen by ``rate()``."""
        for operation in service.operations.values():
            method = operation.method.upper()
            for status in {500, *(int(status) for status in operation.statuses if status.isdecimal())}:
                series = self._bind(method, operation.path, operation.operation_id, status)
                self._requests[operation.operation_id, method, status] = series
            for place in _find_places(operation):
                self._store.counter(VIOLATIONS.name, (operation.operation_id, place))

    def _bind(self, method: str, route: str | None, operation_id: str | None, status: int) -> Series:
        labels = (method, route or _UNMATCHED, operation_id or "", str(status))
        return self._store.histogram(REQUESTS.name, labels, self._bounds_s)


def _find_places(operation: Operation) -> list[Place]:
    """Return where answers of *operation* can break the document."""
    media = [media for response in operation.responses for media in response.media]
    places: list[Place] = ["status", "body"]
    if media:
        places.append("media type")
    if any(response.headers for response in operation.responses):
        places.append("header")
    if any(one.item_schema is not None for one in media):
        places.append("item")
    return places


class _Page(Collector):
    """Turns the counts of all processes into what prometheus_client writes out."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        return [_make_family(family, {}) for family in _FAMILIES]

    def collect(self) -> Iterable[Metric]:
        totals = self._store.read()
        return [
            _make_family(family, {key: values for key, values in totals.items() if key.metric == family.name})
            for family in _FAMILIES
        ]


def _make_family(family: Family, series: Mapping[Key, Sequence[float]]) -> Metric:
    if family.name.endswith("_total"):
        counters = CounterMetricFamily(family.name, family.text, labels=family.labels)
        for key, values in series.items():
            counters.add_metric(key.labels, values[0])
        return counters
    histograms = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    for key, values in series.items():
        bounds = map(floatToGoString, (*(key.bounds or ()), inf))
        histograms.add_metric(key.labels, list(zip(bounds, accumulate(values[:-1]), strict=True)), values[-1])
    return histograms
