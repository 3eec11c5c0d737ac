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
        self._shelf = shelf
        self._time_s = time_s
        self._tell = tell
        self._tag = ""
        self._since = ""
        self._ended = threading.Event()
        self._lost: str | None = None
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Take the lock. Raises: LockedError: it is held, with by whom and until when."""
        found = self._shelf.get(KEY)
        self._since = _now().isoformat(timespec="seconds")
        tag = None
        if found:
            held = json.loads(found[0])
            why_free = _find_why_free(held)
            if why_free is None:
                what = f"{held['owner']} deploys since {held['since']}; the lock ends at {held['expires']} if unused"
                raise LockedError(Finding("the lock", what, "Wait for the end of that deploy"))
            self._tell(f"Took the lock of {held['owner']} since {held['since']}: {why_free}")
            tag = found[1]
        try:
            self._tag = self._shelf.put(KEY, self._write(), tag)
        except ShelfConflict as error:
            fix = "Wait for the end of that deploy"
            raise LockedError(Finding("the lock", "somebody else took it this moment", fix)) from error
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Do nothing while the lock is held. Raises: LockedError: it was lost."""
        if self._lost:
            raise LockedError(Finding("the lock", self._lost, "Look at 'pymacaron releases' before anything else"))

    def release(self) -> None:
        """Give the lock back; nothing happens if it was lost."""
        self._ended.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        if self._tag and not self._lost:
            self._shelf.delete(KEY, self._tag)
            self._tag = ""

    def _renew(self) -> None:
        renewed = _now()
        while not self._ended.wait(self._time_s / 3):
            try:
                self._tag = self._shelf.put(KEY, self._write(), self._tag)
            except ShelfConflict:
                self._lost = "somebody else took it, because it was not renewed in time"
                return
            except Exception as error:  # noqa: BLE001 - whatever a provider's client raises: try again while it is ours
                if (_now() - renewed).total_seconds() > self._time_s:
                    self._lost = f"it could not be renewed ({type(error).__name__})"
                    return
            else:
                renewed = _now()

    def _write(self) -> bytes:
        told: JsonObject = {
            "owner": name_owner(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": _find_start(os.getpid()),
            "since": self._since,
            "expires": (_now() + timedelta(seconds=self._time_s)).isoformat(timespec="milliseconds"),
        }
        return json.dumps(told).encode()


def _find_why_free(held: JsonObject) -> str | None:
    """Return why a lock that exists may be taken, None if it may not."""
    if datetime.fromisoformat(str(held["expires"])) <= _now():
        return "it was not renewed"
    if held["host"] == socket.gethostname() and held["started"] and _find_start(int(held["pid"])) != held["started"]:
        return "its process on this machine is gone"
    return None


def _find_start(pid: int) -> str:
    """Return what tells a process from a later one with the same number; "" if there is none, or on other systems."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else f"{boot} {rest[18]}"  # field 22 of proc(5), start time in ticks since boot


def _now() -> datetime:
    return datetime.now(UTC)
