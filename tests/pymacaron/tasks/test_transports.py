"""The embedded broker and the one on Redis lose no message that was taken, and hand none out before its time."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection, Queue
from task_lab import Broker, run_redis

from pymacaron.tasks import redis_transport
from pymacaron.tasks.settings import make_embedded
from pymacaron.tasks.sqlite_file import is_gone, name_owner

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from tasks_brokers import count_kept, measure, open_own

REDIS = "pymacaron.tasks.redis_transport:Transport"
Connect = Callable[..., Connection]


@pytest.fixture(params=["embedded", "redis"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    """Return a function that connects to each of both brokers in turn."""
    opened: list[Connection] = []
    if request.param == "redis":
        broker: Broker = request.getfixturevalue("redis_broker")
        address, transport = broker.url, REDIS
    else:
        address, transport = make_embedded(tmp_path / "t.sqlite3"), "pymacaron.tasks.embedded:Transport"

    def make(**options: Any) -> Connection:
        opened.append(Connection(address, transport=transport, transport_options=options))
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


def _put(connection: Connection, name: str, body: str, delay_s: float = 0.0) -> None:
    eta = (datetime.now(UTC) + timedelta(seconds=delay_s)).isoformat() if delay_s else None
    with connection.Producer() as producer:
        queue = Queue(name, routing_key=name)
        producer.publish(body, routing_key=name, declare=[queue], headers={"eta": eta}, retry=True)


def _take(connection: Connection, name: str) -> Any:
    return Queue(name, routing_key=name, channel=connection.default_channel).get()


def test_messages_come_in_order_and_go_when_acknowledged(connect: Connect) -> None:
    """What is acknowledged is gone; what is given back comes again, marked as such."""
    name, connection = uuid4().hex, connect()
    for body in ("a", "b"):
        _put(connection, name, body)
    first = _take(connection, name)
    assert first.payload == "a"
    first.reject(requeue=True)
    rest = [_take(connection, name), _take(connection, name)]  # Redis puts it at the end, the file where it was
    assert {message.payload: message.headers.get("redelivered", False) for message in rest} == {"a": True, "b": False}
    for message in rest:
        message.ack()
    assert _take(connection, name) is None


def test_a_message_with_an_eta_comes_at_its_time(connect: Connect) -> None:
    """Until then it waits in the broker, and others are not held up by it."""
    name, connection = uuid4().hex, connect()
    _put(connection, name, "late", delay_s=0.6)
    _put(connection, name, "now")
    message = _take(connection, name)
    assert message.payload == "now"
    message.ack()
    assert _take(connection, name) is None
    time.sleep(0.7)
    late = _take(connection, name)
    assert late.payload == "late"
    late.ack()


def test_a_killed_process_leaves_what_it_took(tmp_path: Path) -> None:
    """The embedded broker hands a message out again at once when the process that took it is gone."""
    assert count_kept(open_own, tmp_path) == 3
    assert all(rate > 0 for rate in measure(open_own, tmp_path, 20))


def test_owners_are_known_by_more_than_their_number() -> None:
    """A process with the number of one that ended is not taken for it; one of another machine is never gone."""
    own = name_owner()
    assert not is_gone(own)
    host, pid, _ = own.rsplit(":", 2)
    assert is_gone(f"{host}:{pid}:1")
    assert not is_gone(f"elsewhere:{pid}:1")
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
    owner = name_owner(child)
    assert not is_gone(owner)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert is_gone(owner)


def test_a_message_is_noted_as_taken_in_the_moment_it_is_taken(redis_broker: Broker) -> None:
    """On Redis nothing lies between the queue and the notes: what the script took is noted, whoever dies after it."""
    name = uuid4().hex
    with Connection(redis_broker.url, transport=REDIS) as connection:
        _put(connection, name, "a")
        channel = connection.default_channel
        keys = channel._keys([name])
        key, content = channel.client.eval(redis_transport._TAKE, len(keys), *keys, repr(time.time()))
        assert key.decode() == name
        tag = channel.connection.channels[0].client.hkeys("unacked")
        assert len(tag) == 1
        assert tag[0].decode() in content.decode()
        channel.qos.restore_by_tag(tag[0].decode())
        _take(connection, name).ack()
        assert channel.client.hlen("unacked") == 0


def test_what_a_silent_worker_took_goes_back(redis_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that gave no sign of life for a while has its messages taken from it by the next one."""
    monkeypatch.setattr(redis_transport, "GONE_S", 0.3)
    monkeypatch.setattr(redis_transport, "SIGN_OF_LIFE_S", 0.1)
    name = uuid4().hex
    with (
        Connection(redis_broker.url, transport=REDIS, transport_options={"worker": "a"}) as silent,
        Connection(redis_broker.url, transport=REDIS, transport_options={"worker": "b"}) as living,
    ):
        _put(silent, name, "a")
        with silent.Consumer(Queue(name, routing_key=name), callbacks=[lambda *_: None], no_ack=False):
            silent.drain_events(timeout=5)
            time.sleep(0.2)
            silent.default_channel._is_closing.set()  # no more signs of life
            found: list[Any] = []

            def take(body: Any, message: Any) -> None:
                found.append(body)
                message.ack()

            with living.Consumer(Queue(name, routing_key=name), callbacks=[take]):
                while not found:
                    living.drain_events(timeout=10)
    assert found == ["a"]


def test_redis_is_told_later_what_is_done(tmp_path: Path) -> None:
    """What could not be acknowledged, or given back, keeps no place; the next connection tells Redis of both."""
    options = {"worker": "w"}
    with run_redis(tmp_path) as broker:
        connect = partial(Connection, broker.url, transport=REDIS, transport_options=options)
        taken: dict[str, Any] = {}

        def take(body: Any, message: Any) -> None:
            taken[body] = message

        with connect() as first:
            for body in ("done", "back"):
                _put(first, "q", body)
            with first.Consumer(Queue("q", routing_key="q"), callbacks=[take], prefetch_count=2) as consumer:
                while len(taken) < 2:
                    first.drain_events(timeout=5)
                assert not consumer.channel.qos.can_consume()
                broker.stop()
                taken["done"].ack()
                taken["back"].requeue()
                assert consumer.channel.qos.can_consume()
                taken.clear()
                broker.start()
        with connect() as second, second.Consumer(Queue("q", routing_key="q"), callbacks=[take]):
            second.drain_events(timeout=10)
            assert list(taken) == ["back"]
            taken["back"].ack()
            assert second.default_channel.client.hlen("unacked") == 0
