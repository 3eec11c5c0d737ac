"""Counts that all worker processes of one app add to, and that any of them can sum up.

Each process writes to memory of its own, mapped to a file when there is a folder; whoever is scraped adds up the files.
A file, all numbers in the machine's byte order and on 8-byte boundaries::

    header   magic (8 bytes), bytes in use (u64)
    record   length of the key (u64), number of values (u64), key (JSON, padded with spaces), values (doubles)

A record is appended first and counted in the header afterwards, and never moves: a process that dies at any point
leaves a file that can be read.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import re
import struct
import threading
import weakref
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from flask import Flask

from pymacaron.exceptions import ConfigError, Finding

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable naming the folder in which the workers of a service meet; ``pymacaron run`` sets it."""

SIZE_BYTES = 16 << 20
"""Most that one process writes; the file is sparse, so that only what is used takes space."""

_EXTENSION = "pymacaron_monitoring.store"
_MAGIC = b"pymstor1"
_HEADER = struct.Struct("=8sQ")
_RECORD = struct.Struct("=QQ")

_Record = tuple[bytes, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Key:
    """What a series counts. labels: in the metric's order. bounds: of a histogram, ascending, without infinity."""

    metric: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        """How many values it has: one of a counter; of a histogram one a bucket, infinity's included, and the sum."""
        return 1 if self.bounds is None else len(self.bounds) + 2

    def to_bytes(self) -> bytes:
        """Return the key as JSON, its length a multiple of 8."""
        raw = json.dumps([self.metric, self.labels, self.bounds], separators=(",", ":")).encode()
        return raw.ljust(-(-len(raw) // 8) * 8)


class Series:
    """One line of counts, bound to its place once, so that adding costs less than a microsecond."""

    __slots__ = ("_bounds", "_lock", "_values", "key")

    def __init__(self, key: Key) -> None:
        """Count in private memory until the store gives it a place."""
        self.key = key
        self._bounds = key.bounds or ()
        self.place(memoryview(bytearray(8 * key.size)).cast("d"))

    def place(self, values: memoryview[float]) -> None:
        """Count in *values* from now on."""
        self._lock = threading.Lock()
        self._values = values

    def add(self, amount: float = 1.0) -> None:
        """Count *amount* more; for counters."""
        with self._lock:
            self._values[0] += amount

    def observe(self, value: float) -> None:
        """Count one *value*; for histograms."""
        bucket, lock, values = bisect_left(self._bounds, value), self._lock, self._values
        lock.acquire()  # faster than a with block
        try:
            values[bucket] += 1.0
            values[-1] += value
        finally:
            lock.release()


class Store:
    """All series of one app in one process.

    name: tells apps that share a folder apart; the same in each worker of the app. folder: where the workers meet;
    None counts in this process only.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        """Open the store. Raises OSError when *folder* cannot be written."""
        self._stem = f"pymacaron-{re.sub(r'[^A-Za-z0-9_.]', '_', name)}"
        self._folder = folder
        self._series: dict[Key, Series] = {}
        self._bounds: dict[str, tuple[float, ...] | None] = {}
        self._damaged: set[str] = set()
        self._open()
        _stores.add(self)

    def counter(self, metric: str, labels: Sequence[str]) -> Series:
        """Return the counter with these *labels*; it stands at zero from now on."""
        return self._get(Key(metric, tuple(labels)))

    def histogram(self, metric: str, labels: Sequence[str], bounds: tuple[float, ...]) -> Series:
        """Return the histogram with these *labels*; it stands at zero from now on."""
        return self._get(Key(metric, tuple(labels), bounds))

    def read(self) -> Mapping[Key, Sequence[float]]:
        """Return each series summed up over all processes, the dead ones included.

        A histogram's buckets count what fell into each of them (not cumulative); its last value is the sum. A file
        that is empty or torn gives what is whole in it. Other bounds than this process has for a metric (workers of
        an older document) are left out: they cannot be added.
        """
        totals: dict[Key, Sequence[float]] = {}
        for records in self._read_memories():
            for raw, values in records:
                key = _parse_key(raw)
                if key is None or self._bounds.get(key.metric, key.bounds) != key.bounds:
                    continue
                known = totals.get(key)
                totals[key] = values if known is None else [a + b for a, b in zip(known, values, strict=True)]
        return totals

    def reopen(self) -> None:
        """Move to a memory of its own after a fork; the parent keeps what was counted so far."""
        if self._folder is None:
            self._lock = threading.Lock()
            for series in self._series.values():
                series.place(series._values)  # noqa: SLF001 - a series is its store's own
            return
        self._open()
        for series in self._series.values():
            self._place(series)

    def _open(self) -> None:
        self._lock = threading.Lock()
        self._path = None if self._folder is None else self._folder / f"{self._stem}-{os.getpid()}.counts"
        self._places: dict[bytes, memoryview[float]] = {}
        self._used = _HEADER.size
        if self._path is None:
            self._memory = mmap.mmap(-1, SIZE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        else:
            self._memory = self._map_file(self._path)

    def _map_file(self, path: Path) -> mmap.mmap:
        """Map the process's file; one that a process of the same id left behind is continued if it is whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        old, is_whole = _read_records(path)
        with path.open("r+b" if old and is_whole else "w+b") as file:
            file.truncate(SIZE_BYTES)
            memory = mmap.mmap(file.fileno(), SIZE_BYTES)
        for raw, values in old if is_whole else ():
            start = self._used + _RECORD.size + len(raw)
            self._used = start + 8 * len(values)
            self._places[raw] = memoryview(memory)[start : self._used].cast("d")
        return memory

    def _get(self, key: Key) -> Series:
        with self._lock:
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = Series(key)
                self._bounds.setdefault(key.metric, key.bounds)
                self._place(series)
            return series

    def _place(self, series: Series) -> None:
        raw = series.key.to_bytes()
        values = self._places.get(raw)
        if values is None:
            values = self._append(raw, series.key.size)
        if values is not None:
            series.place(values)

    def _append(self, raw: bytes, size: int) -> memoryview[float] | None:
        """Add a record of zeros; None, and a line in the log, when there is no room."""
        record = _RECORD.pack(len(raw), size) + raw + bytes(8 * size)
        start, end = self._used, self._used + len(record)
        try:
            self._write(start, record)
        except OSError as error:
            log.warning("A series is not counted: %s (%s)", raw.decode().rstrip(), error)
            return None
        self._used = end
        self._places[raw] = memoryview(self._memory)[end - 8 * size : end].cast("d")
        return self._places[raw]

    def _write(self, start: int, record: bytes) -> None:
        """Write a record, then the header that counts it in.

        Through the file, not the mapping: a full disk is an OSError there, and kills the process here.
        """
        end = start + len(record)
        if end > SIZE_BYTES:
            raise OSError(f"all {SIZE_BYTES} bytes of this process are in use")
        header = _HEADER.pack(_MAGIC, end)
        if self._path is None:
            self._memory[start:end] = record
            self._memory[: _HEADER.size] = header
            return
        with self._path.open("r+b") as file:
            file.seek(start)
            file.write(record)
            file.flush()
            file.seek(0)
            file.write(header)

    def _read_memories(self) -> Iterator[Sequence[_Record]]:
        if self._folder is None:
            yield _parse_records(self._memory[: self._used])
            return
        for path in sorted(self._folder.glob(f"{self._stem}-*.counts")):
            records, is_whole = _read_records(path)
            if not is_whole and path.name not in self._damaged:
                self._damaged.add(path.name)
                log.warning("Counts in %s are damaged; what is whole in it is used", path)
            yield records


def _read_records(path: Path) -> tuple[Sequence[_Record], bool]:
    """Return the records of a file up to the first damage, and whether there is none.

    A file that is empty, was just made, or is gone holds no records and is whole.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
            used = _HEADER.unpack(head)[1] if len(head) == _HEADER.size else 0
            data = head + file.read(max(0, min(used, SIZE_BYTES) - _HEADER.size))
    except FileNotFoundError:
        return (), True
    records = _parse_records(data)
    size = sum(_RECORD.size + len(raw) + 8 * len(values) for raw, values in records)
    return records, not any(head) or _HEADER.size + size == used


def _parse_records(data: bytes) -> Sequence[_Record]:
    """Return the records in *data*, a header and what follows it, up to the first that is not whole."""
    records: list[_Record] = []
    position = _HEADER.size if data.startswith(_MAGIC) else len(data)
    while position + _RECORD.size <= len(data):
        length, size = _RECORD.unpack_from(data, position)
        start = position + _RECORD.size
        position = start + length + 8 * size
        raw = data[start : start + length]
        key = _parse_key(raw)
        if position > len(data) or key is None or key.size != size:
            break
        records.append((raw, struct.unpack_from(f"={size}d", data, start + length)))
    return records


@lru_cache(maxsize=8192)
def _parse_key(raw: bytes) -> Key | None:
    """Read what `Key.to_bytes` wrote; None for anything else."""
    try:
        metric, labels, bounds = json.loads(raw)
        key = Key(metric, tuple(labels), None if bounds is None else tuple(map(float, bounds)))
    except (ValueError, TypeError):
        return None
    return key if all(isinstance(text, str) for text in (metric, *labels)) else None


def store_of(app: Flask) -> Store:
    """Return the counts of *app*, made when first asked for. Raises ConfigError if their folder cannot be written."""
    store = app.extensions.get(_EXTENSION)
    if isinstance(store, Store):
        return store
    number = _numbers[app.name] = _numbers.get(app.name, 0) + 1
    name = app.name if number == 1 else f"{app.name}.{number}"
    folder = os.environ.get(FOLDER_VARIABLE)
    try:
        store = Store(name, Path(folder) if folder else None)
    except OSError as error:
        found = f"{folder} cannot be used: {error.strerror or error}"
        raise ConfigError(Finding(FOLDER_VARIABLE, found, "Name a folder that can be written")) from error
    app.extensions[_EXTENSION] = store
    return store


_numbers: dict[str, int] = {}  # apps of one name in this process; workers of one service build theirs in the same order
_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def _reopen_all() -> None:
    for store in list(_stores):
        store.reopen()


os.register_at_fork(after_in_child=_reopen_all)
