"""Calls of tasks that wait in the service's own database until the broker has them.

A call inside of a transaction is stored with it: it is sent after the transaction, and never if that is undone. A call
elsewhere goes straight to the broker, and is stored where the broker does not take it.
Source: https://microservices.io/patterns/data/transactional-outbox.html
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Double, Index, MetaData, Table, Text, delete, func, insert, select, update

from pymacaron.exceptions import ConfigError, Finding, PyMacaronException, TaskBrokerError
from pymacaron.persistence.sql import SqlStore
from pymacaron.persistence.sql_tables import METADATA
from pymacaron.persistence.store import configured_store
from pymacaron.tasks.queued import Parcel

if TYPE_CHECKING:
    from pymacaron.service import Service

log = logging.getLogger(__name__)

Send = Callable[[Parcel], object]

_HOLD_S = 10.0  # that a process has for what it stored; then it counts as dead
_BATCH_S = 60.0  # that it has for what it took
_PAUSE_S = 2.0  # before what the broker did not take is tried again
_MOST = 50

OUTBOX = Table(
    "pymacaron_outbox",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("due_s", Double),
    Column("expires_s", Double),
    Column("stored_s", Double, nullable=False),
    Column("held_until_s", Double, nullable=False),
    Index("ix_pymacaron_outbox_held_until_s", "held_until_s"),
)
"""One row for each call. Times are seconds since 1970. held_until_s: until when a process has it to itself."""


class Outbox:
    """Keeps calls in one database."""

    def __init__(self, store: SqlStore) -> None:
        """Take the database; nothing is asked yet."""
        self._store = store
        self._is_there = store.kind != "sqlite"  # elsewhere `pymacaron db upgrade` creates the table

    def put(self, parcel: Parcel, send: Send, told: Callable[[], object]) -> None:
        """Send *parcel*, after the transaction if one runs, or store it; *told* is called once that is certain.

        Raises: TaskBrokerError: neither the broker nor the database takes it. StoreUnavailableError: the database of
        the running transaction does not take it.
        """
        if self._store.is_in_transaction:
            started_s = time.monotonic()
            self._add(parcel, _HOLD_S)
            self._store.after_commit(lambda: self._send_stored(parcel, started_s, send, told))
            return
        try:
            send(parcel)
        except TaskBrokerError as error:
            log.warning("A call of %s waits in the outbox: %s", parcel.name, error)
            try:
                self._add(parcel, 0.0)
            except PyMacaronException as other:
                log.warning("The outbox does not take it: %s", other)
                raise error from None
        told()

    def send_waiting(self, send: Send) -> None:
        """Send what waits, all but what other processes hold. Raises: TaskBrokerError: some of it has to wait longer.

        A process that dies while it does so may leave calls that were sent; they are sent again later.
        """
        failure: TaskBrokerError | None = None
        while failure is None and (parcels := self._take()):
            sent: list[str] = []
            try:
                for parcel in parcels:
                    try:
                        send(parcel)
                        sent.append(parcel.id)
                    except TaskBrokerError as error:
                        failure = error
            finally:
                self._remove(sent)
                self._hold({parcel.id for parcel in parcels}.difference(sent), _PAUSE_S)
        if failure is not None:
            raise failure

    def measure(self) -> tuple[int, float]:
        """Return how many calls wait, and since how many seconds the first of them. Raises StoreUnavailableError."""
        self._create()
        (found,) = self._store.fetch(select(func.count().label("depth"), func.min(OUTBOX.c.stored_s).label("first_s")))
        return found["depth"], max(0.0, time.time() - found["first_s"]) if found["depth"] else 0.0

    def find(self, task_id: str) -> Parcel | None:
        """Return the call with that id, None if it does not wait here. Raises StoreUnavailableError."""
        self._create()
        rows = self._store.fetch(select(OUTBOX).where(OUTBOX.c.id == task_id))
        return _to_parcel(rows[0]) if rows else None

    def _send_stored(self, parcel: Parcel, started_s: float, send: Send, told: Callable[[], object]) -> None:
        """Send what a transaction has stored. It raises nothing: whatever fails, the call is kept."""
        told()
        if time.monotonic() > started_s + _HOLD_S / 2:
            return  # somebody else may be about to send it
        try:
            try:
                send(parcel)
            except TaskBrokerError as error:
                log.warning("A call of %s waits in the outbox: %s", parcel.name, error)
                self._hold([parcel.id], 0.0)
            else:
                self._remove([parcel.id])
        except Exception:
            log.exception("A call of %s stays in the outbox for now", parcel.name)

    def _add(self, parcel: Parcel, hold_s: float) -> None:
        now = time.time()
        row = {
            "id": parcel.id,
            "name": parcel.name,
            "queue": parcel.queue,
            "message": json.dumps(parcel.message),
            "due_s": parcel.due_s,
            "expires_s": parcel.expires_s,
            "stored_s": now,
            "held_until_s": now + hold_s if hold_s else 0.0,
        }
        self._create()
        self._store.run(lambda connection: connection.execute(insert(OUTBOX), row))

    def _take(self) -> list[Parcel]:
        """Return some of what nobody holds, the oldest first; this process holds it now."""
        self._create()
        now = time.time()
        is_free = OUTBOX.c.held_until_s <= now
        if not self._store.fetch(select(OUTBOX.c.id).where(is_free).limit(1)):
            return []  # without the turn to write
        free = select(OUTBOX.c.id).where(is_free).order_by(OUTBOX.c.stored_s).limit(_MOST)
        chosen = OUTBOX.c.id.in_(free.with_for_update(skip_locked=True))
        taking = update(OUTBOX).where(chosen).values(held_until_s=now + _BATCH_S).returning(OUTBOX)
        with self._store.connection() as connection:
            rows = connection.execute(taking).mappings().all()
        return [_to_parcel(row) for row in sorted(rows, key=lambda row: row["stored_s"])]

    def _remove(self, ids: Collection[str]) -> None:
        if ids:
            with self._store.connection() as connection:
                connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids)))

    def _hold(self, ids: Collection[str], seconds: float) -> None:
        if ids:
            holding = update(OUTBOX).where(OUTBOX.c.id.in_(ids)).values(held_until_s=time.time() + seconds)
            with self._store.connection() as connection:
                connection.execute(holding)

    def _create(self) -> None:
        """Create the table in SQLite, where it is missing; in the running transaction, which may be undone."""
        if self._is_there:
            return
        if self._store.is_in_transaction:
            self._store.run(lambda connection: OUTBOX.create(connection, checkfirst=True))
        else:
            self._store.create_tables([OUTBOX])
            self._is_there = True


def open_outbox(service: Service) -> Outbox:
    """Return the outbox of *service*. Raises: ConfigError: its database has no SQL."""
    with service.app.app_context():
        store = configured_store()
    if not isinstance(store, SqlStore):
        found = f"{store.kind} has no SQL"
        raise ConfigError(Finding("outbox", found, "Name a SQLite or PostgreSQL database as database_url"))
    if OUTBOX.name not in METADATA.tables:
        OUTBOX.to_metadata(METADATA)  # `pymacaron db` knows it from now on
    return Outbox(store)


def _to_parcel(row: Any) -> Parcel:
    return Parcel(row["id"], row["name"], row["queue"], json.loads(row["message"]), row["due_s"], row["expires_s"])
