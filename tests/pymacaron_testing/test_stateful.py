"""What only requests that build on each other show is found, and shown as the shortest chain of them."""

# ruff: noqa: D102 - the public methods are what orders.yaml describes

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from flask import Flask, Response, jsonify, request

from pymacaron_testing.chain import Link, Step, drop_step, find_chains
from pymacaron_testing.checks.stateful import applies_stateful, check_stateful
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.exchange import Case
from pymacaron_testing.exercise import Exercise
from pymacaron_testing.suite import Suite

TEXT = (Path(__file__).parent / "services" / "orders.yaml").read_text()
SCHEMAS = yaml.safe_load(TEXT)["components"]["schemas"]
Start = Callable[..., Suite]


@pytest.fixture
def start(serve: Callable[[Any], str], load_suite: Callable[..., Suite]) -> Start:
    """Give a function that serves orders with a fault and returns the suite of its document."""
    options = {"document": "orders.yaml", "auth": None}
    return lambda fault="", **others: load_suite(serve(Orders(fault).build_app()), **options, **others)


class Orders:
    """Orders with lines. fault: what is wrong here; "" is nothing."""

    def __init__(self, fault: str = "") -> None:
        """Keep no orders yet."""
        self.fault = fault
        self.orders: dict[int, dict[str, Any]] = {}
        self.lines: dict[int, list[dict[str, Any]]] = {}
        self.last_id = 0
        self.closings = 0

    def create(self) -> tuple[Response, int]:
        body = self.read("NewOrder")
        self.last_id += 1
        self.orders[self.last_id] = {"id": self.last_id, "is_closed": False, **body}
        self.lines[self.last_id] = []
        return jsonify(self.orders[self.last_id]), 201

    def get(self, number: int) -> Response:
        return jsonify(self.find(number))

    def delete(self, number: int) -> tuple[str, int]:
        self.find(number)
        del self.orders[number]
        return "", 204

    def close(self, number: int) -> Response | tuple[str, int]:
        order = self.find(number)
        if order["is_closed"]:
            self.closings += 1
            if self.fault == "closing twice fails" or (self.fault == "fails once" and self.closings == 1):
                raise RuntimeError("planted")
            return "", 409
        if self.fault == "closing with lines fails" and len(self.lines[number]) > 1:
            raise RuntimeError("planted")
        order["is_closed"] = True
        return jsonify(order)

    def add_line(self, number: int) -> tuple[Response | str, int]:
        order = {} if self.fault == "deleted orders grow" and number in self.lines else self.find(number)
        line = {"id": self.last_id + len(self.lines[number]), **self.read("NewLine")}
        if order.get("is_closed"):
            return "", 409
        self.lines[number].append(line)
        return jsonify(line), 201

    def list_lines(self, number: int) -> Response:
        self.find(number)
        return jsonify(self.lines[number])

    def find(self, number: int) -> dict[str, Any]:
        if number not in self.orders:
            raise KeyError(number)
        return self.orders[number]

    def read(self, schema: str) -> dict[str, Any]:
        if not request.is_json:
            raise TypeError
        body: dict[str, Any] = request.get_json()
        jsonschema_rs.validate(SCHEMAS[schema], body)
        return body

    def build_app(self) -> Flask:
        app = Flask("orders")
        one = "/orders/<int:number>"
        app.add_url_rule("/orders", view_func=self.create, methods=["POST"])
        app.add_url_rule(one, view_func=self.get, endpoint="get")
        app.add_url_rule(one, view_func=self.delete, endpoint="delete", methods=["DELETE"])
        app.add_url_rule(f"{one}/close", view_func=self.close, methods=["POST"])
        app.add_url_rule(f"{one}/lines", view_func=self.add_line, methods=["POST"])
        app.add_url_rule(f"{one}/lines", view_func=self.list_lines, endpoint="list")
        app.register_error_handler(KeyError, lambda _: ("", 404))
        app.register_error_handler(TypeError, lambda _: ("", 415))
        app.register_error_handler(RuntimeError, lambda _: ("", 500))
        app.register_error_handler(jsonschema_rs.ValidationError, lambda _: ("", 400))
        return app


def _check(suite: Suite) -> dict[str, Outcome]:
    chosen = [one for one in suite.api.operations if applies_stateful(suite.api, one)]
    return {one.operation_id: check_stateful(suite, one) for one in chosen}


def test_clean(start: Start) -> None:
    """A service that keeps its document in any order passes, with each operation visited."""
    outcomes = _check(start())
    assert outcomes == dict.fromkeys(outcomes, Outcome())
    assert len(outcomes) == 6


@pytest.mark.parametrize(
    ("fault", "operation_id", "check", "length"),
    [
        pytest.param("closing twice fails", "close_order", "server_error", 2, id="an action twice"),
        pytest.param("closing with lines fails", "close_order", "server_error", 3, id="a thing with parts"),
        pytest.param("deleted orders grow", "add_line", "use_after_delete", 2, id="a deleted thing"),
    ],
)
def test_fault(start: Start, fault: str, operation_id: str, check: str, length: int) -> None:
    """A fault that needs several requests is found once, with no request before it that it does not need."""
    suite = start(fault)
    for operation in suite.api.operations:  # what single requests show is other checks' matter
        suite._exercises[operation.operation_id] = Exercise(iter(()), is_over=True)
    found = [failure for outcome in _check(suite).values() for failure in outcome.failures]
    assert [(failure.operation_id, failure.check, len(failure.before)) for failure in found] == [
        (operation_id, check, length)
    ]
    assert found[0].before[0].startswith("curl -i -X POST")
    assert f"first     {found[0].before[0]}" in str(found[0])


def test_seen_once(start: Start) -> None:
    """What does not happen again when the chain is sent anew is no failure, but told."""
    suite = start("fails once")
    for operation in suite.api.operations:
        suite._exercises[operation.operation_id] = Exercise(iter(()), is_over=True)
    outcome = _check(suite)["close_order"]
    assert outcome.failures == ()
    assert len(outcome.flaky) == 1
    assert outcome.flaky[0].startswith("server_error after a chain of requests did not happen again: 500")


@pytest.mark.unmeasured
def test_same_seed(start: Start) -> None:
    """The same seed walks the same way, another one another way."""

    def walk(seed: int) -> list[tuple[str, int | None]]:
        suite = start(seed=seed)
        _check(suite)
        steps: list[Step] = suite.remember("stateful", list).steps  # type: ignore[attr-defined]
        return [(step.operation.operation_id, step.owner) for step in steps]

    assert walk(1) == walk(1)
    assert walk(1) != walk(2)


def test_nothing_is_made(serve: Callable[[Any], str], load_suite: Callable[..., Suite]) -> None:
    """A target on which nothing can be made is not judged."""
    app = Flask("empty")
    app.register_error_handler(404, lambda _: ("", 400))
    outcomes = _check(load_suite(serve(app), document="orders.yaml", auth=None))
    assert outcomes["get_order"].not_run == "nothing was there that it could act on"


def _step(number: int, **details: Any) -> Step:
    return Step(number, Case(None, None, is_valid=True), **details)  # type: ignore[arg-type]  # nothing is sent here


def test_chains() -> None:
    """What a step needs comes first; then all about the same things; then all shortly before."""
    kind: Any = object()
    steps = [
        _step(0, makes=kind),
        _step(1, makes=kind),
        _step(2, owner=0),
        _step(3, owner=1),
        _step(4, owner=0, ended_by=2, links={("id",): Link(1)}),
        _step(5, owner=0),
    ]
    assert [[step.number for step in chain] for chain in find_chains(steps, steps[5])] == [
        [0, 5],
        [0, 1, 2, 4, 5],
        [0, 1, 2, 3, 4, 5],
    ]
    assert [step.number for step in drop_step(steps, 1)] == [0, 2, 5]
    assert drop_step(steps, 0) == steps
