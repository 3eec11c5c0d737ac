"""Stores to test: SQLite, PostgreSQL, and DynamoDB's protocol over HTTP."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from pymacaron.persistence import Store, open_store, using_store
from pymacaron.persistence.model import find_layouts
from pymacaron.persistence.sql import SqlStore
from pymacaron.persistence.sql_tables import METADATA, table_of

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from store_servers import Server, find_dynalite, find_postgresql, run_dynamodb, run_postgresql

KINDS = ("sqlite", "postgresql", "dynamodb", *(("dynalite",) if find_dynalite() else ()))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Run a PostgreSQL; skip where it is not installed, fail where services are required."""
    programs = find_postgresql()
    if programs is None:
        reason = "PostgreSQL is missing: apt-get install postgresql"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
    with run_postgresql(programs) as server:
        yield server


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[Server]:
    """Run a server that speaks DynamoDB's language."""
    with run_dynamodb() as server:
        yield server


@pytest.fixture(scope="session")
def dynalite() -> Iterator[Server]:
    """Run another server that speaks it, which only knows no transactions."""
    with run_dynamodb(find_dynalite()) as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Skip what dynalite cannot."""
    try:
        yield
    except ClientError as error:
        if "dynalite" in item.nodeid and "UnknownOperationException" in str(error):
            pytest.skip("dynalite has no transactions")
        raise


def open_empty(kind: str, request: pytest.FixtureRequest, folder: Path, timeout_s: float = 5) -> Store:
    """Open an empty store of *kind* with a table for each persistent class that there is."""
    if kind == "sqlite":
        return open_store("sqlite:///test.db", folder=folder, timeout_s=timeout_s)
    url = request.getfixturevalue(kind).url
    url += f"&table_prefix={uuid4().hex}-" if kind in ("dynamodb", "dynalite") else ""
    store = open_store(url, timeout_s=timeout_s)
    if isinstance(store, SqlStore):
        for layout in find_layouts():
            table_of(layout)
        with store.engine.begin() as connection:
            METADATA.drop_all(connection)
        store.create_tables()
    return store


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Return an empty store, in force for the test; once for each kind."""
    store = open_empty(request.param, request, tmp_path)
    with using_store(store):
        yield store
    store.close()
