"""Tests of `pymacaron.spec.pointers`."""

from __future__ import annotations

import pytest

from pymacaron.json_types import Json
from pymacaron.spec.pointers import MISSING, follow_pointer, join_pointer, pointer_of_fragment, split_pointer

DATA: Json = {"a/b": {"m~n": [10, {"": "empty"}]}, "x": None}


def test_join_escapes_and_split_undoes_it() -> None:
    """A pointer survives being put together and taken apart, whatever its tokens hold."""
    pointer = join_pointer("/paths", "/pets/{id}", "a~1b", 3)
    assert pointer == "/paths/~1pets~1{id}/a~01b/3"
    assert split_pointer(pointer) == ["paths", "/pets/{id}", "a~1b", "3"]


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        pytest.param("", DATA, id="whole"),
        pytest.param("/a~1b/m~0n/0", 10, id="escapes and index"),
        pytest.param("/a~1b/m~0n/1/", "empty", id="empty key"),
        pytest.param("/x", None, id="null is there"),
        pytest.param("/y", MISSING, id="unknown key"),
        pytest.param("/a~1b/m~0n/2", MISSING, id="index too high"),
        pytest.param("/a~1b/m~0n/-1", MISSING, id="negative index"),
        pytest.param("/x/y", MISSING, id="below a leaf"),
    ],
)
def test_follow(pointer: str, expected: Json) -> None:
    """A pointer leads to its node, or to MISSING."""
    assert follow_pointer(DATA, pointer) == expected


def test_fragment() -> None:
    """Percent escapes of a URI fragment are undone before the pointer is read."""
    assert pointer_of_fragment("/a%20b/c~1d") == "/a b/c~1d"
