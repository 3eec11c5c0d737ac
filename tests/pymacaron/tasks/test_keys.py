"""Keys are claimed once, replaced only by whoever knows their value, and end; in Redis and in the file alike."""

from __future__ import annotations

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from task_lab import Broker

from pymacaron.config import PymConfig
from pymacaron.exceptions import ConfigError, TaskBrokerError
from pymacaron.tasks.keys import KeyStore, SqliteKeys, open_keys
from pymacaron.tasks.settings import TaskSettings, make_embedded


@pytest.fixture(params=["file", "redis"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> KeyStore:
    """Return each kind of store in turn."""
    settings = TaskSettings.of(PymConfig(folder=tmp_path, name="shop"))
    if request.param == "file":
        return open_keys(settings)
    broker: Broker = request.getfixturevalue("redis_broker")
    return open_keys(replace(settings, broker=broker.url, results=broker.url))


def test_a_key_is_claimed_once(keys: KeyStore) -> None:
    """Of many that claim a key at the same time one gets it."""
    name = uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda value: keys.claim(name, str(value), 60), range(24)))
    assert claims.count(True) == 1
    assert keys.get(name) == str(claims.index(True))


def test_only_the_known_value_is_replaced(keys: KeyStore) -> None:
    """A value is replaced or removed by whoever knows it, and by nobody else."""
    name = uuid4().hex
    keys.put(name, "a", 60)
    assert not keys.replace(name, "b", "c", 60)
    assert keys.replace(name, "a", "c", 60)
    assert keys.get(name) == "c"
    assert not keys.replace(name, "a", "", 60)
    assert keys.replace(name, "c", "", 60)
    assert keys.get(name) is None
    assert not keys.replace(name, "c", "d", 60)


def test_keys_end(keys: KeyStore) -> None:
    """After its time a key is free again."""
    name = uuid4().hex
    assert keys.claim(name, "a", 0.1)
    time.sleep(0.2)
    assert keys.get(name) is None
    assert not keys.replace(name, "a", "b", 60)
    assert keys.claim(name, "c", 60)
    assert keys.get(name) == "c"


def test_services_on_one_redis_do_not_share_keys(tmp_path: Path, redis_broker: Broker) -> None:
    """What one service has claimed, another may claim under the same name."""
    names = [uuid4().hex, uuid4().hex]
    settings = [TaskSettings.of(PymConfig(folder=tmp_path, name=name)) for name in names]
    stores = [open_keys(replace(one, broker=redis_broker.url, results=redis_broker.url)) for one in settings]
    assert [keys.claim("k", name, 60) for keys, name in zip(stores, names, strict=True)] == [True, True]
    assert [keys.get("k") for keys in stores] == names


def test_a_file_that_is_locked_is_told(tmp_path: Path) -> None:
    """Keys in a file that another process does not let go of fail as those on a server that is down; then they work."""
    keys = SqliteKeys(make_embedded(tmp_path / "keys.sqlite3"))
    keys.put("k", "a", 60)
    with closing(sqlite3.connect(tmp_path / "keys.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TaskBrokerError, match=r"The states of tasks cannot be reached: database is locked"):
            keys.claim("other", "b", 60)
        assert keys.get("k") == "a"
    assert keys.claim("other", "b", 60)


def test_old_keys_leave_the_file(tmp_path: Path) -> None:
    """What is over is deleted, what is not stays."""
    keys = SqliteKeys(make_embedded(tmp_path / "keys.sqlite3"))
    keys.put("old", "a", -1)
    keys.put("new", "a", 60)
    keys.forget_old()
    assert keys._file.run("SELECT name FROM keys") == [("new",)]


def test_brokers_that_keep_nothing_need_a_backend(tmp_path: Path) -> None:
    """With RabbitMQ alone states and keys have no place: that is told with what to set."""
    config = PymConfig(folder=tmp_path, name="shop", broker_url="amqp://guest:pass-word@host//")  # type: ignore[arg-type]
    settings = TaskSettings.of(config)
    message = r"result_backend: amqp://host keeps no states of tasks .* Set result_backend to the address of a Redis"
    with pytest.raises(ConfigError, match=message):
        open_keys(settings)
    assert "pass-word" not in repr(settings)


def test_a_redis_that_is_down_is_told(tmp_path: Path) -> None:
    """The error is an answer that callers may repeat, not one of the Redis client."""
    settings = TaskSettings.of(PymConfig(folder=tmp_path, name="shop"))
    with pytest.raises(TaskBrokerError, match="Redis does not answer"):
        open_keys(replace(settings, results="redis://127.0.0.1:1/0")).get("name")
