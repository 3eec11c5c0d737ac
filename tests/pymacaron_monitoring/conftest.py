"""A service of events, built by hand: what monitoring listens to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask

from pymacaron.config import PymConfig
from pymacaron.events import Event, RequestFinished, RequestStarted
from pymacaron.json_types import JsonObject
from pymacaron.request_record import RequestRecord
from pymacaron.service import ErrorReporter, Service, service_of
from pymacaron.spec import Api, parse_spec
from pymacaron_monitoring.page import Page
from pymacaron_monitoring.store import FOLDER_VARIABLE, Store

PETS = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
x-slo: {availability: 99, latency: {p95: 200ms}}
paths:
  /pets:
    get:
      operationId: listPets
      responses: {"200": {description: all}, "4XX": {description: wrong}, default: {description: else}}
  /pets/{petId}:
    parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]
    get:
      operationId: getPet
      x-slo: {latency: {p95: 300ms, p99: 1.5s}}
      responses: {"200": {description: one}, "404": {description: none}}
    delete:
      operationId: deletePet
      x-slo: {availability: 90}
      responses: {"204": {description: gone}}
"""

_PLACES = {"listPets": ("GET", "/pets"), "getPet": ("GET", "/pets/{petId}"), "deletePet": ("DELETE", "/pets/{petId}")}
_BOUNDS_S = (0.1, 0.2, 0.3, 1.5)

MakeApp = Callable[..., Flask]
MakeApi = Callable[[str], Api]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count in this process only, whatever the environment says."""
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


@pytest.fixture
def pets_text() -> str:
    """Return a document with objectives of its own and of two operations."""
    return PETS


@pytest.fixture
def read_api() -> MakeApi:
    """Read a document: ``read_api(text)``."""
    return lambda text: parse_spec(text, source="apis/pets.yaml", name="pets")


@pytest.fixture
def make_app(read_api: MakeApi) -> MakeApp:
    """Build a service that serves a document and that nobody watches yet: ``make_app(text=…, error_reporter=…)``."""

    def make(text: str = PETS, error_reporter: ErrorReporter | None = None, **config: object) -> Flask:
        app = Flask("svc")
        api = read_api(text)
        operations = {operation.operation_id: operation for operation in api.operations}
        app.extensions["pymacaron"] = Service(
            app=app,
            config=PymConfig.model_validate(config),
            apis={"pets": api},
            operations=operations,
            error_reporter=error_reporter,
        )
        return app

    return make


@pytest.fixture
def finish() -> Callable[..., RequestFinished]:
    """Make the event of an answered request; ``finish(status=404)`` changes one thing."""

    def make(
        operation_id: str | None = "getPet",
        *,
        method: str = "GET",
        route: str | None = "/pets/{petId}",
        status: int = 200,
        duration_s: float = 0.004,
    ) -> RequestFinished:
        return RequestFinished(
            request_id="r1",
            method=method,
            route=route,
            operation_id=operation_id,
            status=status,
            duration_s=duration_s,
            request_bytes=0,
            response_bytes=0,
        )

    return make


def _tell_all(app: Flask, *events: Event) -> None:
    """Tell who listens, and of requests also who follows them."""
    bus = service_of(app).bus
    for event in events:
        if isinstance(event, (RequestStarted, RequestFinished)):
            record = RequestRecord({"REQUEST_METHOD": event.method, "HTTP_X_REQUEST_ID": event.request_id})
            if event.operation_id is not None:
                operation: Any = SimpleNamespace(path=event.route, operation_id=event.operation_id)
                record.operation = operation
            for begin, finish in bus.followers:
                if isinstance(event, RequestStarted):
                    begin(record)
                else:
                    record.status, record.request_bytes = event.status, event.request_bytes
                    record.response_bytes = event.response_bytes
                    finish(record, event.duration_s)
        bus.emit(event)


@pytest.fixture
def tell() -> Callable[..., None]:
    """Tell a service's listeners and followers what happens: ``tell(app, finish(), …)``."""
    return _tell_all


@pytest.fixture
def promtool() -> str:
    """Return the path of promtool; skips where there is none, fails where services are required."""
    path = shutil.which("promtool")
    if path is None:
        reason = "promtool is missing: apt-get install prometheus"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
    return path


def make_page(**counts: tuple[int, int]) -> str:
    """Write a /metrics page: ``getPet_200=(212, 14)`` says 212 requests, 14 of them over every bound of x-slo."""
    store = Store("page")
    for name, (total, slow) in counts.items():
        operation_id, status = name.split("_")
        method, route = _PLACES[operation_id]
        labels = (method, route, operation_id, status)
        histogram = store.histogram("http_server_request_duration_seconds", labels, _BOUNDS_S)
        for number in range(total):
            histogram.observe(9 if number < slow else 0.01)
    return Page(store, lambda _: ()).write()


@pytest.fixture(name="make_page")
def _make_page() -> Callable[..., str]:
    return make_page


@pytest.fixture
def make_report() -> Callable[..., JsonObject]:
    """Write the report of a good service; ``make_report(exit_code=2)`` changes one thing."""

    def make(**changes: object) -> JsonObject:
        report: JsonObject = {
            "version": 2,
            "pymacaron": "3.0.0",
            "target": "http://127.0.0.1:8000",
            "started_at": "2026-11-23T19:00:00Z",
            "duration_s": 12.3,
            "documents": [{"name": "pets", "source": "apis/pets.yaml", "sha256": "…", "text": PETS}],
            "items": [
                make_item("GET /pets[responses]", "listPets"),
                make_item("testaccept/test_pets.py::test_pets", kind="blackbox"),
            ],
            "summary": {"passed": 2, "failed": 0, "error": 0, "skipped": 0, "not_run": 0},
            "requests_sent": 900,
            "metrics": {
                "before": make_page(listPets_200=(5, 0), getPet_200=(0, 0), deletePet_204=(0, 0)),
                "after": make_page(listPets_200=(305, 0), getPet_200=(300, 0), deletePet_204=(300, 0)),
            },
            "exit_code": 0,
        }
        return report | changes

    return make


def make_item(nodeid: str, operation_id: str | None = None, *, kind: str = "contract", **changes: object) -> JsonObject:
    """Write the entry of a passed test."""
    item: JsonObject = {
        "nodeid": f"apis/pets.yaml::contract::{nodeid}" if kind == "contract" else nodeid,
        "kind": kind,
        "operation_id": operation_id,
        "outcome": "passed",
        "reason": "",
        "duration_s": 0.5,
        "requests": 40,
        "failures": [],
    }
    return item | changes


@pytest.fixture(name="make_item")
def _make_item() -> Callable[..., JsonObject]:
    return make_item
