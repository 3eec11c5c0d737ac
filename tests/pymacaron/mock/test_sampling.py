from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pymacaron.exceptions import SpecError
from pymacaron.mock.flattening import ImpossibleError
from pymacaron.mock.sampling import Sampler
from pymacaron.spec import load_spec

SPECS = Path(__file__).parents[4] / "shared" / "specs"
SEEDS = [str(number) for number in range(8)]
NAMED: dict[str, Any] = {
    "Node": {
        "type": "object",
        "required": ["name", "children"],
        "properties": {
            "name": {"type": "string"},
            "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}, "minItems": 0},
            "next": {"$ref": "#/components/schemas/Node"},
        },
    },
    "List": {
        "oneOf": [
            {"type": "object", "required": ["rest"], "properties": {"rest": {"$ref": "#/components/schemas/List"}}},
            {"type": "null"},
        ]
    },
    "Cat": {"type": "object", "required": ["kind", "claws"], "properties": {"kind": {"type": "string"}, "claws": {}}},
    "Dog": {"type": "object", "required": ["kind", "bark"], "properties": {"kind": {"type": "string"}, "bark": {}}},
    "Endless": {
        "type": "object",
        "required": ["more"],
        "properties": {"more": {"$ref": "#/components/schemas/Endless"}},
    },
}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({}, id="anything"),
        pytest.param(True, id="true"),
        pytest.param({"type": "integer", "minimum": 5, "exclusiveMaximum": 7}, id="integer-bounds"),
        pytest.param({"type": "integer", "format": "int32", "minimum": 2147483646}, id="int32"),
        pytest.param({"type": "number", "exclusiveMinimum": 0, "maximum": 0.001}, id="narrow-number"),
        pytest.param({"type": "number", "multipleOf": 0.01, "minimum": 3.999, "maximum": 4.005}, id="multiple-of-cent"),
        pytest.param({"type": "integer", "allOf": [{"multipleOf": 6}, {"multipleOf": 4}]}, id="two-multiples"),
        pytest.param({"type": "number", "maximum": -5}, id="negative"),
        pytest.param({"type": "string", "minLength": 70}, id="long-text"),
        pytest.param({"type": "string", "maxLength": 2}, id="short-text"),
        pytest.param({"type": "string", "pattern": "^[A-Z]{2}-\\d{4}$", "maxLength": 7}, id="pattern"),
        pytest.param({"type": "string", "pattern": "^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d]{8,}$"}, id="lookahead"),
        pytest.param({"type": "string", "pattern": "^(?!admin)[^\\s,]+$"}, id="negative-lookahead"),
        pytest.param({"type": "string", "pattern": "^(?<year>\\d{4})-\\p{L}+$"}, id="ecmascript-pattern"),
        pytest.param({"allOf": [{"pattern": "^a"}, {"type": "string", "pattern": "[ab]{3}$"}]}, id="two-patterns"),
        pytest.param({"type": "string", "format": "uri", "minLength": 60}, id="long-uri"),
        pytest.param({"type": "string", "contentEncoding": "base64"}, id="base64"),
        *(
            pytest.param({"type": "string", "format": name}, id=name)
            for name in ("date-time", "date", "time", "duration", "uuid", "email", "hostname", "ipv4", "ipv6", "uri")
        ),
        pytest.param({"type": ["string", "null"]}, id="nullable"),
        pytest.param({"enum": [3, "x", None], "type": "string"}, id="enum-and-type"),
        pytest.param({"allOf": [{"enum": [1, 2, 3]}, {"enum": [3.0, 4]}]}, id="enums-meet"),
        pytest.param({"const": {"a": 1}}, id="const"),
        pytest.param({"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True, "minItems": 2}, id="unique"),
        pytest.param({"prefixItems": [{"const": 1}, {"type": "string"}], "items": False, "minItems": 2}, id="tuple"),
        pytest.param({"type": "array", "contains": {"const": 7}, "minContains": 2, "maxItems": 3}, id="contains"),
        pytest.param({"type": "object", "minProperties": 2, "maxProperties": 3}, id="count-of-properties"),
        pytest.param(
            {"type": "object", "additionalProperties": {"type": "integer"}, "propertyNames": {"pattern": "^k\\d$"}},
            id="map",
        ),
        pytest.param(
            {"type": "object", "patternProperties": {"^x-": {"const": 1}}, "additionalProperties": False},
            id="patterned",
        ),
        pytest.param(
            {
                "properties": {"a": {"type": "integer"}, "b": {}, "c": {"const": 1}},
                "required": ["a"],
                "dependentRequired": {"a": ["b"]},
                "dependentSchemas": {"b": {"required": ["c"]}},
            },
            id="dependencies",
        ),
        pytest.param(
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False},
                    {"properties": {"a": {"minimum": 10}, "b": {"type": "string"}}},
                ]
            },
            id="closed-allOf",
        ),
        pytest.param({"allOf": [ref("Cat"), ref("Dog")], "unevaluatedProperties": False}, id="unevaluated"),
        pytest.param({"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 2}]}, id="oneOf-overlaps"),
        pytest.param(
            {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "object", "required": ["x"]}]}, id="anyOf"
        ),
        pytest.param(
            {
                "oneOf": [ref("Cat"), ref("Dog")],
                "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/components/schemas/Cat"}},
            },
            id="discriminator",
        ),
        pytest.param(
            {
                "type": "object",
                "required": ["a"],
                "properties": {"a": {"enum": [1, 2]}, "b": {}},
                "if": {"properties": {"a": {"const": 1}}},
                "then": {"required": ["b"]},
                "else": {"not": {"required": ["b"]}},
            },
            id="if-then-else",
        ),
        pytest.param({"type": "object", "properties": {"a": {}, "b": {}}, "not": {"required": ["a"]}}, id="not"),
        pytest.param({"type": "integer", "minimum": 1, "maximum": 3, "not": {"enum": [1, 3]}}, id="not-enum"),
        pytest.param(ref("Node"), id="recursive"),
        pytest.param(ref("List"), id="recursive-oneOf"),
    ],
)
def test_every_keyword(schema: Any) -> None:
    """An instance comes out for each seed, it is valid, and it is the same each time."""
    sampler = Sampler(schema, NAMED)
    for seed in SEEDS:
        value = sampler.sample(seed)
        assert sampler.is_valid(value), value
        assert Sampler(schema, NAMED).sample(seed) == value


def test_seeds_differ() -> None:
    sampler = Sampler({"type": "array", "items": {"type": "integer"}, "minItems": 3}, {})
    assert len({json.dumps(sampler.sample(seed)) for seed in SEEDS}) > 1


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        pytest.param(False, "the schema is false", id="false"),
        pytest.param({"allOf": [{"type": "string"}, {"type": "integer"}]}, "no type is left", id="types"),
        pytest.param(
            {"type": "integer", "minimum": 3, "maximum": 2}, "/ has no number between its bounds", id="bounds"
        ),
        pytest.param(ref("Endless"), "it is nested too deep", id="endless"),
        pytest.param({"type": "integer", "not": {}}, "/ breaks not", id="not-anything"),
        pytest.param(
            {"type": "array", "items": {"const": 1}, "uniqueItems": True, "minItems": 2},
            "/ has too few different items",
            id="unique",
        ),
    ],
)
def test_no_instance(schema: Any, reason: str) -> None:
    """What no value fits ends with the reason, in bounded time."""
    with pytest.raises(ImpossibleError, match=f"^{reason}$"):
        Sampler(schema, NAMED).sample("0")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"type": "string", "example": "Rex"}, "Rex", id="example"),
        pytest.param({"type": "string", "examples": ["Rex", "Tom"]}, "Rex", id="examples"),
        pytest.param({"type": "string", "default": "Rex"}, "Rex", id="default"),
        pytest.param({"properties": {"a": {"example": 1}}, "required": ["a"]}, {"a": 1}, id="of-a-property"),
        pytest.param(
            {"type": "object", "example": {"a": "no number"}, "properties": {"a": {"type": "integer", "example": 4}}},
            {"a": 4},
            id="wrong-outside",
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {"type": "integer", "example": "x", "maximum": 1}, "b": {"example": "kept"}},
            },
            {"a": 1, "b": "kept"},
            id="wrong-inside",
        ),
        pytest.param({"type": "string", "enum": ["only"], "example": 5}, "only", id="wrong-beside-enum"),
        pytest.param(
            {"properties": {"pin": {"writeOnly": True}, "id": {"const": 1}}, "required": ["pin", "id"]},
            {"id": 1},
            id="write-only",
        ),
    ],
)
def test_examples_first(schema: Any, value: Any) -> None:
    """Valid examples are taken as they are; a wrong one is left out, and others stay."""
    assert Sampler(schema, {}).sample("0") == value


def test_recursion_is_bounded() -> None:
    """A tree does not grow beyond a few hundred nodes."""
    assert len(json.dumps(Sampler(ref("Node"), NAMED).sample("0"))) < 50_000


def test_discriminator_value() -> None:
    """The property says which alternative it is: the mapping's word, else the schema's name."""
    schema = {
        "oneOf": [ref("Cat"), ref("Dog")],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "#/components/schemas/Cat"}},
    }
    values = [Sampler(schema, NAMED).sample(seed) for seed in SEEDS]
    assert {value["kind"] for value in values} == {"cat", "Dog"}
    assert all(("claws" in value) == (value["kind"] == "cat") for value in values)


def test_every_process_draws_the_same() -> None:
    """The order of sets and dicts, which differs between processes, changes nothing."""
    code = (
        "import json; from pymacaron.mock.sampling import Sampler;"
        "s = {'required': ['a'], 'properties': {'a': {'type': 'string', 'pattern': '^[^,]{5}\\\\S+$'},"
        "'b': {'anyOf': [{'type': 'integer'}, {'format': 'uuid', 'type': 'string'}]}}, 'minProperties': 5};"
        "print(json.dumps([Sampler(s, {}).sample(str(seed)) for seed in range(5)]))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_same_values_on_every_python() -> None:
    """Written down, so that another Python, or another version of this package, that draws otherwise is noticed."""
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": "string"},
            "price": {"type": "number"},
            "code": {"type": "string", "pattern": "^[A-Z]{3}\\d+$"},
            "made": {"type": "string", "format": "date-time"},
        },
    }
    assert Sampler(schema, {}).sample("7") == EXPECTED


EXPECTED = {"id": 175, "name": "robin", "price": 446.95, "code": "RMN12", "made": "2024-06-03T03:09:57Z"}


@pytest.mark.unmeasured
def test_all_real_schemas() -> None:
    """Each schema of the documents of others has an instance that is valid, the same for the same seed."""
    if not SPECS.is_dir():
        pytest.skip(f"{SPECS} is not there: the documents of others are not part of this repository")
    count = 0
    for file in sorted(file for file in SPECS.rglob("*") if is_document(file)):
        try:
            api = load_spec(file)
        except SpecError:
            continue
        for name, schema in api.schemas.items():
            sampler = Sampler(schema, api.schemas)
            value = sampler.sample("1")
            assert sampler.is_valid(value), (file.name, name)
            assert Sampler(schema, api.schemas).sample("1") == value, (file.name, name)
            count += 1
    assert count > 800


def is_document(file: Path) -> bool:
    folders = {"json-schema-test-suite", "fail", "malicious", "partial", "resources"}
    return file.suffix in {".yaml", ".json"} and folders.isdisjoint(file.parts)


def test_a_schema_that_stands_whole_for_itself() -> None:
    """A schema with dynamic references is drawn for by trying, and judged exactly."""
    tree = {"$dynamicAnchor": "node", "type": ["array", "null"], "items": {"$dynamicRef": "#node"}}
    stub = {"$ref": "file:///-/-/tree.json", "x-pymacaron-resources": {"file:///-/-/tree.json": tree}}
    sampler = Sampler({"$ref": "#/components/schemas/Tree"}, {"Tree": stub})
    assert [sampler.is_valid(value) for value in ([[None], []], [[1]])] == [True, False]
    assert all(sampler.is_valid(sampler.sample(seed)) for seed in SEEDS)
