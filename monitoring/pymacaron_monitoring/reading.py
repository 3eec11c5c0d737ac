"""Sums up what all processes of one app have counted, the dead ones included."""

from __future__ import annotations

import logging
import os
import re
import struct
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import add
from pathlib import Path

from pymacaron_monitoring.memory import Memory, slot_path
from pymacaron_monitoring.records import (
    EXEMPLAR,
    EXEMPLARS_START,
    HEADER,
    Header,
    Key,
    Place,
    find_places,
    read_header,
)
from pymacaron_monitoring.slots import SlotTable

log = logging.getLogger(__name__)

Totals = Mapping[Key, Sequence[float]]
Examples = Mapping[Key, "Sequence[Exemplar]"]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An example of what fell into a bucket. time_s: since the epoch."""

    bucket: int
    value: float
    time_s: float
    text: str


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where in a file which values are.

    numbers: reads all at once. starts: of each place's values among them. special: places, with their starts, whose
    values cannot be added as they are.
    """

    places: tuple[Place, ...]
    numbers: struct.Struct
    starts: tuple[int, ...]
    special: tuple[tuple[Place, int], ...]

    @classmethod
    def of(cls, places: tuple[Place, ...]) -> _Layout:
        parts, starts, position, count = ["="], [], 0, 0
        for place in places:
            parts.append(f"{place.offset - position}x{place.key.size}d")
            position = place.offset + 8 * place.key.size
            starts.append(count)
            count += place.key.size
        special = [pair for pair in zip(places, starts, strict=True) if pair[0].key.kind in {"running", "latest"}]
        return cls(places, struct.Struct("".join(parts)), tuple(starts), tuple(special))

    def cut(self, numbers: Sequence[float]) -> Iterator[tuple[Key, Sequence[float]]]:
        for place, start in zip(self.places, self.starts, strict=True):
            yield place.key, numbers[start : start + place.key.size]


@dataclass(slots=True)
class _Known:
    """What was found in a file the last time: its content's mark, where the last whole record ended."""

    mark: int
    end: int
    layout: _Layout


@dataclass(frozen=True, slots=True)
class _Content:
    """What a file holds now. exemplars: bytes from `EXEMPLARS_START` on."""

    slot: int
    header: Header
    layout: _Layout
    data: bytes
    is_alive: bool
    exemplars: bytes = b""


class Reader:
    """Reads the files of one app; where what lies in them is found once and remembered."""

    def __init__(self, slots: SlotTable | None, stem: Path | None) -> None:
        """Read the files that begin with *stem*; without it, only what this process counts."""
        self._slots = slots
        self._stem = stem
        self._pattern = re.compile(rf"{re.escape(stem.name)}-(\d+)\.counts\Z") if stem else None
        self._known: dict[int, _Known] = {}
        self._layouts: dict[tuple[Place, ...], _Layout] = {}
        self._damaged: set[int] = set()
        self._lock = threading.Lock()

    def read(self, own: Memory) -> Totals:
        """Return the values of each series.

        A histogram's buckets count what fell into each of them (not cumulative); its last value is the sum. Of what
        runs: how many run now, how many were lost with their process, and 0. Of measurements the newest, and its time.
        A file that is empty or torn gives what is whole in it.
        """
        return _add_up(self._read_contents(own))

    def read_all(self, own: Memory) -> tuple[Totals, Examples]:
        """Return the same, and the newest example of each bucket that has one."""
        contents = self._read_contents(own, has_exemplars=True)
        return _add_up(contents), _find_examples(contents)

    def find_processes(self, own: Memory) -> Mapping[int, int]:
        """Return slot -> process id of the living processes."""
        found = {slot: pid for slot in self._find_slots() if slot != own.slot and (pid := self._find_process(slot))}
        return dict(sorted({**found, own.slot or 0: os.getpid()}.items()))

    def _read_contents(self, own: Memory, *, has_exemplars: bool = False) -> list[_Content]:
        with self._lock:
            found = []
            for slot in self._find_slots():
                content = (
                    self._read_own(own, has_exemplars) if slot == own.slot else self._read_other(slot, has_exemplars)
                )
                if content is not None:
                    found.append(content)
            if all(content.slot != own.slot for content in found):  # it has no file, or that was removed
                found.append(self._read_own(own, has_exemplars))
            if len(self._layouts) > 2 * len(self._known):
                self._layouts = {known.layout.places: known.layout for known in self._known.values()}
        return found

    def _find_slots(self) -> list[int]:
        if self._stem is None or self._pattern is None:
            return []
        try:
            with os.scandir(self._stem.parent) as entries:
                matches = [self._pattern.match(entry.name) for entry in entries]
        except FileNotFoundError:
            return []
        return sorted(int(match[1]) for match in matches if match)

    def _read_own(self, own: Memory, has_exemplars: bool) -> _Content:  # noqa: FBT001 - as of another
        slot = own.slot or 0
        data = own.read()
        header = read_header(data)
        assert header is not None, "a process's own memory has a header"
        layout = self._find_layout(slot, header, data)
        exemplars = own.read_exemplars() if has_exemplars else b""
        return _Content(slot, header, layout, data, is_alive=True, exemplars=exemplars)

    def _read_other(self, slot: int, has_exemplars: bool) -> _Content | None:  # noqa: FBT001 - one caller
        assert self._stem is not None
        try:
            file = os.open(slot_path(self._stem, slot), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            header, data, is_alive = self._read_records(file, slot)
            if header is None:
                if any(data):
                    self._tell(slot)
                return None
            size = EXEMPLAR.size * header.exemplars if has_exemplars else 0
            exemplars = os.pread(file, size, EXEMPLARS_START)
        finally:
            os.close(file)
        return _Content(slot, header, self._find_layout(slot, header, data), data, is_alive, exemplars)

    def _find_process(self, slot: int) -> int | None:
        """Return the id of the living process that has the slot of another; its head says that."""
        assert self._stem is not None
        assert self._slots is not None
        try:
            file = os.open(slot_path(self._stem, slot), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            header = read_header(os.pread(file, HEADER.size, 0))
            return header.pid if header is not None and self._slots.is_alive(slot, header.pid, file) else None
        finally:
            os.close(file)

    def _read_records(self, file: int, slot: int) -> tuple[Header | None, bytes, bool]:
        """Return the header, all up to the end of the records, and whether the process lives.

        That is asked first, as what runs until a process dies is counted as lost only then; and asked again if another
        process has taken the slot meanwhile.
        """
        assert self._slots is not None
        header = read_header(data := os.pread(file, HEADER.size, 0))
        while header is not None:
            is_alive = self._slots.is_alive(slot, header.pid, file)
            before, header = header, read_header(data := os.pread(file, header.used, 0))
            if header is not None and header.pid == before.pid:
                return before, data, is_alive
        return None, data, False

    def _find_layout(self, slot: int, header: Header, data: bytes) -> _Layout:
        known = self._known.get(slot)
        if known is None or known.mark != header.mark or known.end > len(data):
            known = _Known(header.mark, HEADER.size, _Layout.of(()))
        if known.end < header.used:
            places, end = find_places(data, known.end, header.used)
            everything = (*known.layout.places, *places)
            layout = self._layouts.get(everything)
            if layout is None:
                layout = self._layouts[everything] = _Layout.of(everything)
            known = _Known(header.mark, end, layout)
            if end < header.used:
                self._tell(slot)
        self._known[slot] = known
        return known.layout

    def _tell(self, slot: int) -> None:
        if slot not in self._damaged and self._stem is not None:
            self._damaged.add(slot)
            log.warning("Counts in %s are damaged; what is whole in it is used", slot_path(self._stem, slot))


def _add_up(contents: Sequence[_Content]) -> Totals:
    """Return the values of each series in all files together."""
    sums: dict[int, tuple[_Layout, Sequence[float]]] = {}
    for content in contents:
        layout, numbers = content.layout, _read_numbers(content)
        known = sums.get(id(layout))
        sums[id(layout)] = layout, numbers if known is None else list(map(add, known[1], numbers))
    totals: dict[Key, Sequence[float]] = {}
    for layout, numbers in sums.values():
        for key, values in layout.cut(numbers):
            before = totals.get(key)
            totals[key] = values if before is None else list(map(add, before, values))
    return totals | _find_latest(contents)


def _find_examples(contents: Sequence[_Content]) -> Examples:
    """Return the newest example of each bucket in any file."""
    newest: dict[tuple[Key, int], Exemplar] = {}
    for content in contents:
        for key, exemplar in _parse_exemplars(content):
            before = newest.get((key, exemplar.bucket))
            if before is None or before.time_s < exemplar.time_s:
                newest[key, exemplar.bucket] = exemplar
    found: dict[Key, list[Exemplar]] = {}
    for (key, _), exemplar in newest.items():
        found.setdefault(key, []).append(exemplar)
    return found


def _read_numbers(content: _Content) -> Sequence[float]:
    """Return all values, those that cannot be added as they are in the form in which they can."""
    layout = content.layout
    numbers = list(layout.numbers.unpack_from(content.data))
    for place, start in layout.special:
        if place.key.kind == "latest":
            numbers[start : start + 2] = 0.0, 0.0
            continue
        began, ended = numbers[start : start + 2]
        lost = numbers[start + 2] if content.is_alive else began - ended
        numbers[start : start + 3] = began - ended - lost, lost, 0.0
    return numbers


def _find_latest(contents: Sequence[_Content]) -> dict[Key, Sequence[float]]:
    """Return of each measurement the newest; one that only the dead have made is left at 0, made at 0."""
    latest: dict[Key, Sequence[float]] = {}
    for content in contents:
        for place, _ in content.layout.special:
            if place.key.kind != "latest" or not content.is_alive:
                continue
            values = struct.unpack_from("=2d", content.data, place.offset)
            before = latest.get(place.key)
            if before is None or before[1] < values[1]:
                latest[place.key] = values
    return latest


def _parse_exemplars(content: _Content) -> Iterator[tuple[Key, Exemplar]]:
    """Yield what is sane: one may be written while it is read."""
    keys = {place.offset: place.key for place in content.layout.places}
    whole = len(content.exemplars) // EXEMPLAR.size * EXEMPLAR.size
    for offset, bucket, value, time_s, raw in EXEMPLAR.iter_unpack(content.exemplars[:whole]):
        key = keys.get(offset)
        text = raw.rstrip(b"\0").decode("ascii", "replace")
        if key is None or key.bounds is None or not text.isprintable() or not text:
            continue
        if bisect_left(key.bounds, value) == bucket:
            yield key, Exemplar(bucket, value, time_s, text)
