"""Tests of `pymacaron.spec.lines`."""

from __future__ import annotations

import pytest

from pymacaron.spec import describe_place, find_line

YAML = "a:\n  b:\n    - c\n    - d\n"
JSON = '{\n\t"a": {\n\t\t"b": ["\\ud83d\\ude00",\n\t\t"d"]\n}}\n'


@pytest.mark.parametrize(
    ("text", "pointer", "line"),
    [
        pytest.param(YAML, "/a/b/1", 4, id="yaml item"),
        pytest.param(YAML, "/a/b", 2, id="yaml key"),
        pytest.param(YAML, "", 1, id="whole"),
        pytest.param(YAML, "/a/x/y", 1, id="not there: its nearest parent"),
        pytest.param(JSON, "/a/b/1", 4, id="json with tabs and an emoji as two escapes"),
        pytest.param("a:\n  b: 1\n  c: [", "/a/b", 2, id="before the place where the text breaks"),
        pytest.param("\x00", "/a", None, id="unreadable"),
    ],
)
def test_find_line(text: str, pointer: str, line: int | None) -> None:
    """A pointer's line is found in YAML and JSON."""
    assert find_line(text, pointer) == line


def test_describe_place() -> None:
    """A place reads file:line#pointer, without the line where it is unknown."""
    assert describe_place("api.yaml", YAML, "/a/b") == "api.yaml:2#/a/b"
    assert describe_place("api.yaml", "\x00", "/a/b") == "api.yaml#/a/b"
