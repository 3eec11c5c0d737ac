"""The groups state and semantics find what is wrong with what a service keeps and lists, and nothing else."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pymacaron.spec import load_spec
from pymacaron_testing.checks.semantics import applies_semantics, check_semantics
from pymacaron_testing.checks.state import applies_state, check_state
from pymacaron_testing.confirm import Outcome, merge_outcomes
from pymacaron_testing.credentials import Identity
from pymacaron_testing.generation import Generator
from pymacaron_testing.leftovers import clean_up
from pymacaron_testing.order import order_operations
from pymacaron_testing.resources import Resources
from pymacaron_testing.session import RequestCount, TargetSession
from pymacaron_testing.suite import Suite
from pymacaron_testing.wire import Wire

SERVICES = Path(__file__).parent / "services"


def load_books() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faulty_library", SERVICES / "library.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BOOKS = load_books()


def make_suite(url: str) -> Suite:
    api = load_spec(SERVICES / "library.yaml")
    generator = Generator(api, url, seed=0, max_examples=4)
    wire = Wire(generator, TargetSession(url, RequestCount()), (Identity(lambda: None),))
    return Suite(api, generator, wire, Resources(), "library.yaml", run_salt=7)


def check(suite: Suite, *names: str) -> Outcome:
    """Return what both groups find in the operations of these ids, in all without any."""
    outcomes = []
    for operation in order_operations(suite.api):
        if not names or operation.operation_id in names:
            outcomes += [check_state(suite, operation)] if applies_state(suite.api, operation) else []
            outcomes += [check_semantics(suite, operation)] if applies_semantics(suite.api, operation) else []
    return merge_outcomes(*outcomes)


def test_nothing_wrong(serve: Any) -> None:
    """A service that keeps its document has no failure, and everything can be looked at."""
    assert check(make_suite(serve(BOOKS.Books("").build_app()))) == Outcome()


@pytest.mark.parametrize(
    ("fault", "operation", "expected"),
    [
        pytest.param("pages in 32 bits", "create_book", ("stored", "pages"), id="number cut"),
        pytest.param("texts are Latin-1", "create_book", ("stored", "title"), id="letters lost"),
        pytest.param("refused creation is kept", "create_book", ("refused_creation",), id="refused and made"),
        pytest.param("ids are reused", "create_book", ("reused_id",), id="id used again"),
        pytest.param("ids race", "create_book", ("double_id",), id="one id twice"),
        pytest.param("key is ignored", "create_book", ("idempotency_key",), id="idempotency"),
        pytest.param("titles are not unique", "create_book", ("duplicate",), id="duplicate"),
        pytest.param("PUT keeps the rest", "put_book", ("replaced", "note"), id="put merges"),
        pytest.param("PATCH resets the note", "patch_book", ("updated_others", "note"), id="patch resets"),
        pytest.param("PATCH takes the first shelf", "patch_book", ("updated_others", "shelf"), id="patch resets last"),
        pytest.param("false is not stored", "patch_book", ("updated", "in_print"), id="false is nothing"),
        pytest.param("If-Match is ignored", "patch_book", ("stale_version",), id="stale version"),
        pytest.param("ETag is constant", "put_book", ("etag_kept",), id="constant version"),
        pytest.param("deleted books stay", "delete_book", ("deleted",), id="not deleted"),
        pytest.param("loans get lost", "lend_book", ("lost_count",), id="lost count"),
        pytest.param("new books are not listed", "list_books", ("listed",), id="not listed"),
        pytest.param("limit is ignored", "list_books", ("page_size", "limit"), id="limit"),
        pytest.param("offset counts from one", "list_books", ("pages_overlap",), id="offset"),
        pytest.param("total of the page", "list_books", ("total", "total"), id="total"),
        pytest.param("pages sorted as text", "list_books", ("order", "sort"), id="numbers as text"),
        pytest.param("descending is ignored", "list_books", ("order", "sort"), id="descending"),
        pytest.param("genre is ignored", "list_books", ("filter", "genre"), id="filter"),
        pytest.param("only the first genre", "list_books", ("filter", "genre"), id="filter of several"),
        pytest.param("genre of the page only", "list_books", ("total", "total"), id="filter of the page"),
        pytest.param("least pages are ignored", "list_books", ("filter", "min_pages"), id="range"),
        pytest.param("text is ignored", "list_books", ("text", "q"), id="text"),
        pytest.param("text minds case", "list_books", ("text", "q"), id="case of the text"),
    ],
)
def test_faults(serve: Any, fault: str, operation: str, expected: tuple[str, ...]) -> None:
    """Each fault is found in the operation that has it."""
    outcome = check(make_suite(serve(BOOKS.Books(fault).build_app())), operation)
    assert expected in {failure.cause for failure in outcome.failures}


def test_clean_up(serve: Any) -> None:
    """Everything that was created is deleted again."""
    books = BOOKS.Books("")
    suite = make_suite(serve(books.build_app()))
    creator = suite.api.get_operation("create_book")
    made = [suite.send(case) for case in suite.draw(creator, 4)]
    suite.created += [(exchange, "") for exchange in made if exchange.is_success]
    assert books.books
    assert clean_up(suite, limit_s=10) == 0
    assert books.books == {}
    assert suite.created == []


def test_clean_up_without_time(serve: Any) -> None:
    """What there is no time for is counted."""
    suite = make_suite(serve(BOOKS.Books("").build_app()))
    creator = suite.api.get_operation("create_book")
    suite.created += [(suite.send(case), "") for case in suite.draw(creator, 1)]
    assert clean_up(suite, limit_s=0) == 1
