from __future__ import annotations

import atexit
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, current_app

from pymacaron import report_error
from pymacaron.events import ErrorReported
from pymacaron.log import current_request_id, restored_context
from pymacaron.service import service_of
from pymacaron_monitoring import errors, flush_reports, init_app, outbox
from pymacaron_monitoring.outbox import MOST_WAITING, TryLaterError
from pymacaron_monitoring.report_limit import find_fingerprint
from pymacaron_monitoring.store import FOLDER_VARIABLE

MakeApp = Callable[..., Flask]
DATA: dict[str, object] = {"operation_id": "getPet", "status": 500, "request_id": "r1"}
FAULT = ValueError("no such pet")
ERROR = ErrorReported("SERVER_ERROR: ValueError in getPet", DATA, FAULT, "e1")


def counts(app: Flask, reporter: str) -> dict[str, int]:
    """Return how many errors had which outcome at *reporter*, without those that none had."""
    page = app.test_client().get("/metrics").text
    found = re.findall(rf'errors_reported_total{{outcome="(\w+)",reporter="{reporter}"}} (\d+)\.0', page)
    return {outcome: int(count) for outcome, count in found if count != "0"}


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
    """error_reporter gets title, data with the error id, what runs where, and the exception; in the app's context."""
    heard: list[tuple[object, ...]] = []
    app = make_app(error_reporter=lambda *told: heard.append((*told, current_app.name, current_request_id())))
    errors.init_app(app)
    with restored_context({"request_id": "r1"}):
        service_of(app).bus.emit(ERROR)
    assert flush_reports(app)
    data = {**DATA, "error_id": "e1", "release": "dev", "environment": "production"}
    assert heard == [(ERROR.title, data, FAULT, "svc", "r1")]
    assert DATA.keys() == {"operation_id", "status", "request_id"}


def test_a_slow_reporter_holds_up_nobody(make_app: MakeApp) -> None:
    """Errors wait for it in a queue of limited length, those beyond are counted; other reporters go on."""
    is_free = threading.Event()
    app = make_app(error_reporter=lambda *_: is_free.wait(10))
    init_app(app)
    start = time.perf_counter()
    for number in range(MOST_WAITING + 50):
        service_of(app).bus.emit(ERROR._replace(title=f"Failure {chr(65 + number // 26)}{chr(65 + number % 26)}"))
    assert time.perf_counter() - start < 5
    assert not flush_reports(app, 0.01)
    is_free.set()
    assert flush_reports(app)
    found = counts(app, "error_reporter")
    assert found["sent"] in (MOST_WAITING, MOST_WAITING + 1)  # one may be on its way already
    assert found == {"sent": found["sent"], "dropped": MOST_WAITING + 50 - found["sent"]}


def test_one_of_a_kind_in_an_interval(make_app: MakeApp) -> None:
    """The next one that is told says how many were held back; with 0 as interval none is."""
    heard: list[object] = []
    app = make_app(error_reporter=lambda title, data, _exception: heard.append((title, data.get("repeated"))))
    config = service_of(app).config
    config.error_report_interval = 1
    errors.init_app(app)
    for number in range(3):
        service_of(app).bus.emit(ERROR._replace(title=f"Order {number} failed"))
    service_of(app).bus.emit(ERROR._replace(title="Another"))
    assert flush_reports(app)
    time.sleep(1)
    service_of(app).bus.emit(ERROR._replace(title="Order 4 failed"))
    assert flush_reports(app)
    assert heard == [("Order 0 failed", None), ("Another", None), ("Order 4 failed", 2)]


@pytest.mark.parametrize("caught", [None, FAULT], ids=["alone", "with an exception"])
def test_what_one_line_reports_is_of_one_kind(make_app: MakeApp, caught: ValueError | None) -> None:
    """A title with a caller's words in it does not get past the limit; another line's report is another kind."""
    heard: list[str] = []
    app = make_app(error_reporter=lambda title, *_: heard.append(title))
    init_app(app)
    with app.app_context():
        for letter in "abcdefghij":
            report_error(f"Cannot mail {letter}@x.test", {}, caught)
        report_error("Cannot mail a@x.test", {}, caught)
    assert flush_reports(app)
    assert heard == ["Cannot mail a@x.test"] * 2
    assert counts(app, "error_reporter") == {"sent": 2, "limited": 9}


def test_a_forked_process_reports_by_itself(make_app: MakeApp, tmp_path: Path) -> None:
    """What its parent had begun goes on there, and is not sent twice; its own are sent before it ends."""
    app = make_app(error_reporter=lambda title, *_: (tmp_path / f"{title}-{os.getpid()}").touch())
    errors.init_app(app)
    service_of(app).bus.emit(ERROR._replace(title="parent"))
    child = os.fork()
    if child == 0:
        service_of(app).bus.emit(ERROR._replace(title="child"))
        atexit._run_exitfuncs()
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    assert flush_reports(app)
    assert {file.name for file in tmp_path.iterdir()} == {f"parent-{os.getpid()}", f"child-{child}"}


def test_several_processes_have_one_limit(make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one kind of error in all workers of a service one is told, and the others are counted."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "counts"))
    (tmp_path / "counts").mkdir()
    heard = tmp_path / "heard"
    app = make_app(error_reporter=lambda title, *_: heard.open("a").write(f"{title}\n"))
    init_app(app)
    children = []
    for _ in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            for title in ("First", "Second", "First"):
                service_of(app).bus.emit(ERROR._replace(title=title))
            atexit._run_exitfuncs()
            os._exit(0)
    for child in children:
        os.waitpid(child, 0)
    assert sorted(heard.read_text().split()) == ["First", "Second"]
    assert counts(app, "log") == {"sent": 12}
    assert counts(app, "error_reporter") == {"sent": 2, "limited": 10}


def test_apps_of_one_folder_have_limits_of_their_own(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of one does not hold back that of another."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    heard: list[str] = []
    for name in ("first", "second"):
        app = make_app(error_reporter=lambda _title, _data, _error, name=name: heard.append(name))
        errors.init_app(app)
        service_of(app).bus.emit(ERROR)
        service_of(app).bus.emit(ERROR)
        assert flush_reports(app)
    assert heard == ["first", "second"]


@pytest.mark.parametrize("is_shared", [pytest.param(False, id="alone"), pytest.param(True, id="in a folder")])
def test_a_report_that_was_given_up_holds_nothing_back(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_shared: bool
) -> None:
    """Where Sentry did not answer, the next error of the kind is told, though the interval is not over."""
    if is_shared:
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(outbox, "_PAUSES_S", (0.01,))
    tried: list[str] = []

    def report(title: str, *_: object) -> None:
        tried.append(title)
        if len(tried) < 3:
            raise TryLaterError("nobody answers")

    app = make_app(error_reporter=report)
    init_app(app)
    for _ in range(3):
        service_of(app).bus.emit(ERROR)
        assert flush_reports(app)
    assert tried == [ERROR.title] * 3
    assert counts(app, "error_reporter") == {"failed": 1, "sent": 1, "limited": 1}


def test_what_is_alike() -> None:
    """Numbers and the texts of exceptions do not count; lines of code, types and causes do."""

    def fail(kind: type[Exception], text: str) -> Exception:
        with pytest.raises(kind) as caught:
            raise kind(text)
        return caught.value

    def alike(one: Exception, other: Exception) -> bool:
        events = [ErrorReported("x", {}, error, "e") for error in (one, other)]
        return find_fingerprint(events[0]) == find_fingerprint(events[1])

    assert alike(fail(KeyError, "a"), fail(KeyError, "b"))
    assert not alike(fail(KeyError, "a"), fail(ValueError, "a"))
    with pytest.raises(KeyError) as elsewhere:
        raise KeyError("a")
    assert not alike(fail(KeyError, "a"), elsewhere.value)
    caused = fail(KeyError, "a")
    caused.__cause__ = fail(ValueError, "a")
    assert not alike(fail(KeyError, "a"), caused)
    members = fail(KeyError, "a"), fail(ValueError, "a")
    assert alike(ExceptionGroup("a", members), ExceptionGroup("b", members[::-1]))
    assert not alike(ExceptionGroup("a", members), ExceptionGroup("a", members[:1]))
    titles = ["Order 17 of 3f2a77c1 failed", "Order 4 of 99aa01bd failed", "Order failed"]
    prints = [find_fingerprint(ErrorReported(title, {}, None, "e")) for title in titles]
    assert prints[0] == prints[1] != prints[2]


def test_a_reporter_that_raises_changes_nothing(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """Its failure is logged and counted."""

    def report(*_: object) -> None:
        raise OSError("mail server is gone, secret=hunter2")

    app = make_app(error_reporter=report)
    init_app(app)
    service_of(app).bus.emit(ERROR)
    assert flush_reports(app)
    first, second = (record.getMessage() for record in caplog.records)
    assert first == "SERVER_ERROR: ValueError in getPet (error_id e1)"
    assert second.startswith("error_reporter failed; error_id e1 stands in the log only\nTraceback")
    assert "secret=**********" in second
    assert (counts(app, "log"), counts(app, "error_reporter")) == ({"sent": 1}, {"failed": 1})


def test_a_reporter_that_reports_ends(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """What the reporter reports itself is logged, and not handed to it again."""
    calls: list[str] = []

    def report(title: str, *_: object) -> None:
        calls.append(title)
        service_of(app).bus.emit(ErrorReported("Mail is slow", {}, None, "e3", fatal=False))

    app = make_app(error_reporter=report)
    errors.init_app(app)
    service_of(app).bus.emit(ERROR)
    service_of(app).bus.emit(ERROR._replace(title="Another"))
    assert flush_reports(app)
    assert calls == [ERROR.title, "Another"]
    assert sorted(record.levelname for record in caplog.records) == ["ERROR", "ERROR", "WARNING", "WARNING"]


def test_a_second_call_reports_nothing_twice(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """Set up by hand and by the service, errors are still reported once."""
    app = make_app()
    errors.init_app(app)
    errors.init_app(app)
    service_of(app).bus.emit(ERROR)
    assert len(caplog.records) == 1
