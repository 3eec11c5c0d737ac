"""Classes written for pymacaron 2's pymacaron_dynamodb."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from pymacaron.formats import DateTime
from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import NotFoundError, PersistenceError, Store
from pymacaron.persistence.classic import DynamoDBItemNotFound, PersistentSwaggerObject
from pymacaron.persistence.dynamodb import DynamoStore
from pymacaron.pool import apipool


class PersistentUser(PersistentSwaggerObject):
    """What x-persist names, as one wrote it."""

    api_name = "classic"
    model_name = "User"
    table_name = "classic_users"
    primary_key = "id"


class User(PersistentUser, PymacaronBaseModel):
    """What is generated from the document."""

    id: str
    age: int | None = None
    weight: float | None = None
    since: DateTime | None = None
    tags: list[str] | None = None


class PersistentStranger(PersistentUser):
    """Names a model that does not inherit from it."""


@pytest.fixture(autouse=True)
def classic_api() -> Iterator[None]:
    """Let the pool know the model."""
    apipool.add_model("classic", "User", User)
    yield
    apipool._pools.pop("classic")


@pytest.mark.usefixtures("store")
def test_the_old_names() -> None:
    """Objects load by the persistence class, are saved, and asked for in the table."""
    user = apipool.classic.User(id="ada", age=36)
    user.save_to_db()
    assert PersistentUser.load_from_db("ada") == user
    assert User.load_from_db("ada") == user
    table = PersistentUser.get_table()
    assert [table.has_item(id="ada"), table.has_item("bob"), User.get_table().has_item("ada")] == [True, False, True]
    with pytest.raises(TypeError, match=r"^name is no part of the primary key of classic_users$"):
        table.has_item(id="ada", name="Ada")
    with pytest.raises(DynamoDBItemNotFound) as caught:
        PersistentUser.load_from_db("bob")
    assert isinstance(caught.value, NotFoundError)
    assert PersistentUser.to_model({"id": "ada", "age": 36}) == user


class ClassicNote(PersistentSwaggerObject, PymacaronBaseModel):
    """Has a key of two parts."""

    table_name: ClassVar = "classic_notes"
    primary_key: ClassVar = ("author", "number")

    author: str
    number: int


@pytest.mark.usefixtures("store")
def test_keys_by_name() -> None:
    """The parts of a key may be named in any order, and all of them must."""
    ClassicNote(author="ada", number=1).save_to_db()
    table = ClassicNote.get_table()
    assert table.has_item(number=1, author="ada")
    assert not table.has_item(number=2, author="ada")
    with pytest.raises(TypeError):
        table.has_item(number=1)


def test_a_class_without_a_model() -> None:
    """A persistence class that no schema names is told with what to write."""
    with pytest.raises(PersistenceError) as caught:
        PersistentStranger.load_from_db("ada")
    assert str(caught.value).endswith(
        "PersistentStranger: the model User does not inherit from it. "
        f"Write x-persist: {PersistentStranger.__module__}.PersistentStranger into the schema User of classic."
    )


@pytest.mark.parametrize("store", ["dynamodb"], indirect=True)
def test_items_that_pymacaron_2_wrote(store: Store) -> None:
    """Items without version are read, and then locked like others."""
    assert isinstance(store, DynamoStore)
    assert not User.exists("ada")
    item = {
        "id": {"S": "ada"},
        "age": {"N": "36"},
        "weight": {"N": "60"},
        "since": {"S": "2021-05-01T10:00:00Z"},
        "tags": {"L": [{"S": "a"}]},
        "__persistence_class__": {"S": "svc.db.PersistentUser"},
    }
    name = store.name_of(User.__pymacaron_layout__)  # type: ignore[arg-type]
    store.calls.call("put_item", TableName=name, Item=item)
    first, second = PersistentUser.load_from_db("ada"), PersistentUser.load_from_db("ada")
    expected = User(id="ada", age=36, weight=60.0, since=datetime(2021, 5, 1, 10, tzinfo=UTC), tags=["a"])
    assert first == expected
    first.save_to_db()
    with pytest.raises(Exception, match="Somebody else changed"):
        second.save_to_db()
