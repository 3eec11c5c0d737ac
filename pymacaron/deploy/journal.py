"""The journal of a deploy: every step before and after it was done, in the service's folder and beside the deploy."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pymacaron.deploy.shelf_entry import ShelfEntry
from pymacaron.deploy.target import Release, Shelf, ShelfConflict
from pymacaron.exceptions import Finding, TargetError
from pymacaron.json_types import JsonObject

State = Literal["begin", "done", "failed"]
Outcome = Literal["unfinished", "live", "failed", "rolled back"]

PREFIX = "deploys/"
LOCAL_FOLDER = ".pym"
PLAN, END = "plan", "end"
MOST_JOURNALS = 100
"""Deploys that are remembered; a way back leads to a release of one of them."""

_FORGOTTEN_AT_ONCE = 20


class JournalError(TargetError):
    """A journal cannot be written, or what is written there is none."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line. time: UTC, ISO 8601. by: who, on which machine. facts: what later steps must know."""

    time: str
    step: str
    state: State
    by: str
    facts: JsonObject = field(default_factory=dict)

    def to_line(self) -> str:
        """Return the record as a line of JSON."""
        told = {"time": self.time, "step": self.step, "state": self.state, "by": self.by, "facts": self.facts}
        return json.dumps(told)


class Journal:
    """The records of one deploy, in order; what is on the shelf counts, the file in the folder is a copy to read."""

    def __init__(self, shelf: Shelf, key: str, folder: Path | None = None) -> None:
        """Read what is on the *shelf*, nothing if the deploy is new. folder: the service's, for the copy.

        Raises: JournalError: what is there is no journal.
        """
        self.key = key
        self._entry = ShelfEntry(shelf, key)
        self._file = folder / LOCAL_FOLDER / f"{key}.jsonl" if folder else None
        data = self._entry.read() or b""
        try:
            self.records = [Record(**json.loads(line)) for line in data.decode().split("\n") if line]
        except (ValueError, TypeError) as error:
            found = f"what is written there is no journal of a deploy ({error})"
            raise JournalError(Finding(key, found, "Mend it, or remove it where lock and journals lie")) from error

    @property
    def facts(self) -> JsonObject:
        """Return what all records tell together."""
        told: JsonObject = {}
        for record in self.records:
            told.update(record.facts)
        return told

    @property
    def release(self) -> Release | None:
        """Return what is deployed, None before there is an image."""
        told = self.facts.get("release")
        return Release.from_json(told) if isinstance(told, dict) else None

    @property
    def version(self) -> str | None:
        """Return which version is deployed, None before there is an image."""
        built = self.facts.get("built")
        built_version = str(built["version"]) if isinstance(built, dict) else None
        return self.release.version if self.release else built_version

    @property
    def outcome(self) -> Outcome:
        """Return how it ended."""
        ends = [record.facts.get("outcome") for record in self.records if record.step == END]
        told = ends[-1] if ends else None
        return told if told in {"live", "failed", "rolled back"} else "unfinished"

    def is_begun(self, step: str) -> bool:
        """Tell whether the step was begun."""
        return any(record.step == step for record in self.records)

    def is_done(self, step: str) -> bool:
        """Tell whether the step was done, and not begun again since."""
        states = [record.state for record in self.records if record.step == step]
        return states[-1:] == ["done"]

    def write(self, step: str, state: State, facts: JsonObject | None = None) -> Record:
        """Add a record, on disk when this returns; one that could not be written is written with the next.

        Raises: ShelfConflict: somebody else goes on with this deploy. JournalError: it cannot be written.
        """
        record = Record(datetime.now(UTC).isoformat(timespec="milliseconds"), step, state, name_owner(), facts or {})
        self.records.append(record)
        data = "".join(f"{one.to_line()}\n" for one in self.records).encode()
        try:
            self._entry.write(data)
        except ShelfConflict:
            raise
        except Exception as error:  # whatever a provider's client or this machine's disk says
            found = f"it cannot be written ({' '.join(str(error).split())})"
            raise JournalError(Finding("the journal", found, "See that lock and journals can be written")) from error
        if self._file:
            with contextlib.suppress(OSError):  # a copy to read, which nothing depends on
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.write_bytes(data)
        return record


def new_key() -> str:
    """Return a key for a new deploy: by the time, so that later ones sort behind."""
    return f"{PREFIX}{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


def read_journals(shelf: Shelf, folder: Path | None = None) -> Iterator[Journal]:
    """Yield the journals of all deploys, the latest first."""
    for key in reversed(shelf.keys(PREFIX)):
        yield Journal(shelf, key, folder)


def forget_oldest(shelf: Shelf) -> None:
    """Remove some of the oldest journals where there are more than `MOST_JOURNALS`: listing reads each."""
    for key in shelf.keys(PREFIX)[:-MOST_JOURNALS][:_FORGOTTEN_AT_ONCE]:
        found = shelf.get(key)
        if found is not None:
            shelf.delete(key, found[1])


def name_owner() -> str:
    """Return ``user@machine``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
