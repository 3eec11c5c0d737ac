"""Small facts about tasks that outlive a process: states, keys of which only one run may succeed, when what was due."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pymacaron.exceptions import ConfigError, Finding, TaskBrokerError
from pymacaron.tasks.settings import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, TaskSettings, is_embedded
from pymacaron.tasks.sqlite_file import open_file

if TYPE_CHECKING:
    import redis

# Sets or deletes a key if it still has the value that the caller believes it has.
_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
"""


class KeyStore(Protocol):
    """Texts by name, each until a time; every operation is atomic among processes."""

    def claim(self, name: str, value: str, for_s: float) -> bool:
        """Set what is not there; return whether it was not."""
        ...

    def replace(self, name: str, old: str, new: str, for_s: float) -> bool:
        """Set *new*, or delete for ``""``, if the value is *old*; return whether it was."""
        ...

    def put(self, name: str, value: str, for_s: float) -> None:
        """Set, whatever is there."""
        ...

    def get(self, name: str) -> str | None:
        """Return the value, None if there is none or its time is over."""
        ...


class RedisKeys:
    """Keys in Redis, for one service of those that share it. Raises: TaskBrokerError: it does not answer."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        """Take the *client*, and what the names of all keys begin with."""
        self._client: Any = client
        self._prefix = prefix

    def claim(self, name: str, value: str, for_s: float) -> bool:
        """See KeyStore."""
        return bool(self._ask("set", self._prefix + name, value, nx=True, px=int(for_s * 1000)))

    def replace(self, name: str, old: str, new: str, for_s: float) -> bool:
        """See KeyStore."""
        return bool(self._ask("eval", _REPLACE, 1, self._prefix + name, old, new, int(for_s * 1000)))

    def put(self, name: str, value: str, for_s: float) -> None:
        """See KeyStore."""
        self._ask("set", self._prefix + name, value, px=int(for_s * 1000))

    def get(self, name: str) -> str | None:
        """See KeyStore."""
        value = self._ask("get", self._prefix + name)
        return None if value is None else str(value)

    def _ask(self, command: str, *args: Any, **options: Any) -> Any:
        from redis.exceptions import RedisError  # noqa: PLC0415 - an optional dependency

        try:
            return getattr(self._client, command)(*args, **options)
        except RedisError as error:
            raise TaskBrokerError("The states of tasks cannot be reached: Redis does not answer") from error


class SqliteKeys:
    """Keys in the embedded broker's file. Raises: TaskBrokerError: it is locked, full or not to be written."""

    def __init__(self, url: str) -> None:
        """Take the broker's *url*."""
        self._file = open_file(url)

    def claim(self, name: str, value: str, for_s: float) -> bool:
        """See KeyStore."""
        now = time.time()
        statement = (
            "INSERT INTO keys VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
            "SET value = excluded.value, until_s = excluded.until_s WHERE until_s <= ? RETURNING name"
        )
        return bool(self._ask(statement, name, value, now + for_s, now))

    def replace(self, name: str, old: str, new: str, for_s: float) -> bool:
        """See KeyStore."""
        now = time.time()
        if new:
            update = (
                "UPDATE keys SET value = ?, until_s = ? WHERE name = ? AND value = ? AND until_s > ? RETURNING name"
            )
            return bool(self._ask(update, new, now + for_s, name, old, now))
        delete = "DELETE FROM keys WHERE name = ? AND value = ? AND until_s > ? RETURNING name"
        return bool(self._ask(delete, name, old, now))

    def put(self, name: str, value: str, for_s: float) -> None:
        """See KeyStore."""
        self._ask("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", name, value, time.time() + for_s)

    def get(self, name: str) -> str | None:
        """See KeyStore."""
        found = self._ask("SELECT value FROM keys WHERE name = ? AND until_s > ?", name, time.time())
        return found[0][0] if found else None

    def forget_old(self) -> None:
        """Delete what is over."""
        self._ask("DELETE FROM keys WHERE until_s <= ?", time.time())

    def _ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._file.run(statement, values)
        except sqlite3.Error as error:
            raise TaskBrokerError(f"The states of tasks cannot be reached: {error}") from error


def open_keys(settings: TaskSettings) -> KeyStore:
    """Return where *settings* keep keys. Raises: ConfigError: neither the broker nor result_backend can."""
    url = settings.results
    if url is None or urlsplit(url).scheme not in {"redis", "rediss", "pymacaron-sqlite"}:
        found = f"{settings.shown_broker} keeps no states of tasks and no idempotency keys"
        raise ConfigError(Finding("result_backend", found, "Set result_backend to the address of a Redis server"))
    if is_embedded(url):
        return SqliteKeys(url)
    return RedisKeys(open_redis(url, decode_responses=True), settings.redis_prefix)


def open_redis(url: str, **options: Any) -> redis.Redis:
    """Return a client that gives up within a second; nothing is connected yet."""
    import redis  # noqa: PLC0415 - an optional dependency
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    retry = Retry(NoBackoff(), 1)  # for a connection that was closed meanwhile
    return redis.Redis.from_url(
        url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=ANSWER_TIMEOUT_S, retry=retry, **options
    )
