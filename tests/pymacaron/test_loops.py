"""Schemas that are parts of themselves are found, and harm nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pymacaron.codegen import load_models
from pymacaron.loops import find_loops
from pymacaron.spec import parse_spec
from pymacaron.validation import JsonReader, SchemaCheck

REF = "#/components/schemas/"


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"{REF}{name}"}


@pytest.mark.parametrize(
    ("schemas", "loops"),
    [
        pytest.param({"A": {"type": "object", "properties": {"a": ref("A")}}}, set(), id="step into a property"),
        pytest.param({"A": {"items": ref("A")}}, set(), id="step into an item"),
        pytest.param({"A": {"anyOf": [{"type": "string"}, ref("A")]}}, {"A"}, id="choice of itself"),
        pytest.param({"A": {"allOf": [ref("B")]}, "B": {"oneOf": [ref("A"), True]}}, {"A", "B"}, id="two"),
        pytest.param({"A": ref("B"), "B": {"anyOf": [ref("B")]}}, {"B"}, id="way into a loop"),
        pytest.param({"A": ref("Missing")}, set(), id="nothing there"),
    ],
)
def test_find_loops(schemas: dict[str, Any], loops: set[str]) -> None:
    """A schema is a loop if it leads back to itself for the same value."""
    assert find_loops(schemas) == loops


@pytest.mark.parametrize(
    ("value", "is_accepted"),
    [
        pytest.param("x", True, id="text"),
        pytest.param([1], False, id="array"),
        pytest.param({"b": []}, False, id="deep"),
    ],
)
def test_bodies_of_loops(value: object, is_accepted: bool) -> None:
    """A body of such a schema is judged without going round."""
    schemas = {
        "A": {"anyOf": [{"type": "string"}, ref("B")]},
        "B": {"allOf": [{"type": "object", "properties": {"b": ref("A")}}], "anyOf": [ref("A")]},
    }
    info = {"title": "Loops", "version": "1"}
    api = parse_spec(json.dumps({"openapi": "3.1.0", "info": info, "paths": {}, "components": {"schemas": schemas}}))
    models = load_models(api, None, may_write=False)
    faults: list[str] = []
    reader = JsonReader(models["A"], SchemaCheck.build(api.schemas["A"], api.schemas))
    assert (reader.read(json.dumps(value).encode(), faults) == value) == is_accepted
    assert (not faults) == is_accepted
