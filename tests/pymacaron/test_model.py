"""Models tell absent from null, check assignments, and keep the methods of pymacaron 2."""

from __future__ import annotations

import json
import timeit
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pymacaron.formats import DateTime
from pymacaron.model import PymacaronBaseModel, PymacaronRootModel, diff_models, dump_json, unwrap

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Toy(PymacaronBaseModel):
    """An object inside another one."""

    name: str
    lost: date | None = None


class Pet(PymacaronBaseModel):
    """Properties of every kind."""

    id: int
    tag: Annotated[str | None, Field(max_length=3)] = None
    nick: Annotated[str | None, Field(json_schema_extra={"x-nullable": True})] = None
    chip: str | None
    any: Any | None = None
    born: DateTime | None = None
    json_: Annotated[str | None, Field(alias="json")] = None
    toys: list[Toy] | None = None
    mother: Pet | None = None
    kind: Literal["cat", "dog"] = "cat"
    weight: float = 1.5


class Names(PymacaronRootModel[list[str]]):
    """A schema that is no object."""


class Open(PymacaronBaseModel):
    """An object that takes more than it declares."""

    model_config = ConfigDict(extra="allow")
    at: UUID | None = None


def accept(text: str) -> Pet:
    return Pet.__pydantic_validator__.validate_json(text, strict=True, by_alias=True, by_name=False)  # type: ignore[no-any-return]


def test_none_is_absent() -> None:
    """None in an optional property that is not nullable is never written; nullable and required ones are."""
    pet = Pet(id=1, chip=None, tag=None, toys=[Toy(name="ball", lost=None)])
    assert json.loads(dump_json(Pet, pet)) == {
        "id": 1,
        "nick": None,
        "chip": None,
        "toys": [{"name": "ball"}],
        "kind": "cat",
        "weight": 1.5,
    }


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param('{"id": 1, "chip": null, "tag": null}', ("tag",), id="null for an optional property"),
        pytest.param('{"id": 1, "chip": null, "mother": null}', ("mother",), id="null for an object"),
        pytest.param(
            '{"id": 1, "chip": null, "toys": [{"name": "x", "lost": null}]}', ("toys", 0, "lost"), id="null inside"
        ),
        pytest.param('{"id": 1}', ("chip",), id="required and nullable"),
        pytest.param('{"id": "1", "chip": null}', ("id",), id="text for a number"),
        pytest.param('{"id": 1, "chip": null, "weight": NaN}', ("weight",), id="no JSON"),
        pytest.param('{"id": 1, "chip": null, "tag": "long"}', ("tag",), id="too long"),
    ],
)
def test_refused(text: str, where: tuple[str | int, ...]) -> None:
    """What the document does not allow is refused at its place."""
    with pytest.raises(ValidationError) as caught:
        accept(text)
    assert caught.value.errors()[0]["loc"] == where


def test_accepted() -> None:
    """Nullable properties take null, absent ones are None, aliases are the document's names."""
    pet = accept('{"id": 1, "chip": null, "nick": null, "any": null, "json": "x", "mother": {"id": 2, "chip": "c"}}')
    assert (pet.nick, pet.any, pet.tag, pet.json_) == (None, None, None, "x")
    assert pet.mother is not None
    assert pet.mother.chip == "c"
    assert "json_" not in accept('{"id": 1, "chip": null, "json_": "x"}').to_json()


def test_python_names_and_aliases() -> None:
    """Python code may use either name; None means absent."""
    by_alias: Any = {"id": 1, "chip": None, "json": "x", "tag": None}
    assert Pet(**by_alias) == Pet(id=1, chip=None, json_="x")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("tag", "long", id="bound"),
        pytest.param("kind", None, id="null"),
        pytest.param("weight", float("inf"), id="no JSON number"),
    ],
)
def test_assignments_are_checked(name: str, value: object) -> None:
    """A wrong assignment raises and changes nothing; None takes a property away."""
    pet = Pet(id=1, chip=None, tag="a")
    with pytest.raises(ValidationError):
        setattr(pet, name, value)
    assert pet == Pet(id=1, chip=None, tag="a")
    pet.tag = None
    assert "tag" not in json.loads(dump_json(Pet, pet))


def test_to_json() -> None:
    """The dict holds what was set, under the document's names, as JSON values."""
    pet = Pet(id=1, chip=None, tag=None, json_="x", born=NOON, toys=[Toy(name="ball", lost=date(2026, 1, 1))])
    expected = {
        "id": 1,
        "chip": None,
        "json": "x",
        "born": "2026-01-31T12:00:00+00:00",
        "toys": [{"name": "ball", "lost": "2026-01-01"}],
    }
    assert pet.to_json() == expected
    assert pet.to_json(keep_nullable=True) == {**expected, "nick": None}
    assert pet.to_json(exclude_none=True) == {key: value for key, value in expected.items() if key != "chip"}
    assert pet.to_json(exclude_unset=False) == {**expected, "nick": None, "kind": "cat", "weight": 1.5}
    assert pet.to_json(datetime_encoder=lambda time: time.year)["born"] == 2026
    kept = pet.to_json(keep_datetime=True)
    assert (kept["born"], kept["toys"][0]["lost"]) == (NOON, date(2026, 1, 1))


def test_to_json_of_extras() -> None:
    """Properties beyond the declared ones are written too, whatever they hold."""
    value = Open.model_validate({"at": UUID(int=1), "more": {"pet": Pet(id=1, chip="c"), "names": Names(["a"])}})
    assert value.to_json() == {
        "at": "00000000-0000-0000-0000-000000000001",
        "more": {"pet": {"id": 1, "chip": "c"}, "names": ["a"]},
    }


def test_from_json() -> None:
    """Nulls in the dict are left out unless asked otherwise; the dict stays as it is."""
    data = {"id": 1, "chip": "c", "kind": None, "toys": [{"name": "x", "lost": None}]}
    assert Pet.from_json(data) == Pet(id=1, chip="c", toys=[Toy(name="x")])
    assert data["kind"] is None
    with pytest.raises(ValidationError):
        Pet.from_json(data, prune_none=False)
    assert Names.from_json(["a"]).root == Names.from_json(["a"], prune_none=False).root == ["a"]


def test_clone() -> None:
    """A clone is equal and shares nothing."""
    pet = Pet(id=1, chip="c", toys=[Toy(name="x")])
    clone = pet.clone()
    assert clone == pet
    assert clone.toys is not pet.toys


def test_names() -> None:
    """Models know their names, those of their properties and which of these may be null."""
    assert (Pet.get_model_name(), Pet.get_model_api(), Names.get_model_name()) == ("Pet", "", "Names")
    assert Toy.get_property_names() == ["name", "lost"]
    assert "json" in Pet.get_property_names()
    assert Pet.get_nullable_properties() == ["nick"]


class Ball(PymacaronBaseModel):
    """A toy of another api."""

    name: str
    lost: date | None = None


class Doll(PymacaronBaseModel):
    """A toy with another schema."""

    name: Annotated[str, Field(description="What it is called", title="Name")]
    description: int | None = None


def test_diff() -> None:
    """Models differ in schemas, not in titles and descriptions; properties of these names count."""
    assert Toy.diff_with(Ball) == ""
    difference = Toy.diff_with(Doll).splitlines()
    assert difference[:2] == ["--- .Toy", "+++ .Doll"]
    assert '+        "description": {' in difference
    assert diff_models(Names, Names) == ""


def test_unwrap() -> None:
    """Root models become their content at every depth of plain containers; models stay."""
    pet = Pet(id=1, chip=None)
    assert unwrap({"a": [Names(["x"]), (Names([]),)], "b": pet}) == {"a": [["x"], ([],)], "b": pet}


def test_dump_json() -> None:
    """Root models are written from plain values too."""
    assert dump_json(Names, ["a"]) == dump_json(Names, Names(["a"])) == b'["a"]'


def test_speed() -> None:
    """Telling absent from null costs little: reading and writing stay within a few microseconds."""

    class Plain(BaseModel):
        id: int
        tag: str | None = None
        nick: str | None = None
        chip: str | None
        toys: list[Toy] | None = None

    class Ours(PymacaronBaseModel):
        id: int
        tag: str | None = None
        nick: str | None = None
        chip: str | None
        toys: list[Toy] | None = None

    text = '{"id": 1, "chip": "c", "tag": "abc", "toys": [{"name": "ball"}, {"name": "bone"}]}'

    def measure(model: type[BaseModel]) -> float:
        """Return the best seconds of 1,000 round trips."""

        def round_trip() -> bytes:
            value = model.__pydantic_validator__.validate_json(text, strict=True)
            return model.__pydantic_serializer__.to_json(value, by_alias=True)

        return min(timeit.repeat(round_trip, number=1000, repeat=7))

    assert measure(Ours) < 5 * measure(Plain)
