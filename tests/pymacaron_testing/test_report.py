"""The report of a run: data that keeps its published schema, a page, and what the fixtures find."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from jinja2 import UndefinedError

from pymacaron_testing.report import ItemResult, Report, summarise
from pymacaron_testing.report_page import render_page
from pymacaron_testing.service_log import find_trace

pytest_plugins = ["pytester"]

SERVICES = Path(__file__).parent / "services"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "pymacaron-report.schema.json").read_text())

BROKEN_SERVER = """
from pymacaron import create_app
from pymacaron.auth import get_userid

NOTES = []


def list_notes():
    return [{"text": ""}] if NOTES else []


def create_note(body):
    if len(body.text) == 100:
        raise RuntimeError("too much")
    NOTES.append(f"{get_userid()}: {body.text}")
    return body, 201


app = create_app(__name__, handlers=__name__)
"""

TESTS = '''
import pytest

from pymacaron.exceptions import RemoteError


def test_users_differ(user, http):
    """Each name is a user of the service; the answers are models."""
    assert user("alice").headers != user("bob").headers
    assert user("alice").api.create_note({"text": "hello"}).text == "hello"


def test_anonymous_is_refused(anonymous):
    with pytest.raises(RemoteError):
        anonymous.api.create_note({"text": "hello"})
    assert anonymous.http.post("/notes", json={"text": "hello"}).status_code == 401


def test_answers_are_checked(http, eventually):
    """The list breaks the document as soon as there is a note."""
    assert eventually(lambda: http.unchecked.get("/notes").json())
    http.get("/notes")


@pytest.mark.pymacaron_unchecked
def test_unless_told_otherwise(http, api):
    assert http.get("/notes").json() == [{"text": ""}]


def test_whole_answers(api):
    assert api.send("create_note", {"text": "x"}).status == 201


def test_nothing_happens(eventually):
    with pytest.raises(AssertionError, match="did not happen"):
        eventually(lambda: None, timeout_s=0.1)


def test_classic_cases_are_checked_too(http):
    from pymacaron_testing import PyMacaronTestCase

    class Case(PyMacaronTestCase):
        base_url = http.base_url

        def runTest(self):
            self.assertGetReturnJson("notes")

    case = Case()
    case._session = http
    with pytest.raises(AssertionError, match="the answer breaks its document"):
        case.debug()
'''


@pytest.fixture
def report(pytester: pytest.Pytester) -> Any:
    """Give the report of a run in the folder of a pymacaron service with two faults."""
    folder = pytester.path
    (folder / "apis").mkdir()
    (folder / "apis" / "notes.yaml").write_text((SERVICES / "notes.yaml").read_text())
    (folder / "server.py").write_text(BROKEN_SERVER)
    secret = "0123456789abcdef0123456789abcdef"
    (folder / "pym-config.yaml").write_text(
        f"name: notes\njwt_secret: {secret}\njwt_issuer: notes\njwt_audience: notes\nresponse_validation: observe\n"
    )
    (folder / "testaccept").mkdir()
    (folder / "testaccept" / "test_notes.py").write_text(TESTS)
    options = ("--pymacaron", "--pymacaron-max-examples=0", "-k", "testaccept or responses", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*options)
    assert result.ret == 1
    return json.loads((folder / "pymacaron-report.json").read_text())


def find(report: Any, name: str) -> Any:
    return next(item for item in report["items"] if item["nodeid"].endswith(name))


def test_the_report_of_a_broken_service(report: Any, pytester: pytest.Pytester) -> None:
    """One run shows it all: schema, fixtures, traceback, coverage, page."""
    jsonschema_rs.validator_for(SCHEMA).validate(report)
    outcomes = {item["nodeid"].rpartition("::")[2]: item["outcome"] for item in report["items"]}
    assert outcomes == {
        "test_users_differ": "passed",
        "test_anonymous_is_refused": "passed",
        "test_answers_are_checked": "failed",
        "test_unless_told_otherwise": "passed",
        "test_whole_answers": "passed",
        "test_nothing_happens": "passed",
        "test_classic_cases_are_checked_too": "passed",
        "POST /notes[responses]": "failed",
        "GET /notes[responses]": "failed",
    }
    (checked,) = find(report, "test_answers_are_checked")["failures"]
    assert (checked["check"], checked["operation_id"]) == ("schema", "list_notes")
    assert checked["promise"] == "the body of answer 200 of GET /notes fits its schema ListNotesResponse"
    (crash,) = [one for one in find(report, "POST /notes[responses]")["failures"] if one["check"] == "server_error"]
    assert "RuntimeError: too much" in crash["traceback"]
    assert crash["request_id"]
    assert 0 < crash["seen_after_s"] < report["duration_s"]
    assert report["users"] >= 1
    creation = next(entry for entry in report["coverage"] if entry["operation_id"] == "create_note")
    assert creation["answers"]["201"] > 0
    assert creation["callers"]["user 1"] > 0
    page = (pytester.path / "pymacaron-report.html").read_text()
    assert "RuntimeError: too much" in page
    assert "0123456789abcdef" not in page + json.dumps(report)


@pytest.fixture
def data() -> Any:
    report = Report(target="http://127.0.0.1:1")
    report.items["a"] = ItemResult("a", "contract", outcome="passed", gaps=["deleting: nothing could be created"])
    report.items["b"] = ItemResult("b", "contract", outcome="skipped", reason="no <second> user")
    report.items["c"] = ItemResult("c", "contract", outcome="passed", flaky=["server_error did not happen again"])
    report.coverage = [
        {
            "document": "pets.yaml",
            "operation_id": "get_pet",
            "method": "GET",
            "path": "/pets/{id}",
            "answers": {"200": 3, "404": 0},
            "parameters": {"path id": 3},
            "enum_members": {},
            "optional": {},
            "callers": {},
        }
    ]
    return report


def test_a_page_shows_what_was_not_checked(data: Report) -> None:
    page = render_page(data.to_dict(0))
    for text in (
        "The target keeps its document.",
        "deleting: nothing could be created",
        "no &lt;second&gt; user",
        "server_error did not happen again",
        "404: 0",
    ):
        assert text in page
    assert "http://" not in page.replace("http://127.0.0.1:1", "").replace("https://json-schema.org", "")


def test_a_page_needs_a_whole_report() -> None:
    with pytest.raises((KeyError, UndefinedError)):
        render_page({"items": [], "exit_code": 0, "coverage": []})


def test_the_end_of_a_run_says_what_was_not_seen(data: Report) -> None:
    assert summarise(data) == [
        "seen: 1 of 1 operations succeeded, 1 of 2 declared answers",
        "warning: documented but never seen: GET /pets/{id} 404",
        "not checked: 1 items, and parts of 1; the report has the reasons",
    ]


def test_a_trace_is_found_by_its_request() -> None:
    """Among lines of others, as text or as JSON."""
    text = [
        "2026-01-01 10:00:00,000 INFO access: POST /a [aaa]",
        "2026-01-01 10:00:00,000 ERROR crash [bbb]",
        "Traceback (most recent call last):",
        "  File x",
        "ValueError: no",
        "2026-01-01 10:00:01,000 INFO access: POST /b [bbb]",
    ]
    expected = "2026-01-01 10:00:00,000 ERROR crash [bbb]\nTraceback (most recent call last):\n  File x\nValueError: no"
    assert find_trace(text, "bbb") == expected
    assert find_trace(text, "aaa") == ""
    trace = "Traceback (most recent call last):\nValueError: no"
    line = json.dumps({"message": "crash", "exc_info": trace, "request_id": "ccc"})
    assert find_trace([line, "{broken ccc"], "ccc") == f"crash\n{trace}"
