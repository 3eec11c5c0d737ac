"""Stores that are down, slow, full or locked, and processes that are killed: nothing hangs, nothing is half written."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from persistence import PARTS, count, kill
from sqlalchemy import exc, text
from store_servers import Server, find_postgresql, run_postgresql

from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import (
    AlreadyExistsError,
    ConflictError,
    NotFoundError,
    Persistent,
    StoreUnavailableError,
    UnstorableError,
    check_store,
    open_store,
    retry_conflicts,
    transaction,
    using_store,
)
from pymacaron.persistence.dynamodb_calls import _session
from pymacaron.persistence.model import layout_of
from pymacaron.persistence.sql import SqlStore
from pymacaron.persistence.sql_tables import table_of

TIMEOUT_S = 0.5
SLACK_S = 5  # for a machine that does much else
KINDS = ("sqlite", "postgresql", "dynamodb")


class Letter(Persistent, PymacaronBaseModel):
    """What is written in trouble."""

    table_name: ClassVar = "letters"
    primary_key: ClassVar = "id"

    id: str
    text: str = ""


@contextmanager
def unavailable(timeout_s: float = TIMEOUT_S) -> Iterator[None]:
    """Expect a 503 within the timeout."""
    start_s = time.monotonic()
    with pytest.raises(StoreUnavailableError) as caught:
        yield
    assert time.monotonic() - start_s < timeout_s + SLACK_S
    assert caught.value.status == 503
    assert int(caught.value.headers["Retry-After"]) >= 1


def open_sql(url: str, folder: Path | None = None, timeout_s: float = TIMEOUT_S, pool_size: int = 10) -> SqlStore:
    store = open_store(url, folder=folder, timeout_s=timeout_s, pool_size=pool_size)
    assert isinstance(store, SqlStore)
    store.create_tables([table_of(layout_of(Letter))])
    return store


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """Return the URL of a store of *kind* that other tests do not write into."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/test.db"
    url: str = request.getfixturevalue(kind).url
    return f"{url}&table_prefix={folder.name}-" if kind == "dynamodb" else url


@pytest.mark.parametrize("kind", KINDS)
def test_many_writers_of_one_object(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Each increment of each process is in the end, however often they overtake each other."""
    result = count(url_of(kind, request, tmp_path), writers=2, increments=15)
    assert (result["value"], result["failed"]) == (30, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_writers_that_are_killed(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """After kill -9 each transaction is there as a whole or not at all."""
    result = kill(url_of(kind, request, tmp_path), transactions=5000, kills=1)
    assert result["partial"] == 0
    assert result["whole"] < 5000, f"{PARTS} objects each: no process was killed in the middle"


def test_database_that_does_not_answer(postgresql: Server) -> None:
    """A server that is stopped in the middle makes calls end in time, and is used again when it goes on."""
    programs = find_postgresql()
    assert programs is not None
    with run_postgresql(programs) as server:
        store = open_sql(server.url)
        with using_store(store):
            Letter(id="a").save_to_db()
            pids = server_processes(server.pid)
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            with unavailable():
                Letter.load_from_db("a")
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            assert Letter.load_from_db("a") == Letter(id="a")
            store.close()
    with using_store(store), unavailable(2):
        Letter.load_from_db("a")
    with using_store(store), unavailable(2):
        check_store()
    assert postgresql.url != server.url


def server_processes(pid: int) -> list[int]:
    """Return the process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def test_database_that_was_restarted(postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that died while they rested are replaced without an error."""
    monkeypatch.setattr("pymacaron.persistence.sql_engine.LONGEST_REST_S", 0)
    store = open_sql(postgresql.url, timeout_s=5)
    with using_store(store):
        Letter(id="a").save_to_db()
        with store.connection() as connection:
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        other = open_sql(postgresql.url, timeout_s=5)
        with other.connection() as connection:
            connection.execute(text(f"SELECT pg_terminate_backend({pid})"))
        other.close()
        assert Letter.load_from_db("a") == Letter(id="a")
    store.close()


def test_locked_row(postgresql: Server) -> None:
    """Who waits for a lock too long is told, and nothing is changed."""
    holder, waiter = open_sql(postgresql.url), open_sql(postgresql.url)
    with using_store(holder):
        Letter(id="locked", text="old").save_to_db()
        with transaction():
            Letter(id="locked", text="new").save_to_db()
            with using_store(waiter), unavailable():
                Letter(id="locked", text="other").save_to_db()
        assert Letter.load_from_db("locked").text == "new"
    holder.close()
    waiter.close()


def test_full_database(postgresql: Server) -> None:
    """A database that says its disk is full is unavailable, and the transaction leaves nothing."""
    store = open_sql(postgresql.url)
    with store.connection() as connection:
        connection.execute(
            text(
                "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger AS $$ BEGIN "
                "IF NEW.text = 'much' THEN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END IF; "
                "RETURN NEW; END $$ LANGUAGE plpgsql"
            )
        )
        connection.execute(
            text(
                "CREATE OR REPLACE TRIGGER full_disk BEFORE INSERT ON letters FOR EACH ROW EXECUTE FUNCTION full_disk()"
            )
        )
    with using_store(store):
        with unavailable(), transaction():
            Letter(id="first").save_to_db()
            Letter(id="second", text="much").save_to_db()
        assert not Letter.exists("first")
    with store.connection() as connection:
        connection.execute(text("DROP TRIGGER full_disk ON letters"))
    store.close()


def test_locked_file(tmp_path: Path) -> None:
    """A SQLite file that somebody else writes into for long is unavailable to writers, not to readers."""
    store = open_sql("sqlite:///test.db", tmp_path)
    with using_store(store):
        Letter(id="a").save_to_db()
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with unavailable():
            Letter(id="b").save_to_db()
        with unavailable(), transaction():
            Letter(id="b").save_to_db()
        assert Letter.load_from_db("a") == Letter(id="a")
        other.execute("ROLLBACK")
        other.close()
        Letter(id="b").save_to_db()
    store.close()


def test_full_file(tmp_path: Path) -> None:
    """A SQLite file that cannot grow is unavailable, and the transaction leaves nothing."""
    store = open_sql("sqlite:///test.db", tmp_path, pool_size=1)
    with using_store(store):
        Letter(id="a").save_to_db()
        with store.connection() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages + 2}"))
        with unavailable(), transaction():
            for number in range(50):
                Letter(id=f"big{number}", text="x" * 4000).save_to_db()
        assert [letter.id for letter in Letter.query()] == ["a"]
    store.close()


def test_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """A SQLite file in a folder that is not there is unavailable."""
    store = open_store("sqlite:///missing/test.db", folder=tmp_path, timeout_s=TIMEOUT_S)
    with using_store(store), unavailable():
        Letter.load_from_db("a")


def test_file_that_is_no_database(tmp_path: Path) -> None:
    """A file that holds something else is unavailable, and is left as it is."""
    (tmp_path / "test.db").write_text("something else\n" * 1000)
    store = open_store("sqlite:///test.db", folder=tmp_path, timeout_s=TIMEOUT_S)
    with using_store(store), unavailable():
        Letter.load_from_db("a")
    assert (tmp_path / "test.db").read_text() == "something else\n" * 1000


def test_mistakes_in_own_sql(tmp_path: Path) -> None:
    """They are not taken for a store that is unavailable."""
    store = open_sql("sqlite:///test.db", tmp_path)
    for statement in ("SELECT no_such_function()", "SELEC 1", "SELECT id FROM letters a, letters b"):
        with pytest.raises(exc.OperationalError), store.connection() as connection:
            connection.execute(text(statement))
    store.close()


def test_connections_that_are_all_in_use(tmp_path: Path) -> None:
    """Who gets no connection in time is told."""
    store = open_sql("sqlite:///test.db", tmp_path, pool_size=1)
    with store.connection():
        errors: list[BaseException] = []

        def load() -> None:
            with using_store(store):
                try:
                    Letter.exists("a")
                except StoreUnavailableError as error:
                    errors.append(error)

        thread = threading.Thread(target=load)
        thread.start()
        thread.join(TIMEOUT_S + SLACK_S)
    assert [str(error) for error in errors] == ["All connections to the store are in use"]
    store.close()


def test_conflicts_are_not_repeated_for_ever() -> None:
    """After the time is over the conflict is told."""
    calls = []

    def lose() -> None:
        calls.append(time.monotonic())
        raise ConflictError("lost")

    with pytest.raises(ConflictError, match="lost"):
        retry_conflicts(lose, timeout_s=0.1)
    assert len(calls) > 1
    assert calls[-1] - calls[0] <= 0.1 + SLACK_S


class Doorman(ThreadingHTTPServer):
    """Answers as DynamoDB does when it has too much to do, as often as it is told to; then passes calls on."""

    daemon_threads = True
    refusals: ClassVar[list[str]] = []
    port: ClassVar[int] = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not Doorman.refusals:
            self._pass_on(body)
            return
        code = Doorman.refusals.pop()
        if code == "lost":  # the call is done, its answer never comes
            self._ask(body)
            self.close_connection = True
            return
        if code.startswith("{"):
            self._answer(200, code.encode())
            return
        if code == "silence":
            time.sleep(TIMEOUT_S)
        content = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "slow down"}).encode()
        self._answer(500 if code == "InternalServerError" else 400, content)

    def _ask(self, body: bytes) -> Any:
        import http.client  # noqa: PLC0415 - only here

        connection = http.client.HTTPConnection("127.0.0.1", Doorman.port)
        connection.request("POST", "/", body, {**dict(self.headers.items()), "Host": f"127.0.0.1:{Doorman.port}"})
        return connection.getresponse()

    def _pass_on(self, body: bytes) -> None:
        answer = self._ask(body)
        self._answer(answer.status, answer.read())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def doorman(dynamodb: Server) -> Iterator[str]:
    """Return the URL of DynamoDB behind a door."""
    Doorman.port = dynamodb.port
    Doorman.refusals.clear()
    with Doorman(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield dynamodb.url.replace(str(dynamodb.port), str(server.server_port))
        server.shutdown()


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError"]
)
def test_dynamodb_that_has_too_much_to_do(doorman: str, code: str) -> None:
    """A call that is put off is made again; who is put off for too long is told."""
    store = open_store(doorman, timeout_s=20)
    with using_store(store):
        Letter(id=code).save_to_db()
        Doorman.refusals += [code, code]
        assert Letter.load_from_db(code) == Letter(id=code)
        assert Doorman.refusals == []
    store.close()
    store = open_store(doorman, timeout_s=TIMEOUT_S)
    with using_store(store):
        Doorman.refusals += [code] * 1000
        with unavailable():
            Letter.load_from_db(code)
        with unavailable(), transaction():
            Letter(id="one").save_to_db()
    store.close()


def test_writes_whose_answer_is_lost(doorman: str) -> None:
    """A write that was done, but whose answer got lost, is not taken for somebody else's when it is repeated."""
    store = open_store(doorman, timeout_s=20)
    with using_store(store):
        Letter(id="early").save_to_db()
        Letter(id="lost").save_to_db()
        letter = Letter.load_from_db("lost")
        letter.text = "new"
        Doorman.refusals.append("lost")
        letter.save_to_db()
        letter.text = "newer"
        letter.save_to_db()
        assert Letter.load_from_db("lost").text == "newer"
        Doorman.refusals.append("lost")
        letter.delete_from_db()
        with pytest.raises(NotFoundError):
            letter.delete_from_db()
    store.close()


def test_dynamodb_that_does_not_answer(doorman: str) -> None:
    """A call to which no answer comes ends in time."""
    store = open_store(doorman, timeout_s=TIMEOUT_S)
    with using_store(store):
        Doorman.refusals += ["silence"] * 20
        with unavailable():
            check_store()
    store.close()


def test_queries_that_read_too_much(doorman: str) -> None:
    """A query whose pages come for ever without what it looks for ends in time; so do those of many keys."""
    store = open_store(doorman.replace("create_tables=true", "create_tables=false"), timeout_s=TIMEOUT_S)
    with using_store(store):
        endless = json.dumps({"Items": [], "LastEvaluatedKey": {"id": {"S": "a"}}})
        Doorman.refusals += [endless] * 100_000
        with unavailable():
            Letter.query(where={"text": "nobody wrote this"})
        assert len(Doorman.refusals) < 99_999
        Doorman.refusals.clear()
        name = store.name_of(layout_of(Letter))  # type: ignore[attr-defined]
        nothing = json.dumps({"Responses": {name: []}, "UnprocessedKeys": {}})
        Doorman.refusals += [nothing] * 100_000
        with unavailable():
            Letter.get_many(map(str, range(50_000)))
    store.close()


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException", "UnrecognizedClientException"])
def test_credentials_that_are_refused(doorman: str, code: str) -> None:
    """They are 503 at once."""
    store = open_store(doorman, timeout_s=20)
    with using_store(store):
        Letter.exists("a")
        Doorman.refusals += [code, code]
        with pytest.raises(StoreUnavailableError, match=r"^DynamoDB refuses the credentials, or what they may do$"):
            Letter.exists("a")
        assert Doorman.refusals == [code]
    store.close()


def test_credentials_that_are_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are 503 with what is missing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    _session.cache_clear()
    store = open_store("dynamodb://eu-west-1", timeout_s=TIMEOUT_S)
    with using_store(store), unavailable():
        Letter.exists("a")
    _session.cache_clear()


def test_queries_after_a_refused_write(dynamodb: Server) -> None:
    """In a transaction a query goes before the writes; what was refused has written nothing."""
    store = open_store(dynamodb.url, timeout_s=20)
    with using_store(store):
        Letter(id="refused").save_to_db()
        with transaction():
            with pytest.raises(AlreadyExistsError):
                Letter(id="refused").create_in_db()
            assert [letter.id for letter in Letter.query(where={"id": "refused"})] == ["refused"]
            Letter(id="refused", text="new").save_to_db()
            with pytest.raises(RuntimeError, match="query before you write"):
                Letter.query(where={"id": "refused"})
    store.close()


def test_objects_that_are_too_large(dynamodb: Server) -> None:
    """DynamoDB keeps 400 KB of an object; more is the caller's fault, and so are numbers beyond its own."""
    store = open_store(dynamodb.url, timeout_s=20)
    with using_store(store):
        with pytest.raises(UnstorableError, match="An object is larger than the 400 KB that DynamoDB keeps"):
            Letter(id="large", text="x" * 410_000).save_to_db()
        with pytest.raises(UnstorableError) as caught, transaction():  # noqa: PT012 - one object more than it takes
            for number in range(101):
                Letter(id=f"many{number}").create_in_db()
        assert caught.value.message == "A transaction of DynamoDB changes 100 objects at most"
        assert not Letter.exists("many0")
    store.close()
