"""What a deploy reads from /metrics: pages of several instances added up, and whether one was started again."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SAMPLE = re.compile(r"(?P<series>[A-Za-z_:][\w:]*(?:\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\})?)\s+(?P<value>\S+)")
_START = re.compile(r"^process_start_time_seconds(?:\{[^}]*\})?\s+(\S+)", re.MULTILINE)
_REQUESTS = re.compile(r"^http_server_request_duration_seconds_count(?:\{.*\})?\s+(\S+)", re.MULTILINE)
_WORKERS = re.compile(r"^worker_starts_total\s+(\S+)", re.MULTILINE)
# Of these the sum would mean nothing: facts about a process or a release.
_FACTS = ("_info", "_budget", "_start_time_seconds", "_max_fds")
_COUNTERS = ("_total", "_count", "_sum", "_bucket")


def find_starts(page: str) -> frozenset[str]:
    """Return when the processes of the page's instance started: instances are told apart by it."""
    return frozenset(_START.findall(page))


def was_restarted(before: str, after: str) -> bool:
    """Tell whether what counted *before* was started again until *after*: a later start, and fewer requests.

    A worker that was replaced starts later, too, and loses no count; instances that went away start no later.
    """
    starts = [max(map(float, find_starts(page)), default=0.0) for page in (before, after)]
    return starts[1] > starts[0] > 0 and _add(_REQUESTS, after) < _add(_REQUESTS, before)


def is_continued(before: str, after: str) -> bool:
    """Tell whether *after* has all that *before* counted, and more processes that counted it."""
    return _add(_WORKERS, after) > _add(_WORKERS, before) > 0 and _add(_REQUESTS, after) >= _add(_REQUESTS, before)


def _add(samples: re.Pattern[str], page: str) -> float:
    return sum(map(float, samples.findall(page)))


def sum_pages(pages: Iterable[str]) -> str:
    """Return one page: each series with the sum of its values; facts, such as start times, with the largest one.

    Pages are Prometheus' text format. Comments are kept, of the first page that has them.
    """
    lines: dict[str, None] = {}
    values: dict[str, list[float]] = {}
    for page in pages:
        for line in page.splitlines():
            match = _SAMPLE.match(line)
            if match is None or line.startswith("#"):
                lines.setdefault(line)
            else:
                lines.setdefault(match["series"])
                values.setdefault(match["series"], []).append(float(match["value"]))
    return "".join(f"{line} {_join(line, values[line])}\n" if line in values else f"{line}\n" for line in lines)


def subtract_page(page: str, before: str) -> str:
    """Return *page* with what its counters gained since *before*; other series stay as they are."""
    old = {match["series"]: float(match["value"]) for line in before.splitlines() if (match := _SAMPLE.match(line))}
    lines = []
    for line in page.splitlines():
        match = _SAMPLE.match(line)
        if match and match["series"].partition("{")[0].endswith(_COUNTERS):
            lines.append(f"{match['series']} {float(match['value']) - old.get(match['series'], 0.0)!r}")
        else:
            lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _join(series: str, values: list[float]) -> str:
    name = series.partition("{")[0]
    value = max(values) if name.endswith(_FACTS) else sum(values)
    return repr(value)
