"""Faults at the edges of requests, answers, protocol and latency are found by the right check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import pytest

from pymacaron_testing.checks import GROUPS
from pymacaron_testing.checks.boundaries import check_boundaries
from pymacaron_testing.checks.latency import check_slow_values
from pymacaron_testing.clock import Clock
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.order import order_operations
from pymacaron_testing.suite import Suite

SERVICES = Path(__file__).parent / "services"
CHECKS = MappingProxyType({group.name: group for group in GROUPS})
OWN_GROUPS = ("responses", "requests", "protocol", "latency")

BuildBooks = Callable[[str], Suite]


@pytest.fixture(scope="session")
def books_module(load_service: Callable[[str], ModuleType]) -> ModuleType:
    """Give the module of the books service."""
    return load_service("books")


@pytest.fixture(autouse=True)
def _idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no other program on this machine keep latency from being judged."""
    monkeypatch.setattr("os.getloadavg", lambda: (0.0, 0.0, 0.0))


@pytest.fixture
def build_books(serve: Callable[[Any], str], load_suite: Callable[..., Suite], books_module: ModuleType) -> BuildBooks:
    """Give a function that returns the suite of books.yaml against a service with a fault."""

    def build(fault: str) -> Suite:
        return load_suite(
            serve(books_module.Books(fault).build_app()), auth=None, document="books.yaml", max_examples=4
        )

    return build


@pytest.mark.parametrize(
    ("fault", "operation_id", "group", "check"),
    [
        pytest.param("fails beyond the basic plane", "create_book", "requests", "server_error", id="astral text"),
        pytest.param("refuses percent signs", "create_book", "requests", "valid_refused", id="percent sign"),
        pytest.param("pages have 32 bits", "create_book", "requests", "echo", id="2^32"),
        pytest.param("prices are cut to cents", "put_book", "requests", "echo", id="0.29 becomes 0.28"),
        pytest.param("titles are escaped", "create_book", "requests", "echo", id="escaped markup"),
        pytest.param("false is lost", "put_book", "requests", "echo", id="false"),
        pytest.param("pattern is open", "create_book", "requests", "invalid_accepted", id="pattern without end"),
        pytest.param("numbers come as text", "create_book", "requests", "invalid_accepted", id="a number as text"),
        pytest.param("limits have 32 bits", "list_books", "requests", "invalid_accepted", id="2^32 + 1 in a query"),
        pytest.param("ids are taken over", "create_book", "requests", "read_only", id="id from the caller"),
        pytest.param("broken json is accepted", "create_book", "requests", "invalid_accepted", id="broken JSON"),
        pytest.param("deep json fails", "create_book", "requests", "server_error", id="deep JSON"),
        pytest.param("fails on a parameter twice", "list_books", "requests", "server_error", id="parameter twice"),
        pytest.param("fails on a limit twice", "list_books", "requests", "server_error", id="one parameter twice"),
        pytest.param("traces leak", "get_book", "responses", "leak", id="stack trace"),
        pytest.param("hash is told", "get_book", "responses", "leak", id="password hash"),
        pytest.param("head is refused", "get_book", "responses", "head", id="HEAD"),
        pytest.param("location is wrong", "create_book", "responses", "location", id="Location"),
        pytest.param("404 is html", "get_book", "protocol", "content_type", id="404 in HTML"),
        pytest.param("anything is found", "get_book", "protocol", "absent_found", id="unknown id"),
        pytest.param("paths go on", "get_book", "protocol", "path_is_ignored", id="longer path"),
        pytest.param("preflight names no put", "get_book", "protocol", "preflight", id="preflight"),
        pytest.param("browsers are kept out", "get_book", "protocol", "cors_answer", id="no origin in the answer"),
        pytest.param("content type is ignored", "create_book", "protocol", "media_type_accepted", id="415"),
        pytest.param(
            "content type is ignored of new titles", "create_book", "protocol", "media_type_accepted", id="415, unique"
        ),
        pytest.param("accept is ignored", "list_books", "protocol", "other_representation", id="Accept"),
        pytest.param("never 304", "get_book", "protocol", "not_modified", id="If-None-Match"),
        pytest.param("if-match is ignored", "put_book", "protocol", "precondition", id="If-Match"),
        pytest.param("etag is constant", "put_book", "protocol", "etag", id="ETag"),
        pytest.param("one in twenty is slow", "list_books", "latency", "rarely_slow", id="slow now and then"),
        pytest.param("large pages are slow", "list_books", "latency", "slow", id="slow for one value"),
        pytest.param("one in twenty fails", "list_books", "latency", "server_error", id="fails now and then"),
    ],
)
def test_fault(build_books: BuildBooks, fault: str, operation_id: str, group: str, check: str) -> None:
    """A planted fault is found."""
    suite = build_books(fault)
    outcome = CHECKS[group].check(suite, suite.api.get_operation(operation_id))
    assert check in [failure.check for failure in outcome.failures]
    assert all(failure.curl.startswith("curl ") and failure.place for failure in outcome.failures)


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        pytest.param("null is refused", "valid_refused", id="null"),
        pytest.param("year may be left out", "invalid_accepted", id="required inside"),
    ],
)
def test_fields_without_luck(build_books: BuildBooks, fault: str, check: str) -> None:
    """What generated requests find now and then, the edges of the fields find each time."""
    suite = build_books(fault)
    outcome = check_boundaries(suite, suite.api.get_operation("create_book"))
    assert check in [failure.check for failure in outcome.failures]


def test_clean(build_books: BuildBooks) -> None:
    """A service that keeps its promises passes, and nothing is left unchecked."""
    suite = build_books("")
    outcomes = {
        f"{operation.operation_id}[{name}]": CHECKS[name].check(suite, operation)
        for operation in order_operations(suite.api)
        for name in OWN_GROUPS
    }
    assert {name: found for name, found in outcomes.items() if found.failures or found.flaky or found.gaps} == {}


def test_slowness_on_a_busy_machine(build_books: BuildBooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more runs than the machine can, delays now and then are not judged, and that is told."""
    monkeypatch.setattr("os.getloadavg", lambda: (1000.0, 0.0, 0.0))
    suite = build_books("one in twenty is slow")
    outcome = CHECKS["latency"].check(suite, suite.api.get_operation("list_books"))
    assert "rarely_slow" not in {failure.check for failure in outcome.failures}
    assert any(gap.startswith("latency that is high now and then: this machine is too busy") for gap in outcome.gaps)


def test_slowness_gets_more_time(build_books: BuildBooks) -> None:
    """What is slow uses up its time, so it has some more."""
    suite = build_books("one in twenty is slow")
    listing = suite.api.get_operation("list_books")
    CHECKS["latency"].check(suite, listing)
    now_s = [0.0]
    clock = Clock(1000, now=lambda: now_s[0])
    suite.wire = replace(suite.wire, clock=clock)
    clock.plan(1e6)
    clock.begin()
    now_s[0] = 152  # of 150
    assert clock.is_up()
    assert "rarely_slow" in {failure.check for failure in CHECKS["latency"].check(suite, listing).failures}


def test_slow_values_are_told_of_before_the_time_is_over(build_books: BuildBooks) -> None:
    """A request that took long is sent again by what asked for it, as there may be no time for the latency itself."""
    suite = build_books("large pages are slow")
    listing = suite.api.get_operation("list_books")
    assert check_slow_values(suite, listing).failures == ()
    CHECKS["requests"].check(suite, listing)
    assert [failure.check for failure in check_slow_values(suite, listing).failures] == ["slow"]
    now_s = [0.0]
    suite.wire = replace(suite.wire, clock=Clock(30, now=lambda: now_s[0]))
    now_s[0] = 31
    assert check_slow_values(suite, listing) == Outcome(not_run="latency: time ran out")


def test_slowness_that_others_share(build_books: BuildBooks) -> None:
    """What is slow as often in other operations is no fault of this one."""
    suite = build_books("one in twenty is slow")
    suite.wire.timings.find("get_book").durations_s += [0.001] * 90 + [1.0] * 10
    outcome = CHECKS["latency"].check(suite, suite.api.get_operation("list_books"))
    assert "rarely_slow" not in {failure.check for failure in outcome.failures}
