"""What a task is given arrives as it was, or is refused where it is given."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from typing import Any, ClassVar
from uuid import UUID

import pytest
from flask import Flask
from pydantic import BaseModel, ConfigDict, Field, RootModel

from pymacaron.exceptions import TaskArgumentError
from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import ConflictError, Persistent
from pymacaron.pool import apipool
from pymacaron.tasks.arguments import decode, describe_shape, encode, to_plain_json


class Colour(Enum):
    """An enum of no JSON type."""

    RED = (1, 0, 0)


class Level(IntEnum):
    """An enum whose members are numbers."""

    HIGH = 3


class Point(BaseModel):
    """A model that no document declares."""

    x: int
    tag: str = "none"
    when: datetime | None = None


class Points(RootModel[list[Point]]):
    """A model around a list."""


class Hidden(BaseModel):
    """A model of which JSON does not show everything."""

    secret: str = Field(exclude=True, default="")


class Mode(Flag):
    """Values that may be put together."""

    READ = 1
    WRITE = 2


class Order(Persistent, PymacaronBaseModel):
    """An object that a database stores."""

    table_name: ClassVar = "orders"
    primary_key: ClassVar = "id"
    id: str
    count: int = 0


class Basket(BaseModel):
    """A model that holds stored objects."""

    name: str = ""
    orders: list[Order] = []
    by_name: dict[str, Order] = {}


class Holder(BaseModel):
    """A model that holds what it likes."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    thing: Any = None


VALUES: list[Any] = [
    None,
    True,
    1,
    -2.5,
    "text",
    b"\x00\xff",
    Decimal("1.10"),
    UUID(int=7),
    date(2030, 1, 2),
    datetime(2030, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    time(1, 2, 3),
    timedelta(days=-1, microseconds=5),
    Colour.RED,
    Level.HIGH,
    Point(x=1),
    Points([Point(x=1, tag="a")]),
    [1, [Decimal(2)], Point(x=3)],
    (1, (2, b"3")),
    {1, 2},
    frozenset({date(2030, 1, 2)}),
    {"a": Point(x=1), "b": {"c": Decimal(1)}},
    {1: "one", date(2030, 1, 2): "day"},
    {"$type": "decimal", "value": "no"},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_keep_their_types(value: Any) -> None:
    """A value and its type survive the way through JSON."""
    found = decode(json.loads(json.dumps(encode(value, "it"))))
    assert (found, type(found)) == (value, type(value))


def test_what_is_not_set_stays_unset() -> None:
    """A model arrives with the properties that were set, and no others."""
    assert decode(encode(Point(x=1), "it")).model_fields_set == {"x"}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_has_not(value: float) -> None:
    """Infinity and not-a-number arrive too."""
    assert repr(decode(json.loads(json.dumps(encode(value, "it"))))) == repr(value)


def test_models_of_a_document(make_service: Callable[..., Flask]) -> None:
    """A model of a document arrives as an instance of the class that the worker has loaded for it."""
    make_service()
    pet = apipool.pets.Pet(id=1, name="Rex")
    packed = encode({"pet": pet, "all": [pet]}, "it")
    assert packed["pet"]["value"][0] == "api:pets:Pet"
    found = decode(json.loads(json.dumps(packed)))
    assert found == {"pet": pet, "all": [pet]}
    assert type(found["pet"]) is apipool.pets.Pet


def _local() -> BaseModel:
    class Local(BaseModel):
        x: int = 1

    return Local()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param(open, "it is a builtin_function_or_method, which a task cannot be given.", id="function"),
        pytest.param([1, object()], r"it\[1\] is a object, which", id="inside of a list"),
        pytest.param({"k": 1j}, r"it\['k'\] is a complex, which", id="inside of a dict"),
        pytest.param(Point.model_construct(x="no"), "it is a Point that is not valid", id="invalid model"),
        pytest.param(Hidden(secret="s"), "it is a Hidden of which JSON does not keep everything", id="hidden field"),
        pytest.param(_local(), "it is a _local.<locals>.Local, a class that other processes cannot import", id="local"),
        pytest.param(Mode.READ | Mode.WRITE, "it is no member of Mode that has a name. Pass its value", id="flags"),
        pytest.param(Holder(thing=object()), "it is a Holder that is not valid", id="what is no JSON in a model"),
    ],
)
def test_anything_else_is_refused(value: Any, message: str) -> None:
    """What cannot be carried is refused at once, with its place; also inside of lists, dicts and models."""
    with pytest.raises(TaskArgumentError, match=message):
        encode(value, "it")


def _send(value: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value, "it"))))


def test_stored_objects_are_held_to_what_they_were_loaded_as(make_service: Callable[..., Flask]) -> None:
    """A copy that is saved in the worker does not overwrite what others have saved meanwhile, wherever it lay."""
    app = make_service(config="name: shop\ndatabase_url: sqlite:///shop.db\n")
    with app.app_context():
        for name in ("tea", "milk"):
            Order(id=name).create_in_db()
        tea, milk = Order.load_from_db("tea"), Order.load_from_db("milk")
        copies = [_send(tea), _send([tea])[0], _send(Basket(orders=[milk, tea])).orders[1]]
        copies.append(_send(Basket(by_name={"a": milk, "b": tea}, name="x")).by_name["b"])
        other = Order.load_from_db("tea")
        other.count = 1
        other.save_to_db()
        for copy in copies:
            copy.count = 2
            with pytest.raises(ConflictError):
                copy.save_to_db()
        assert Order.load_from_db("tea").count == 1
        fresh = _send(other)
        fresh.count = 3
        fresh.save_to_db()
        new = _send(Order(id="bread"))
        new.save_to_db()
        assert [order.count for order in Order.get_many(["tea", "bread"])] == [3, 0]


def test_names_of_classes_lead_to_classes_of_their_kind_only() -> None:
    """A message cannot have another class made than a model or an enum."""
    with pytest.raises(LookupError, match="py:subprocess:Popen is no BaseModel"):
        decode({"$type": "model", "value": ["py:subprocess:Popen", {}]})


def test_shapes_tell_nothing_of_values() -> None:
    """The shape of a value is its type and its length."""
    assert [describe_shape(value) for value in (["secret"], "secret", 4, Point(x=1))] == [
        "list[1]",
        "str[6]",
        "int",
        "Point",
    ]


def test_results_are_shown_as_plain_json() -> None:
    """Clients get objects, texts and numbers, without the names of types."""
    value = {"point": Point(x=1), "day": date(2030, 1, 2), "pair": (Decimal("1.5"), 2), "by": {1: "one"}}
    value |= {"level": Level.HIGH, "colours": [Colour.RED]}
    packed = encode(value, "it")
    assert to_plain_json(packed) == {
        "point": {"x": 1},
        "day": "2030-01-02",
        "pair": ["1.5", 2],
        "by": {"1": "one"},
        "level": 3,
        "colours": [[1, 0, 0]],
    }
    packed["level"]["value"] = ["py:gone:Level", "HIGH"]
    assert to_plain_json(packed)["level"] == "HIGH"
