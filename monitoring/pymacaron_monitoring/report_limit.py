"""Which errors are alike, and how often one of a kind is handed to reporters: at most once in an interval."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import struct
import sysconfig
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.events import ErrorReported

_LIBRARIES = (*{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}, "<frozen ")
_NUMBER = re.compile(r"\b[0-9a-fA-F-]{8,}\b|\d+")
_MOST_FRAMES = 20
_MOST_CAUSES = 5
_MOST_KINDS = 1000
_ENTRY = struct.Struct("=8sd")  # start of the fingerprint; when one of its kind was taken last, of time.monotonic()
_ENTRIES = 4096


def find_fingerprint(event: ErrorReported) -> bytes:
    """Return 16 bytes that are the same for errors of one kind.

    Alike are errors of the same title, but for numbers in it, whose exceptions have the same types and were raised at
    the same lines of code; what stands in the exceptions' texts does not count. Without an exception it is the place
    that reports.
    """
    parts: list[object] = [_NUMBER.sub("#", event.title), event.data.get("operation_id")]
    if event.exception is None:
        parts.append(str(event.data.get("trace"))[-400:])
    error, causes = event.exception, 0
    while error is not None and causes < _MOST_CAUSES:
        parts += [type(error).__qualname__, *_find_places(error.__traceback__)]
        error, causes = error.__cause__ or error.__context__, causes + 1
    return hashlib.blake2b(repr(parts).encode(errors="replace"), digest_size=16).digest()


def name_kind(event: ErrorReported) -> str:
    """Return what an error is called in all releases: ``KeyError in shop/handlers.py get_item``.

    It has the place that raised it in code of the service, of libraries only where nothing else is on the way; no line
    numbers, which each release moves, and nothing of the exception's text. Without an exception it is a hash of the
    title, but for numbers in it.
    """
    if event.exception is None:
        digest = hashlib.blake2b(_NUMBER.sub("#", event.title).encode(errors="replace"), digest_size=4)
        return f"report {digest.hexdigest()}"
    codes, trace = [], event.exception.__traceback__
    while trace is not None:
        codes.append(trace.tb_frame.f_code)
        trace = trace.tb_next
    own = [code for code in codes if not code.co_filename.startswith(_LIBRARIES)] or codes
    place = f" in {'/'.join(Path(own[-1].co_filename).parts[-2:])} {own[-1].co_qualname}" if own else ""
    return f"{type(event.exception).__qualname__}{place}"


def _find_places(trace: TracebackType | None) -> list[tuple[str, int]]:
    places = []
    while trace is not None:
        places.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return places[-_MOST_FRAMES:]


class ReportLimit:
    """Lets one error of a kind through in each interval, and counts the others."""

    def __init__(self, interval_s: float) -> None:
        """Take the interval; with 0 s all go through."""
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._kinds: dict[bytes, tuple[float, int]] = {}

    def take(self, fingerprint: bytes) -> int | None:
        """Return how many of the kind were held back since the last one that went through; None if this one is, too."""
        if self._interval_s <= 0:
            return 0
        now = time.monotonic()
        with self._lock:
            taken_at, held_back = self._kinds.pop(fingerprint, (float("-inf"), 0))
            is_held_back = now < taken_at + self._interval_s
            # Put at the end: the dictionary begins with the kind that was not seen for the longest time.
            self._kinds[fingerprint] = (taken_at, held_back + 1) if is_held_back else (now, 0)
            if len(self._kinds) > _MOST_KINDS:
                del self._kinds[next(iter(self._kinds))]
        return None if is_held_back else held_back

    def forget(self, fingerprint: bytes) -> None:
        """Let the next one of the kind through: this one did not get anywhere."""
        with self._lock:
            self._kinds.pop(fingerprint, None)


class SharedLimit:
    """The same for all processes of a service: a file that says when one of a kind was taken last.

    A table of fixed size: where two kinds want the same entry, or the file cannot be used, both go through.
    """

    def __init__(self, file: Path, interval_s: float) -> None:
        """Take a *file* in a folder that all of them can write; it is made when first needed."""
        self._file = file
        self._interval_s = interval_s

    def take(self, fingerprint: bytes) -> bool:
        """Tell whether this process may hand on an error of that kind. Other processes wait meanwhile: microseconds."""
        with suppress(OSError):
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                return self._take(descriptor, fingerprint[:8])
            finally:
                os.close(descriptor)
        return True

    def _take(self, descriptor: int, kind: bytes) -> bool:
        place = int.from_bytes(kind[:4], "big") % _ENTRIES * _ENTRY.size
        data = os.pread(descriptor, _ENTRY.size, place)
        known, taken_at = _ENTRY.unpack(data) if len(data) == _ENTRY.size else (b"", 0.0)
        now = time.monotonic()  # one clock for all processes of the machine; it begins again when that does
        if known == kind and taken_at <= now < taken_at + self._interval_s:
            return False
        os.pwrite(descriptor, _ENTRY.pack(kind, now), place)
        return True
