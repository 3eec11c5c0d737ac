"""Counts that all worker processes of one app add to, and that any of them can sum up.

Each process writes to memory of its own, mapped to a file when there is a folder; whoever is scraped adds up the files.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import weakref
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from flask import Flask

from pymacaron.exceptions import ConfigError, Finding
from pymacaron.server import METRICS_FOLDER_VARIABLE
from pymacaron_monitoring.memory import Memory
from pymacaron_monitoring.reading import Examples, Reader, Totals
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.slots import SlotTable, open_slots

log = logging.getLogger(__name__)

FOLDER_VARIABLE = METRICS_FOLDER_VARIABLE
"""Environment variable naming the folder in which the workers of a service meet; ``pymacaron run`` sets it."""

EXEMPLAR_EVERY_S = 1.0
"""A bucket gets a new example at most so often."""

_EXTENSION = "pymacaron_monitoring.store"


class Series:
    """One line of counts, bound to its place once, so that adding costs less than a microsecond.

    values: what is counted, see `Key`; another object after a fork.
    """

    __slots__ = ("_bounds", "_examples", "_lock", "_memory", "key", "values")

    def __init__(self, key: Key) -> None:
        """Count in private memory until the store gives it a place."""
        self.key = key
        self._bounds = key.bounds or ()
        self.place(None, memoryview(bytearray(8 * key.size)).cast("d"))

    def place(self, memory: Memory | None, values: memoryview[float]) -> None:
        """Count in *values* of *memory* from now on."""
        self._lock = threading.Lock()
        self._memory = memory
        self._examples: dict[int, int] = {}
        self.values = values

    def add(self, amount: float = 1.0) -> None:
        """Count *amount* more; for counters."""
        with self._lock:
            self.values[0] += amount

    def observe(self, value: float) -> None:
        """Count one *value*; for histograms."""
        bucket, lock, values = bisect_left(self._bounds, value), self._lock, self.values
        lock.acquire()  # faster than a with block
        try:
            values[bucket] += 1.0
            values[-1] += value
        finally:
            lock.release()

    def begin(self) -> None:
        """Count one that begins; for what runs."""
        lock, values = self._lock, self.values
        lock.acquire()
        try:
            values[0] += 1.0
        finally:
            lock.release()

    def end(self) -> None:
        """Count one that ends; for what runs."""
        lock, values = self._lock, self.values
        lock.acquire()
        try:
            values[1] += 1.0
        finally:
            lock.release()

    def measure(self, value: float) -> None:
        """Take the newest *value*; for measurements of what all processes share."""
        with self._lock:
            self.values[0] = value
            self.values[1] = time.time()

    def note_example(self, bucket: int, value: float, text: str) -> None:
        """Keep *text* as the example of a bucket: what one of the values in it was about."""
        if self._memory is None:
            return
        place = self._examples.get(bucket)
        if place is not None:
            self._memory.change_exemplar(place, value, text)
            return
        try:
            place = self._memory.note_exemplar(self.key, bucket, value, text)
            if place is not None:
                self._examples[bucket] = place
        except OSError as error:
            log.warning("An example of %s is not kept (%s)", self.key.metric, error)


class Store:
    """All series of one app in one process.

    name: tells apps that share a folder apart; the same in each worker of the app. folder: where the workers meet;
    None counts in this process only. on_reopen: called in a fork that counts for itself from now on.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        """Open the store. Raises OSError when *folder* cannot be written."""
        self._stem: Path | None = None
        if folder is not None:
            folder = folder.absolute()  # a service may change into another one later
            folder.mkdir(parents=True, exist_ok=True)
            self._stem = folder / f"pymacaron-{re.sub(r'[^A-Za-z0-9_.]', '_', name)}"
        self._series: dict[Key, Series] = {}
        self._bounds: dict[str, tuple[float, ...] | None] = {}
        self.on_reopen: Callable[[], object] = lambda: None
        self._open()
        _stores.add(self)

    def __contains__(self, key: Key) -> bool:
        """Tell whether this process counts *key* already."""
        return key in self._series

    def get(self, key: Key) -> Series:
        """Return the series of *key*; it stands at zero from now on."""
        with self._lock:
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = Series(key)
                self._bounds.setdefault(key.metric, key.bounds)
                self._place(series)
            return series

    def counter(self, metric: str, labels: Sequence[str] = ()) -> Series:
        """Return the counter with these *labels*; it stands at zero from now on."""
        return self.get(Key(metric, tuple(labels)))

    def histogram(self, metric: str, labels: Sequence[str], bounds: tuple[float, ...]) -> Series:
        """Return the histogram with these *labels*; it stands at zero from now on."""
        return self.get(Key(metric, tuple(labels), bounds, "histogram"))

    def running(self, metric: str, labels: Sequence[str] = ()) -> Series:
        """Return what counts things that begin and end; whatever a process that dies had begun is counted as lost."""
        return self.get(Key(metric, tuple(labels), None, "running"))

    def latest(self, metric: str, labels: Sequence[str] = ()) -> Series:
        """Return a measurement of what all processes share: the newest of a living process counts."""
        return self.get(Key(metric, tuple(labels), None, "latest"))

    def read(self) -> Totals:
        """Return each series summed up over all processes, the dead ones included.

        Other bounds than this process has for a metric (workers of an older document) are left out: they cannot be
        added. See `Reader.read` for the values.
        """
        return self._select(self._reader.read(self._memory))

    def read_all(self) -> tuple[Totals, Examples]:
        """Return the same, and the newest example of each bucket that has one."""
        totals, examples = self._reader.read_all(self._memory)
        return self._select(totals), examples

    def find_processes(self) -> Mapping[int, int]:
        """Return slot -> process id of the living processes, this one alone where there is no folder."""
        return self._reader.find_processes(self._memory)

    def find_file(self, name: str) -> Path | None:
        """Return where the processes of this app, and no other, share what is called *name*; None without a folder."""
        return self._stem.with_name(f"{self._stem.name}.{name}") if self._stem else None

    @property
    def slots(self) -> SlotTable | None:
        """The slots of the folder, None without one."""
        return self._slots

    def reopen(self) -> None:
        """Move to a memory of its own after a fork; the parent keeps what was counted so far."""
        if self._stem is None:
            self._lock = threading.Lock()
            self._memory.unlock()
            self._reader = Reader(None, None)
            for series in self._series.values():
                series.place(self._memory, series.values)
        else:
            self._memory.abandon()
            try:
                self._open()
            except OSError as error:  # of the parent's file nothing may be touched
                log.warning("What this process counts is seen by itself alone: %s", error)
                self._stem = None
                self._open()
            for series in self._series.values():
                self._place(series)
        self.on_reopen()

    def _select(self, totals: Totals) -> Totals:
        bounds = self._bounds
        return {key: values for key, values in totals.items() if bounds.get(key.metric, key.bounds) == key.bounds}

    def _open(self) -> None:
        self._lock = threading.Lock()
        self._slots = open_slots(self._stem.with_name(f"{self._stem.name}.lock")) if self._stem else None
        self._memory = Memory(self._slots, self._stem)
        self._reader = Reader(self._slots, self._stem)

    def _place(self, series: Series) -> None:
        """Give *series* its place; without room, and with a line in the log, it is not counted."""
        try:
            series.place(self._memory, self._memory.find(series.key))
        except OSError as error:
            log.warning("A series is not counted: %s (%s)", series.key.to_bytes().decode().rstrip(), error)


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
