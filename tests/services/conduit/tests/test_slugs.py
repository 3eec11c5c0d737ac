"""Slugs are made from titles."""

from __future__ import annotations

import re

import pytest

from conduit.slugs import MAX_LENGTH, add_suffix, make_slug


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        pytest.param("How to train your dragon", "how-to-train-your-dragon", id="words"),
        pytest.param("  --Hello,   World!--  ", "hello-world", id="symbols at the ends"),
        pytest.param("Crème brûlée", "creme-brulee", id="accents"),
        pytest.param("a\x00b\ud800c", "a-bc", id="NUL and lone surrogate"),
        pytest.param("Python 3.11", "python-3-11", id="digits"),
        pytest.param("x" * 500, "x" * 111, id="long"),
    ],
)
def test_make_slug(title: str, slug: str) -> None:
    """Letters and digits stay, everything else becomes single hyphens."""
    assert make_slug(title) == slug


@pytest.mark.parametrize("title", ["", "!!!", "Привет", "🐉", "Feed", " feed? "])
def test_random_end(title: str) -> None:
    """A title that leaves nothing, or the name of another path, gets a random end."""
    assert re.fullmatch(r"(article|feed)-[0-9a-f]{8}", make_slug(title))
    assert make_slug(title) != make_slug(title)


def test_suffix_fits() -> None:
    """The longest slug with its random end fits the document's bound."""
    assert len(add_suffix(make_slug("x" * 500))) == MAX_LENGTH
