"""What counts as seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from pymacaron.spec import Api, load_spec
from pymacaron_testing.coverage import Coverage, merge_coverage, summarise_coverage
from pymacaron_testing.exchange import Case, Exchange

DOCUMENT = """
openapi: 3.0.3
info: {title: Pets, version: "1"}
paths:
  /pets:
    get:
      operationId: list_pets
      parameters:
        - {name: sort, in: query, schema: {type: string, enum: [name, age]}}
        - {name: limit, in: query, schema: {type: integer}}
      responses:
        "200": {description: all}
        "4XX": {description: refused}
    post:
      operationId: create_pet
      requestBody:
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Pet"}
      responses:
        "201": {description: made}
components:
  schemas:
    Pet:
      type: object
      required: [name]
      properties:
        id: {type: integer, readOnly: true}
        name: {type: string}
        kind: {type: string, enum: [cat, dog]}
        owner:
          type: object
          properties:
            phone: {type: string}
"""


@pytest.fixture
def api(tmp_path: Path) -> Api:
    (tmp_path / "pets.yaml").write_text(DOCUMENT)
    return load_spec(tmp_path / "pets.yaml")


def exchange(api: Api, operation_id: str, status: int, *, is_valid: bool = True) -> Exchange:
    operation = next(one for one in api.operations if one.operation_id == operation_id)
    response = requests.Response()
    response.status_code = status
    return Exchange(Case(operation, None, is_valid=is_valid), requests.PreparedRequest(), response)


def find(coverage: Coverage, operation_id: str) -> Any:
    return next(entry for entry in coverage.to_list() if entry["operation_id"] == operation_id)


def test_all_that_is_declared_begins_unseen(api: Api) -> None:
    listing, creation = Coverage(api).to_list()
    assert listing["answers"] == {"200": 0, "4XX": 0}
    assert listing["parameters"] == {"query sort": 0, "query limit": 0}
    assert listing["enum_members"] == {"query sort": {"name": 0, "age": 0}}
    assert creation["enum_members"] == {"body.kind": {"cat": 0, "dog": 0}}
    nothing = {"with": 0, "without": 0}
    assert creation["optional"] == {"body.kind": nothing, "body.owner": nothing, "body.owner.phone": nothing}


def test_values_of_valid_requests_count(api: Api) -> None:
    coverage = Coverage(api)
    coverage.observe(exchange(api, "list_pets", 200), {"query": {"sort": "age"}}, "user 1")
    coverage.observe(exchange(api, "list_pets", 422, is_valid=False), {"query": {"limit": "x"}}, "anonymous")
    entry = find(coverage, "list_pets")
    assert entry["answers"] == {"200": 1, "4XX": 1}
    assert entry["parameters"] == {"query sort": 1, "query limit": 0}
    assert entry["enum_members"] == {"query sort": {"name": 0, "age": 1}}
    assert entry["callers"] == {"user 1": 1, "anonymous": 1}


def test_optional_values_count_with_and_without(api: Api) -> None:
    coverage = Coverage(api)
    coverage.observe(exchange(api, "create_pet", 201), {"body": {"name": "Rex", "kind": "dog"}}, "")
    coverage.observe(exchange(api, "create_pet", 500), {"body": {"name": "Rex", "owner": {"phone": "1"}}}, "")
    entry = find(coverage, "create_pet")
    assert entry["optional"] == {
        "body.kind": {"with": 1, "without": 1},
        "body.owner": {"with": 1, "without": 1},
        "body.owner.phone": {"with": 1, "without": 0},
    }
    assert entry["answers"] == {"201": 1, "undeclared": 1}
    assert entry["callers"] == {}


def test_processes_add_up(api: Api) -> None:
    first, second = Coverage(api), Coverage(api)
    first.observe(exchange(api, "list_pets", 200), {"query": {"sort": "age"}}, "")
    second.observe(exchange(api, "list_pets", 200), {"query": {"sort": "name"}}, "user 2")
    entry = merge_coverage(first.to_list(), second.to_list())[0]
    assert entry["answers"] == {"200": 2, "4XX": 0}
    assert entry["enum_members"] == {"query sort": {"name": 1, "age": 1}}
    assert entry["callers"] == {"user 2": 1}


def test_the_summary_counts_what_was_seen(api: Api) -> None:
    coverage = Coverage(api)
    coverage.observe(exchange(api, "list_pets", 200), {"query": {"sort": "age"}}, "")
    assert summarise_coverage(coverage.to_list()) == {
        "operations": (1, 2),
        "answers": (1, 3),
        "parameters": (1, 2),
        "enum_members": (1, 4),
        "optional": (0, 6),
    }
