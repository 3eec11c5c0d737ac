"""Errors that handlers notice reach whoever listens, with what is known of the request."""

from __future__ import annotations

import logging
from importlib.metadata import version

import pytest
from flask import Flask, jsonify
from pydantic import SecretStr
from werkzeug.wrappers import Response

from pymacaron.config import PymConfig
from pymacaron.crash import fit_reporter, report_error, report_warning
from pymacaron.events import ErrorReported
from pymacaron.log import note_user
from pymacaron.request_events import watch_requests
from pymacaron.service import Service
from pymacaron.spec.model import Operation

OPERATION = Operation("getPet", "GET", "/pets/{id}", "/paths/~1pets~1{id}/get", None, (), None, (), ())


@pytest.fixture
def service() -> Service:
    """Build a service with an operation that reports an error, and one that reports a warning."""
    app = Flask("pets")
    service = Service(app, PymConfig(jwt_secret=SecretStr("hunter2-hunter2")))
    app.extensions["pymacaron"] = service

    def find(pet_id: str) -> Response:
        raise LookupError(f"no pet {pet_id} under hunter2-hunter2")

    def get_pet(pet_id: str) -> Response:
        note_user("bob")
        try:
            return find(pet_id)
        except LookupError as error:
            return jsonify(report_error("No pet", {"password": "x", "pet": pet_id}, caught=error))

    get_pet.operation = OPERATION  # type: ignore[attr-defined]  # as the view of an operation has it
    app.add_url_rule("/pets/<pet_id>", view_func=get_pet)
    app.add_url_rule("/other", view_func=lambda: jsonify(report_warning("Odd", exception="too slow")))
    watch_requests(service)
    return service


def test_an_error_in_a_request(service: Service) -> None:
    """The report names request, user, operation and trace, keeps the handler's facts, and masks secrets."""
    heard: list[ErrorReported] = []
    service.bus.subscribe(ErrorReported, heard.append)
    error_id = service.app.test_client().get("/pets/7", headers={"X-Request-Id": "r1"}).json
    (event,) = heard
    assert event.error_id == error_id
    assert event.title == "No pet"
    assert event.fatal
    assert isinstance(event.exception, LookupError)
    trace = event.data.pop("trace")
    assert event.data == {
        "request_id": "r1",
        "user_id": "bob",
        "operation_id": "getPet",
        "method": "GET",
        "route": "/pets/{id}",
        "password": "**********",
        "pet": "7",
        "error_caught": "LookupError: no pet 7 under **********",
        "is_fatal_error": True,
        "request": {
            "path_parameters": {"pet_id": "**********"},
            "headers": {"User-Agent": f"Werkzeug/{version('werkzeug')}", "Host": "localhost", "X-Request-Id": "r1"},
        },
    }
    assert isinstance(trace, str)
    assert trace.endswith("LookupError: no pet 7 under **********\n")
    assert "hunter2" not in trace


def test_variables_that_are_called_secrets(service: Service) -> None:
    """What they hold where it was raised, arguments too, stands in no text of the report."""
    heard: list[ErrorReported] = []
    service.bus.subscribe(ErrorReported, heard.append)

    def log_in(user: str, password: str) -> None:
        access_token, known = f"made for {user}", {"": ""}
        try:
            known[access_token]
        except KeyError as error:
            raise LookupError(f"{user} with {password}") from error

    with service.app.app_context(), pytest.raises(LookupError) as caught:
        log_in("alice", "open sesame")
    with service.app.app_context():
        report_error("No login", caught=caught.value)
    (event,) = heard
    assert event.data["error_caught"] == "LookupError: alice with **********"
    assert "made for alice" not in str(event.data)
    assert event.redact("open sesame, made for alice") == "**********, **********"


def test_a_warning_in_a_request(service: Service) -> None:
    """A warning is not fatal; without an exception the trace leads to the line that reports."""
    heard: list[ErrorReported] = []
    service.bus.subscribe(ErrorReported, heard.append)
    service.app.test_client().get("/other")
    (event,) = heard
    assert not event.fatal
    assert event.exception is None
    assert event.data["error_caught"] == "too slow"
    assert event.data["operation_id"] is None
    assert 'report_warning("Odd"' in str(event.data["trace"]).rstrip().splitlines()[-1]


def test_nobody_listens(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody listens, the error goes to the log."""
    error_id = service.app.test_client().get("/pets/7").json
    (record,) = [record for record in caplog.records if record.name == "pymacaron.error_report"]
    assert record.getMessage() == f"No pet (error_id {error_id})"
    assert record.levelno == logging.ERROR
    assert "hunter2" not in str(vars(record))


def test_reporters_of_pymacaron_2() -> None:
    """A reporter takes title, data and exception, or only the first two."""
    heard: list[object] = []
    error = KeyError()
    fit_reporter(lambda title, data: heard.append((title, data)))("a", {"x": 1}, error)
    fit_reporter(lambda title, data, exception: heard.append((title, data, exception)))("b", {}, error)
    fit_reporter(lambda *args: heard.append(args))("c", {}, None)
    assert heard == [("a", {"x": 1}), ("b", {}, error), ("c", {}, None)]
    assert fit_reporter(dict) is dict  # type: ignore[comparison-overlap]  # does not tell what it takes


def test_outside_of_a_service(caplog: pytest.LogCaptureFixture) -> None:
    """Scripts may report too; their reports go to the log."""
    error_id = report_warning("Late", {"job": "nightly"})
    (record,) = caplog.records
    assert record.getMessage() == f"Late (error_id {error_id})"
    assert record.levelno == logging.WARNING
    assert vars(record)["data"]["job"] == "nightly"
