"""A second user is kept from what is the first one's, and nothing is said where things are shared by design."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pymacaron.spec import load_spec
from pymacaron_testing.checks.access import applies_access, check_access
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.credentials import Credentials, Identity
from pymacaron_testing.generation import Generator
from pymacaron_testing.hints import HintBook, Hints
from pymacaron_testing.resources import Resources
from pymacaron_testing.session import RequestCount, TargetSession
from pymacaron_testing.suite import Suite
from pymacaron_testing.wire import Wire

BOARDS = Path(__file__).parent / "services" / "boards.py"
API = load_spec(BOARDS.with_suffix(".yaml"))
KEYS = ("key-of-alice", "key-of-bob")

Build = Callable[..., Suite]


@pytest.fixture(scope="session")
def boards(load_service: Callable[[str], ModuleType]) -> ModuleType:
    """Give the module of the boards service."""
    return load_service("boards")


@pytest.fixture
def build(serve: Callable[[Any], str], boards: ModuleType) -> Build:
    """Give a function that serves boards of some design and with a fault, and returns their suite."""

    def build_suite(design: str = "private", fault: str = "", *, keys: tuple[str, ...] = KEYS, **told: Any) -> Suite:
        url = serve(boards.Boards(design, fault).build_app())
        generator = Generator(API, url, seed=0, max_examples=0)
        users = tuple(identify(key) for key in keys)
        wire = Wire(generator, TargetSession(url, RequestCount()), users)
        hints = HintBook({operation.operation_id: (Hints(**told),) for operation in API.operations})
        return Suite(API, generator, wire, Resources(), "boards.yaml", run_salt=7, hints=hints)

    return build_suite


def identify(key: str) -> Identity:
    return Identity(lambda: Credentials("X-Key", key, ""))


def check(suite: Suite, operation_id: str) -> Outcome:
    return check_access(suite, suite.api.get_operation(operation_id))


@pytest.mark.parametrize(
    ("design", "fault", "operation_id", "name"),
    [
        pytest.param("private", "get_board", "get_board", "others_access", id="read"),
        pytest.param("private", "answers are kept", "get_board", "others_access", id="read from a cache"),
        pytest.param("private", "copy_board", "copy_board", "others_access", id="act on it"),
        pytest.param("private", "list_cards", "list_cards", "others_access", id="list what is on it"),
        pytest.param("private", "create_card", "create_card", "others_access", id="put something on it"),
        pytest.param("private", "get_card", "get_card", "others_access", id="read what is on it"),
        pytest.param("private", "delete_card", "delete_card", "others_access", id="delete what is on it"),
        pytest.param("private", "list_boards", "list_boards", "others_listed", id="list"),
        pytest.param("private", "filter forgets", "list_boards", "others_listed", id="list with a filter"),
        pytest.param("private", "search_boards", "search_boards", "others_listed", id="search"),
        pytest.param("private", "who_am_i", "who_am_i", "others_answer", id="cached account"),
        pytest.param("private", "get_card anywhere", "get_card", "wrong_parent", id="read below another parent"),
        pytest.param(
            "private", "delete_card anywhere", "delete_card", "wrong_parent", id="delete below another parent"
        ),
        pytest.param("read by all", "change_board", "change_board", "others_access", id="change what all read"),
        pytest.param("read by all", "delete_board", "delete_board", "others_access", id="delete what all read"),
        pytest.param("read by all", "changes and refuses", "change_board", "refused_but_done", id="done all the same"),
        pytest.param("read by all", "crashes for others", "delete_board", "server_error", id="crash"),
    ],
)
def test_fault(build: Build, design: str, fault: str, operation_id: str, name: str) -> None:
    """What lets a stranger in is found, told once, and shows nobody's key."""
    outcome = check(build(design, fault), operation_id)
    assert [(failure.check, failure.operation_id) for failure in outcome.failures] == [(name, operation_id)]
    assert not any(key in str(outcome.failures) for key in KEYS)


@pytest.mark.parametrize("design", ["private", "read by all", "shared", "published", "unlisted", "deletes quietly"])
def test_no_false_alarm(build: Build, design: str) -> None:
    """Each design is kept by all its operations: nothing is broken."""
    suite = build(design)
    outcomes = {one.operation_id: check_access(suite, one) for one in API.operations if applies_access(API, one)}
    assert len(outcomes) == 11
    assert {name: outcome for name, outcome in outcomes.items() if outcome.failures or outcome.flaky} == {}
    if design in {"private", "read by all"}:
        assert {name: outcome for name, outcome in outcomes.items() if outcome != Outcome()} == {}


def test_reason(build: Build) -> None:
    """A failure says why the thing is not for others."""
    (failure,) = check(build("private", "get_board"), "get_board").failures
    reason = "GET /boards shows it to its owner and not to others"
    assert failure.promise == f"GET /boards/{{board_id}} shows the board only for the user who made it: {reason}"
    assert '-H "X-Key: $TOKEN"' in failure.curl


@pytest.mark.parametrize(("design", "shared", "count"), [("shared", False, 1), ("private", True, 0)])
def test_hints(build: Build, design: str, shared: bool, count: int) -> None:
    """What somebody told counts more than what is seen."""
    suite = build(design, "" if design == "shared" else "get_board", shared=shared)
    assert len(check(suite, "get_board").failures) == count


def test_one_user(build: Build) -> None:
    """Without a second user only the wrong parent is looked for, and it is told what was not."""
    suite = build(keys=KEYS[:1])
    told = "there is no second user: give --pymacaron-auth once for each of two"
    assert check(suite, "get_board") == Outcome(not_run=told)
    assert check(suite, "get_card") == Outcome(gaps=(told,))
    assert [one.check for one in check(build(fault="get_card anywhere", keys=KEYS[:1]), "get_card").failures] == [
        "wrong_parent"
    ]


def test_nothing_to_try(build: Build) -> None:
    """Where the second user is refused everywhere nothing is known."""
    suite = build(keys=("key-of-nobody", "key-of-bob"))
    outcome = check(suite, "get_board")
    assert outcome == Outcome(
        not_run="nothing of the first user's could be made: POST /boards answered 401 to every valid request"
    )
