"""Where one process counts: a file mapped to memory, or memory alone."""

from __future__ import annotations

import logging
import mmap
import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from pymacaron_monitoring.records import (
    EXEMPLAR,
    EXEMPLAR_VALUES,
    EXEMPLARS_START,
    HEADER,
    MAGIC,
    MOST_EXEMPLARS,
    SIZE_BYTES,
    Header,
    Key,
    find_places,
    make_record,
    read_header,
)
from pymacaron_monitoring.slots import SlotTable, lock_byte

log = logging.getLogger(__name__)

_TEXT_BYTES = 96
_VALUES_START = EXEMPLAR.size - EXEMPLAR_VALUES.size
_DYING_S = 0.5


class Memory:
    """What one process counts.

    slots, stem: the process takes a slot and the file of that number, and goes on where whoever had it before ended;
    without them it counts in memory that nobody else sees.
    """

    def __init__(self, slots: SlotTable | None = None, stem: Path | None = None) -> None:
        """Begin to count. Raises OSError: the file cannot be written, or there are too many processes."""
        self._lock = threading.Lock()
        self._file: int | None = None
        self.slot: int | None = None
        self.path: Path | None = None
        self._exemplars: dict[tuple[int, int], int] = {}
        self._places: dict[Key, int] = {}
        if slots is None or stem is None:
            self._map = mmap.mmap(-1, SIZE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            self._header = Header(HEADER.size, 1, os.getpid(), 0)
            self._write_header()
            return
        self.slot = self._take_slot(slots, stem)
        self.path = slot_path(stem, self.slot)
        self._end = weakref.finalize(self, slots.release, self.slot)
        self._end.atexit = False  # the kernel does it

    def find(self, key: Key) -> memoryview[float]:
        """Return the values of *key*, zero where it is new. Raises OSError: there is no room for it."""
        start = self._places.get(key)
        if start is None:
            with self._lock:
                start = self._append(key)
        return memoryview(self._map)[start : start + 8 * key.size].cast("d")

    def read(self) -> bytes:
        """Return the header and the records."""
        return self._map[: self._header.used]

    def read_exemplars(self) -> bytes:
        """Return what stands from `records.EXEMPLARS_START` on."""
        return self._map[EXEMPLARS_START : EXEMPLARS_START + EXEMPLAR.size * self._header.exemplars]

    def note_exemplar(self, key: Key, bucket: int, value: float, text: str) -> int | None:
        """Keep *text* as the example of a bucket of *key*; return its place, for `change_exemplar`.

        Where there is no more room, or the text is longer than 96 bytes, nothing is kept. Raises OSError: the disk is
        full.
        """
        raw = text.encode()
        start = self._places.get(key)
        if start is None or len(raw) > _TEXT_BYTES:
            return None
        with self._lock:
            place = self._exemplars.get((start, bucket))
            number = self._header.exemplars
            if place is None and number < MOST_EXEMPLARS:
                place = EXEMPLARS_START + EXEMPLAR.size * number
                self._write(place, EXEMPLAR.pack(start, bucket, value, time.time(), raw))
                self._exemplars[start, bucket] = place
                self._change_header(exemplars=number + 1)
                return place
        if place is not None:
            self.change_exemplar(place, value, text)
        return place

    def change_exemplar(self, place: int, value: float, text: str) -> None:
        """Keep *text* in the place of the last example; one that is longer than 96 bytes is not kept.

        It was written before, so the disk has room for it.
        """
        raw = text.encode()
        if len(raw) <= _TEXT_BYTES:
            EXEMPLAR_VALUES.pack_into(self._map, place + _VALUES_START, value, time.time(), raw)

    def unlock(self) -> None:
        """Free what another thread of the parent may have locked, after a fork."""
        self._lock = threading.Lock()

    def abandon(self) -> None:
        """Leave what is a parent's to it, after a fork."""
        if self.path is not None:
            self._end.detach()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        file = getattr(self, "_file", None)
        if file is not None:
            os.close(file)

    def _take_slot(self, slots: SlotTable, stem: Path) -> int:
        """Take the first slot whose file nobody has, and map that.

        One may have it though the slot is free: where somebody has removed the lock file, slots begin anew. One that is
        just dying lets go of its files one by one; that is waited for.
        """
        taken: list[int] = []
        try:
            while True:
                taken.append(slots.take())
                if self._open_file(slot_path(stem, taken[-1])):
                    return taken.pop()
        finally:
            for number in taken:
                slots.release(number)

    def _open_file(self, path: Path) -> bool:
        """Map the file and go on with what is whole in it; what its last process had begun or measured died with it.

        Return False if another process has it.
        """
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        end = time.monotonic() + _DYING_S
        while not (is_ours := lock_byte(self._file, 0)) and time.monotonic() < end:
            time.sleep(0.005)
        if not is_ours:
            os.close(self._file)
            self._file = None
            return False
        head = os.pread(self._file, HEADER.size, 0)
        old = read_header(head)
        data = os.pread(self._file, old.used, 0) if old else b""
        places, end = find_places(data, HEADER.size, len(data))
        os.ftruncate(self._file, SIZE_BYTES)
        self._map = mmap.mmap(self._file, SIZE_BYTES)
        if old is not None and end == old.used:
            self._header = old
            self._exemplars = dict(self._list_exemplars())
        else:
            if old is not None:
                log.warning("Counts in %s were damaged; this process goes on with what is whole in it", path)
            self._header = Header(end, time.time_ns(), 0, 0)
            self._write_header()
        self._places = {place.key: place.offset for place in places}
        for key in self._places:
            if key.kind == "running":
                values = self.find(key)
                values[2] = values[0] - values[1]
            elif key.kind == "latest":
                values = self.find(key)
                values[0] = values[1] = 0.0
        self._change_header(pid=os.getpid())
        return True

    def _list_exemplars(self) -> Iterator[tuple[tuple[int, int], int]]:
        """Yield record and bucket of each example, and its place."""
        for number, (start, bucket, *_) in enumerate(EXEMPLAR.iter_unpack(self.read_exemplars())):
            yield (start, bucket), EXEMPLARS_START + EXEMPLAR.size * number

    def _append(self, key: Key) -> int:
        record = make_record(key)
        end = self._header.used + len(record)
        if end > EXEMPLARS_START:
            raise OSError(f"all {EXEMPLARS_START} bytes of this process are in use")
        self._write(self._header.used, record)
        self._change_header(used=end)
        self._places[key] = end - 8 * key.size
        return self._places[key]

    def _change_header(self, *, used: int | None = None, pid: int | None = None, exemplars: int | None = None) -> None:
        old = self._header
        self._header = Header(used or old.used, old.mark, pid or old.pid, exemplars or old.exemplars)
        self._write_header()

    def _write_header(self) -> None:
        header = self._header
        self._write(0, HEADER.pack(MAGIC, header.used, header.mark, header.pid, header.exemplars))

    def _write(self, start: int, data: bytes) -> None:
        """Write through the file, not the mapping: a full disk is an OSError there, and kills the process here."""
        if self._file is None:
            self._map[start : start + len(data)] = data
        elif os.pwrite(self._file, data, start) != len(data):
            raise OSError("the disk is full")


def slot_path(stem: Path, number: int) -> Path:
    """Return the file of a slot."""
    return stem.with_name(f"{stem.name}-{number}.counts")
