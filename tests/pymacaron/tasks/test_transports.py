"""The embedded broker and the one on Redis lose no message that was taken, and hand none out before its time."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection, Queue
from redis import Redis
from redis.exceptions import ResponseError
from task_lab import Broker, run_redis

from pymacaron.tasks import redis_transport
from pymacaron.tasks.redis_transport import Unsettled
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


def test_what_another_connection_of_the_process_puts_is_seen_at_once(connect: Connect) -> None:
    """A queue that was empty a moment ago is looked at again when anybody, this process included, puts into it."""
    name, reader, writer = uuid4().hex, connect(), connect()
    assert _take(reader, name) is None
    _put(writer, name, "a")
    message = _take(reader, name)
    assert message.payload == "a"
    message.ack()


def test_what_a_locked_file_is_not_told_it_is_told_later(tmp_path: Path) -> None:
    """A message that is done with, or given back, keeps no place while the file is locked; it is told after it."""
    file = tmp_path / "t.sqlite3"
    with (
        Connection(make_embedded(file), transport="pymacaron.tasks.embedded:Transport") as connection,
        closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        for body in ("done", "back"):
            _put(connection, "q", body)
        channel = connection.default_channel
        channel.qos.prefetch_count = 2
        taken = [Queue("q", routing_key="q", channel=channel).get(no_ack=False) for _ in range(2)]
        assert not channel.qos.can_consume()
        other.execute("BEGIN IMMEDIATE")
        taken[0].ack()
        taken[1].reject(requeue=True)
        assert channel.qos.can_consume()
        other.execute("ROLLBACK")
        again = _take(connection, "q")
        assert (again.payload, again.headers["redelivered"]) == ("back", True)
        again.ack()
        assert other.execute("SELECT count(*) FROM messages").fetchone() == (0,)


def test_a_file_that_is_locked_is_a_broken_connection(tmp_path: Path) -> None:
    """A worker that cannot take messages because of it connects again, as to a server that was away."""
    file = tmp_path / "t.sqlite3"
    with (
        Connection(make_embedded(file), transport="pymacaron.tasks.embedded:Transport") as connection,
        closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        _put(connection, "q", "a")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(connection.connection_errors):
            _take(connection, "q")


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
        tag = channel.connection.channels[0].client.hkeys(channel.unacked_key)
        assert len(tag) == 1
        assert tag[0].decode() in content.decode()
        channel.qos.restore_by_tag(tag[0].decode())
        _take(connection, name).ack()
        assert channel.client.hlen(channel.unacked_key) == 0


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


def test_workers_of_another_service_leave_messages_alone(redis_broker: Broker) -> None:
    """Its shorter visibility timeout does not make the tasks of this service run twice."""
    name = uuid4().hex
    options = [
        {"prefix": f"pymacaron:{service}:", "visibility_timeout": limit_s} for service, limit_s in (("a", 60), ("b", 0))
    ]
    with (
        Connection(redis_broker.url, transport=REDIS, transport_options=options[0]) as slow,
        Connection(redis_broker.url, transport=REDIS, transport_options=options[1]) as hasty,
    ):
        _put(slow, name, "a")
        message = _take(slow, name)
        hasty.default_channel.qos.restore_visible(interval=1)
        assert _take(hasty, name) is None
        message.ack()


def test_signs_of_life_go_on_after_any_error(redis_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that could not write for a while, for want of memory, hears of the worker again afterwards."""
    monkeypatch.setattr(redis_transport, "SIGN_OF_LIFE_S", 0.05)
    with (
        Redis.from_url(redis_broker.url) as client,
        Connection(redis_broker.url, transport=REDIS, transport_options={"worker": "w"}) as connection,
    ):
        channel, name = connection.default_channel, uuid4().hex
        queue = Queue(name, routing_key=name, channel=channel)
        queue.declare()
        client.config_set("maxmemory", "1")
        try:
            with pytest.raises(ResponseError):
                client.zadd(channel.workers_key, {"probe": 1})
            queue.consume("tag", callback=None)
            time.sleep(0.5)
        finally:
            client.config_set("maxmemory", "0")
        deadline = time.monotonic() + 10
        while client.zscore(channel.workers_key, channel.owner) is None:
            assert time.monotonic() < deadline, "no sign of life"
            time.sleep(0.05)


def test_two_threads_tell_each_message_once(redis_broker: Broker) -> None:
    """The threads of a channel that broke and of the next one tell Redis of what is done; none is skipped."""
    name, number = uuid4().hex, 60
    with Connection(redis_broker.url, transport=REDIS, transport_options={"prefix": f"{name}:"}) as connection:
        for body in range(number):
            _put(connection, name, str(body))
        channel = connection.default_channel
        messages = [_take(connection, name) for _ in range(number)]
        channel.unsettled += [Unsettled(message.delivery_tag, channel.taken_key, False) for message in messages]
        with ThreadPoolExecutor(2) as pool:
            clients = [pool.submit(channel.qos.settle_late, channel.client) for _ in range(2)]
        assert [done.result() for done in clients] == [None, None]
        assert not channel.unsettled
        assert channel.client.hlen(channel.unacked_key) == 0


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
            channel = second.default_channel
            assert channel.client.hlen(channel.unacked_key) == 0
