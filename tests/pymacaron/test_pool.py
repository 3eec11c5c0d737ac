"""The pool holds every model of every loaded document, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pymacaron.exceptions import SpecError
from pymacaron.model import PymacaronBaseModel
from pymacaron.pool import ApiPool, apipool, modelpool

DOCUMENT = """\
swagger: "2.0"
info: {title: Pets, version: "1"}
paths: {}
definitions:
  Pet:
    type: object
    properties:
      name: {type: string}
      age: {type: integer, x-nullable: true}
  Pets:
    type: array
    items: {$ref: "#/definitions/Pet"}
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """Return the path of a document."""
    path = tmp_path / "pets.yaml"
    path.write_text(DOCUMENT)
    return path


@pytest.fixture
def pool(document: Path) -> ApiPool:
    """Return a pool with one api, pets."""
    pool = ApiPool()
    pool.load_swagger("pets", str(document))
    return pool


def test_models_are_attributes(pool: ApiPool) -> None:
    """``apipool.pets.Pet`` is the class; the pools can be asked what they hold."""
    pet = pool.pets.Pet(name="Rex")
    assert isinstance(pet, PymacaronBaseModel)
    assert pet.get_model_api() == "pets"
    assert pool.get_model("pets") is pool.pets
    assert pool.get_api_names() == ["pets"]
    assert pool.pets.get_model_names() == ["Pet", "Pets"]
    assert "pets" in dir(pool)
    assert "Pet" in dir(pool.pets)
    assert repr(pool.pets) == "<models of api pets>"


def test_json_to_model(pool: ApiPool) -> None:
    """A dict becomes the named model; nulls are left out unless asked otherwise."""
    assert pool.pets.json_to_model("Pet", {"name": None, "age": 3}) == pool.pets.Pet(age=3)
    assert pool.pets.json_to_model("Pet", {"age": None}, prune_none=False).model_fields_set == {"age"}
    assert pool.pets.json_to_model("Pets", [{"name": "Rex"}]).root == [pool.pets.Pet(name="Rex")]


def test_unknown_names(pool: ApiPool) -> None:
    """Unknown models and apis are attribute errors that say what there is."""
    with pytest.raises(AttributeError, match=r"^Api pets has no model Dog; it has Pet, Pets$"):
        _ = pool.pets.Dog
    with pytest.raises(AttributeError, match=r"^Api cats is not loaded; loaded are pets$"):
        _ = pool.cats
    with pytest.raises(AttributeError, match=r"^Api cats is not loaded; loaded are none$"):
        ApiPool().get_model("cats")
    assert not hasattr(pool, "cats")
    assert not hasattr(pool, "__wrapped__")


def test_load_swagger_writes_the_models(pool: ApiPool, document: Path, tmp_path: Path) -> None:
    """The models stand beside the document, in another folder, or in a file of one's own."""
    assert document.with_name("pets_models.py").exists()
    pool.load_swagger("cats", document, dest_dir=tmp_path / "there")
    assert (tmp_path / "there" / "cats_models.py").exists()
    pool.load_swagger("dogs", document, model_file=str(tmp_path / "own.py"))
    assert (tmp_path / "own.py").exists()
    assert pool.get_api_names() == ["cats", "dogs", "pets"]


def test_force(pool: ApiPool, document: Path) -> None:
    """An up-to-date file is left alone unless it is forced."""
    models = document.with_name("pets_models.py")
    text = models.read_text()
    models.write_text(f"{text}# mine\n")
    pool.load_swagger("pets", document)
    assert models.read_text() == f"{text}# mine\n"
    pool.load_swagger("pets", document, force=True)
    assert models.read_text() == text


@pytest.mark.parametrize(
    "options",
    [pytest.param({"create_endpoints": True}, id="endpoints"), pytest.param({"app_file": "app.py"}, id="app file")],
)
def test_load_swagger_serves_nothing(document: Path, options: dict[str, Any]) -> None:
    """Serving is no longer a matter of the pool."""
    with pytest.raises(ValueError, match=r"Serve documents with API.load_apis$"):
        ApiPool().load_swagger("pets", document, **options)


def test_global_model_names(pool: ApiPool, document: Path) -> None:
    """Models of one name must have one schema in all apis; each difference is shown."""
    pool.load_swagger("cats", document)
    pool.enforce_global_model_names()
    document.write_text(DOCUMENT.replace("{type: string}", "{type: boolean}"))
    pool.load_swagger("dogs", document)
    with pytest.raises(SpecError) as caught:
        pool.enforce_global_model_names()
    assert [finding.where for finding in caught.value.findings] == ["cats.Pet and dogs.Pet", "cats.Pets and dogs.Pets"]
    assert '-            "type": "string"' in str(caught.value)
    assert '+            "type": "boolean"' in str(caught.value)


def test_add_model() -> None:
    """Classes can be added one by one, and replace earlier ones."""
    pool = ApiPool()
    pool.add_model("pets", "Pet", int)
    pool.add_model("pets", "Pet", str)
    assert pool.pets.Pet is str
    assert isinstance(pool.pets, modelpool)


def test_there_is_one_pool() -> None:
    """The process shares one pool."""
    assert isinstance(apipool, ApiPool)
