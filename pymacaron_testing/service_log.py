"""Finds what a service logged of one request, in the logs of pymacaron: text or a JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_BEGIN = re.compile(r"\d{4}-\d\d-\d\d[ T]|\{")
_TRACEBACK = "Traceback (most recent call last)"


def find_trace(lines: list[str], request_id: str) -> str:
    """Return the records of *request_id* in *lines* that hold a traceback, empty if none does."""
    return "\n".join(text for text in _records(lines, request_id) if _TRACEBACK in text)


def _records(lines: list[str], request_id: str) -> Iterator[str]:
    """Yield the records that name the request, each with the lines that belong to it."""
    record: list[str] = []
    for line in lines:
        if _BEGIN.match(line):
            if record:
                yield "\n".join(record)
            record = [_read(line)] if request_id in line else []
        elif record:
            record.append(line)
    if record:
        yield "\n".join(record)


def _read(line: str) -> str:
    """Return the message and the traceback of a JSON record, any other line as it is."""
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict):
        return line
    return "\n".join(str(record[key]) for key in ("message", "exc_info") if record.get(key))
