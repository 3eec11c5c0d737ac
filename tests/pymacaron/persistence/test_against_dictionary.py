"""Any sequence of calls does to every store what it does to a dictionary."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import Field

from pymacaron.formats import Date, DateTime, DecimalText, Uuid
from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    Persistent,
    Store,
    transaction,
)

SHELVES = ("a", "\U0001f600")
NUMBERS = (-7, 3)
EXAMPLES = {"sqlite": 60, "postgresql": 40, "dynamodb": 8}
STEPS = 40


class Thing(Persistent, PymacaronBaseModel):
    """Has fields of every kind and a key of two parts."""

    table_name: ClassVar = "things"
    primary_key: ClassVar = ("shelf", "number")
    indexes: ClassVar = {"by_color": ("color", "price"), "newest": (None, "made_at")}

    shelf: str
    number: int
    color: Literal["red", "blue"] = "red"
    name: str | None = None
    nick: Annotated[str | None, Field(json_schema_extra={"x-nullable": True})] = None
    price: DecimalText | None = None
    weight: float | None = None
    size: int | None = None
    is_new: bool | None = None
    made_at: DateTime | None = None
    born: Date | None = None
    code: Uuid | None = None
    tags: list[str] | None = None
    inside: dict[str, Any] | None = None


Key = tuple[str, int]
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
floats = st.floats(min_value=-1e100, max_value=1e100, allow_nan=False).filter(lambda value: not 0 < abs(value) < 1e-100)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
optional: dict[str, st.SearchStrategy[Any]] = {
    "color": st.sampled_from(["red", "blue"]),
    "name": texts,
    "nick": st.none() | texts,
    "price": st.decimals(allow_nan=False, allow_infinity=False, places=1, min_value=-2, max_value=20),
    "weight": floats,
    "size": st.integers(-(2**63), 2**63 - 1),
    "is_new": st.booleans(),
    "made_at": st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - in UTC
    "born": st.dates(),
    "code": st.uuids(),
    "tags": st.lists(texts, max_size=3),
    "inside": st.dictionaries(texts, plain, max_size=3),
}
keys = st.tuples(st.sampled_from(SHELVES), st.sampled_from(NUMBERS))
fields = st.fixed_dictionaries({}, optional=optional)


@dataclass(frozen=True)
class Block:
    """Writes, None for a removal, and blocks inside, all of which are kept or none."""

    steps: list[tuple[Key, dict[str, Any] | None] | Block]
    is_kept: bool


steps = st.tuples(keys, fields | st.none())
blocks = st.builds(
    Block, st.lists(steps | st.builds(Block, st.lists(steps, max_size=2), st.booleans()), max_size=4), st.booleans()
)


class _Shop(RuleBasedStateMachine):
    """Does the same to the store and to a dictionary: key -> (object, number of the write that made it)."""

    has_transactions: ClassVar = True

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[Key, tuple[Thing, int]] = {}
        self.loaded: dict[Key, tuple[Thing, int]] = {}
        self.writes = 0

    @initialize(things=st.lists(st.tuples(keys, fields), max_size=4))
    def begin(self, things: list[tuple[Key, dict[str, Any]]]) -> None:
        while page := Thing.query(limit=100):
            for thing in page:
                thing.delete_from_db()
        for key, values in things:
            self.save_new(key, values)

    def put(self, thing: Thing) -> None:
        self.writes += 1
        self.stored[thing.shelf, thing.number] = thing.clone(), self.writes

    @rule(key=keys, values=fields)
    def save_new(self, key: Key, values: dict[str, Any]) -> None:
        thing = Thing(shelf=key[0], number=key[1], **values)
        thing.save_to_db()
        self.put(thing)
        self.loaded.setdefault(key, (thing, self.writes))  # what was loaded before is stale now

    @rule(key=keys, values=fields)
    def create(self, key: Key, values: dict[str, Any]) -> None:
        thing = Thing(shelf=key[0], number=key[1], **values)
        with pytest.raises(AlreadyExistsError) if key in self.stored else contextlib.nullcontext():
            thing.create_in_db()
            self.put(thing)

    @rule(key=keys)
    def load(self, key: Key) -> None:
        assert Thing.exists(key) == (key in self.stored)
        with contextlib.nullcontext() if key in self.stored else pytest.raises(NotFoundError):
            thing = Thing.load_from_db(key)
            assert thing == self.stored[key][0]
            assert ("nick" in thing.model_fields_set) == ("nick" in self.stored[key][0].model_fields_set)
            self.loaded[key] = thing, self.stored[key][1]

    @precondition(lambda self: self.loaded)
    @rule(choice=st.integers(0, 3), values=fields)
    def save_loaded(self, choice: int, values: dict[str, Any]) -> None:
        key = sorted(self.loaded)[choice % len(self.loaded)]
        thing, number = self.loaded[key]
        for name, value in values.items():
            setattr(thing, name, value)
        is_current = key in self.stored and self.stored[key][1] == number
        with contextlib.nullcontext() if is_current else pytest.raises(ConflictError):
            thing.save_to_db()
            self.put(thing)
            self.loaded[key] = thing, self.writes

    @precondition(lambda self: self.loaded)
    @rule(choice=st.integers(0, 3))
    def delete_loaded(self, choice: int) -> None:
        key = sorted(self.loaded)[choice % len(self.loaded)]
        thing, number = self.loaded.pop(key)
        kind = None if key in self.stored else NotFoundError
        if kind is None and self.stored[key][1] != number:
            kind = ConflictError  # type: ignore[assignment]
        with pytest.raises(kind) if kind else contextlib.nullcontext():
            thing.delete_from_db()
            del self.stored[key]

    @rule(key=keys)
    def delete_unseen(self, key: Key) -> None:
        with contextlib.nullcontext() if key in self.stored else pytest.raises(NotFoundError):
            Thing(shelf=key[0], number=key[1]).delete_from_db()
            del self.stored[key]

    @precondition(lambda self: self.has_transactions)
    @rule(block=blocks)
    def write_together(self, block: Block) -> None:
        before = dict(self.stored)
        with contextlib.suppress(ZeroDivisionError), transaction():
            for step in block.steps:
                if isinstance(step, Block):
                    self.write_together(step)
                    continue
                key, values = step
                if values is None:
                    self.delete_unseen(key)
                else:
                    thing = Thing(shelf=key[0], number=key[1], **values)
                    thing.save_to_db()
                    self.put(thing)
            if not block.is_kept:
                raise ZeroDivisionError
        if not block.is_kept:
            self.stored = before

    @rule(
        index=st.sampled_from(["by_color", "newest", None]),
        is_descending=st.booleans(),
        limit=st.sampled_from([1, 1, 1, 2, 5]),
        low=st.none() | optional["price"],
    )
    def query(self, index: str | None, is_descending: bool, limit: int, low: Decimal | None) -> None:
        where: dict[str, Any] = {} if index == "newest" else {"color": "red"} if index else {"shelf": "a"}
        if low is not None:
            where["price"] = (">=", low)
        found: list[Thing] = []
        cursor = None
        while True:
            order: Any = "descending" if is_descending else "ascending"
            page = Thing.query(index=index, where=where, order=order, limit=limit, cursor=cursor)
            found += page
            cursor = page.cursor
            if cursor is None:
                break
        assert found == self.expect(index, is_descending, low)

    def expect(self, index: str | None, is_descending: bool, low: Decimal | None) -> list[Thing]:
        things = [
            thing
            for thing, _ in self.stored.values()
            if low is None or (thing.price is not None and thing.price >= low)
        ]
        if index == "by_color":
            things = [thing for thing in things if thing.color == "red" and thing.price is not None]
        elif index == "newest":
            things = [thing for thing in things if thing.made_at is not None]
        else:
            things = [thing for thing in things if thing.shelf == "a"]
        sort = {"by_color": "price", "newest": "made_at", None: "number"}[index]
        return sorted(
            things, key=lambda thing: (getattr(thing, sort), thing.shelf, thing.number), reverse=is_descending
        )

    @invariant()
    def nothing_else_is_there(self) -> None:
        wanted = [(shelf, number) for shelf in SHELVES for number in NUMBERS]
        assert Thing.get_many(wanted) == [self.stored[key][0] for key in wanted if key in self.stored]


@pytest.mark.unmeasured
def test_any_sequence_of_calls(store: Store, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated objects and calls leave in the store what they leave in a dictionary, refusals included."""
    monkeypatch.setattr(_Shop, "has_transactions", "dynalite" not in request.node.nodeid)
    run_state_machine_as_test(
        _Shop,
        settings=settings(
            max_examples=EXAMPLES[store.kind],
            stateful_step_count=STEPS,
            deadline=timedelta(seconds=60),
            derandomize=True,
            phases=[Phase.generate],  # looking for a smaller failure takes minutes
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
