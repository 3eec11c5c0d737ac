"""What every store does, and does alike."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID, uuid4

import pytest
from pydantic import ConfigDict, Field

from pymacaron.formats import Date, DateTime, DecimalText, Uuid
from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import (
    AlreadyExistsError,
    ConflictError,
    InvalidCursorError,
    NotFoundError,
    Persistent,
    StoredDataError,
    UnstorableError,
    transaction,
)

pytestmark = pytest.mark.usefixtures("store")
MOMENT = datetime(2026, 1, 31, 10, 0, 0, 123456, tzinfo=UTC)
ID = UUID("123e4567-e89b-12d3-a456-426614174000")


class Mood(Enum):
    """Values of a property."""

    GOOD = "good"
    BAD = "bad"


class Owner(PymacaronBaseModel):
    """Lies inside another object."""

    name: str
    since: DateTime | None = None


class Pet(Persistent, PymacaronBaseModel):
    """Has a field of every kind."""

    table_name: ClassVar = "pets"
    primary_key: ClassVar = "id"
    indexes: ClassVar = {"by_kind": ("kind", "price"), "newest": (None, "made_at"), "by_legs": "legs"}

    id: Uuid
    kind: Literal["dog", "cat"] = "dog"
    name: str | None = None
    nick: Annotated[str | None, Field(json_schema_extra={"x-nullable": True})] = None
    price: DecimalText | None = None
    born: Date | None = None
    made_at: DateTime | None = None
    weight: float | None = None
    legs: int | None = None
    is_loud: Annotated[bool | None, Field(alias="is-loud")] = None
    tags: list[str] | None = None
    marks: set[int] | None = None
    owner: Owner | None = None
    picture: bytes | None = None
    mood: Mood | None = None
    anything: Any | None = None


class Note(Persistent, PymacaronBaseModel):
    """Has a key of two parts."""

    table_name: ClassVar = "notes"
    primary_key: ClassVar = ("author", "number")

    author: str
    number: int
    text: str = ""


class Document(Persistent, PymacaronBaseModel):
    """Shows its version, and keeps what its schema does not name."""

    model_config = ConfigDict(extra="allow")
    table_name: ClassVar = "documents"
    primary_key: ClassVar = "id"
    version_field: ClassVar = "version"

    id: str
    version: int | None = None
    text: str = ""


class Session(Persistent, PymacaronBaseModel):
    """Ends some time."""

    table_name: ClassVar = "sessions"
    primary_key: ClassVar = "id"
    indexes: ClassVar = {"by_user": ("user", "id")}
    ttl_field: ClassVar = "ends_at"

    id: str
    user: str = "ada"
    ends_at: DateTime | None = None


def full_pet() -> Pet:
    return Pet(
        id=ID,
        kind="cat",
        name="Rex ✓",
        nick=None,
        price=Decimal("12.50"),
        born=date(2020, 2, 29),
        made_at=MOMENT,
        weight=0.1,
        legs=-(2**63),
        is_loud=False,
        tags=["", "b", "b"],
        marks={1, 2},
        owner=Owner(name="", since=MOMENT),
        picture=b"\x00",
        mood=Mood.BAD,
        anything={"a": [1, 2.5, None, True, "x\u0000"], "": {}},
    )


def test_what_is_saved_is_loaded() -> None:
    """An object of every kind of value comes back equal, null told from absent, digits and bytes exact."""
    pet = full_pet()
    pet.save_to_db()
    loaded = Pet.load_from_db(ID)
    assert loaded == pet
    assert loaded.to_json() == pet.to_json()
    assert str(loaded.price) == "12.50"
    assert "nick" in loaded.model_fields_set
    assert loaded.made_at == MOMENT


def test_what_is_absent_stays_absent() -> None:
    """What was not set is not set after loading; defaults are spelled out."""
    Pet(id=ID).save_to_db()
    loaded = Pet.load_from_db(str(ID))
    assert loaded.model_fields_set == {"id", "kind"}
    assert loaded.to_json() == {"id": str(ID), "kind": "dog"}


@pytest.mark.parametrize(
    "pet",
    [
        pytest.param({"name": ""}, id="empty text"),
        pytest.param({"tags": [], "marks": set(), "picture": b"", "anything": {}}, id="empty collections"),
        pytest.param({"price": Decimal("-0.00010")}, id="small decimal"),
        pytest.param({"price": Decimal(12345678901234567890123456789012345678)}, id="38 digits"),
        pytest.param({"made_at": datetime(1, 1, 1, tzinfo=UTC)}, id="first moment"),
        pytest.param({"made_at": datetime.max.replace(tzinfo=UTC)}, id="last moment"),
        pytest.param({"weight": 1.7976931348623157e100}, id="large float"),
        pytest.param({"legs": 2**63 - 1, "weight": 3.0}, id="large integer"),
        pytest.param({"anything": [1, [2, [None]]], "picture": b"\x00\xff"}, id="nested lists, bytes"),
        pytest.param({"name": "\U0001f600" * 50, "nick": "'\"\\%_;--"}, id="odd characters"),
    ],
)
def test_edges_of_values(pet: dict[str, Any]) -> None:
    """The edges of every kind are kept."""
    saved = Pet(id=ID, **pet)
    saved.save_to_db()
    loaded = Pet.load_from_db(ID)
    assert loaded == saved
    assert repr(loaded.price) == repr(saved.price)


@pytest.mark.parametrize(
    ("pet", "message"),
    [
        pytest.param({"name": "a\x00b"}, "name holds the character U+0000, which stores do not keep", id="nul"),
        pytest.param({"legs": 2**63}, "legs is beyond 64 bits", id="integer"),
        pytest.param({"price": Decimal("NaN")}, "price is no finite number", id="decimal"),
        pytest.param({"name": "a\ud800"}, "name holds half a character, which stores do not keep", id="surrogate"),
        pytest.param({"anything": {"x": [math.nan]}}, "anything holds what JSON cannot express", id="nested number"),
        pytest.param({"anything": {"\udc00": 1}}, "anything holds what JSON cannot express", id="nested surrogate"),
    ],
)
def test_what_cannot_be_stored(pet: dict[str, Any], message: str) -> None:
    """Values that some store cannot keep are refused by all, before anything is written."""
    with pytest.raises(UnstorableError) as caught:
        Pet.model_construct(id=ID, **pet).save_to_db()
    assert caught.value.message == message
    assert not Pet.exists(ID)


def test_keys() -> None:
    """Nothing under a key is told with the key; a key of two parts is a tuple; an empty one is refused."""
    with pytest.raises(NotFoundError) as caught:
        Note.load_from_db(("ada", 3))
    assert caught.value.message == "There is no notes with author=ada, number=3"
    with pytest.raises(TypeError, match=r"^notes: the primary key is \(author, number\), not 1 values$"):
        Note.load_from_db("ada")
    with pytest.raises(TypeError, match=r"^number is of kind integer and cannot be compared with str$"):
        Note.exists(("ada", "3"))
    with pytest.raises(NotFoundError):  # where nothing can be, nothing is
        Note.load_from_db(("a\x00", 2**64))
    assert not Note.exists(("a\x00", 1))
    assert Note.get_many([("a\x00", 1)]) == []
    with pytest.raises(UnstorableError, match=r"^notes: author is part of the primary key and is empty$"):
        Note(author="", number=1).save_to_db()


def test_keys_that_are_no_uuid() -> None:
    """A text that is no UUID is the key of nothing."""
    with pytest.raises(NotFoundError, match=r"^There is no pets with id=abc$"):
        Pet.load_from_db("abc")
    assert not Pet.exists("abc")
    Pet(id=ID).save_to_db()
    assert Pet.get_many(["abc", str(ID)]) == [Pet(id=ID)]


class Odd(Persistent, PymacaronBaseModel):
    """Has properties that sound like parts of statements."""

    table_name: ClassVar = "odd_names"
    primary_key: ClassVar = "id"

    id: str
    key_0: str | None = None
    expected_: int | None = None
    now_: str | None = None


def test_names_of_properties() -> None:
    """A property may be called as one likes: a change finds the object by its key."""
    Odd(id="a").save_to_db()
    Odd(id="b").save_to_db()
    odd = Odd.load_from_db("a")
    odd.key_0, odd.expected_, odd.now_ = "b", 7, "now"
    odd.save_to_db()
    assert Odd.load_from_db("a") == odd
    assert Odd.load_from_db("b") == Odd(id="b")


def test_saving_what_was_removed() -> None:
    """An object that was removed by itself is new when it is saved again, whether it shows its version or not."""
    for kept in (Document(id="a"), Note(author="ada", number=1)):
        kept.save_to_db()
        kept.save_to_db()
        kept.delete_from_db()
        kept.save_to_db()
        kept.save_to_db()
    assert Document.load_from_db("a").version == 2
    assert Note.exists(("ada", 1))


def test_creating() -> None:
    """Only one object can be created under a key."""
    pet = Pet(id=ID, name="Rex")
    pet.create_in_db()
    assert Pet.exists(ID)
    with pytest.raises(AlreadyExistsError) as caught:
        Pet(id=ID, name="Max").create_in_db()
    assert (caught.value.status, caught.value.message) == (409, f"There is pets with id={ID} already")
    assert Pet.load_from_db(ID).name == "Rex"


def test_saving_what_others_changed() -> None:
    """Of two who loaded the same object the second to save is told; an object that was never loaded replaces."""
    Pet(id=ID, name="Rex").save_to_db()
    mine, others = Pet.load_from_db(ID), Pet.load_from_db(ID)
    others.name = "Max"
    others.save_to_db()
    others.save_to_db()
    mine.name = "Bello"
    with pytest.raises(ConflictError) as caught:
        mine.save_to_db()
    assert caught.value.status == 409
    assert Pet.load_from_db(ID).name == "Max"
    Pet(id=ID, name="New").save_to_db()
    assert Pet.load_from_db(ID).name == "New"
    with pytest.raises(ConflictError):
        others.save_to_db()


def test_saving_what_others_removed() -> None:
    """What was removed is not brought back by who loaded it before, not even if another one is there now."""
    Pet(id=ID).save_to_db()
    mine = Pet.load_from_db(ID)
    Pet.load_from_db(ID).delete_from_db()
    with pytest.raises(ConflictError):
        mine.save_to_db()
    Pet(id=ID).create_in_db()
    with pytest.raises(ConflictError):
        mine.save_to_db()


def test_saving_removes_what_is_no_more() -> None:
    """A property that was taken away is gone, also from an object that was never loaded."""
    full_pet().save_to_db()
    pet = Pet.load_from_db(ID)
    pet.name = None
    pet.save_to_db()
    assert Pet.load_from_db(ID).name is None
    Pet(id=ID).save_to_db()
    assert Pet.load_from_db(ID) == Pet(id=ID)


def test_deleting() -> None:
    """What was loaded is removed if nobody changed it, anything else by its key."""
    Pet(id=ID).save_to_db()
    mine = Pet.load_from_db(ID)
    Pet(id=ID, name="Max").save_to_db()
    with pytest.raises(ConflictError):
        mine.delete_from_db()
    Pet(id=ID).delete_from_db()
    assert not Pet.exists(ID)
    with pytest.raises(NotFoundError):
        mine.delete_from_db()
    with pytest.raises(NotFoundError):
        Pet(id=ID).delete_from_db()


def test_version_that_the_document_shows() -> None:
    """The version counts from 1, comes with the object, and what a caller sends is held to it."""
    document = Document(id="a", text="one")
    document.save_to_db()
    assert document.version == 1
    document.text = "two"
    document.save_to_db()
    assert Document.load_from_db("a").version == 2
    with pytest.raises(ConflictError):
        Document(id="a", text="late", version=1).save_to_db()
    sent = Document(id="a", text="three", version=2)
    sent.save_to_db()
    assert (sent.version, Document.load_from_db("a").text) == (3, "three")


def test_properties_that_no_schema_names() -> None:
    """What an object holds beyond its schema is kept."""
    document = Document.model_validate({"id": "a", "color": "red", "sizes": [1, {"a": None}]})
    document.save_to_db()
    assert Document.load_from_db("a").model_extra == {"color": "red", "sizes": [1, {"a": None}]}


def test_many_at_once() -> None:
    """Those that there are come back in the order of the keys, each once."""
    for number in range(60):
        Note(author="ada", number=number).create_in_db()
    keys = [("ada", number) for number in (*range(119, -1, -1), 500, 59)]  # more than one call takes
    assert [note.number for note in Note.get_many(keys)] == list(range(59, -1, -1))
    assert Note.get_many([]) == []


def make_pets(count: int) -> list[Pet]:
    pets = [
        Pet(
            id=UUID(int=number),
            kind="dog" if number % 3 else "cat",
            name=f"name{number:02}",
            price=Decimal(number % 7) / 4 - 1,
            made_at=MOMENT + timedelta(microseconds=number % 5),
            legs=number % 2 or None,
        )
        for number in range(count)
    ]
    for pet in pets:
        pet.create_in_db()
    return pets


def walk(limit: int, **query: Any) -> list[UUID]:
    """Return the ids of all pages."""
    ids: list[UUID] = []
    cursor = None
    while True:
        page = Pet.query(limit=limit, cursor=cursor, **query)
        assert len(page) <= limit
        ids += [pet.id for pet in page]
        cursor = page.cursor
        if cursor is None:
            return ids


@pytest.mark.parametrize("limit", [2, 100])
def test_pages_in_order(limit: int) -> None:
    """Pages of any size give every object once, in the index's order, equal ones by their key."""
    pets = make_pets(14)
    dogs = sorted((pet for pet in pets if pet.kind == "dog"), key=lambda pet: (pet.price, pet.id))
    assert walk(limit, index="by_kind", where={"kind": "dog"}) == [pet.id for pet in dogs]
    assert walk(limit, index="by_kind", where={"kind": "dog"}, order="descending") == [pet.id for pet in dogs][::-1]
    newest = sorted(pets, key=lambda pet: (pet.made_at, pet.id), reverse=True)
    assert walk(limit, index="newest", order="descending") == [pet.id for pet in newest]
    assert sorted(walk(limit)) == sorted(pet.id for pet in pets)


def test_conditions() -> None:
    """A condition means the same along an index and without one."""
    dogs = [pet for pet in make_pets(16) if pet.kind == "dog"]
    low, high = Decimal("-0.5"), Decimal("0.25")
    cases: list[tuple[Any, Callable[[Any], bool]]] = [
        (high, lambda price: price == high),
        (("<", 0), lambda price: price < 0),
        (("<=", low), lambda price: price <= low),
        ((">", low), lambda price: price > low),
        ((">=", low), lambda price: price >= low),
        (("between", (-1, high)), lambda price: -1 <= price <= high),
    ]
    for condition, is_right in cases:
        expected = {pet.id for pet in dogs if is_right(pet.price)}
        where = {"kind": "dog", "price": condition}
        assert {pet.id for pet in Pet.query(index="by_kind", where=where)} == expected, condition
        assert {pet.id for pet in Pet.query(where=where)} == expected, condition


def test_more_conditions() -> None:
    """One of several, the beginning of a text, nothing at all; what an index lacks is not found by it."""
    make_pets(12)
    numbers = {"name": ("in", ["name03", "name11", "name99"])}
    assert sorted(walk(5, where=numbers)) == [UUID(int=3), UUID(int=11)]
    assert sorted(walk(5, where={"name": ("starts_with", "name1")})) == [UUID(int=10), UUID(int=11)]
    assert walk(5, where={"name": ("starts_with", "NAME1")}) == []
    assert len(walk(5, where={"legs": None})) == 6
    assert len(walk(5, index="by_legs", where={"legs": 1})) == 6
    assert walk(5, index="by_kind", where={"kind": "cat", "name": ("in", ["name00", "name01"])}) == [UUID(int=0)]
    Pet(id=ID, kind="cat").save_to_db()
    assert ID not in walk(5, index="by_kind", where={"kind": "cat"})


def test_queries_by_key() -> None:
    """Objects of one first part are ordered by the second."""
    for number in (5, -3, 40, 7):
        Note(author="ada", number=number).save_to_db()
        Note(author="bob", number=number).save_to_db()
    found = Note.query(where={"author": "ada"}, order="ascending")
    assert [note.number for note in found] == [-3, 5, 7, 40]
    some = Note.query(where={"author": "ada", "number": (">=", 5)}, order="descending", limit=2)
    assert [note.number for note in some] == [40, 7]
    rest = Note.query(where={"author": "ada", "number": (">=", 5)}, order="descending", limit=2, cursor=some.cursor)
    assert ([note.number for note in rest], rest.cursor) == ([5], None)
    assert len(Note.query(where={"number": ("between", (5, 7))})) == 4


def test_text_is_ordered_by_code_points() -> None:
    """The order of texts does not depend on a machine's language."""
    names = ["a", "B", "ä", "Z", "", "aa", "\U0001f600", "\uffff", "a b"]
    for number, name in enumerate(names):
        Note(author=f"x{name}", number=number, text=name).save_to_db()
    greater = {note.text for note in Note.query(where={"text": (">", "a")})}
    assert greater == {name for name in names if name > "a"}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param({"index": "by_age"}, "pets has no index by_age; it has by_kind, newest, by_legs", id="index"),
        pytest.param({"index": "by_kind"}, "pets: index by_kind needs the value of kind in where", id="partition"),
        pytest.param({"where": {"age": 3}}, "pets has no property age", id="property"),
        pytest.param({"where": {"tags": "a"}}, "tags is no single value; queries cannot look inside it", id="json"),
        pytest.param({"limit": 0}, "limit must be 1 or more", id="limit"),
        pytest.param({"where": {"name": ("in", [])}}, "name: in takes 1 to 100 values", id="in"),
        pytest.param(
            {"order": "ascending"},
            "pets: only an index, or a primary key whose first part is given, has an order",
            id="order",
        ),
        pytest.param(
            {"where": {"legs": ("starts_with", "a")}},
            "legs: starts_with compares text with the beginning of it",
            id="starts_with",
        ),
        pytest.param(
            {"where": {"legs": ("like", 3)}},
            "legs: write a value, or (operator, value) with one of =, <, <=, >, >=, between, in, starts_with",
            id="operator",
        ),
    ],
)
def test_queries_that_not_every_store_can_answer(query: dict[str, Any], message: str) -> None:
    """They are refused by all, with what to do."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared as a whole
        Pet.query(**query)
    assert str(caught.value) == message


@pytest.mark.parametrize("cursor", ["", "x", "eyJ9", "WzEsMl0", "\u2713", "W10"])
def test_cursors_from_elsewhere(cursor: str) -> None:
    """A cursor that was made up, or is from another query, is the caller's fault."""
    make_pets(3)
    with pytest.raises(InvalidCursorError):
        Pet.query(index="newest", cursor=cursor)
    other = Pet.query(index="newest", limit=1).cursor
    with pytest.raises(InvalidCursorError):
        Pet.query(index="newest", order="descending", cursor=other)


def test_transactions() -> None:
    """All of a transaction is there at its end, and its own reads see it before."""
    Note(author="ada", number=1, text="old").save_to_db()
    with transaction():
        Pet(id=ID).create_in_db()
        note = Note.load_from_db(("ada", 1))
        note.text = "new"
        note.save_to_db()
        Note(author="ada", number=2).create_in_db()
        assert Note.load_from_db(("ada", 1)).text == "new"
        assert Pet.exists(ID)
        note.text = "newer"
        note.save_to_db()
        Note.load_from_db(("ada", 2)).delete_from_db()
    assert Note.load_from_db(("ada", 1)).text == "newer"
    assert Pet.exists(ID)
    assert not Note.exists(("ada", 2))
    note.save_to_db()


def test_blocks_inside_a_transaction() -> None:
    """What a block inside wrote is undone if it raises, and nothing else; its own reads and those after it see so."""
    Note(author="ada", number=1, text="old").save_to_db()
    with transaction():
        Note(author="ada", number=1, text="outer").save_to_db()
        with contextlib.suppress(ZeroDivisionError), transaction():
            Note(author="ada", number=1, text="inner").save_to_db()
            Note(author="ada", number=2, text="inner").create_in_db()
            with transaction():
                Pet(id=ID).create_in_db()
            with contextlib.suppress(ZeroDivisionError), transaction():
                Note(author="ada", number=2).delete_from_db()
                raise ZeroDivisionError
            assert Note.load_from_db(("ada", 2)).text == "inner"
            assert Pet.exists(ID)
            raise ZeroDivisionError
        assert Note.load_from_db(("ada", 1)).text == "outer"
        assert not Note.exists(("ada", 2))
        with transaction():
            Note(author="ada", number=3).create_in_db()
        Note(author="ada", number=2, text="outer").create_in_db()
    assert [note.text for note in Note.query(where={"author": "ada"}, order="ascending")] == ["outer", "outer", ""]
    assert not Pet.exists(ID)


def test_functions_that_are_transactions() -> None:
    """Each call is one, whether a function is asynchronous or not; what they answer, take and are stays the same."""

    @transaction()
    def write(number: int) -> int:
        Note(author="ada", number=number).create_in_db()
        return 1 // number

    @transaction()
    async def write_later(number: int) -> int:
        await asyncio.sleep(0)
        Note(author="bob", number=number).create_in_db()
        await asyncio.sleep(0)
        return 1 // number

    assert (write(1), asyncio.run(write_later(1))) == (1, 1)
    with pytest.raises(ZeroDivisionError):
        write(0)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(write_later(0))
    assert [
        (note.author, note.number) for note in Note.get_many((name, n) for name in ("ada", "bob") for n in (0, 1))
    ] == [
        ("ada", 1),
        ("bob", 1),
    ]
    assert inspect.iscoroutinefunction(write_later)
    assert write.__name__ == "write"


def test_blocks_that_run_at_once() -> None:
    """What cannot be undone by itself, because another block began in it and goes on, is not stored at all."""

    @transaction()
    async def write(number: int, pauses: int) -> None:
        Note(author="ada", number=number).create_in_db()
        for _ in range(pauses):
            await asyncio.sleep(0)
        raise ZeroDivisionError

    async def write_both() -> None:
        with transaction():
            Note(author="ada", number=1).create_in_db()
            await asyncio.gather(write(2, 1), write(3, 3), return_exceptions=True)

    with pytest.raises(
        RuntimeError, match=r"^Blocks of one transaction ran at once\. Let one end before the next begins$"
    ):
        asyncio.run(write_both())
    assert not Note.query(where={"author": "ada"})


def test_transactions_that_fail() -> None:
    """Nothing of a transaction that fails is there, whatever was done in it, in blocks inside it too."""
    Note(author="ada", number=1, text="old").save_to_db()
    with pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012 - what happens before counts
        Note(author="ada", number=1, text="new").save_to_db()
        with transaction():
            Pet(id=ID).create_in_db()
        Note.load_from_db(("ada", 1)).delete_from_db()
        raise ZeroDivisionError
    assert Note.load_from_db(("ada", 1)).text == "old"
    assert not Pet.exists(ID)


def test_errors_inside_a_transaction() -> None:
    """A refused write can be caught inside, and the rest is stored."""
    Pet(id=ID, name="Rex").save_to_db()
    stale = Pet.load_from_db(ID)
    Pet(id=ID, name="Max").save_to_db()
    with transaction():
        with pytest.raises(AlreadyExistsError):
            Pet(id=ID).create_in_db()
        with pytest.raises(ConflictError):
            stale.save_to_db()
        with pytest.raises(NotFoundError):
            Note(author="ada", number=1).delete_from_db()
        Note(author="ada", number=2).create_in_db()
    assert Note.exists(("ada", 2))
    assert Pet.load_from_db(ID).name == "Max"


def test_updates_that_are_repeated() -> None:
    """A change that others overtake is made again on what they left."""
    Note(author="ada", number=1, text="").save_to_db()
    overtaken: list[Note] = []

    def change(note: Note) -> None:
        if not overtaken:
            overtaken.append(Note.load_from_db(("ada", 1)))
            overtaken[0].text = "b"
            overtaken[0].save_to_db()
        note.text += "a"

    assert Note.update_in_db(("ada", 1), change).text == "ba"
    assert Note.load_from_db(("ada", 1)).text == "ba"
    with pytest.raises(NotFoundError):
        Note.update_in_db(("bob", 1), change)


def test_objects_whose_time_is_over() -> None:
    """They count as absent everywhere, before the store removes them."""
    past, future = datetime.now(UTC) - timedelta(seconds=5), datetime.now(UTC) + timedelta(hours=1)
    Session(id="old", ends_at=past).save_to_db()
    Session(id="new", ends_at=future).save_to_db()
    Session(id="endless").save_to_db()
    with pytest.raises(NotFoundError):
        Session.load_from_db("old")
    assert [Session.exists(key) for key in ("old", "new", "endless")] == [False, True, True]
    assert [session.id for session in Session.get_many(["old", "new"])] == ["new"]
    assert [session.id for session in Session.query(index="by_user", where={"user": "ada"})] == ["endless", "new"]
    with pytest.raises(NotFoundError):
        Session(id="old").delete_from_db()
    with pytest.raises(AlreadyExistsError):
        Session(id="new").create_in_db()
    Session(id="old", ends_at=future).create_in_db()
    assert Session.exists("old")


def test_stored_objects_that_fit_no_more() -> None:
    """What an older document allowed and this one forbids is told, and not passed on."""

    class Strict(Persistent, PymacaronBaseModel):
        model_config = ConfigDict(extra="allow")
        table_name: ClassVar = "documents"
        primary_key: ClassVar = "id"
        version_field: ClassVar = "version"
        id: str
        version: int | None = None
        text: Annotated[str, Field(max_length=2)] = ""

    Document(id="a", text="long").save_to_db()
    with pytest.raises(StoredDataError) as caught:
        Strict.load_from_db("a")
    said = "An object of documents does not fit its model: text: String should have at most 2 characters"
    assert (caught.value.status, caught.value.message) == (500, said)


def test_numbers_that_are_none() -> None:
    """A float that is no number never reaches a store."""
    with pytest.raises(UnstorableError):
        Pet.model_construct(id=uuid4(), weight=math.nan).save_to_db()
