"""A service of events, built by hand: what monitoring listens to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from flask import Flask

from pymacaron.config import PymConfig
from pymacaron.events import RequestFinished
from pymacaron.service import ErrorReporter, Service
from pymacaron.spec import Api, parse_spec
from pymacaron_monitoring.store import FOLDER_VARIABLE

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

    def make(text: str = PETS, error_reporter: ErrorReporter | None = None) -> Flask:
        app = Flask("svc")
        api = read_api(text)
        operations = {operation.operation_id: operation for operation in api.operations}
        app.extensions["pymacaron"] = Service(
            app=app,
            config=PymConfig(),
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


@pytest.fixture
def promtool() -> str:
    """Return the path of promtool; skips where there is none, fails where services are required."""
    path = shutil.which("promtool")
    if path is None:
        reason = "promtool is missing: apt-get install prometheus"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
    return path
