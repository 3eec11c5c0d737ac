"""Which connections requests, tasks and scripts use, and that they give them back."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from flask import Flask
from sqlalchemy import event, text
from store_servers import Server

from pymacaron.config import PymConfig, set_config
from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import Persistent, StoreUnavailableError, open_store, transaction, using_store
from pymacaron.persistence import store as stores
from pymacaron.persistence.model import layout_of
from pymacaron.persistence.sql import SqlStore
from pymacaron.persistence.sql_tables import table_of
from pymacaron.persistence.store import configured_store

TIMEOUT_S = 20


class Card(Persistent, PymacaronBaseModel):
    """What the requests of these tests load and save."""

    table_name: ClassVar = "cards"
    primary_key: ClassVar = "id"

    id: str
    text: str = ""


@contextlib.contextmanager
def open_small(url: str, folder: Path, pool_size: int = 2) -> Iterator[SqlStore]:
    """Open a store with a table for `Card` and few connections."""
    store = open_store(url, folder=folder, timeout_s=TIMEOUT_S, pool_size=pool_size)
    assert isinstance(store, SqlStore)
    with using_store(store):
        table = table_of(layout_of(Card))
        with store.engine.begin() as connection:
            table.drop(connection, checkfirst=True)
        store.create_tables([table])
        yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    """Return a store with two connections."""
    url = "sqlite:///test.db" if request.param == "sqlite" else request.getfixturevalue("postgresql").url
    with open_small(url, tmp_path) as store:
        yield store


def count_checkouts(store: SqlStore) -> list[object]:
    """Return a list that grows with each connection that the pool lends."""
    lent: list[object] = []
    event.listen(store.engine, "checkout", lambda *arguments: lent.append(arguments))
    return lent


def in_use(store: SqlStore) -> int:
    """Return how many connections the pool has lent just now."""
    return int(store.engine.pool.checkedout())  # type: ignore[attr-defined]


def use(store: SqlStore) -> None:
    """Load, save, query and write in nested transactions."""
    Card(id="a").save_to_db()
    card = Card.load_from_db("a")
    assert Card.query(where={"id": "a"}) == [card]
    with transaction():
        card.text = "new"
        card.save_to_db()
        with transaction():
            Card(id="b").save_to_db()
            assert Card.load_from_db("a").text == "new"
            assert {card.id for card in Card.get_many(["a", "b"])} == {"a", "b"}
        with store.session() as session:
            assert session.scalar(text("SELECT count(*) FROM cards")) == 2
    assert len(Card.query()) == 2


def test_a_request_uses_one_connection(store: SqlStore) -> None:
    """All calls and transactions of an app context work on one connection, which goes back at its end."""
    app = Flask("cards")
    use(store)
    lent = count_checkouts(store)
    for requests in (1, 2):
        with app.test_request_context():
            use(store)
            assert in_use(store) == 1
        assert in_use(store) == 0
        assert len(lent) == requests
    use(store)
    assert in_use(store) == 0
    assert len(lent) > 3  # outside each call borrows its own


def test_errors_leave_nothing_behind(store: SqlStore) -> None:
    """A transaction that fails is rolled back, and the connection is as new for the next call."""
    app = Flask("cards")
    with app.app_context():
        with pytest.raises(ZeroDivisionError), transaction():  # noqa: PT012 - what happens before counts
            Card(id="lost").save_to_db()
            raise ZeroDivisionError
        assert not Card.exists("lost")
        Card(id="kept").save_to_db()
    with store.engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM cards WHERE id IN ('lost', 'kept')")).scalars().all() == ["kept"]
        assert connection.in_transaction()


def test_requests_that_rest_leave_their_connections_to_others(store: SqlStore) -> None:
    """More requests than connections get on, as long as not all of them work at once."""
    app = Flask("cards")
    Card(id="a").save_to_db()
    barrier = threading.Barrier(6)
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            with using_store(store), app.app_context():
                Card.load_from_db("a")
                barrier.wait(TIMEOUT_S)  # all six are in the middle of their request
                for _ in range(5):
                    Card.load_from_db("a")
                with transaction():
                    Card(id=str(threading.get_ident())).save_to_db()
        except BaseException as error:  # noqa: BLE001 - compared below
            errors.append(error)

    threads = [threading.Thread(target=serve) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert in_use(store) == 0
    assert len(Card.query()) == 7


def test_what_a_request_keeps_is_taken_back_when_all_are_in_use(store: SqlStore) -> None:
    """A connection that a long answer keeps without using it serves those who come."""
    app = Flask("cards")
    Card(id="a").save_to_db()
    outer = app.app_context()
    with outer:
        Card.load_from_db("a")  # keeps one of two
        assert in_use(store) == 1

        def serve() -> None:
            with using_store(store), transaction():  # holds the other
                inner = threading.Thread(target=load)
                inner.start()
                inner.join()

        loaded: list[Card | StoreUnavailableError] = []

        def load() -> None:
            with using_store(store):
                loaded.append(Card.load_from_db("a"))

        thread = threading.Thread(target=serve)
        thread.start()
        thread.join()
        assert loaded == [Card(id="a")]
        assert Card.load_from_db("a") == Card(id="a")
    assert in_use(store) == 0


def test_threads_of_one_request(store: SqlStore) -> None:
    """Threads that work for one request at once never share a connection at once."""
    app = Flask("cards")
    Card(id="a").save_to_db()
    with app.app_context() as context, transaction():
        Card(id="a", text="not yet").save_to_db()
        seen: list[str] = []

        def look() -> None:
            with using_store(store), context:
                seen.append(Card.load_from_db("a").text)

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [""]


def test_processes_forked_while_others_prepare(tmp_path: Path) -> None:
    """What a thread of the parent was in the middle of does not keep a child from its first call."""
    set_config(PymConfig(name="cards", folder=tmp_path))
    with open_small("sqlite:///test.db", tmp_path) as store:
        with stores._lock, store._lock:  # as a thread has them that opens a store or meets a model
            pid = os.fork()
            if pid == 0:
                signal.alarm(TIMEOUT_S)
                os._exit(1 if Card.exists("a") or configured_store() is store else 0)
        assert os.waitpid(pid, 0)[1] == 0
    set_config(None)


def test_forked_processes(postgresql: Server, tmp_path: Path) -> None:
    """A process forked in the middle of a request connects anew and leaves the other's connection alone."""
    with open_small(postgresql.url, tmp_path) as store, Flask("cards").app_context():
        Card(id="a").save_to_db()
        pid = os.fork()
        if pid == 0:
            os._exit(0 if Card.load_from_db("a").text == "" else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert Card.load_from_db("a") == Card(id="a")
        assert in_use(store) == 1
