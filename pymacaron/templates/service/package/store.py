"""Keeps items in one SQLite file, so that all worker processes of the service see the same ones."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from apis.{{ package }}_models import Item, NewItem

DATA_FOLDER = Path(os.environ.get("PYM_DATA_DIR") or Path(__file__).parent.parent / "data")
LOCK_TIMEOUT_S = 10.0
_TABLE = """
CREATE TABLE IF NOT EXISTS items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at TEXT NOT NULL,
    fields TEXT NOT NULL
)
"""


class ItemStore:
    """Items by number; safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Keep the items in a file in *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "{{ package }}.db"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def add(self, new: NewItem) -> Item:
        """Keep *new* and return the item that it became."""
        created_at = datetime.now(UTC).isoformat()
        with self._transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO items (created_at, fields) VALUES (?, ?)", (created_at, new.model_dump_json())
            )
        return _to_item((cursor.lastrowid, created_at, new.model_dump_json()))

    def get(self, item_id: int) -> Item | None:
        """Return the item, or None if there is none of that number."""
        with self._transaction() as connection:
            row = connection.execute("SELECT id, created_at, fields FROM items WHERE id = ?", (item_id,)).fetchone()
        return _to_item(row) if row else None

    def page(self, limit: int, offset: int) -> list[Item]:
        """Return up to *limit* items, oldest first, without the first *offset* ones."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT id, created_at, fields FROM items ORDER BY id LIMIT ? OFFSET ?", (limit, offset)
            ).fetchall()
        return [_to_item(row) for row in rows]

    def count(self) -> int:
        """Return the number of all items."""
        with self._transaction() as connection:
            (total,) = connection.execute("SELECT count(*) FROM items").fetchone()
        return int(total)

    def replace(self, item_id: int, new: NewItem) -> bool:
        """Put *new* in the place of an item's fields; False if there is no such item."""
        with self._transaction() as connection:
            cursor = connection.execute(
                "UPDATE items SET fields = ? WHERE id = ?", (new.model_dump_json(), item_id)
            )
        return cursor.rowcount > 0

    def delete(self, item_id: int) -> bool:
        """Delete an item; False if there is none of that number."""
        with self._transaction() as connection:
            cursor = connection.execute("DELETE FROM items WHERE id = ?", (item_id,))
        return cursor.rowcount > 0

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread at a time; commit, or roll back if the block raises."""
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
            with self._connection:
                yield self._connection

    def _connect(self) -> sqlite3.Connection:
        """Connect on first use, so that each worker process has a connection of its own."""
        connection = sqlite3.connect(self._file, timeout=LOCK_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for a writer
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_TABLE)
        return connection


def _to_item(row: tuple[int | None, str, str]) -> Item:
    item_id, created_at, fields = row
    return Item.model_validate({"id": item_id, "created_at": created_at, **json.loads(fields)})
