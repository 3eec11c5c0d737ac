"""A transport for Celery's kombu over Redis that loses no message and holds none back.

kombu's own takes a message off its queue with BRPOP and notes it as unacknowledged with a second command: a worker
that is killed, or a connection that breaks, between the two loses it. Here one script does both. Beyond that:

- A message with an ETA waits in Redis, not in a worker, so that no visibility timeout can make it run twice.
- Each message is noted under the worker that took it. A worker that has shown no sign of life for `GONE_S` gives its
  messages back at once, not only after the visibility timeout.

Messages have kombu's form: other publishers and `celery` tools understand them. Needs Redis 6.2 or newer.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from threading import Event, Thread
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads
from redis.exceptions import ResponseError

from pymacaron.tasks.messages import find_due

log = logging.getLogger(__name__)

GONE_S = 15.0
SIGN_OF_LIFE_S = 3.0
_WAIT_S = 1.0
_SHORT_WAIT_S = 0.05
_DELAYED = "\x06\x16delayed"

# KEYS: unacked, unacked_index, messages of this worker, then for each queue its list and its delayed messages.
# ARGV: now. Returns [key, message], or [false, when the next one is due].
_TAKE = """
local now = tonumber(ARGV[1])
local next_due = false
for i = 4, #KEYS, 2 do
    for _, message in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i + 1], '-inf', now, 'LIMIT', 0, 100)) do
        redis.call('LPUSH', KEYS[i], message)
        redis.call('ZREM', KEYS[i + 1], message)
    end
    local message = redis.call('RPOP', KEYS[i])
    if message then
        local read, content = pcall(cjson.decode, message)
        if read and content.properties and content.properties.delivery_tag then
            local tag, info = content.properties.delivery_tag, content.properties.delivery_info
            local where = ',' .. cjson.encode(info.exchange) .. ',' .. cjson.encode(info.routing_key) .. ']'
            redis.call('HSET', KEYS[1], tag, '[' .. message .. where)
            redis.call('ZADD', KEYS[2], now, tag)
            redis.call('SADD', KEYS[3], tag)
        end
        return {KEYS[i], message}
    end
    local first = redis.call('ZRANGE', KEYS[i + 1], 0, 0, 'WITHSCORES')
    if first[2] and (not next_due or tonumber(first[2]) < tonumber(next_due)) then next_due = first[2] end
end
return {false, next_due}
"""


class Unsettled(NamedTuple):
    """A message that is done with, or to be given back, of which Redis could not be told yet."""

    tag: str
    taken_key: str
    is_given_back: bool


# By broker and prefix; what a channel could not tell before it broke, the next one of this process tells.
_unsettled: dict[tuple[str, str], deque[Unsettled]] = {}


class QoS(kombu_redis.QoS):
    """Messages are noted by the script that takes them; those that Redis could not be told of do not hold up others.

    kombu's own counts a message as held until Redis heard of its end. With a prefetch of 1 the worker would ask for no
    other for ever, and so never notice that the connection broke.
    """

    def append(self, message: Any, delivery_tag: str) -> None:
        """Remember a message that was taken."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message that is done with."""
        self._settle(Unsettled(delivery_tag, self.channel.taken_key, is_given_back=False))

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's signature
        """Forget a message, or give it back."""
        self._settle(Unsettled(delivery_tag, self.channel.taken_key, is_given_back=requeue))

    def settle_late(self, client: Any) -> None:
        """Tell Redis what it could not be told before. Raises what the client raises."""
        waiting = self.channel.unsettled
        while True:
            try:
                message = waiting.popleft()  # the thread of the channel before may be at it too
            except IndexError:
                return
            try:
                self._tell(message, client)
            except BaseException:
                waiting.appendleft(message)
                raise

    def _settle(self, message: Unsettled) -> None:
        try:
            with self.channel.conn_or_acquire() as client:
                self._tell(message, client)
        except self.channel.connection_errors as error:
            log.warning("Redis is told later that a message is done with: %s", error)
            self.channel.unsettled.append(message)
        finally:
            virtual.QoS.ack(self, message.tag)

    def _tell(self, message: Unsettled, client: Any) -> None:
        if message.is_given_back:
            self.restore_by_tag(message.tag, client, leftmost=True)
            client.srem(message.taken_key, message.tag)
        else:
            pipe = client.pipeline()
            pipe.zrem(self.unacked_index_key, message.tag).hdel(self.unacked_key, message.tag)
            pipe.srem(message.taken_key, message.tag).execute()

    def _remove_from_indices(self, delivery_tag: str, pipe: Any = None) -> Any:
        removing = super()._remove_from_indices(delivery_tag, pipe)
        return removing.srem(self.channel.taken_key, delivery_tag)


class Channel(kombu_redis.Channel):
    """Takes messages by the script."""

    QoS = QoS
    priority_steps = [0]  # noqa: RUF012 - kombu's way; one list a queue
    from_transport_options = (
        *(name for name in kombu_redis.Channel.from_transport_options if name != "global_keyprefix"),
        "worker",
        "prefix",
    )
    worker = ""
    prefix = "pymacaron:"
    _signs: Thread | None = None
    _idle_client: Any = None
    _is_waiting = False
    _wait_until = 0.0

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take kombu's arguments, and as transport options ``worker`` and ``prefix``.

        worker: name of the process; without one it gives no signs of life. prefix: of the keys in which the workers of
        one service note what they do; those of others, with other time limits, leave them alone.
        """
        super().__init__(*args, **options)
        # Not the process but the connection: what was taken over one that broke is given back too.
        self.owner = f"{self.worker}:{uuid4().hex[:12]}" if self.worker else ""
        self._is_closing = Event()
        self.unacked_key = f"{self.prefix}unacked"
        self.unacked_index_key = f"{self.prefix}unacked_index"
        self.unacked_mutex_key = f"{self.prefix}unacked_mutex"
        broker = (self.connection.client.as_uri(include_password=True), self.prefix)
        self.unsettled = _unsettled.setdefault(broker, deque())

    @property
    def taken_key(self) -> str:
        """Return the key of the messages that this worker has taken; those of nobody known share one."""
        return self._taken_by(self.owner)

    @property
    def workers_key(self) -> str:
        """Return the key of the workers that live, with the time of their last sign."""
        return f"{self.prefix}workers"

    def _taken_by(self, owner: str) -> str:
        return f"{self.prefix}taken:{owner}"

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Give a client; kombu's own makes a new one each time, which takes longer than what it is asked."""
        if client is None:
            pool, client = self.pool, self._idle_client
            if client is None or client.connection_pool is not pool:
                client = self._idle_client = self._create_client()
        yield client

    def _keys(self, queues: list[str]) -> list[str]:
        keys = [self.unacked_key, self.unacked_index_key, self.taken_key]
        for queue in queues:
            keys += [queue, f"{queue}{_DELAYED}"]
        return keys

    def basic_consume(self, queue: str, *args: Any, **options: Any) -> Any:
        """Begin to take messages of *queue*, and to give signs of life."""
        if self.owner and not self._signs:
            self._signs = Thread(target=self._show_life, name="pymacaron-signs-of-life", daemon=True)
            self._signs.start()
        return super().basic_consume(queue, *args, **options)

    def close(self) -> None:
        """Give back what was taken and not acknowledged, and end."""
        self._is_closing.set()
        super().close()

    def _brpop_start(self, timeout: float | None = None) -> None:  # noqa: ARG002 - kombu's signature
        """Ask for a message; where there was none, wait until there is one."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        connection = self.client.connection
        self._in_poll = connection
        self._brpop_sent_at = monotonic()
        if self._is_waiting:
            # Moves the oldest message onto its own place: waits for it, and takes nothing.
            longest = _WAIT_S if len(queues) == 1 else _SHORT_WAIT_S
            wait_s = max(0.001, min(longest, self._wait_until - time.time()))
            connection.send_command("BLMOVE", queues[0], queues[0], "RIGHT", "RIGHT", f"{wait_s:.3f}")
        else:
            keys = self._keys(queues)
            connection.send_command("EVAL", _TAKE, len(keys), *keys, repr(time.time()))

    def _brpop_read(self, **options: Any) -> bool:
        """Read what came: a message, that there is none, or that waiting is over."""
        try:
            try:
                answer = self.client.parse_response(self.client.connection, "EVAL", **options)
            except self.connection_errors:
                self.client.connection.disconnect()
                raise
            if self._is_waiting:
                self._is_waiting = False
                raise Empty
            key, content = answer
            if key is None:
                self._is_waiting = True
                self._wait_until = float(content) if content else time.time() + _WAIT_S
                raise Empty
            queue = bytes_to_str(key)
            self._queue_cycle.rotate(queue)
            self.connection._deliver(loads(bytes_to_str(content)), queue)  # noqa: SLF001 - kombu's way
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()

    def _get(self, queue: str) -> dict[str, Any]:
        keys = self._keys([queue])
        with self.conn_or_acquire() as client:
            key, content = client.eval(_TAKE, len(keys), *keys, repr(time.time()))
        if key is None:
            raise Empty
        message: dict[str, Any] = loads(bytes_to_str(content))
        return message

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        due_s = find_due(message.get("headers", {}))
        if due_s <= time.time():
            super()._put(queue, message, **options)
            return
        with self.conn_or_acquire() as client:
            client.zadd(f"{queue}{_DELAYED}", {dumps(message): due_s})

    def _purge(self, queue: str) -> int:
        with self.conn_or_acquire() as client:
            client.delete(f"{queue}{_DELAYED}")
        return int(super()._purge(queue))

    def _show_life(self) -> None:
        """Note now and then that this connection is alive, and give back the messages of those that are not.

        In a thread: the event loop stands still while a worker that was told to stop finishes its tasks.
        """
        while not self._is_closing.is_set():
            try:
                with self.conn_or_acquire() as client:
                    now = _read_clock(client)
                    client.zadd(self.workers_key, {self.owner: now})
                    self.qos.settle_late(client)
                    for name in client.zrangebyscore(self.workers_key, "-inf", now - GONE_S):
                        self._take_over(client, bytes_to_str(name))
            except self.connection_errors as error:
                log.debug("No sign of life: %s", error)
            except Exception:
                if self._is_closing.is_set():
                    return
                # Silence would have others run this worker's tasks again.
                log.warning("No sign of life could be given", exc_info=True)
            self._is_closing.wait(SIGN_OF_LIFE_S)

    def _take_over(self, client: Any, owner: str) -> None:
        taken_key = self._taken_by(owner)
        tags = client.smembers(taken_key)
        if tags:
            log.warning("A worker is gone (%s); its tasks go back to their queues: %d", owner, len(tags))
        for tag in tags:
            self.qos.restore_by_tag(bytes_to_str(tag), client)  # a transaction: whoever comes second restores nothing
            client.srem(taken_key, tag)
        if not client.scard(taken_key):
            client.zrem(self.workers_key, owner)


def _read_clock(client: Any) -> float:
    """Return the server's time, which all workers share, seconds since 1970."""
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6)


class Transport(kombu_redis.Transport):
    """kombu's, with the channel above.

    A server that answers and does not do what it is told, for want of memory, disk or replicas, or because it is only a
    copy now, is one that is away: workers connect again until it does, instead of ending.
    """

    Channel = Channel
    connection_errors = (*kombu_redis.Transport.connection_errors, ResponseError)
