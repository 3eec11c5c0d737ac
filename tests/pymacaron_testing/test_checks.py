"""Planted faults are found by the right check, and a service without any passes."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import pytest

from pymacaron_testing.checks import GROUPS
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.order import order_operations
from pymacaron_testing.suite import Suite

BuildSuite = Callable[..., Suite]
CHECKS = MappingProxyType({group.name: group for group in GROUPS})


def run_group(suite: Suite, operation_id: str, group: str) -> Outcome:
    return CHECKS[group].check(suite, suite.api.get_operation(operation_id))


@pytest.mark.parametrize(
    ("fault", "operation_id", "group", "checks"),
    [
        pytest.param("fails", "get_pet", "responses", ["server_error"], id="5xx"),
        pytest.param("fails on dogs", "get_pet", "responses", ["server_error"], id="5xx for some things"),
        pytest.param("delete fails", "delete_pet", "responses", ["server_error"], id="5xx that cannot be repeated"),
        pytest.param("undeclared status", "create_pet", "responses", ["status_code"], id="status"),
        pytest.param("wrong media type", "get_pet", "responses", ["content_type"], id="media type"),
        pytest.param("header is missing", "list_pets", "responses", ["headers"], id="no header"),
        pytest.param("header is wrong", "list_pets", "responses", ["headers"], id="header of a wrong type"),
        pytest.param("id is text", "create_pet", "responses", ["schema"], id="property of a wrong type"),
        pytest.param("loses kind", "get_pet", "responses", ["schema"], id="no required property"),
        pytest.param("no json", "get_pet", "responses", ["schema"], id="broken JSON"),
        pytest.param("hangs", "get_pet", "responses", ["answer"], id="no answer"),
        pytest.param("never creates", "create_pet", "responses", ["never_succeeded"], id="never 2xx"),
        pytest.param("accepts long names", "create_pet", "requests", ["invalid_accepted"], id="maxLength"),
        pytest.param(
            "accepts unknown keys", "put_pet", "requests", ["invalid_accepted", "read_only"], id="additionalProperties"
        ),
        pytest.param(
            "accepts anything",
            "create_pet",
            "requests",
            ["invalid_accepted", "schema", "invalid_accepted", "read_only"],  # names, and weights that are texts
            id="no check at all",
        ),
        pytest.param("accepts any limit", "list_pets", "requests", ["invalid_accepted"], id="query maximum"),
        pytest.param("accepts negative ids", "get_pet", "requests", ["invalid_accepted"], id="path minimum"),
        pytest.param("refuses long names", "create_pet", "requests", ["valid_refused"], id="longest text"),
        pytest.param("refuses tags", "create_pet", "requests", ["valid_refused"], id="optional property"),
        pytest.param("refuses limit 100", "list_pets", "requests", ["valid_refused"], id="query maximum refused"),
        pytest.param("auth is ignored", "create_pet", "auth", ["ignored_auth"], id="anonymous caller"),
        pytest.param("any token will do", "put_pet", "auth", ["ignored_auth"], id="garbage token"),
        pytest.param("anybody deletes", "delete_pet", "auth", ["ignored_auth"], id="anonymous DELETE"),
        pytest.param("optional auth is demanded", "list_toys", "auth", ["optional_auth"], id="optional token"),
        pytest.param("undeclared method", "get_pet", "protocol", ["undeclared_method"], id="PATCH"),
        pytest.param("no allow header", "list_pets", "protocol", ["allow_header"], id="405 without Allow"),
    ],
)
def test_fault(build_suite: BuildSuite, fault: str, operation_id: str, group: str, checks: list[str]) -> None:
    """A planted fault gives one failure per cause."""
    outcome = run_group(build_suite(fault), operation_id, group)
    assert [failure.check for failure in outcome.failures] == checks
    assert {failure.operation_id for failure in outcome.failures} == {operation_id}


@pytest.mark.parametrize(
    ("fault", "seed"),
    [
        pytest.param("", 0, id="clean"),
        pytest.param("", 1, id="clean, another seed", marks=pytest.mark.unmeasured),
        pytest.param("", 2, id="clean, a third seed", marks=pytest.mark.unmeasured),
        pytest.param("conflicts are 400", 0, id="taken names are answered with 400", marks=pytest.mark.unmeasured),
    ],
)
def test_no_false_alarm(build_suite: BuildSuite, fault: str, seed: int) -> None:
    """A service that keeps its promises passes with any seed, also where a taken name is answered like an error.

    That this machine is too busy to judge rare delays may be told.
    """
    suite = build_suite(fault, seed=seed, max_examples=10)
    outcomes = {
        f"{operation.operation_id}[{group.name}]": group.check(suite, operation)
        for operation in order_operations(suite.api)
        for group in GROUPS
        if group.applies(suite.api, operation)
    }
    assert {
        name: outcome
        for name, outcome in outcomes.items()
        if outcome.failures or outcome.flaky or [gap for gap in outcome.gaps if "too busy to tell" not in gap]
    } == {}


def test_second_run(build_suite: BuildSuite) -> None:
    """A target that remembers an earlier run with the same seed still passes."""
    suite = build_suite("conflicts are 400")
    again = build_suite("conflicts are 400")
    again.wire.session.base_url = suite.wire.session.base_url
    for run in (suite, again):
        for group in ("responses", "requests"):
            assert run_group(run, "create_pet", group) == Outcome()


def test_failure_text(build_suite: BuildSuite) -> None:
    """A failure tells promise, answer, place and how to see it again, without the token."""
    (failure,) = run_group(build_suite("undeclared status"), "create_pet", "responses").failures
    lines = str(failure).splitlines()
    assert lines[0].startswith("status_code (seen ")
    assert lines[1] == "  promised  POST /pets answers only 201, 400, 401, 409"
    assert lines[2].startswith('  answered  202 ACCEPTED (application/json) {"id":')
    assert lines[3] == "  where     pets.yaml:23#/paths/~1pets/post/responses"
    assert lines[4].startswith("  again     curl -i -X POST -H 'Content-Type: application/json'")
    assert '-H "Authorization: Bearer $TOKEN"' in lines[4]
    assert "good-token" not in str(failure)
    assert failure.to_dict() == {
        "operation_id": "create_pet",
        "check": "status_code",
        "promise": failure.promise,
        "answer": failure.answer,
        "place": failure.place,
        "curl": failure.curl,
        "count": failure.count,
        "before": [],
        "request_id": "",
        "traceback": "",
    }


def test_seen_once(build_suite: BuildSuite) -> None:
    """What does not happen again is no failure, and is told apart."""
    outcome = run_group(build_suite("fails once"), "create_pet", "responses")
    assert outcome.failures == ()
    (sentence,) = outcome.flaky
    assert sentence.startswith("server_error did not happen again: 500 INTERNAL SERVER ERROR")


def test_nobody_known(build_suite: BuildSuite) -> None:
    """Without credentials a protected operation is no success, and the message says what is missing."""
    suite = build_suite(auth=None)
    (failure,) = run_group(suite, "create_pet", "responses").failures
    assert failure.check == "never_succeeded"
    assert failure.answer.endswith(
        "this is the last one. Say who asks: --pymacaron-auth 'Header: value', or pytest_pymacaron_auth in conftest.py"
    )
    gap = "forged credentials were not tried: no good ones are known to make them from"
    assert run_group(suite, "create_pet", "auth") == Outcome(gaps=(gap,))


def test_not_judged(build_suite: BuildSuite) -> None:
    """Where neither right nor wrong credentials get in, nothing is said about the wrong ones."""
    suite = build_suite("never creates", auth="Bearer wrong")
    assert run_group(suite, "list_toys", "auth") == Outcome()
    suite = build_suite("auth is ignored and nothing is found")
    assert run_group(suite, "delete_pet", "auth") == Outcome()


def test_same_seed(build_suite: BuildSuite) -> None:
    """The same seed gives the same requests, another one others."""

    def list_requests(seed: int) -> list[tuple[str | None, object]]:
        suite = build_suite(seed=seed)
        exchanges = suite.exercise(suite.api.get_operation("create_pet"))
        return [(exchange.request.method, exchange.request.body) for exchange in exchanges]

    first = list_requests(5)
    assert list_requests(5) == first
    assert list_requests(6) != first


def test_order(build_suite: BuildSuite) -> None:
    """What creates comes first, what deletes last."""
    operations = [operation.operation_id for operation in order_operations(build_suite().api)]
    assert operations == [
        "create_pet",
        "create_toy",
        "list_pets",
        "search_pets",
        "list_toys",
        "get_pet",
        "put_pet",
        "delete_pet",
    ]
