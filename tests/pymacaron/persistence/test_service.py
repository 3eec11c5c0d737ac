"""Persistent models of a service: declared in its document, stored where its configuration says."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar, cast
from uuid import uuid4

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import text
from store_servers import Server

from pymacaron.app import API
from pymacaron.codegen.parents import PERSISTENT_NAMES
from pymacaron.config import set_config
from pymacaron.events import ErrorReported, StoreCalled
from pymacaron.exceptions import ConfigError, SpecError
from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import PersistenceError, Persistent, check_store, current_store, open_store, transaction
from pymacaron.persistence.command import choose_upgrade, db
from pymacaron.persistence.dynamodb_calls import _session
from pymacaron.persistence.migration import SqlUpgrade
from pymacaron.persistence.model import find_layouts, layout_of
from pymacaron.persistence.sql import SqlStore
from pymacaron.persistence.sql_tables import METADATA
from pymacaron.persistence.upgrade import Upgrade
from pymacaron.service import service_of

DOCUMENT = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets/{name}:
    parameters: [{name: name, in: path, required: true, schema: {type: string}}]
    get:
      operationId: getPet
      responses: {"200": {description: one, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
    put:
      operationId: putPet
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: {"200": {description: one, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}}
    post:
      operationId: createPet
      responses: {"204": {description: made}}
components:
  schemas:
    Pet:
      type: object
      x-persist: MODULE.PersistentPet
      required: [name]
      additionalProperties: false
      properties:
        name: {type: string}
        born: {type: string, format: date}
        query: {type: string}
        version: {type: integer, readOnly: true}
    Puppy:
      allOf: [{$ref: "#/components/schemas/Pet"}, {type: object, properties: {age: {type: integer}}}]
"""
STORAGE = """\
from pymacaron.persistence import Persistent

class PersistentPet(Persistent):
    table_name = "service_pets"
    primary_key = "name"
    version_field = "version"
    indexes = {"by_day": "born"}

    def grow(self):
        self.query_ = "grown"
"""
HANDLERS = """\
from pymacaron.pool import apipool

def get_pet(name):
    return apipool.pets.Pet.load_from_db(name)

def put_pet(body, name):
    body.grow()
    body.save_to_db()
    return body

def create_pet(name):
    apipool.pets.Pet(name=name).create_in_db()
"""
Build = Callable[..., Flask]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """Build the service: ``build(database_url=…, storage=…)``; classes of other tests are none of its."""
    monkeypatch.setattr("pymacaron.persistence.model._models", {})
    METADATA.clear()
    paths, modules = list(sys.path), set(sys.modules)

    def make(
        database_url: str | None = None, storage: str = STORAGE, document: str = DOCUMENT, more: str = ""
    ) -> Flask:
        folder = tmp_path / uuid4().hex
        (folder / "apis").mkdir(parents=True)
        module = f"storage_{uuid4().hex}"
        (folder / f"{module}.py").write_text(textwrap.dedent(storage))
        (folder / f"handlers_{module}.py").write_text(HANDLERS)
        (folder / "apis" / "pets.yaml").write_text(document.replace("MODULE", module))
        url = f"database_url: {database_url}\n{more}" if database_url else ""
        (folder / "pym-config.yaml").write_text(f"name: kennel\n{url}")
        server = f'from pymacaron import create_app\napp = create_app(__name__, handlers="handlers_{module}")\n'
        (folder / "server.py").write_text(server)
        app = Flask("kennel", root_path=str(folder))
        API(app, handlers=f"handlers_{module}", debug=True, ping_hook=check_store).load_apis().start()
        return app

    yield make
    set_config(None)
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if name.startswith(("storage_", "handlers_storage_", "server", "apis")):
            del sys.modules[name]


def test_objects_of_a_document(build: Build) -> None:
    """A model named by x-persist saves and loads itself, in a SQLite file beside the configuration by default."""
    app = build()
    client = app.test_client()
    assert client.post("/pets/Rex").status_code == 204
    assert client.get("/pets/Rex").json == {"name": "Rex", "version": 1}
    put = client.put("/pets/Rex", json={"name": "Rex", "born": "2020-02-29", "version": 1})
    assert put.json == {"name": "Rex", "born": "2020-02-29", "query": "grown", "version": 2}
    assert (Path(app.root_path) / "kennel.db").is_file()
    assert client.get("/ping").json == {}


def test_an_app_that_is_gone_lets_its_connections_go(build: Build) -> None:
    """The store of an app is closed with it."""
    app: Flask | None = build()
    assert app is not None
    assert app.test_client().post("/pets/Rex").status_code == 204
    with app.app_context():
        store = current_store()
    assert isinstance(store, SqlStore)
    before = store.engine.pool
    del app
    gc.collect()
    assert store.engine.pool is not before  # as an engine does that was disposed of


def test_answers_to_refused_calls(build: Build) -> None:
    """What a store refuses is an answer with the status that HTTP has for it."""
    client = build().test_client()
    gone = client.get("/pets/Rex")
    assert (gone.status_code, gone.json) == (
        404,
        {"status": 404, "error": "NOT_FOUND", "error_description": "There is no service_pets with name=Rex"},
    )
    client.post("/pets/Rex")
    assert (client.post("/pets/Rex").status_code, client.post("/pets/Rex").get_json()["error"]) == (
        409,
        "ALREADY_EXISTS",
    )
    late = client.put("/pets/Rex", json={"name": "Rex", "version": 7})
    assert (late.status_code, late.get_json()["error"]) == (409, "CONFLICT")
    odd = client.put("/pets/Rex", json={"name": "a\x00"})
    assert (odd.status_code, odd.get_json()["error"]) == (400, "VALUE_NOT_STORABLE")


def test_store_that_is_down(build: Build) -> None:
    """Without its store the service answers 503 with Retry-After, at /ping too, and tells no secret."""
    app = build("postgresql://someone:hidden-word@127.0.0.1:1/pets", more="database_timeout: 0.5\n")
    reports: list[ErrorReported] = []
    service_of(app).bus.subscribe(ErrorReported, reports.append)
    client = app.test_client()
    for path in ("/pets/Rex", "/ping"):
        answer = client.get(path)
        assert (answer.status_code, answer.get_json()["error"]) == (503, "STORE_UNAVAILABLE"), path
        assert answer.headers["Retry-After"] == "1"
        assert answer.get_json()["error_description"] == "The store is not reachable"
    assert len(reports) == 2
    assert "hidden-word" not in repr(reports)


def test_events(build: Build) -> None:
    """Each call of the store is told with its table and outcome."""
    app = build()
    events: list[StoreCalled] = []
    service_of(app).bus.subscribe(StoreCalled, events.append)
    client = app.test_client()
    for _ in range(2):
        client.post("/pets/Rex")
    client.get("/pets/Rex")
    client.get("/pets/Max")
    client.put("/pets/Rex", json={"name": "Rex", "version": 7})
    assert [(event.store, event.table, event.call, event.outcome) for event in events] == [
        ("sqlite", "service_pets", "create", "ok"),
        ("sqlite", "service_pets", "create", "already exists"),
        ("sqlite", "service_pets", "load", "ok"),
        ("sqlite", "service_pets", "load", "not found"),
        ("sqlite", "service_pets", "save", "conflict"),
    ]
    assert all(0 < event.duration_s < 5 for event in events)


def test_each_app_has_its_own_store(build: Build) -> None:
    """Two services in one process do not share objects."""
    first, second = build(), build()
    assert first.test_client().post("/pets/Rex").status_code == 204
    assert second.test_client().get("/pets/Rex").status_code == 404
    with first.app_context():
        store = current_store()
    with second.app_context():
        assert current_store() is not store


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        pytest.param(
            'primary_key = "name"',
            'primary_key = "nam"',
            "primary_key: 'nam' is no property. Use one of name, born, query, version, query_.",
            id="key",
        ),
        pytest.param(
            '"by_day": "born"',
            '"by_day": ("version", "name", "born")',
            "it is ('version', 'name', 'born'). Write (partition, sort), (partition,) or (None, sort).",
            id="index",
        ),
        pytest.param(
            'version_field = "version"',
            'version_field = "born"',
            "version_field: 'born' is of kind date. Use one of kind integer.",
            id="version",
        ),
    ],
)
def test_wrong_declarations(build: Build, old: str, new: str, reason: str) -> None:
    """What a class says wrongly about its storage stops the start."""
    with pytest.raises(SpecError) as caught:
        build(storage=STORAGE.replace(old, new))
    assert reason in str(caught.value)


def test_names_of_the_store(build: Build) -> None:
    """A property may not have the name of a column of the store's own."""
    with pytest.raises(
        SpecError, match=r"pym_more: names that begin with pym_ are the store's\. Give it another one\."
    ):
        build(document=DOCUMENT.replace("        born:", "        pym_more: {type: string}\n        born:"))


def test_two_models_of_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may share it, as two versions of a document do, if they want it to be the same."""
    monkeypatch.setattr("pymacaron.persistence.model._models", {})

    class First(Persistent, PymacaronBaseModel):
        table_name: ClassVar = "shared"
        primary_key: ClassVar = "id"
        id: str
        text: str | None = None

    class Second(Persistent, PymacaronBaseModel):
        table_name: ClassVar = "shared"
        primary_key: ClassVar = "id"
        text: str = ""
        id: str

    assert find_layouts() == [layout_of(First)]
    assert layout_of(Second).table == "shared"

    class Third(Persistent, PymacaronBaseModel):
        table_name: ClassVar = "shared"
        primary_key: ClassVar = "id"
        id: str
        text: int = 0

    with pytest.raises(PersistenceError) as caught:
        find_layouts()
    place = f"{__name__}.test_two_models_of_one_table.<locals>"
    fix = "Give one of them another table_name, or both the same properties"
    assert str(caught.value) == f"{place}.Third: its table shared is that of {place}.First too. {fix}."
    assert layout_of(Third).table == "shared"


def test_models_that_extend_a_persistent_one(build: Build) -> None:
    """They are not stored by accident in the table of their parent."""
    build()
    from pymacaron.pool import apipool  # noqa: PLC0415 - filled by now

    with pytest.raises(Exception, match="Give it an x-persist with a table_name of its own"):
        apipool.pets.Puppy(name="Rex", age=1).save_to_db()


def test_generators_are_no_transactions() -> None:
    """What would leave its block before it begins is told when it is declared."""

    def list_pets() -> Iterator[int]:
        yield 1

    with pytest.raises(ConfigError, match=r"list_pets: @transaction\(\) stands before a generator\. Write `with tran"):
        transaction()(list_pets)


def test_names_that_properties_may_not_hide() -> None:
    """Generated classes keep free every public name of Persistent."""
    assert {name for name in vars(Persistent) if not name.startswith("_")} == PERSISTENT_NAMES


def run_db(app: Flask, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(db, [*arguments, "--folder", app.root_path])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    for name in ("server", "apis.pets_models"):
        sys.modules.pop(name, None)
    return done.exit_code, done.output


def test_upgrades_of_a_database(build: Build, postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pymacaron db` tells what is missing, creates it, keeps data, and removes only what it is told to."""
    monkeypatch.chdir(Path(__file__).parent)
    app = build(postgresql.url)
    assert app.test_client().post("/pets/Rex").get_json()["error"] == "STORED_DATA"
    code, told = run_db(app, "diff")
    assert code == 1
    assert "CREATE TABLE service_pets (" in told
    assert run_db(app, "upgrade")[0] == 0
    assert run_db(app, "diff") == (0, "")
    assert app.test_client().post("/pets/Rex").status_code == 204

    app = build(postgresql.url, document=WIDER)
    assert run_db(app, "diff") == (1, "ALTER TABLE service_pets ADD COLUMN price NUMERIC;\n")
    assert app.test_client().get("/pets/Rex").get_json()["error"] == "STORED_DATA"
    assert run_db(app, "upgrade") == (0, "ALTER TABLE service_pets ADD COLUMN price NUMERIC;\n1 changes\n")
    assert app.test_client().get("/pets/Rex").json == {"name": "Rex", "version": 1}

    app = build(postgresql.url)
    drop = "ALTER TABLE service_pets DROP COLUMN price;\n"
    assert run_db(app, "diff") == (0, f"-- kept without --drop: {drop[:-2]}\n")
    assert run_db(app, "upgrade") == (0, "Nothing to do\n")
    assert run_db(app, "diff", "--drop") == (1, drop)
    assert run_db(app, "upgrade", "--drop") == (0, f"{drop}1 changes\n")
    assert app.test_client().get("/pets/Rex").json == {"name": "Rex", "version": 1}


WIDER = DOCUMENT.replace("        born:", "        price: {type: string, format: decimal}\n        born:")


def read_columns(url: str) -> set[str]:
    """Return the columns of the service's table, none if it is not there."""
    store = open_store(url)
    assert isinstance(store, SqlStore)
    wanted = text("SELECT column_name FROM information_schema.columns WHERE table_name = 'service_pets'")
    columns = {row["column_name"] for row in store.fetch(wanted)}
    store.close()
    return columns


@pytest.fixture
def empty_database(postgresql: Server) -> str:
    """Return the URL of a database without the service's table, and at no revision."""
    store = open_store(postgresql.url)
    assert isinstance(store, SqlStore)
    with store.connection() as connection:
        connection.execute(text("DROP TABLE IF EXISTS service_pets, alembic_version"))
    store.close()
    return postgresql.url


def move_files(old: Flask, new: Flask) -> Path:
    """Give the next version of the service the revision files of the last one."""
    files = Path(old.root_path, "migrations").rename(Path(new.root_path, "migrations"))
    shutil.rmtree(files / "__pycache__", ignore_errors=True)
    return files


def test_revisions(build: Build, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revision files say what becomes of the tables; they are applied in order, and undone."""
    monkeypatch.chdir(Path(__file__).parent)
    first = build(empty_database)
    assert run_db(first, "revision", "Keep pets") == (0, "wrote migrations/0001_keep_pets.py\n")
    file = Path(first.root_path, "migrations/0001_keep_pets.py").read_text()
    assert file.startswith('"""Keep pets."""\n')
    assert 'revision = "0001"\ndown_revision = None\n' in file
    assert file.count("op.create_table('service_pets'") == file.count("op.drop_table('service_pets')") == 1
    assert run_db(first, "diff") == (1, "-- not applied yet: migrations/0001_keep_pets.py\n")
    with pytest.raises(ConfigError, match="the database has not had 0001 yet"):
        run_db(first, "revision", "too early")
    assert run_db(first, "upgrade") == (0, "applied migrations/0001_keep_pets.py\n1 revisions\n")
    assert run_db(first, "upgrade") == (0, "Nothing to do\n")
    assert run_db(first, "diff") == (0, "")
    assert first.test_client().post("/pets/Rex").status_code == 204

    second = build(empty_database, document=WIDER)
    files = move_files(first, second)
    missing = "ALTER TABLE service_pets ADD COLUMN price NUMERIC;\n"
    assert run_db(second, "upgrade") == (
        1,
        f"Nothing to do\n{missing}-- The classes need this too. Run: pymacaron db revision\n",
    )
    assert run_db(second, "revision", "Pets have a price") == (0, "wrote migrations/0002_pets_have_a_price.py\n")
    assert run_db(second, "upgrade", "--to", "0001") == (0, "Nothing to do\n")
    assert run_db(second, "upgrade") == (0, "applied migrations/0002_pets_have_a_price.py\n1 revisions\n")
    assert run_db(second, "diff") == (0, "")
    assert second.test_client().get("/pets/Rex").json == {"name": "Rex", "version": 1}

    assert run_db(second, "downgrade", "0001") == (0, "undid migrations/0002_pets_have_a_price.py\n1 revisions\n")
    assert "price" not in read_columns(empty_database)
    assert run_db(second, "upgrade")[0] == 0
    undone = "undid migrations/0002_pets_have_a_price.py\nundid migrations/0001_keep_pets.py\n2 revisions\n"
    assert run_db(second, "downgrade", "base") == (0, undone)
    assert read_columns(empty_database) == set()
    assert sorted(path.name for path in files.glob("*.py")) == ["0001_keep_pets.py", "0002_pets_have_a_price.py"]


def test_revisions_that_do_not_fit(build: Build, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is refused leaves nothing, and a database that is ahead of the files is told."""
    monkeypatch.chdir(Path(__file__).parent)
    app = build(empty_database)
    run_db(app, "revision", "Keep pets")
    files = Path(app.root_path, "migrations")
    first, broken, fork = files / "0001_keep_pets.py", files / "0002_broken.py", files / "0003_fork.py"
    step = "op.add_column('service_pets', sa.Column('price', sa.Numeric()))"
    head = 'from alembic import op\nimport sqlalchemy as sa\nrevision = "0002"\ndown_revision = "0001"\n'
    broken.write_text(f"{head}def upgrade():\n    {step}\n    {step}\ndef downgrade():\n    pass\n")
    with pytest.raises(ConfigError) as caught:
        run_db(app, "upgrade")
    assert "0002_broken.py: its step is refused: column " in str(caught.value)
    assert str(caught.value).endswith("Nothing was changed. Mend the file or the data.")
    assert read_columns(empty_database) == set()

    assert run_db(app, "upgrade", "--to", "0001") == (0, "applied migrations/0001_keep_pets.py\n1 revisions\n")
    assert "name" in read_columns(empty_database)
    assert run_db(app, "stamp", "0002") == (0, "")
    broken.unlink()
    for arguments in (["upgrade"], ["diff"], ["revision", "more"], ["downgrade", "base"]):
        with pytest.raises(ConfigError, match=r"the database is at revision 0002, which migrations does not have"):
            run_db(app, *arguments)
    broken.write_text(head)
    with pytest.raises(ConfigError, match=r"migrations: it has no revision 0004\. Use base, 0001, 0002\.$"):
        run_db(app, "stamp", "0004")
    fork.write_text(head.replace('revision = "0002"', 'revision = "0003"'))
    with pytest.raises(ConfigError, match="0002 and 0003 follow the same revision"):
        run_db(app, "upgrade")
    first.write_text("revision = ")
    with pytest.raises(ConfigError, match=r"0001_keep_pets.py:1: it cannot be read: invalid syntax\. Mend the file\.$"):
        run_db(app, "upgrade")


def test_revisions_of_sqlite(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """They work on a file too, all or none of them."""
    monkeypatch.chdir(Path(__file__).parent)
    app = build()
    run_db(app, "revision", "Keep pets")
    file = Path(app.root_path, "migrations/0001_keep_pets.py")
    file.write_text(file.read_text().replace("def downgrade", "    raise ZeroDivisionError\n\n\ndef downgrade"))
    with pytest.raises(ConfigError, match="its step is refused: ZeroDivisionError"):
        run_db(app, "upgrade")
    assert run_db(app, "diff")[0] == 1
    file.write_text(file.read_text().replace("    raise ZeroDivisionError\n", ""))
    assert run_db(app, "upgrade") == (0, "applied migrations/0001_keep_pets.py\n1 revisions\n")
    assert app.test_client().post("/pets/Rex").status_code == 204
    assert run_db(app, "downgrade", "base") == (0, "undid migrations/0001_keep_pets.py\n1 revisions\n")


def test_upgrades_of_dynamodb(build: Build, dynamodb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pymacaron db` creates tables and indexes there too."""
    monkeypatch.chdir(Path(__file__).parent)
    url = dynamodb.url.replace("create_tables=true", f"table_prefix={uuid4().hex}-")
    app = build(url, storage=STORAGE.replace('indexes = {"by_day": "born"}', ""))
    assert app.test_client().post("/pets/Rex").get_json()["error"] == "STORED_DATA"
    prefix = url.partition("table_prefix=")[2]
    assert run_db(app, "diff") == (1, f"create table {prefix}service_pets;\n")
    assert run_db(app, "upgrade") == (0, f"create table {prefix}service_pets;\n1 changes\n")
    assert app.test_client().post("/pets/Rex").status_code == 204
    app = build(url)
    assert run_db(app, "upgrade") == (0, f"add index by_day to {prefix}service_pets;\n1 changes\n")
    assert run_db(app, "diff") == (0, "")


def test_commands_on_a_store_that_is_down(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """They say so in one line, with the reason and without secrets; a folder that is none is told too."""
    monkeypatch.chdir(Path(__file__).parent)
    app = build("postgresql://someone:hidden-word@127.0.0.1:1/pets", more="database_timeout: 2\n")
    for command in ("diff", "upgrade"):
        code, told = run_db(app, command)
        assert code == 3
        assert told.startswith("pymacaron db: The store is not reachable (connection failed: ")
        assert told.count("\n") == 1
        assert "hidden-word" not in told
    done = CliRunner().invoke(db, ["diff", "--folder", "nowhere"])
    assert str(done.exception) == "nowhere: there is no such folder. Name the folder that holds server.py."


def test_two_upgrades_at_once(build: Build, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first, for longer than calls of the service may take."""
    monkeypatch.chdir(Path(__file__).parent)
    app = build(empty_database, more="database_timeout: 0.2\n")
    store = open_store(empty_database)
    assert isinstance(store, SqlStore)
    with ThreadPoolExecutor(1) as pool:
        with SqlUpgrade(store, []).connection():
            second = pool.submit(run_db, app, "upgrade")
            with pytest.raises(TimeoutError):
                second.result(2)
        assert second.result(60)[0] == 0
    assert read_columns(empty_database) == {"name", "born", "query", "version"}
    store.close()


def test_upgrades_that_begin_at_once(build: Build, empty_database: str) -> None:
    """One makes what is missing, the other finds nothing to do."""
    build(empty_database)
    stores = [open_store(empty_database) for _ in range(3)]
    first, *upgrades = [choose_upgrade(store, find_layouts()) for store in stores]

    def make(upgrade: Upgrade) -> int:
        with upgrade.turn():
            changes = upgrade.plan()
            upgrade.apply(changes)
            return len(changes)

    with ThreadPoolExecutor(2) as pool:
        with first.turn():
            both = [pool.submit(make, upgrade) for upgrade in upgrades]
            waiting = text("SELECT count(*) AS waiting FROM pg_locks WHERE NOT granted")
            while cast("SqlStore", stores[0]).fetch(waiting)[0]["waiting"] < len(both):
                time.sleep(0.05)
        made = sorted(each.result(60) for each in both)
    assert made[0] == 0
    assert made[1] > 0
    for store in stores:
        store.close()


def test_importing_loads_no_driver() -> None:
    """What only one store needs is loaded when that one is opened."""
    drivers = ["alembic", "boto3", "psycopg", "sqlalchemy"]
    code = f"import sys, pymacaron.persistence.command; print([name for name in {drivers} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("password", ["p@ss:hidden", "p@hidden", "hid:den/1@x"])
def test_urls_that_cannot_be_read(password: str) -> None:
    """What is wrong with a URL is told without the password in it, and with how to write one."""
    with pytest.raises(ConfigError) as caught:
        open_store(f"postgresql://someone:{password}@host/pets")
    told = "".join(traceback.format_exception(caught.value)).replace(f"{password}@host", "")
    assert "in a password @ is %40, : %3A, / %2F" in told
    assert "hid" not in told


def test_urls_of_no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A URL that names no store is told with what to write."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    _session.cache_clear()
    for url, reason in (
        ("someone:hidden-word", "there is no store for it. Begin it with sqlite, postgresql or dynamodb."),
        ("dynamodb://eu-west-1?create_tables=True", "create_tables is True. Write true or false."),
        (
            "dynamodb://someone:hidden-word@eu-west-1",
            "what follows dynamodb:// is no region. Write it like dynamodb://eu-west-1, without credentials.",
        ),
        ("dynamodb://", "it names no region. Write it like dynamodb://eu-west-1."),
        ("mysql://x", "there is no store for 'mysql'. Begin it with sqlite, postgresql or dynamodb."),
        ("", "there is no store for an empty URL. Begin it with sqlite, postgresql or dynamodb."),
        (
            "dynamodb://eu-west-1?prefix=a",
            "it has the unknown setting prefix. Use endpoint_url, table_prefix, create_tables.",
        ),
    ):
        with pytest.raises(Exception, match="database_url") as caught:
            open_store(url)
        assert str(caught.value) == f"database_url: {reason}"
