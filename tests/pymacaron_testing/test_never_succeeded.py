"""An operation that never succeeds is a failure, but not because other requests used up what it acts on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, jsonify

from pymacaron.spec import parse_spec
from pymacaron_testing.checks import GROUPS
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.credentials import Identity
from pymacaron_testing.generation import Generator
from pymacaron_testing.resources import Resources
from pymacaron_testing.session import TargetSession
from pymacaron_testing.suite import Suite
from pymacaron_testing.wire import Wire

DOCUMENT = """
openapi: 3.1.0
info: {title: Doors, version: "1"}
paths:
  /doors:
    post:
      operationId: create_door
      responses:
        "201": {description: It, content: {application/json: {schema: {$ref: "#/components/schemas/Door"}}}}
  /doors/{id}:
    parameters: [{$ref: "#/components/parameters/Id"}]
    get:
      operationId: read_door
      responses:
        "200": {description: It, content: {application/json: {schema: {$ref: "#/components/schemas/Door"}}}}
        "404": {description: None}
  /doors/{id}/close:
    parameters: [{$ref: "#/components/parameters/Id"}]
    post:
      operationId: close_door
      responses:
        "204": {description: It is closed}
        "404": {description: None}
        "CLOSED": {description: It was closed}
components:
  parameters:
    Id: {name: id, in: path, required: true, schema: {type: integer, minimum: 1}}
  schemas:
    Door: {type: object, required: [id], properties: {id: {type: integer}}}
"""


class Doors:
    """A service of doors, each of which can be closed once."""

    def __init__(self, *, closed: int = 409, born_open: bool = True) -> None:
        """Answer *closed* to who closes a door that is closed; all doors are if not *born_open*."""
        self.doors: dict[int, bool] = {}
        self.closed, self.born_open = closed, born_open

    def build_app(self) -> Flask:
        """Return the app."""
        app = Flask("doors")
        app.add_url_rule("/doors", "create", self.create, methods=["POST"])
        app.add_url_rule("/doors/<int:door>", "read", self.read)
        app.add_url_rule("/doors/<int:door>/close", "close", self.close, methods=["POST"])
        return app

    def create(self) -> tuple[Response, int]:
        """Make a door."""
        door = len(self.doors) + 1
        self.doors[door] = self.born_open
        return jsonify(id=door), 201

    def read(self, door: int) -> tuple[Response, int]:
        """Answer a door."""
        return (jsonify(id=door), 200) if door in self.doors else (jsonify(), 404)

    def close(self, door: int) -> tuple[str, int]:
        """Close a door that is open."""
        if door not in self.doors:
            return "", 404
        status = 204 if self.doors[door] else self.closed
        self.doors[door] = False
        return "", status


def judge_closing(doors: Doors, url: str) -> Outcome:
    """Return what is found of closing doors, when all known ones are closed."""
    api = parse_spec(DOCUMENT.replace("CLOSED", str(doors.closed)))
    generator = Generator(api, url, seed=0, max_examples=8)
    wire = Wire(generator, TargetSession(url, timeout_s=5), (Identity(lambda: None),))
    suite = Suite(api, generator, wire, Resources(), "doors.yaml", run_salt=7)
    assert any(exchange.is_success for exchange in suite.exercise(api.get_operation("create_door")))
    doors.doors = dict.fromkeys(doors.doors, False)
    check = next(group.check for group in GROUPS if group.name == "responses")
    return check(suite, api.get_operation("close_door"))


def test_a_new_thing_is_asked(serve: Callable[[Any], str]) -> None:
    """Where all things are used up, one is made and the request succeeds."""
    doors = Doors()
    assert judge_closing(doors, serve(doors.build_app())) == Outcome()


def test_the_document_tells_of_conflicts(serve: Callable[[Any], str]) -> None:
    """What new things need before they allow it is unknown: not judged, so not green."""
    doors = Doors(born_open=False)
    outcome = judge_closing(doors, serve(doors.build_app()))
    reason = "the state of what it acts on does not allow it, as 409 in the document says"
    assert not outcome.failures
    assert outcome.not_run == f"it never succeeded: {reason}"


@pytest.mark.parametrize("status", [400, 403])
def test_other_refusals_are_failures(serve: Callable[[Any], str], status: int) -> None:
    """No state is told of that could be the reason."""
    doors = Doors(closed=status, born_open=False)
    outcome = judge_closing(doors, serve(doors.build_app()))
    assert "never_succeeded" in {failure.check for failure in outcome.failures}
