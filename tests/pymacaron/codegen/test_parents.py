"""Classes with parents of the service's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pymacaron.codegen import generate_models, load_models
from pymacaron.exceptions import SpecError
from pymacaron.model import PymacaronBaseModel, dump_json

PARENTS = """\
from pymacaron.model import PymacaronBaseModel

class Greeter:
    greeting = "hello"

    def greet(self):
        return f"{self.greeting} {self.name}"

class Pet(PymacaronBaseModel):
    @property
    def loud_name(self):
        return self.name.upper()

class Persistent:
    @classmethod
    def load_from_db(cls, **values):
        return cls(**values)
"""
NAMED = {"type": "object", "properties": {"name": {"type": "string"}}}


@pytest.fixture
def parents(service_folder: Path) -> str:
    """Return the name of a module of parent classes."""
    name = f"parents_{service_folder.name}"
    (service_folder / f"{name}.py").write_text(PARENTS)
    return name


def test_plain_parent(make_models: Any, parents: str) -> None:
    """A parent need not be a model; its methods see the properties."""
    pet = make_models({"Pet": {**NAMED, "x-parent": f"{parents}.Greeter"}}).Pet
    assert pet(name="Rex").greet() == "hello Rex"
    assert issubclass(pet, PymacaronBaseModel)
    assert dump_json(pet, pet()) == b"{}"


def test_parent_that_is_a_model(make_models: Any, parents: str) -> None:
    """A parent may inherit from PymacaronBaseModel, and be called like the schema."""
    pet = make_models({"Pet": {**NAMED, "x-parent": f"{parents}.Pet"}}).Pet
    assert pet(name="Rex").loud_name == "REX"


def test_parents_of_composed_schemas(make_models: Any, parents: str) -> None:
    """x-persist and x-parent go together, also on a schema that extends another one."""
    models = make_models(
        {
            "Pet": {**NAMED, "x-parent": f"{parents}.Pet"},
            "Dog": {
                "allOf": [
                    {"$ref": "#/components/schemas/Pet"},
                    {"type": "object", "properties": {"age": {"type": "integer"}}},
                ],
                "x-persist": f"{parents}.Persistent",
                "x-parent": f"{parents}.Greeter",
            },
        }
    )
    dog = models.Dog.load_from_db(name="Rex", age=3)
    assert (dog.greet(), dog.loud_name, isinstance(dog, models.Pet)) == ("hello Rex", "REX", True)


def test_aliases_of_parents_do_not_clash(make_api: Any) -> None:
    """Parents of one name from two modules, or named like a schema, are told apart."""
    api = make_api({"A": {**NAMED, "x-parent": "one.B"}, "ParentB": {**NAMED, "x-parent": "two.B"}})
    text = generate_models(api)
    assert "from one import B as Parent2B\nfrom two import B as Parent3B\n" in text
    assert "class A(Parent2B, PymacaronBaseModel):" in text
    assert "class ParentB(Parent3B, PymacaronBaseModel):" in text


@pytest.mark.parametrize("parent", ["Pet", "svc.models import os;", "svc.class", "svc..Pet", 3])
def test_no_class_path(make_api: Any, parent: object) -> None:
    """A parent that cannot be the path of a class is a finding."""
    with pytest.raises(SpecError) as caught:
        generate_models(make_api({"Pet": {**NAMED, "x-parent": parent}}))
    assert str(caught.value) == (
        f"apis/pets.yaml#/components/schemas/Pet/x-parent: {parent!r} names no class. Write it as package.module.Class."
    )


def test_parent_that_does_not_import(make_api: Any) -> None:
    """A parent whose module is not there is a finding."""
    with pytest.raises(SpecError) as caught:
        load_models(make_api({"Pet": {**NAMED, "x-parent": "no_such_module.Pet"}}), None, may_write=False)
    assert str(caught.value) == (
        "apis/pets.yaml: it does not import: ModuleNotFoundError: No module named 'no_such_module'. "
        "Correct the classes that x-parent and x-persist name, or put them where the service finds them."
    )


def test_parent_of_an_array(make_api: Any) -> None:
    """Only objects have parents; all findings come together."""
    with pytest.raises(SpecError) as caught:
        generate_models(
            make_api({"Pet": {**NAMED, "x-parent": 3}, "Pets": {"type": "array", "items": {}, "x-parent": "a.B"}})
        )
    assert len(caught.value.findings) == 2
    assert caught.value.findings[1].where == "apis/pets.yaml#/components/schemas/Pets"
    assert caught.value.findings[1].found == "only an object can have a parent class"
