"""One key of a shelf that one process writes: it knows its own writes again, also those whose answers were lost."""

from __future__ import annotations

from pymacaron.deploy.target import Shelf, ShelfConflict


class ShelfEntry:
    """The key, and the tag of what this process read or wrote last; its data must differ with every write."""

    def __init__(self, shelf: Shelf, key: str) -> None:
        """Take where it lies. Nothing is read yet: a `write` then means that there is no such key."""
        self._shelf = shelf
        self._key = key
        self._tag: str | None = None
        self._unanswered: list[bytes] = []

    def read(self) -> bytes | None:
        """Return what is there, None if there is no such key; the next `write` replaces just that."""
        found = self._shelf.get(self._key)
        self._tag = found[1] if found else None
        return found[0] if found else None

    def write(self, data: bytes) -> None:
        """Replace what this process read or wrote last. Raises: ShelfConflict: another one wrote meanwhile.

        What an earlier write sent, whose answer was lost on the way or which was interrupted, is no other one's; nor is
        the first of two writes that a provider's client makes of one.
        """
        self._unanswered.append(data)
        try:
            tag = self._shelf.put(self._key, data, self._tag)
        except ShelfConflict:
            found = self._find_own()
            if found is None:
                raise
            tag = found[1] if found[0] == data else self._shelf.put(self._key, data, found[1])
        self._tag = tag
        self._unanswered.clear()

    def delete(self) -> None:
        """Remove the key if what this process wrote is there still. Raises: ShelfConflict: another one wrote it."""
        if self._tag is None:
            return
        try:
            self._shelf.delete(self._key, self._tag)
        except ShelfConflict:
            found = self._find_own()
            if found is None:
                raise
            self._shelf.delete(self._key, found[1])
        self._tag = None

    def is_unchanged(self) -> bool:
        """Tell whether there is still what this process wrote, as far as the shelf can be read."""
        try:
            found = self._shelf.get(self._key)
        except Exception:  # noqa: BLE001 - whatever a provider's client raises: then it is not known
            return False
        return found is not None and (found[1] == self._tag or found[0] in self._unanswered)

    def _find_own(self) -> tuple[bytes, str] | None:
        """Return what is there, with its tag, if one of the writes that had no answer put it there."""
        found = self._shelf.get(self._key)
        return found if found and found[0] in self._unanswered else None
