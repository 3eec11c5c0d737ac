from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pymacaron.events import ErrorReported
from pymacaron_monitoring.recent_errors import MOST_ERRORS, RecentErrors


def make_event(title: str = "It broke", **data: object) -> ErrorReported:
    return ErrorReported(title, {"operation_id": "getPet", "status": 500, **data}, None, f"id-{title}")


@pytest.fixture(params=["memory", "file"])
def errors(request: pytest.FixtureRequest, tmp_path: Path) -> RecentErrors:
    """Keep errors in either way."""
    return RecentErrors(tmp_path / "errors.jsonl" if request.param == "file" else None)


def test_the_newest_comes_first(errors: RecentErrors) -> None:
    """Title, place and ids are kept; what else is known of the request is not."""
    before = time.time()
    errors.add(make_event("first", user_id="u1", trace="Traceback …", query={"token": "t"}))
    errors.add(make_event("second", route="/pets/{petId}", method="GET", request_id="r1"))
    second, first = errors.read()
    assert before - 0.001 <= first.pop("at") <= second.pop("at") + 0.001
    place = {"operation_id": "getPet", "status": 500, "is_fatal": True}
    assert first == {
        "title": "first",
        "error_id": "id-first",
        "method": None,
        "route": None,
        "request_id": None,
        **place,
    }
    assert second == {
        "title": "second",
        "error_id": "id-second",
        "method": "GET",
        "route": "/pets/{petId}",
        "request_id": "r1",
        **place,
    }


def test_a_storm_is_cut_short(errors: RecentErrors) -> None:
    """A thousand errors cost ten lines a second, and never more than the last ones are shown."""
    started_at = time.monotonic()
    for number in range(1000):
        errors.add(make_event(str(number)))
    seconds = int(time.monotonic() - started_at) + 2
    assert 10 <= len(errors.read()) <= min(MOST_ERRORS, 10 * seconds)


def test_all_processes_share_the_last_errors(tmp_path: Path) -> None:
    """Whichever worker is asked knows those of the others."""
    errors = RecentErrors(tmp_path / "errors.jsonl")
    errors.add(make_event("ours"))
    child = os.fork()
    if not child:
        errors.add(make_event("theirs"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert [error["title"] for error in errors.read()] == ["theirs", "ours"]


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old lines make room."""
    monkeypatch.setattr("pymacaron_monitoring.recent_errors._MOST_A_SECOND", 10_000)
    errors = RecentErrors(tmp_path / "errors.jsonl")
    for number in range(1000):
        errors.add(make_event(f"{number:04}" + "x" * 500))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size < 70_000
    assert [error["title"][:4] for error in errors.read()][:2] == ["0999", "0998"]


def test_damage_hides_one_error(tmp_path: Path) -> None:
    """A line that a killed process left half written is skipped; without a file there is none."""
    errors = RecentErrors(tmp_path / "errors.jsonl")
    assert errors.read() == []
    errors.add(make_event("whole"))
    (file,) = tmp_path.iterdir()
    file.write_bytes(b'{"at": 1, "ti\n\xff\xfe\n[]\n' + file.read_bytes())
    assert [error["title"] for error in errors.read()] == ["whole"]


def test_a_folder_that_is_gone_breaks_nothing(tmp_path: Path) -> None:
    """Errors are then not shown."""
    errors = RecentErrors(tmp_path / "gone" / "errors.jsonl")
    errors.add(make_event())
    assert errors.read() == []
