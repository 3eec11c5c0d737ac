from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from flask import Flask

from pymacaron.events import ErrorReported
from pymacaron.service import service_of
from pymacaron_monitoring import errors, init_app

MakeApp = Callable[..., Flask]
DATA: dict[str, object] = {"operation_id": "getPet", "status": 500, "request_id": "r1"}
FAULT = ValueError("no such pet")
ERROR = ErrorReported("SERVER_ERROR: ValueError in getPet", DATA, FAULT, "e1")


def counts(app: Flask) -> list[str]:
    page = app.test_client().get("/metrics").text
    return [line for line in page.splitlines() if line.startswith("errors_reported_total{")]


def test_an_error_is_logged_with_its_facts(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """The line has error id, title, operation and status as fields, and the event's trace, which holds no secrets."""
    app = make_app()
    errors.init_app(app)
    service_of(app).bus.emit(ERROR._replace(data={**DATA, "trace": "Traceback: ValueError: **********"}))
    (record,) = caplog.records
    assert record.getMessage() == "SERVER_ERROR: ValueError in getPet (error_id e1)"
    assert record.levelno == logging.ERROR
    assert (record.exc_info, record.exc_text) == (None, "Traceback: ValueError: **********")
    facts = {name: getattr(record, name) for name in ("error_id", "title", "operation_id", "status")}
    assert facts == {"error_id": "e1", "title": ERROR.title, "operation_id": "getPet", "status": 500}


def test_a_warning_is_logged_as_one(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """What is not fatal is a warning, without traceback where there is no exception."""
    app = make_app()
    errors.init_app(app)
    service_of(app).bus.emit(ErrorReported("Slow bank", {}, None, "e2", fatal=False))
    (record,) = caplog.records
    assert (record.levelno, record.getMessage(), record.exc_info) == (logging.WARNING, "Slow bank (error_id e2)", None)


def test_the_service_hears_of_its_errors(make_app: MakeApp) -> None:
    """error_reporter gets title, data with the error id, and the exception."""
    heard: list[tuple[object, ...]] = []
    app = make_app(error_reporter=lambda *told: heard.append(told))
    errors.init_app(app)
    service_of(app).bus.emit(ERROR)
    assert heard == [(ERROR.title, {**DATA, "error_id": "e1"}, FAULT)]
    assert DATA.keys() == {"operation_id", "status", "request_id"}


def test_a_reporter_that_raises_changes_nothing(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """Its failure is logged and counted."""

    def report(*_: object) -> None:
        raise OSError("mail server is gone")

    app = make_app(error_reporter=report)
    init_app(app)
    service_of(app).bus.emit(ERROR)
    assert [record.getMessage() for record in caplog.records] == [
        "SERVER_ERROR: ValueError in getPet (error_id e1)",
        "error_reporter failed; error_id e1 stands in the log only",
    ]
    assert counts(app) == [
        'errors_reported_total{outcome="sent",reporter="log"} 1.0',
        'errors_reported_total{outcome="failed",reporter="log"} 0.0',
        'errors_reported_total{outcome="sent",reporter="error_reporter"} 0.0',
        'errors_reported_total{outcome="failed",reporter="error_reporter"} 1.0',
    ]


def test_a_reporter_that_reports_ends(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """What the reporter reports itself is logged, and not handed to it again."""
    calls: list[str] = []

    def report(title: str, *_: object) -> None:
        calls.append(title)
        service_of(app).bus.emit(ErrorReported("Mail is slow", {}, None, "e3", fatal=False))

    app = make_app(error_reporter=report)
    errors.init_app(app)
    service_of(app).bus.emit(ERROR)
    service_of(app).bus.emit(ERROR)
    assert calls == [ERROR.title, ERROR.title]
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"] * 2


def test_a_second_call_reports_nothing_twice(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """Set up by hand and by the service, errors are still reported once."""
    app = make_app()
    errors.init_app(app)
    errors.init_app(app)
    service_of(app).bus.emit(ERROR)
    assert len(caplog.records) == 1
