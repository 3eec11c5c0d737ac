"""The series that documents declare: known before the first request, so that each can start at zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pymacaron.events import Place
from pymacaron.exceptions import Finding, SpecError
from pymacaron.spec import Api, Operation
from pymacaron_monitoring.families import (
    ACTIVE_REQUESTS,
    REQUEST_BYTES,
    REQUESTS,
    RESPONSE_BYTES,
    VIOLATIONS,
)
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.slo import read_objectives

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Histogram bounds in seconds, before those of x-slo are added.

Source: OpenTelemetry semantic conventions, http.server.request.duration; 1 and 2.5 ms added for fast handlers.
"""

BOUNDS_BYTES = tuple(4.0**power for power in range(4, 13))
"""Histogram bounds in bytes: 256 B to 16 MiB, each four times the last."""

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
OTHER = "_OTHER"
UNMATCHED = "unmatched"


def find_bounds(apis: Iterable[Api]) -> tuple[float, ...]:
    """Return the bounds of all request histograms: the same for each, so that they can be added up.

    Raises: SpecError: an ``x-slo`` makes no sense; all findings of all documents.
    """
    bounds_s: set[float] = set(BOUNDS_S)
    findings: list[Finding] = []
    for api in apis:
        try:
            bounds_s |= read_objectives(api).bounds_s
        except SpecError as error:
            findings += error.findings
    if findings:
        raise SpecError(findings)
    return tuple(sorted(bounds_s))


def declare_series(operations: Iterable[Operation], bounds_s: tuple[float, ...]) -> Iterator[Key]:
    """Yield the key of each series that *operations* declare."""
    methods = {"GET"}
    for operation in operations:
        yield from _declare_operation(operation, bounds_s)
        methods.add(operation.method.upper())
    yield request_key(("GET", UNMATCHED, "", "404"), bounds_s)
    for method in sorted(methods):
        yield active_key(method)


def request_key(labels: tuple[str, ...], bounds_s: tuple[float, ...]) -> Key:
    """Return the key of requests with *labels*: method, route, operation id, status."""
    return Key(REQUESTS.name, labels, bounds_s, "histogram")


def bytes_key(name: str, labels: tuple[str, ...]) -> Key:
    """Return the key of the bodies of an operation with *labels*: method, route, operation id."""
    return Key(name, labels, BOUNDS_BYTES, "histogram")


def active_key(method: str) -> Key:
    """Return the key of the requests of *method* that are being handled."""
    return Key(ACTIVE_REQUESTS.name, (method,), None, "running")


def find_labels(operation: Operation) -> tuple[str, str, str]:
    """Return method, route and operation id."""
    return operation.method.upper(), operation.path, operation.operation_id


def _declare_operation(operation: Operation, bounds_s: tuple[float, ...]) -> Iterator[Key]:
    labels = find_labels(operation)
    statuses = {500, *(int(status) for status in operation.statuses if status.isdecimal())}
    for status in sorted(statuses):
        yield request_key((*labels, str(status)), bounds_s)
    if operation.body is not None or operation.form is not None:
        yield bytes_key(REQUEST_BYTES.name, labels)
    yield bytes_key(RESPONSE_BYTES.name, labels)
    for place in _find_places(operation):
        yield Key(VIOLATIONS.name, (operation.operation_id, place))


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
