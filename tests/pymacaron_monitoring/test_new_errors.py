"""Errors that only the new release meets, as services that run pymacaron count them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from pymacaron import report_error
from pymacaron.events import ErrorReported
from pymacaron.json_types import JsonObject
from pymacaron.service import service_of
from pymacaron_monitoring import init_app, judge
from pymacaron_monitoring.families import ERROR_KINDS
from pymacaron_monitoring.new_errors import read_kinds

MakeApp = Callable[..., Flask]
CODE = """
    import json
    def read(text):
        return json.loads(text)
    def find(key):
        return {}[key]
"""


def raise_in(file: Path, call: str, *, lines_before: int = 0) -> Exception:
    """Return what *call* of the functions in CODE raises; CODE stands lower in its file by so many lines."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n" * lines_before + textwrap.dedent(CODE))
    names: dict[str, object] = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    try:
        eval(call, names)
    except ValueError as error:
        return error
    except KeyError as error:
        return error
    raise AssertionError(call)


def meet(app: Flask, *errors: ErrorReported) -> str:
    """Tell the service of *errors* and return its page of metrics."""
    for error in errors:
        service_of(app).bus.emit(error)
    return app.test_client().get("/metrics").text


def report(exception: Exception | None, *, title: str = "SERVER_ERROR", fatal: bool = True) -> ErrorReported:
    return ErrorReported(title, {"operation_id": "getPet"}, exception, "e1", fatal)


def test_a_kind_is_the_same_in_every_release(make_app: MakeApp, tmp_path: Path) -> None:
    """The place in the service's own code that raised it, whatever its line is and what the exception says."""
    app = make_app()
    init_app(app)
    file = tmp_path / "shop" / "handlers.py"
    errors = [raise_in(file, "read('{')"), raise_in(file, "read('[')", lines_before=9), raise_in(file, "find('a')")]
    group = ExceptionGroup("several", [ExceptionGroup("of them", errors[2:]), errors[0]])
    page = meet(
        app, *map(report, errors), report(group), report(None, title="Order 7 lost"), report(None, title="Order 8 lost")
    )
    assert read_kinds(page) == {
        ("getPet", "JSONDecodeError in shop/handlers.py read"): 2,
        ("getPet", "KeyError in shop/handlers.py find"): 1,
        ("getPet", "ExceptionGroup: KeyError in shop/handlers.py find"): 1,
        ("getPet", "report 5fe852fa"): 2,
    }


def test_titles_make_no_kinds(make_app: MakeApp) -> None:
    """What is reported without an exception is named by the place that does, whatever callers put into its title."""
    app = make_app()
    init_app(app)
    with app.app_context():
        for number in range(50):
            report_error(f"Cannot mail {chr(97 + number % 26) * (number + 1)}@x.test")
    kind = "report in pymacaron_monitoring/test_new_errors.py test_titles_make_no_kinds"
    assert read_kinds(meet(app)) == {("", kind): 50}


def test_kinds_are_limited(make_app: MakeApp) -> None:
    """After two hundred of them the others are counted together."""
    app = make_app()
    init_app(app)
    kinds = read_kinds(meet(app, *(report(None, title=f"Broken {'x' * number}") for number in range(210))))
    assert (len(kinds), kinds["getPet", "_OTHER"]) == (201, 10)


def test_warnings_are_no_errors(make_app: MakeApp) -> None:
    """Nobody expected less."""
    app = make_app()
    init_app(app)
    assert read_kinds(meet(app, report(KeyError("a"), fatal=False))) == {}


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize(
    ("errors", "known", "expected"),
    [
        pytest.param(
            ["find('a')"] * 3,
            ["read('{')"],
            (
                "fail",
                "GET /pets/{petId}: KeyError in shop/handlers.py find 3 times, which the running release never met",
            ),
            id="new",
        ),
        pytest.param(
            ["find('a')"],
            [],
            ("note", "GET /pets/{petId}: KeyError in shop/handlers.py find once, which the running release never met"),
            id="once",
        ),
        pytest.param(["find('a')"] * 9, ["find('b')"], ("pass", "none"), id="known"),
        pytest.param([], ["find('b')"], ("pass", "none"), id="none"),
    ],
)
def test_new_errors_fail_a_release(
    make_app: MakeApp,
    make_report: Callable[..., JsonObject],
    make_page: Callable[..., str],
    tmp_path: Path,
    errors: list[str],
    known: list[str],
    expected: tuple[str, str],
    is_live: bool,
) -> None:
    """Those between the candidate's pages that the running release has not on its last one; in tests and in traffic."""
    before = make_page(listPets_200=(5, 0))
    after = make_page(listPets_200=(305, 0), getPet_200=(300, 0), deletePet_204=(300, 0))
    pages = []
    for calls in ([], errors, known):
        app = make_app()
        init_app(app)
        page = meet(app, *(report(raise_in(tmp_path / "shop" / "handlers.py", call)) for call in calls))
        pages.append("".join(f"{line}\n" for line in page.splitlines() if ERROR_KINDS.name in line))
    candidate, running = (before + pages[0], after + pages[1]), (before, after + pages[2])
    none = "Errors: none that the running release does not know" if is_live else "Errors in the tests: none new"
    wanted = (expected[0], none if expected[1] == "none" else expected[1])
    if is_live:
        verdict = judge(make_report(), candidate=candidate, baseline=running)
        alone = judge(make_report(), candidate=candidate, known=running[1])  # all traffic is at the candidate
        assert alone.outcome == verdict.outcome
        assert wanted in [(reason.level, reason.text) for reason in alone.reasons]
    else:
        metrics = dict(zip(("before", "after"), candidate, strict=True))
        verdict = judge(make_report(metrics=metrics), baseline=running)
    assert wanted in [(reason.level, reason.text) for reason in verdict.reasons]
    assert verdict.outcome == ("fail" if expected[0] == "fail" else "pass")


def test_services_that_count_no_kinds_are_told(
    make_report: Callable[..., JsonObject], make_page: Callable[..., str]
) -> None:
    """Those of other languages: whether there are new errors is not known, and that is said."""
    page = make_page(listPets_200=(5, 0)).replace("errors_by_kind_total", "other_total")
    text = "Errors: the new release has no errors_by_kind_total, so whether there are new ones is unknown"
    report = make_report()
    report["metrics"]["after"] = report["metrics"]["after"].replace("errors_by_kind_total", "other_total")
    verdict = judge(report, baseline=(page, page))
    assert [reason.text for reason in verdict.reasons if reason.level == "note"] == [text]
    assert verdict.outcome == "pass"
