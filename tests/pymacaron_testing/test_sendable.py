"""What a request can carry."""

from __future__ import annotations

import pytest

from pymacaron_testing.sendable import write_header


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("abc 1\t2", "abc 1\t2", id="plain"),
        pytest.param("né", "né", id="latin-1"),
        pytest.param("a塔b\U0001f600", "axbx", id="beyond latin-1"),
        pytest.param("a\r\nb\x00\x7f", "axxbxx", id="control characters"),
        pytest.param("  a b\t", "xxa bx", id="blanks at the ends"),
        pytest.param("", "", id="empty"),
    ],
)
def test_headers(text: str, expected: str) -> None:
    """A header carries Latin-1 without control characters, and no blanks at its ends; its length stays."""
    assert write_header(text) == expected
    assert len(expected) == len(text)
