"""Adds up /metrics of several instances of one release."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SAMPLE = re.compile(r"(?P<series>[A-Za-z_:][\w:]*(?:\{(?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*\})?)\s+(?P<value>\S+)")
_START = re.compile(r"^process_start_time_seconds(?:\{[^}]*\})?\s+(\S+)", re.MULTILINE)
# Of these the sum would mean nothing: facts about a process or a release.
_FACTS = ("_info", "_budget", "_start_time_seconds", "_max_fds")


def find_starts(page: str) -> frozenset[str]:
    """Return when the processes of the page's instance started: instances are told apart by it."""
    return frozenset(_START.findall(page))


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


def _join(series: str, values: list[float]) -> str:
    name = series.partition("{")[0]
    value = max(values) if name.endswith(_FACTS) else sum(values)
    return repr(value)
