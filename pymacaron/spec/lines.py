"""Line numbers of JSON pointers, worked out only when somebody asks."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache

from pymacaron.spec.yaml_text import YamlError, read_yaml

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def find_line(text: str, pointer: str) -> int | None:
    """Return the line, from 1, at which *pointer* stands in *text*; its nearest parent's if it is not there.

    None where nothing of it can be read. JSON is read as the YAML that it nearly is.
    """
    lines = _lines_of(text)
    while pointer and pointer not in lines:
        pointer = pointer.rpartition("/")[0]
    return lines.get(pointer)


def describe_place(source: str, text: str, pointer: str) -> str:
    """Return ``pets.yaml:12#/paths/~1pets``; without the line where it is unknown."""
    line = find_line(text, pointer)
    return f"{source}:{line}#{pointer}" if line else f"{source}#{pointer}"


@lru_cache(maxsize=8)
def _lines_of(text: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    with suppress(YamlError):
        # JSON may write emoji as two escapes, which YAML refuses; for line numbers any character will do.
        read_yaml(_SURROGATE.sub("??????", text), lines)
    return lines
