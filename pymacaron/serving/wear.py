"""Finds out when a worker is to be replaced by a new one."""

from __future__ import annotations

import os
import random
import sys
import time
import traceback
from pathlib import Path

from pymacaron.serving.door import STREAM, Door
from pymacaron.serving.settings import Settings

_REPEAT_S = 30.0  # a worker that was not replaced asks again
_JITTER = 0.1


class Wear:
    """What makes a worker one to be replaced. Limits vary by a tenth, so that workers do not reach them together."""

    def __init__(self, door: Door, settings: Settings) -> None:
        """Watch the requests of *door* from now on."""

        def vary(limit: float | None) -> float | None:
            return limit and limit * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret

        self._door = door
        self._max_requests = vary(settings.max_requests)
        self._max_memory_bytes = settings.max_memory_bytes
        lifetime_s = vary(settings.lifetime_s)
        self._death = time.monotonic() + lifetime_s if lifetime_s else None
        self._request_timeout_s = settings.request_timeout_s
        self._seen: dict[tuple[int, int], float] = {}
        self._silent_until = 0.0

    def find(self) -> str | None:
        """Return why this worker is to be replaced; None if it is not, or it was said a moment ago."""
        now = time.monotonic()
        reason = self._find_stuck(now) or self._find_age(now)
        if reason is None or now < self._silent_until:
            return None
        self._silent_until = now + _REPEAT_S
        return reason

    def _find_age(self, now: float) -> str | None:
        if self._death and now >= self._death:
            return "its lifetime is over"
        if self._max_requests and self._door.count() >= self._max_requests:
            return f"it has had {self._max_requests:.0f} requests"
        if self._max_memory_bytes and (size := find_resident_bytes()) >= self._max_memory_bytes:
            return f"it holds {size >> 20} MB of memory"
        return None

    def _find_stuck(self, now: float) -> str | None:
        """Tell of a thread that is busy with the same request for longer than is allowed, and where it stands."""
        running = [(thread, number) for thread, number in list(self._door.running.items()) if number != STREAM]
        self._seen = {key: self._seen.get(key, now) for key in running}
        if self._request_timeout_s is None:
            return None
        for (thread, _), since in self._seen.items():
            if now - since >= self._request_timeout_s:
                frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented way
                place = "".join(traceback.format_stack(frame)) if frame else ""
                return f"a request takes longer than {self._request_timeout_s:g} s\n{place}".rstrip()
        return None


def find_resident_bytes(pid: int | str = "self") -> int:
    """Return the memory that a process holds, shared pages included; 0 where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
