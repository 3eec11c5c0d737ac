"""Keeps items in one SQLite file, so that all worker processes see the same ones."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apis.{{ package }}_models import Item, NewItem

DATA_FOLDER = Path(os.environ.get("PYM_DATA_DIR") or Path(__file__).parents[1] / "data")
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
        rows = self._execute(
            "INSERT INTO items (created_at, fields) VALUES (?, ?) RETURNING *",
            datetime.now(UTC).isoformat(),
            new.model_dump_json(),
        )
        return _to_item(rows[0])

    def get(self, item_id: int) -> Item | None:
        """Return an item, None if there is none of that number."""
        rows = self._execute("SELECT * FROM items WHERE id = ?", item_id)
        return _to_item(rows[0]) if rows else None

    def page(self, limit: int, offset: int) -> list[Item]:
        """Return up to *limit* items, oldest first, without the first *offset* ones."""
        rows = self._execute(
            "SELECT * FROM items ORDER BY id LIMIT ? OFFSET ?", limit, offset
        )
        return [_to_item(row) for row in rows]

    def count(self) -> int:
        """Return the number of all items."""
        return int(self._execute("SELECT count(*) FROM items")[0][0])

    def replace(self, item_id: int, new: NewItem) -> Item | None:
        """Change all fields of an item and return it, None if there is no such item."""
        rows = self._execute(
            "UPDATE items SET fields = ? WHERE id = ? RETURNING *",
            new.model_dump_json(),
            item_id,
        )
        return _to_item(rows[0]) if rows else None

    def delete(self, item_id: int) -> bool:
        """Delete an item; False if there is none of that number."""
        return bool(
            self._execute("DELETE FROM items WHERE id = ? RETURNING id", item_id)
        )

    def _execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement as one transaction and return its rows."""
        with self._lock:
            # On first use, so that each worker process has a connection of its own.
            self._connection = self._connection or self._connect()
            with self._connection:
                return self._connection.execute(statement, values).fetchall()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=LOCK_TIMEOUT_S, check_same_thread=False
        )
        # Readers do not wait for a writer, writers do not wait for the disk.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_TABLE)
        return connection


def _to_item(row: tuple[Any, ...]) -> Item:
    item_id, created_at, fields = row
    known = {"id": item_id, "created_at": created_at}
    return Item.model_validate({**json.loads(fields), **known})
