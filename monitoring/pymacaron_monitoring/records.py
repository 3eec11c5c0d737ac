"""The file in which one process keeps its counts, as bytes; all numbers in the machine's order, on 8-byte boundaries.

::

    header   magic (8 bytes), bytes in use (u64), mark of this content (u64), process id (u64), exemplars in use (u64)
    record   length of the key (u64), number of values (u64), key (JSON, padded with spaces), values (doubles)
    …        records up to EXEMPLARS_START
    exemplar offset of the record (u64), number of the bucket (u64), value (double), time (double), text (96 bytes)

A record is appended first and counted in the header afterwards, and never moves: a process that dies at any point
leaves a file that can be read.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

SIZE_BYTES = 16 << 20
"""Most that one process writes; the file is sparse, so that only what is used takes space."""

EXEMPLARS_START = 12 << 20
MAGIC = b"pymstor2"
HEADER = struct.Struct("=8sQQQQ")
RECORD = struct.Struct("=QQ")
EXEMPLAR = struct.Struct("=QQdd96s")
EXEMPLAR_VALUES = struct.Struct("=dd96s")
"""The end of an exemplar: what changes in it."""
MOST_EXEMPLARS = (SIZE_BYTES - EXEMPLARS_START) // EXEMPLAR.size

Kind = Literal["counter", "histogram", "running", "latest"]
_SIZES: dict[Kind, int] = {"counter": 1, "running": 3, "latest": 2}
_KINDS = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True)
class Key:
    """What a series counts. labels: in the metric's order. bounds: of a histogram, ascending, without infinity.

    kind, and what its values are: ``counter``: the count. ``histogram``: how many fell into each bucket, infinity's
    included, and the sum. ``running``: how many began, how many ended, and how many of the difference died with their
    process. ``latest``: a measurement, and when it was made, in seconds since the epoch.
    """

    metric: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] | None = None
    kind: Kind = "counter"

    @property
    def size(self) -> int:
        """How many values it has."""
        return len(self.bounds or ()) + 2 if self.kind == "histogram" else _SIZES[self.kind]

    def to_bytes(self) -> bytes:
        """Return the key as JSON, its length a multiple of 8."""
        raw = json.dumps([self.metric, self.labels, self.bounds, self.kind], separators=(",", ":")).encode()
        return raw.ljust(-(-len(raw) // 8) * 8)


@dataclass(frozen=True, slots=True)
class Header:
    """Head of a file. mark: another one where the records were written anew."""

    used: int
    mark: int
    pid: int
    exemplars: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file the values of *key* are: the number of the first double, counted from the file's start."""

    key: Key
    start: int

    @property
    def offset(self) -> int:
        """Bytes before the values."""
        return 8 * self.start


def read_header(data: bytes) -> Header | None:
    """Return the header at the start of *data*; None if it is none."""
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        return None
    _, used, mark, pid, exemplars = HEADER.unpack_from(data)
    return Header(min(used, EXEMPLARS_START), mark, pid, min(exemplars, MOST_EXEMPLARS))


def find_places(data: bytes, start: int, end: int) -> tuple[list[Place], int]:
    """Return the places of the records in *data* from *start* up to *end*, and where the last whole one ends."""
    places: list[Place] = []
    end = min(end, len(data))
    while start + RECORD.size <= end:
        length, size = RECORD.unpack_from(data, start)
        values = start + RECORD.size + length
        key = parse_key(data[start + RECORD.size : values]) if length < end else None
        if key is None or key.size != size or values % 8 or values + 8 * size > end:
            break
        places.append(Place(key, values // 8))
        start = values + 8 * size
    return places, start


def make_record(key: Key) -> bytes:
    """Return the record of *key*, its values zero."""
    raw = key.to_bytes()
    return RECORD.pack(len(raw), key.size) + raw + bytes(8 * key.size)


@lru_cache(maxsize=16384)
def parse_key(raw: bytes) -> Key | None:
    """Read what `Key.to_bytes` wrote; None for anything else."""
    try:
        metric, labels, bounds, kind = json.loads(raw)
        key = Key(metric, tuple(labels), None if bounds is None else tuple(map(float, bounds)), kind)
        is_sane = kind in _KINDS and (bounds is not None) is (kind == "histogram")
    except (ValueError, TypeError):
        return None
    return key if is_sane and all(isinstance(text, str) for text in (metric, *labels)) else None
