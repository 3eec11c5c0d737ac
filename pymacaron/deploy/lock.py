"""The lock of a service's deploys: one at a time, held by name, for as long as its holder renews it."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pymacaron.deploy.journal import name_owner
from pymacaron.deploy.shelf_entry import ShelfEntry
from pymacaron.deploy.target import Shelf, ShelfConflict
from pymacaron.exceptions import Finding, TargetError
from pymacaron.json_types import JsonObject

KEY = "lock"


class LockedError(TargetError):
    """Somebody else deploys this service, or took the lock because it was not renewed."""


class Lock:
    """Held from `take` to `release`, and renewed in the background at a third of its time."""

    def __init__(self, shelf: Shelf, time_s: float, tell: Callable[[str], None]) -> None:
        """Take the *shelf*, the seconds after which a lock that is not renewed may be taken, and where to *tell*."""
        self._entry = ShelfEntry(shelf, KEY)
        self._time_s = time_s
        self._tell = tell
        self._since = ""
        self._ended = threading.Event()
        self._lost: str | None = None
        self._is_taken = False
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Take the lock. Raises: LockedError: it is held, with by whom and until when, or cannot be read."""
        found = self._entry.read()
        self._since = _now().isoformat(timespec="seconds")
        if found:
            held = _read(found)
            why_free = _find_why_free(held)
            if why_free is None:
                ends = held["expires"].isoformat(timespec="milliseconds")
                what = f"{held['owner']} deploys since {held['since']}; the lock ends at {ends} if unused"
                raise LockedError(Finding("the lock", what, "Wait for the end of that deploy"))
            self._tell(f"Took the lock of {held['owner']} since {held['since']}: {why_free}")
        try:
            self._entry.write(self._write())
        except ShelfConflict as error:
            fix = "Wait for the end of that deploy"
            raise LockedError(Finding("the lock", "somebody else took it this moment", fix)) from error
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Do nothing while the lock is held. Raises: LockedError: it was lost.

        One that ran out because nothing could be written, and that nobody took, is held still: a candidate must not
        keep its traffic because a disk is full.
        """
        if self._lost and (self._is_taken or not self._entry.is_unchanged()):
            raise LockedError(Finding("the lock", self._lost, "Look at 'pymacaron releases' before anything else"))

    def release(self) -> None:
        """Give the lock back; nothing happens if it was lost, and what keeps it from that is told."""
        self._ended.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        if self._is_taken:
            return
        try:
            self._entry.delete()
        except Exception as error:  # noqa: BLE001 - what was done is done: the lock ends by itself
            self._tell(f"The lock is not given back, and ends in {self._time_s:g} s: {' '.join(str(error).split())}")

    def _renew(self) -> None:
        renewed = _now()
        while not self._ended.wait(self._time_s / 3):
            try:
                self._entry.write(self._write())
            except ShelfConflict:
                self._lost = "somebody else took it, because it was not renewed in time"
                self._is_taken = True
                return
            except Exception as error:  # noqa: BLE001 - whatever a provider's client raises: try again
                if (_now() - renewed).total_seconds() > self._time_s:
                    self._lost = f"it could not be renewed ({type(error).__name__})"
            else:
                renewed = _now()
                self._lost = None

    def _write(self) -> bytes:
        told: JsonObject = {
            "owner": name_owner(),
            "host": socket.gethostname(),
            "namespace": _find_namespace(),
            "pid": os.getpid(),
            "started": _find_start(os.getpid()),
            "since": self._since,
            "expires": (_now() + timedelta(seconds=self._time_s)).isoformat(timespec="milliseconds"),
        }
        return json.dumps(told).encode()


def _read(data: bytes) -> JsonObject:
    try:
        held: JsonObject = json.loads(data)
        told = {name: str(held[name]) for name in ("owner", "since", "started")}
        ends = datetime.fromisoformat(str(held["expires"]))
        return {**told, "namespace": held.get("namespace"), "pid": int(held["pid"]), "expires": ends}
    except (ValueError, TypeError, KeyError) as error:
        fix = "Remove it where lock and journals lie, if nobody deploys"
        raise LockedError(Finding("the lock", "what is written there is no lock", fix)) from error


def _find_why_free(held: JsonObject) -> str | None:
    """Return why a lock that exists may be taken, None if it may not."""
    if held["expires"] <= _now():
        return "it was not renewed"
    # Numbers of processes mean something only in their own namespace, and only until the machine starts anew.
    boot, _, started = held["started"].partition(" ")
    is_from_here = bool(started) and boot == _find_boot() and held.get("namespace") == _find_namespace() != ""
    if is_from_here and _find_start(held["pid"]) != held["started"]:
        return "its process on this machine is gone"
    return None


def _find_boot() -> str:
    """Return what this run of this machine is called; "" on other systems than Linux."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _find_namespace() -> str:
    """Return the namespace that this process's number belongs to, pid_namespaces(7); "" on other systems."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _find_start(pid: int) -> str:
    """Return what tells a process from a later one with the same number; "" if there is none, or on other systems."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else f"{_find_boot()} {rest[18]}"  # field 22 of proc(5), start time in ticks since boot


def _now() -> datetime:
    return datetime.now(UTC)
