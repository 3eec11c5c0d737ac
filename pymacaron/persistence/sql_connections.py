"""Which connection a call works on: the one that its request or task keeps, else one of the pool for the call."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from flask import current_app, g, has_app_context
from sqlalchemy import Connection, Engine, exc
from sqlalchemy.pool import QueuePool

from pymacaron.persistence.sql_engine import IDLE_SINCE, LONGEST_REST_S, SINGLE

_KEPT = "_pymacaron_connections"


class _Lease:
    """What one request or task keeps; its threads take turns. connection: None if it keeps none now."""

    __slots__ = ("connection", "is_over", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: Connection | None = None
        self.is_over = False


class Connections:
    """Lends the connections of an engine.

    The first call of a request or task takes one from the pool, its further calls and transactions work on the same,
    and it goes back at the end: earlier if others need it. Without a request or task it goes back after each call.
    """

    def __init__(self, engine: Engine) -> None:
        """Take the engine, whose pool is a `QueuePool` without overflow."""
        self._engine = engine
        self._kept: set[_Lease] = set()

    @contextmanager
    def borrow(self, *, is_single: bool) -> Iterator[Connection]:
        """Lend a connection for the block. is_single: each statement is a transaction of its own."""
        lease = self._find_lease()
        if lease is None or not lease.lock.acquire(blocking=False):
            lease = _Lease()
            lease.lock.acquire()
            lease.is_over = True
        is_done = False
        try:
            connection = self._take(lease)
            _set_single(connection, is_single=is_single)
            yield connection
            is_done = True
        finally:
            try:
                if not is_done or lease.is_over or self._is_exhausted():
                    _give_back(lease)
                else:
                    _end_call(connection)
                    self._kept.add(lease)
            finally:
                lease.lock.release()

    def forget(self) -> None:
        """Leave what is kept to the process that this one was forked from."""
        kept, self._kept = self._kept, set()
        for lease in kept:
            lease.connection = None

    def end(self, lease: _Lease) -> None:
        """Return what *lease* keeps: at the end of its call if another thread is in the middle of one."""
        lease.is_over = True
        self._reclaim(lease)

    def _find_lease(self) -> _Lease | None:
        if not has_app_context():
            return None
        kept: dict[Connections, _Lease] = g.setdefault(_KEPT, {})
        lease = kept.get(self)
        if lease is None:
            lease = kept[self] = _Lease()
            functions = current_app.teardown_appcontext_funcs
            if return_connections not in functions:
                functions.append(return_connections)
        return lease

    def _take(self, lease: _Lease) -> Connection:
        self._kept.discard(lease)
        if lease.connection is not None and _has_rested(lease.connection):
            _give_back(lease)  # the pool looks whether it is alive
        if lease.connection is None:
            if self._is_exhausted():
                any(self._reclaim(each) for each in list(self._kept))
            lease.connection = self._engine.connect()
        return lease.connection

    def _reclaim(self, lease: _Lease) -> bool:
        """Return what *lease* keeps, unless a call is using it."""
        if not lease.lock.acquire(blocking=False):
            return False
        try:
            self._kept.discard(lease)
            return _give_back(lease)
        finally:
            lease.lock.release()

    def _is_exhausted(self) -> bool:
        pool = cast("QueuePool", self._engine.pool)
        return pool.checkedout() >= pool.size()


def return_connections(_: BaseException | None) -> None:
    """Give back the connections that the app context which ends keeps."""
    kept: dict[Connections, _Lease] = g.pop(_KEPT, None) or {}
    for connections, lease in kept.items():
        connections.end(lease)


def _give_back(lease: _Lease) -> bool:
    """Return the lease's connection to the pool as it was, and tell whether there was one."""
    connection, lease.connection = lease.connection, None
    if connection is None:
        return False
    try:
        if not connection.invalidated:
            connection.rollback()
            _set_single(connection, is_single=False)
    except Exception as error:  # noqa: BLE001 - whatever it is, nobody should have this connection
        with suppress(Exception):
            connection.invalidate(error)
    connection.close()
    return True


def _set_single(connection: Connection, *, is_single: bool) -> None:
    """Let each statement be a transaction of its own, or not. Raises: DisconnectionError: the connection is broken."""
    info = connection.info
    if info.get(SINGLE, False) is not is_single:
        info[SINGLE] = is_single
        if connection.dialect.name == "postgresql":
            driver: Any = connection.connection.dbapi_connection
            try:
                driver.autocommit = is_single
            except connection.dialect.loaded_dbapi.Error as error:
                raise exc.DisconnectionError(str(error)) from error


def _end_call(connection: Connection) -> None:
    connection.rollback()  # what SQLAlchemy begins by itself at each statement; those of a call are stored already
    connection.info[IDLE_SINCE] = time.monotonic()


def _has_rested(connection: Connection) -> bool:
    since_s: float = connection.info.get(IDLE_SINCE, 0)
    return time.monotonic() - since_s > LONGEST_REST_S
