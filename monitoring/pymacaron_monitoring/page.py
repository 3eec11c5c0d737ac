"""The text of ``/metrics``: what prometheus_client would write, in a tenth of its time.

What stands before a value never changes, so it is made once for each series.
Source: Prometheus text format 0.0.4; OpenMetrics 1.0, "Text format".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import NamedTuple

from pymacaron_monitoring.families import ACTIVE_REQUESTS, ACTIVE_TASKS, FAMILIES, LOST_REQUESTS, LOST_TASKS, Family
from pymacaron_monitoring.promql import write_bound
from pymacaron_monitoring.reading import Exemplar
from pymacaron_monitoring.records import Key
from pymacaron_monitoring.store import Store

_MEASURED_FOR_S = 60.0  # what nobody measures any more is not known: better no line than an old number
_EXEMPLAR_LABEL = "request_id"
_LOST = {ACTIVE_REQUESTS.name: LOST_REQUESTS, ACTIVE_TASKS.name: LOST_TASKS}
_BY_NAME = {family.name: family for family in FAMILIES}
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


class Sample(NamedTuple):
    """A value that is found out when the page is read."""

    family: Family
    labels: tuple[str, ...]
    value: float


class Page:
    """Writes what *store* holds, and the samples of *find_samples*, which is told how many lines the rest has."""

    def __init__(self, store: Store, find_samples: Callable[[int], Iterable[Sample]]) -> None:
        """Begin with nothing made."""
        self._store = store
        self._find_samples = find_samples
        self._heads: dict[Key, tuple[str, ...]] = {}

    def write(self, *, is_openmetrics: bool = False) -> str:
        """Return the page, with exemplars if it is OpenMetrics."""
        lines: dict[str, list[str]] = {family.name: [] for family in FAMILIES}
        totals, exemplars = self._store.read_all() if is_openmetrics else (self._store.read(), {})
        for key, values in totals.items():
            own = lines.get(key.metric)
            if own is None or (key.kind == "latest" and time.time() - values[1] > _MEASURED_FOR_S):
                continue  # of a worker of another release; of one that died, or no longer gets to know it
            head = self._heads.get(key)
            if head is None:
                head = self._heads[key] = _make_head(key)
            if key.kind == "histogram":
                _write_histogram(own, head, values)
                if key in exemplars:
                    _add_exemplars(own, len(head), exemplars[key])
            else:
                own.append(f"{head[0]}{values[0]!r}")
                if key.kind == "running":
                    lines[_LOST[key.metric].name].append(f"{head[1]}{values[1]!r}")
        for family, labels, value in self._find_samples(sum(map(len, lines.values()))):
            lines[family.name].append(f"{family.name}{_write_labels(family, labels)} {float(value)!r}")
        return _join(lines, is_openmetrics=is_openmetrics)


def count_lines(key: Key) -> int:
    """Return how many lines a series has on the page."""
    if key.kind == "histogram":
        return len(key.bounds or ()) + 3
    return 2 if key.kind == "running" else 1


def _make_head(key: Key) -> tuple[str, ...]:
    """Return what stands before each value of a series: of a histogram its buckets, count and sum."""
    family = _BY_NAME[key.metric]
    labels = _write_labels(family, key.labels)
    if key.kind == "running":
        return f"{key.metric}{labels} ", f"{_LOST[key.metric].name}{labels} "
    if key.kind != "histogram":
        return (f"{key.metric}{labels} ",)
    buckets = (
        f"{key.metric}_bucket{_write_labels(family, key.labels, write_bound(bound))} "
        for bound in (*(key.bounds or ()), inf)
    )
    return (*buckets, f"{key.metric}_count{labels} ", f"{key.metric}_sum{labels} ")


def _write_labels(family: Family, labels: Sequence[str], bound: str | None = None) -> str:
    pairs = dict(zip(family.labels, labels, strict=True))
    if bound is not None:
        pairs["le"] = bound
    inner = ",".join(f'{name}="{_write_text(value)}"' for name, value in sorted(pairs.items()))
    return f"{{{inner}}}" if inner else ""


def _write_text(text: str) -> str:
    """Return *text* as a label's value; half a surrogate, as of a file's name that is no UTF-8, could not be sent."""
    return text.encode("utf-8", "backslashreplace").decode().translate(_ESCAPES)


def _write_histogram(lines: list[str], head: Sequence[str], values: Sequence[float]) -> None:
    buckets = list(accumulate(values[:-1]))
    buckets.append(buckets[-1])
    buckets.append(values[-1])
    lines += [f"{text}{value!r}" for text, value in zip(head, buckets, strict=True)]


def _add_exemplars(lines: list[str], size: int, exemplars: Iterable[Exemplar]) -> None:
    """Add examples to the buckets of the histogram that was written last, *size* lines with count and sum."""
    first = len(lines) - size
    for one in exemplars:
        text = one.text.translate(_ESCAPES)
        lines[first + one.bucket] += f' # {{{_EXEMPLAR_LABEL}="{text}"}} {one.value!r} {one.time_s:.3f}'


def _join(lines: Mapping[str, list[str]], *, is_openmetrics: bool) -> str:
    page: list[str] = []
    for family in FAMILIES:
        name = family.name.removesuffix("_total") if is_openmetrics else family.name
        page += (f"# HELP {name} {family.text}", f"# TYPE {name} {family.kind}", *lines[family.name])
    if is_openmetrics:
        page.append("# EOF")
    page.append("")
    return "\n".join(page)
