"""What SQL databases refuse in the middle of a transaction, and what of it is stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import exc, text
from store_servers import Server

from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import (
    AlreadyExistsError,
    Persistent,
    StoreUnavailableError,
    UnstorableError,
    open_store,
    retry_conflicts,
    transaction,
    using_store,
)
from pymacaron.persistence.model import layout_of
from pymacaron.persistence.sql import SqlStore
from pymacaron.persistence.sql_tables import table_of

ABORTED = (
    "A statement of the transaction failed, and the database keeps nothing of it. "
    "What may fail and be caught goes into a `with transaction():` of its own"
)


class Parcel(Persistent, PymacaronBaseModel):
    """Has a label that only one may have, and a weight that may not be negative."""

    table_name: ClassVar = "labelled_parcels"
    primary_key: ClassVar = "id"

    id: str
    label: str | None = None
    weight: int = 1


RULES = (
    "CREATE UNIQUE INDEX one_label ON labelled_parcels (label)",
    "CREATE TABLE stamps (parcel TEXT REFERENCES labelled_parcels (id), value INTEGER CHECK (value > 0))",
)


@contextmanager
def open_parcels(url: str, folder: Path, timeout_s: float = 20) -> Iterator[SqlStore]:
    """Open a store with a table for `Parcel` and its `RULES`."""
    store = open_store(url, folder=folder, timeout_s=timeout_s)
    assert isinstance(store, SqlStore)
    table = table_of(layout_of(Parcel))
    with store.connection() as connection:
        connection.execute(text("DROP TABLE IF EXISTS stamps"))
        table.drop(connection, checkfirst=True)
        table.create(connection)
        for rule in RULES:
            connection.execute(text(rule))
    with using_store(store):
        yield store
    with store.connection() as connection:
        connection.execute(text("DROP TABLE stamps"))  # tables of other tests are dropped without it
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    """Return a store with parcels."""
    url = "sqlite:///test.db" if request.param == "sqlite" else request.getfixturevalue("postgresql").url
    with open_parcels(url, tmp_path) as store:
        yield store


@pytest.fixture
def on_postgresql(postgresql: Server, tmp_path: Path) -> Iterator[SqlStore]:
    """Return a PostgreSQL with parcels, where a failed statement ends the transaction."""
    with open_parcels(postgresql.url, tmp_path) as store:
        yield store


def stored() -> list[str]:
    """Return the ids of all parcels."""
    return sorted(parcel.id for parcel in Parcel.query())


def stamp(store: SqlStore, parcel: str, value: int = 1) -> None:
    """Execute a statement of one's own, in a block."""
    with store.connection() as connection:
        connection.execute(text("INSERT INTO stamps VALUES (:parcel, :value)"), {"parcel": parcel, "value": value})


def test_rules_of_ones_own(store: SqlStore) -> None:
    """An index that is unique is 409, another rule 400, neither with the values; the primary key is told as ever."""
    Parcel(id="a", label="hidden-word").save_to_db()
    with pytest.raises(AlreadyExistsError, match=r"^There is labelled_parcels with id=a already$"):
        Parcel(id="a").create_in_db()
    for write in (Parcel(id="b", label="hidden-word").save_to_db, Parcel(id="b", label="hidden-word").create_in_db):
        with pytest.raises(AlreadyExistsError) as caught:
            write()
        assert (caught.value.status, caught.value.message) == (409, "Another object has a value that only one may have")
    stamp(store, "a")
    rule = "^The database has a rule that forbids this value, or this change$"
    with pytest.raises(UnstorableError, match=rule):
        Parcel(id="a").delete_from_db()
    with pytest.raises(UnstorableError, match=rule):
        stamp(store, "a", -1)
    with pytest.raises(UnstorableError, match=rule):
        stamp(store, "nobody")
    assert stored() == ["a"]


def test_what_fails_in_a_block_of_its_own(store: SqlStore) -> None:
    """Who catches an error around an inner block goes on; what waits for that block is forgotten with it."""
    Parcel(id="a", label="x").save_to_db()
    called: list[str] = []
    with transaction():
        Parcel(id="b").save_to_db()
        store.after_commit(lambda: called.append("b"))
        with suppress(AlreadyExistsError), transaction():
            Parcel(id="c").save_to_db()
            store.after_commit(lambda: called.append("c"))
            Parcel(id="d", label="x").save_to_db()
        with suppress(UnstorableError):
            stamp(store, "nobody")
        with store.session() as session:
            session.execute(text("UPDATE labelled_parcels SET weight = 7 WHERE id = 'b'"))
        assert called == []
        Parcel(id="e").save_to_db()
    assert called == ["b"]
    assert stored() == ["a", "b", "e"]
    assert Parcel.load_from_db("b").weight == 7


def test_a_refused_call_ends_its_block(store: SqlStore) -> None:
    """Who catches it inside is told again, at the next call and at the end; nothing of the block is stored."""
    Parcel(id="a", label="x").save_to_db()
    called: list[str] = []
    for is_followed in (False, True):
        with pytest.raises(AlreadyExistsError, match="that only one may have"), transaction():  # noqa: PT012 - all counts
            Parcel(id="b").save_to_db()
            store.after_commit(lambda: called.append("b"))
            with suppress(AlreadyExistsError):
                Parcel(id="c", label="x").save_to_db()
            if is_followed:
                Parcel(id="d").save_to_db()
                raise AssertionError
    assert called == []
    assert stored() == ["a"]
    Parcel(id="b").save_to_db()
    assert stored() == ["a", "b"]


@pytest.mark.parametrize("is_inner", [False, True])
def test_own_sql_that_failed_unseen(on_postgresql: SqlStore, is_inner: bool) -> None:
    """A transaction that PostgreSQL has given up, and would undo without a word, does not end as if it were stored."""
    called: list[str] = []
    with pytest.raises(RuntimeError) as caught, transaction():  # noqa: PT012 - all counts
        Parcel(id="a").save_to_db()
        on_postgresql.after_commit(lambda: called.append("a"))
        with on_postgresql.connection() if is_inner else nullcontext():  # the first is an inner block
            connection = on_postgresql.run(lambda connection: connection)
            with suppress(exc.DBAPIError):
                connection.execute(text("SELECT 1 / 0"))
    assert str(caught.value) == ABORTED
    assert called == []
    assert stored() == []


def test_calls_after_own_sql_that_failed(on_postgresql: SqlStore) -> None:
    """They tell what to do, not what the driver says."""
    with transaction():
        Parcel(id="a").save_to_db()
        with pytest.raises(RuntimeError) as caught, on_postgresql.connection() as connection:  # noqa: PT012 - all counts
            with suppress(exc.DBAPIError):
                connection.execute(text("SELECT 1 / 0"))
            Parcel(id="b").save_to_db()
        assert str(caught.value) == ABORTED
        Parcel(id="c").save_to_db()
    assert stored() == ["a", "c"]


def test_connection_that_breaks_in_a_transaction(on_postgresql: SqlStore, postgresql: Server, tmp_path: Path) -> None:
    """It is 503 then and at each further call, in inner blocks too, however often the error is caught."""
    other = open_store(postgresql.url, folder=tmp_path)
    assert isinstance(other, SqlStore)
    with pytest.raises(StoreUnavailableError), transaction():  # noqa: PT012 - all counts
        Parcel(id="a").save_to_db()
        pid = on_postgresql.run(lambda connection: connection.scalar(text("SELECT pg_backend_pid()")))
        with other.connection() as connection:
            connection.execute(text(f"SELECT pg_terminate_backend({pid}, 10000)"))
        with pytest.raises(StoreUnavailableError), transaction():
            Parcel(id="b").save_to_db()
        with pytest.raises(StoreUnavailableError):
            Parcel(id="b").save_to_db()
        with pytest.raises(StoreUnavailableError), on_postgresql.session() as session:
            session.execute(text("SELECT 1"))
    with pytest.raises(StoreUnavailableError), on_postgresql.connection() as connection:  # noqa: PT012 - all counts
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with other.connection() as another:
            another.execute(text(f"SELECT pg_terminate_backend({pid}, 10000)"))
        with suppress(exc.DBAPIError):
            connection.execute(text("SELECT 1"))
        connection.execute(text("SELECT 1"))
    other.close()
    assert stored() == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        pytest.param("SELECT CAST('x' AS INTEGER)", "A value does not fit its column", id="other kind"),
        pytest.param("SELECT 2147483647 + 1", "A value is larger than the store can keep", id="too large"),
    ],
)
def test_values_that_the_database_refuses(on_postgresql: SqlStore, statement: str, message: str) -> None:
    """They are 400 where they leave a block."""
    with pytest.raises(UnstorableError) as caught, on_postgresql.connection() as connection:
        connection.execute(text(statement))
    assert caught.value.message == message


def test_conflicts_that_end_the_transaction(on_postgresql: SqlStore) -> None:
    """They are not repeated inside of it, where they would come for ever, but with it they are."""
    with on_postgresql.connection() as connection:
        lose = (
            "BEGIN IF NEW.weight = 2 THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF; RETURN NEW; END"
        )
        connection.execute(text(f"CREATE OR REPLACE FUNCTION lose() RETURNS trigger AS $$ {lose} $$ LANGUAGE plpgsql"))
        trigger = "CREATE TRIGGER lose BEFORE UPDATE ON labelled_parcels FOR EACH ROW EXECUTE FUNCTION lose()"
        connection.execute(text(trigger))
    Parcel(id="a").save_to_db()
    tries: list[int] = []

    def raise_weight(parcel: Parcel) -> None:
        tries.append(parcel.weight)
        parcel.weight += len(tries)

    def move() -> None:
        with transaction():
            Parcel(id="b").save_to_db()
            Parcel.update_in_db("a", raise_weight, timeout_s=60)

    retry_conflicts(move)
    assert tries == [1, 1]
    assert Parcel.load_from_db("a").weight == 3
    assert stored() == ["a", "b"]


def test_what_was_undone_by_hand(store: SqlStore) -> None:
    """Who rolls back a session of an inner block undoes the block, and nothing else."""
    called: list[str] = []
    with transaction():
        Parcel(id="a").save_to_db()
        with store.session() as session:
            session.execute(text("INSERT INTO labelled_parcels (id) VALUES ('c')"))
            Parcel(id="b").save_to_db()
            store.after_commit(lambda: called.append("b"))
            session.rollback()
        store.after_commit(lambda: called.append("a"))
    assert called == ["a"]
    assert stored() == ["a"]


def test_first_uses_of_tables_do_not_wait_for_each_other(tmp_path: Path) -> None:
    """While one waits for its turn to create a table, the one whose turn it is creates another."""
    store = open_store("sqlite:///test.db", folder=tmp_path, timeout_s=4)
    errors: list[StoreUnavailableError] = []
    has_begun = threading.Event()

    def use_letters() -> None:
        with using_store(store):
            has_begun.set()
            try:
                Parcel(id="a").save_to_db()
            except StoreUnavailableError as error:
                errors.append(error)

    thread = threading.Thread(target=use_letters)
    with using_store(store):
        with transaction():
            Stamp(id="a").save_to_db()
            thread.start()
            has_begun.wait()
            thread.join(0.2)  # it waits for the table now
            Envelope(id="a").save_to_db()
        thread.join()
        assert errors == []
        assert Envelope.exists("a")
    store.close()


class Stamp(Persistent, PymacaronBaseModel):
    """Is stored first."""

    table_name: ClassVar = "first_stamps"
    primary_key: ClassVar = "id"

    id: str


class Envelope(Persistent, PymacaronBaseModel):
    """Is stored in the same transaction."""

    table_name: ClassVar = "first_envelopes"
    primary_key: ClassVar = "id"

    id: str
