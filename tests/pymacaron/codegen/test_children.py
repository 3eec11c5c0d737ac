"""A parent's discriminator names the class of each value, and decides nothing else."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from pymacaron.codegen import generate_models, load_models
from pymacaron.codegen.generate import hash_schemas
from pymacaron.model import dump_json
from pymacaron.spec import Api, parse_spec
from pymacaron.validation import JsonReader, SchemaCheck

REF = "#/components/schemas/"


def extend(parent: str, **properties: Any) -> dict[str, Any]:
    """Return a schema that adds required *properties* to *parent*."""
    own = {"type": "object", "required": list(properties), "properties": properties}
    return {"allOf": [{"$ref": REF + parent}, own]}


def make_api(**discriminator: Any) -> Api:
    """Return a document of pets whose parent has a *discriminator*."""
    schemas = {
        "Pet": {
            "type": "object",
            "required": ["kind"],
            "properties": {"kind": {"type": "string"}, "friend": {"$ref": f"{REF}Pet"}},
            "discriminator": {"propertyName": "kind", **discriminator},
        },
        "Cat": extend("Pet", claws={"type": "integer"}),
        "Dog": extend("Pet", born={"type": "string", "format": "date"}),
        "small-dog": extend("Dog", cm={"type": "integer"}),
        "Home": {
            "type": "object",
            "properties": {"pet": {"$ref": f"{REF}Pet"}, "pets": {"type": "array", "items": {"$ref": f"{REF}Pet"}}},
        },
    }
    info = {"title": "Pets", "version": "1"}
    document = {"openapi": "3.2.0", "info": info, "paths": {}, "components": {"schemas": schemas}}
    return parse_spec(json.dumps(document), source="pets.yaml", name="pets")


def read(api: Api, name: str, body: Any) -> Any:
    """Return what a request's body becomes, and its JSON again."""
    models = load_models(api, None, may_write=False)
    check = SchemaCheck.build(api.schemas[name], api.schemas)
    faults: list[str] = []
    value = JsonReader(models[name], check).read(json.dumps(body).encode(), faults)
    assert (check, faults) == (None, [])
    return value, json.loads(dump_json(models[name], value))


@pytest.mark.parametrize(
    ("discriminator", "body", "expected"),
    [
        pytest.param({}, {"kind": "Cat", "claws": 3}, "Cat", id="name of a schema"),
        pytest.param({}, {"kind": "Cat", "claws": 3.0}, "Cat", id="whole number"),
        pytest.param({}, {"kind": "small-dog", "born": "2026-01-31", "cm": 9}, "SmallDog", id="name as written"),
        pytest.param({"mapping": {"miaow": f"{REF}Cat"}}, {"kind": "miaow", "claws": 3}, "Cat", id="mapping"),
        pytest.param({}, {"kind": "Cat"}, "Pet", id="what the child refuses is the parent's"),
        pytest.param({}, {"kind": "Cow"}, "Pet", id="value that names nothing"),
        pytest.param({}, {"kind": "Home"}, "Pet", id="value that names no child"),
        pytest.param({"defaultMapping": f"{REF}Cat"}, {"kind": "?", "claws": 3}, "Cat", id="default"),
    ],
)
def test_class_of_a_body(discriminator: dict[str, Any], body: dict[str, Any], expected: str) -> None:
    """The value becomes an instance of the class that its property names, and is written whole."""
    value, written = read(make_api(**discriminator), "Pet", body)
    assert (type(value).__name__, written) == (expected, body)


def test_classes_inside() -> None:
    """Children are read and written wherever their parent stands."""
    cat, dog = {"kind": "Cat", "claws": 3}, {"kind": "Dog", "born": "2026-01-31"}
    body = {"pet": cat | {"friend": dog}, "pets": [dog, cat]}
    value, written = read(make_api(), "Home", body)
    assert written == body
    assert value.pet.friend.born == date(2026, 1, 31)
    assert [type(pet).__name__ for pet in value.pets] == ["Dog", "Cat"]
    assert value.to_json()["pet"] == cat | {"friend": dog}


def test_python_values() -> None:
    """In Python the class is chosen by who makes the object; assignments are validated."""
    models: Any = load_models(make_api(), None, may_write=False)
    pet = models["Pet"](kind="Cat")
    assert type(pet) is models["Pet"]
    pet.friend = models["Cat"](kind="Cat", claws=1)
    assert pet.clone().friend.claws == 1
    with pytest.raises(ValueError, match="valid string"):
        pet.kind = 3


def test_text() -> None:
    """The parent's class tells the names; hostile ones are data."""
    text = generate_models(make_api(mapping={"'\"\n{x}\u2028": f"{REF}Cat"}))
    line = next(line for line in text.splitlines() if "__pymacaron_children__" in line)
    assert line == (
        "    __pymacaron_children__ = ('kind', "
        "{'Cat': 'Cat', 'Dog': 'Dog', 'small-dog': 'SmallDog', '\\'\"\\n{x}\\u2028': 'Cat'})"
    )


def test_hash() -> None:
    """A file of models is stale when the mapping changes."""
    assert hash_schemas(make_api()) != hash_schemas(make_api(mapping={"c": f"{REF}Cat"}))
