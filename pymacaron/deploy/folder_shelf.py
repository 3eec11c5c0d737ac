"""A shelf in a folder of this machine, for targets that live here."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from fcntl import LOCK_EX, flock
from pathlib import Path
from urllib.parse import quote, unquote

from pymacaron.deploy.atomic_file import write_atomically
from pymacaron.deploy.target import ShelfConflict
from pymacaron.exceptions import Finding

_TAG_LENGTH = 32


class FolderShelf:
    """Keeps each key as a file; a tag is made of the data."""

    def __init__(self, folder: Path) -> None:
        """Take the *folder*, which is made when something is written."""
        self._folder = folder

    def get(self, key: str) -> tuple[bytes, str] | None:
        """Return the data and its tag, None if there is no such key."""
        try:
            data = self._locate(key).read_bytes()
        except FileNotFoundError:
            return None
        return data, _tag(data)

    def put(self, key: str, data: bytes, tag: str | None) -> str:
        """Write and return the new tag. tag: what must be there still; None: nothing may be. Raises ShelfConflict."""
        with self._alone():
            self._compare(key, tag)
            write_atomically(self._locate(key), data)
        return _tag(data)

    def delete(self, key: str, tag: str) -> None:
        """Remove the key if *tag* is there still, and do nothing if it is gone. Raises ShelfConflict."""
        with self._alone():
            if self.get(key) is not None:
                self._compare(key, tag)
                self._locate(key).unlink()

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with *prefix*, sorted."""
        if not self._folder.is_dir():
            return []
        names = (unquote(file.name) for file in self._folder.iterdir() if not file.name.startswith("."))
        return sorted(name for name in names if name.startswith(prefix))

    def _locate(self, key: str) -> Path:
        return self._folder / quote(key, safe="")

    def _compare(self, key: str, tag: str | None) -> None:
        found = self.get(key)
        if (found[1] if found else None) != tag:
            what = "it was changed by somebody else" if found else "it was removed by somebody else"
            what = "it exists already" if tag is None else what
            raise ShelfConflict(Finding(str(self._locate(key)), what, "Look at it again"))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".writing").open("a", encoding="utf-8") as file:
            flock(file, LOCK_EX)
            yield


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:_TAG_LENGTH]
