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
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.events import ErrorReported

_LIBRARIES = (*{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}, "<frozen ")
_NUMBER = re.compile(r"\b[0-9a-fA-F-]{8,}\b|\d+")
_MOST_FRAMES = 20
_MOST_PARTS = 8  # exceptions, and what they have in common
_MOST_KINDS = 1000
_ENTRY = struct.Struct("=8sd")  # start of the fingerprint; when one of its kind was taken last, of time.monotonic()
_ENTRIES = 4096
_BUCKET = 8  # entries that a kind may stand in


def find_fingerprint(event: ErrorReported) -> bytes:
    """Return 16 bytes that are the same for errors of one kind.

    Alike are errors that are reported from the same lines of code and whose exceptions have the same types and were
    raised at the same lines; what stands in the exceptions' texts does not count, nor does a title that the service
    made. Of what it does not report itself the title counts, but for numbers in it. Of a group its members count, too,
    in any order.
    """
    parts: list[object] = [event.callers or _NUMBER.sub("#", event.title), event.data.get("operation_id")]
    waiting = [event.exception]
    while waiting and len(parts) < _MOST_PARTS:
        error = waiting.pop(0)
        if error is not None:
            parts.append(_describe(error))
            waiting += [error.__cause__ or error.__context__, *sorted(_find_members(error), key=_describe)]
    return hashlib.blake2b(repr(parts).encode(errors="replace"), digest_size=16).digest()


def name_kind(event: ErrorReported) -> str:
    """Return what an error is called in all releases: ``KeyError in shop/handlers.py get_item``.

    It has the place that raised it in code of the service, of libraries only where nothing else is on the way; no line
    numbers, which each release moves, and nothing of the exception's text. A group has its first member's name. Without
    an exception it is the place that reports, ``report in shop/handlers.py send_mail``, or where that is not known a
    hash of the title, but for numbers in it: callers of the service may choose what else stands in a title.
    """
    if event.exception is None:
        if event.callers:
            return f"report{_write_place([(file, function) for file, _, function in event.callers])}"
        digest = hashlib.blake2b(_NUMBER.sub("#", event.title).encode(errors="replace"), digest_size=4)
        return f"report {digest.hexdigest()}"
    error, words = event.exception, ""
    while members := _find_members(error):
        error, words = members[0], words or f"{type(error).__qualname__}: "
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    place = _write_place([(code.co_filename, code.co_qualname) for code in reversed(codes)])
    return f"{words}{type(error).__qualname__}{place}"


def _write_place(calls: Sequence[tuple[str, str]]) -> str:
    """Return the innermost of *calls*, file and function, that is the service's own; they begin with the innermost."""
    own = next((call for call in calls if not call[0].startswith(_LIBRARIES)), calls[0] if calls else None)
    return f" in {'/'.join(Path(own[0]).parts[-2:])} {own[1]}" if own else ""


def _find_members(error: BaseException) -> Sequence[BaseException]:
    """Return the members of a group; nothing of what is none."""
    return error.exceptions if isinstance(error, BaseExceptionGroup) else ()


def _describe(error: BaseException) -> tuple[str, list[tuple[str, int]]]:
    """Return its type, and where it was raised."""
    return type(error).__qualname__, _find_places(error.__traceback__)


def _find_places(trace: TracebackType | None) -> list[tuple[str, int]]:
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace)]
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

    A table of fixed size: where more kinds than a bucket has entries want the same one, the oldest goes through again,
    and where the file cannot be used, all do.
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

    def forget(self, fingerprint: bytes) -> None:
        """Let the next one of the kind through, whichever process it is in: this one did not get anywhere."""
        with suppress(OSError):
            descriptor = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                kind = fingerprint[:8]
                for number, (known, _) in enumerate(_read_bucket(descriptor, kind)):
                    if known == kind:
                        os.pwrite(descriptor, bytes(_ENTRY.size), _find_bucket(kind) + number * _ENTRY.size)
            finally:
                os.close(descriptor)

    def _take(self, descriptor: int, kind: bytes) -> bool:
        now = time.monotonic()  # one clock for all processes of the machine; it begins again when that does
        bucket = [(known, taken_at if taken_at <= now else 0.0) for known, taken_at in _read_bucket(descriptor, kind)]
        number, taken_at = next(
            ((number, taken_at) for number, (known, taken_at) in enumerate(bucket) if known == kind), (None, 0.0)
        )
        if number is None:
            number = min(range(_BUCKET), key=lambda place: bucket[place][1])
        elif taken_at and now < taken_at + self._interval_s:
            return False
        os.pwrite(descriptor, _ENTRY.pack(kind, now), _find_bucket(kind) + number * _ENTRY.size)
        return True


def _find_bucket(kind: bytes) -> int:
    """Return where in the file the entries begin in which a kind may stand."""
    return int.from_bytes(kind[:4], "big") % (_ENTRIES // _BUCKET) * _BUCKET * _ENTRY.size


def _read_bucket(descriptor: int, kind: bytes) -> list[tuple[bytes, float]]:
    """Return the entries in which a kind may stand; those that nobody wrote are zero."""
    size = _BUCKET * _ENTRY.size
    return list(_ENTRY.iter_unpack(os.pread(descriptor, size, _find_bucket(kind)).ljust(size, b"\0")))
