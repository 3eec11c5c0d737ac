"""Patterns mean what they mean in ECMAScript."""

from __future__ import annotations

import pytest

from pymacaron.codegen.patterns import translate_pattern


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        pytest.param(r"^\d+$", "^[0-9]+$", id="digits"),
        pytest.param(r"\D\w\W", "[^0-9][A-Za-z0-9_][^A-Za-z0-9_]", id="words"),
        pytest.param(r"[\d\w.]", "[0-9A-Za-z0-9_.]", id="inside a class"),
        pytest.param(r"\[\d\]", r"\[[0-9]\]", id="escaped brackets"),
        pytest.param("[[:alpha:]]", r"[\[:alpha:]]", id="a bracket in a class is itself"),
        pytest.param("[a&&b~~c]", r"[a\&\&b\~\~c]", id="no set operations"),
        pytest.param(r"\\d", r"\\d", id="escaped backslash"),
        pytest.param("a(?!b)$", r"a(?!b)(?![\s\S])", id="the end before a newline is none"),
        pytest.param("a\nb", "a\nb", id="newline"),
    ],
)
def test_translate(pattern: str, expected: str) -> None:
    """Each sign that engines read differently is spelled out."""
    assert translate_pattern(pattern) == expected
