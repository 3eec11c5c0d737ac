"""Two releases of one service: what differs is told, what may differ is not."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask, jsonify, request

from pymacaron.spec import Api, load_spec
from pymacaron_testing.checks.baseline import Baseline, check_baseline
from pymacaron_testing.credentials import Identity
from pymacaron_testing.failure import Failure
from pymacaron_testing.generation import Generator
from pymacaron_testing.order import order_operations
from pymacaron_testing.resources import Resources
from pymacaron_testing.session import RequestCount, TargetSession
from pymacaron_testing.suite import Suite
from pymacaron_testing.wire import Wire

pytest_plugins = ["pytester"]

DOCUMENT = """
openapi: 3.1.0
info: {title: Parcels, version: "1"}
paths:
  /parcels:
    get:
      operationId: list_parcels
      responses:
        "200": {description: all, content: {application/json: {schema: {type: array, items: {type: object}}}}}
    post:
      operationId: create_parcel
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [name, grams]
              additionalProperties: false
              properties:
                name: {type: string, minLength: 3, maxLength: 20}
                grams: {type: integer, minimum: 1, maximum: 2000}
      responses:
        "201": {description: made, content: {application/json: {schema: {type: object}}}}
        "202": {description: will be made, content: {application/json: {schema: {type: object}}}}
        "400": {description: refused}
  /parcels/{parcel_id}:
    get:
      operationId: get_parcel
      parameters: [{name: parcel_id, in: path, required: true, schema: {type: integer, minimum: 1, maximum: 99999}}]
      responses:
        "200": {description: one, content: {application/json: {schema: {type: object}}}}
        "400": {description: refused}
        "404": {description: none}
"""


def build_app(first_id: int, change: str = "") -> Flask:
    """Return a release of the service. first_id: each release has ids of its own. change: what is different in it."""
    app = Flask("parcels")
    parcels: dict[int, dict[str, Any]] = {}
    app.config["parcels"] = parcels
    ids = itertools.count(first_id)

    def price(grams: int) -> int:
        return 100 + grams // 100 + (7 if change == "price" and grams > 1000 else 0)

    @app.post("/parcels")
    def create() -> Any:
        body: Any = request.get_json(force=True, silent=True)
        is_right = isinstance(body, dict) and set(body) == {"name", "grams"}
        if not is_right or not isinstance(body["name"], str) or not 3 <= len(body["name"]) <= 20:
            return "", 400
        if type(body["grams"]) is not int or not 1 <= body["grams"] <= 2000:
            return "", 400
        number = next(ids)
        parcels[number] = {**body, "id": number, "made_at": time.time_ns(), "price": price(body["grams"])}
        if change == "field":
            parcels[number]["price_cents"] = parcels[number].pop("price")
        return jsonify(parcels[number]), 202 if change == "status" else 201

    @app.get("/parcels")
    def list_all() -> Any:
        return jsonify(list(parcels.values()))

    @app.get("/parcels/<parcel_id>")
    def get(parcel_id: str) -> Any:
        if not parcel_id.isascii() or not parcel_id.isdecimal() or not 1 <= int(parcel_id) <= 99999:
            return "", 400
        if change == "slow":
            time.sleep(0.15)
        found = parcels.get(int(parcel_id))
        return jsonify(found) if found else ("", 404)

    return app


def build_suite(api: Api, url: str) -> Suite:
    generator = Generator(api, url, seed=0, max_examples=10)
    wire = Wire(generator, TargetSession(url, RequestCount(), timeout_s=5), (Identity(lambda: None),))
    return Suite(api, generator, wire, Resources(), "parcels.yaml", run_salt=7)


@pytest.fixture
def compare(serve: Callable[[Any], str], tmp_path: Path) -> Callable[[str], dict[str, list[Failure]]]:
    """Give a function that compares a changed release with the old one: operation -> failures."""
    (tmp_path / "parcels.yaml").write_text(DOCUMENT)
    api = load_spec(tmp_path / "parcels.yaml")

    def run(change: str) -> dict[str, list[Failure]]:
        suite, other = (build_suite(api, serve(app)) for app in (build_app(500, change), build_app(1)))
        baseline = Baseline(other, requests=20)
        outcomes = {one.operation_id: check_baseline(suite, baseline, one) for one in order_operations(api)}
        assert not any(outcome.not_run for outcome in outcomes.values())
        return {name: list(outcome.failures) for name, outcome in outcomes.items()}

    return run


def checks(found: dict[str, list[Failure]]) -> dict[str, set[str]]:
    return {name: {failure.check for failure in failures} for name, failures in found.items() if failures}


def test_the_same_release_is_no_difference(compare: Callable[[str], dict[str, list[Failure]]]) -> None:
    """Although ids and times differ, and lists hold other things."""
    assert checks(compare("")) == {}


def test_another_status(compare: Callable[[str], dict[str, list[Failure]]]) -> None:
    assert checks(compare("status")) == {"create_parcel": {"baseline_status"}}


def test_another_field(compare: Callable[[str], dict[str, list[Failure]]]) -> None:
    found = compare("field")
    assert {name for name, one in checks(found).items() if "baseline_shape" in one} == {
        "create_parcel",
        "list_parcels",
        "get_parcel",
    }
    assert "/price (number) is missing, /price_cents (number) is new" in found["create_parcel"][0].answer


def test_another_value(compare: Callable[[str], dict[str, list[Failure]]]) -> None:
    """Only for some requests."""
    found = compare("price")
    assert checks(found)["create_parcel"] == {"baseline_value"}
    assert "at /price" in found["create_parcel"][0].answer
    assert not found["list_parcels"]


def test_gross_slowness(compare: Callable[[str], dict[str, list[Failure]]]) -> None:
    found = compare("slow")
    assert checks(found) == {"get_parcel": {"baseline_latency"}}
    assert "requests that were sent by turns" in found["get_parcel"][0].answer


def test_reading_requests_are_timed_by_turns(serve: Callable[[Any], str], tmp_path: Path) -> None:
    """For the gate; of a thing that was deleted meanwhile, another one is read."""
    (tmp_path / "parcels.yaml").write_text(DOCUMENT)
    api = load_spec(tmp_path / "parcels.yaml")
    apps = build_app(500), build_app(1)
    suite, other = (build_suite(api, serve(app)) for app in apps)
    for operation in order_operations(api):
        suite.exercise(operation)
    baseline = Baseline(other, requests=40)
    outcomes = {one.operation_id: check_baseline(suite, baseline, one) for one in order_operations(api)}
    assert outcomes["create_parcel"].rounds is None
    reading = {one.operation_id: one for one in api.operations if one.method.upper() == "GET"}
    parcels = apps[0].config["parcels"]
    for number in list(parcels)[::2]:
        del parcels[number]
    again = [check_baseline(suite, baseline, reading[name]) for name in ("get_parcel", "list_parcels")]
    assert again[1].rounds is None
    assert again[1].gaps == (
        "latency beside the baseline: the two answer with more or with less, give them the same data",
    )
    for rounds in (outcomes["get_parcel"].rounds, again[0].rounds):
        assert rounds is not None
        assert [len(one) for one in rounds.candidate] == [len(one) for one in rounds.baseline] == [2] * 20
        assert (rounds.candidate_errors, rounds.baseline_errors) == (0, 0)


def test_a_run_writes_the_rounds_into_its_report(pytester: pytest.Pytester, serve: Callable[[Any], str]) -> None:
    """As the report's schema says; the gate reads them there."""
    (pytester.path / "parcels.yaml").write_text(DOCUMENT)
    target, other = serve(build_app(500)), serve(build_app(1))
    options = [f"--pymacaron-target={target}", f"--pymacaron-baseline={other}", "--pymacaron-spec=parcels.yaml"]
    result = pytester.runpytest_subprocess(
        *options, "--pymacaron-pairs=40", "--pymacaron-max-examples=2", "-k", "baseline"
    )
    result.assert_outcomes(passed=3)
    report = json.loads((pytester.path / "pymacaron-report.json").read_text())
    schema = json.loads((Path(__file__).parents[2] / "docs" / "pymacaron-report.schema.json").read_text())
    jsonschema_rs.validate(schema, report)
    assert report["baseline"] == other
    rounds = {item["operation_id"]: item.get("rounds") for item in report["items"]}
    assert rounds["create_parcel"] is None
    assert [len(one) for one in rounds["get_parcel"]["candidate"]] == [2] * 20
