"""The declared media type that is meant is the narrowest that fits."""

from __future__ import annotations

import pytest

from pymacaron.media_table import MediaTable
from pymacaron.negotiation import parse_wishes, quality_of
from pymacaron.spec import Media

DECLARED = [
    "*/*",
    "text/*",
    "application/*+json",
    "application/json",
    "application/x+json; version=2",
    "application/x+json",
]


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        pytest.param("application/json", "application/json", id="exact"),
        pytest.param("APPLICATION/JSON;charset=x", "application/json", id="case and charset"),
        pytest.param("application/y+json", "application/*+json", id="suffix"),
        pytest.param("application/x+json;version=2", "application/x+json; version=2", id="parameter"),
        pytest.param("application/x+json;version=3", "application/x+json", id="another parameter"),
        pytest.param("application/x+json", "application/x+json; version=2", id="no parameter"),
        pytest.param("text/csv", "text/*", id="range"),
        pytest.param("image/png", "*/*", id="anything"),
    ],
)
def test_find(media_type: str, expected: str) -> None:
    """Exact types go before suffixes, before types, before everything."""
    table = MediaTable([Media(declared, None, None, declared) for declared in DECLARED])
    for _ in range(2):  # found, then remembered
        found = table.find(media_type)
        assert found is not None
        assert found.media_type == expected


def test_nothing_fits() -> None:
    """A table without ranges has gaps; it shows itself as an Accept header."""
    table = MediaTable([Media("text/csv", None, None, "a"), Media("image/*", None, None, "b")])
    assert table.find("application/json") is None
    assert str(table) == "text/csv, image/*"


@pytest.mark.parametrize(
    ("accept", "media_type", "quality"),
    [
        pytest.param("text/*;q=0.3, text/html;q=0.7, */*;q=0.1", "text/html", 0.7, id="exact before range"),
        pytest.param("text/*;q=0.3, text/html;q=0.7, */*;q=0.1", "text/plain", 0.3, id="range before all"),
        pytest.param("text/*;q=0.3, text/html;q=0.7, */*;q=0.1", "image/png", 0.1, id="all"),
        pytest.param("text/html;level=1;q=0.9, text/html;q=0.4", "text/html;level=2", 0.4, id="another level"),
        pytest.param("image/png", "image/*", 1, id="a declared range"),
        pytest.param("*/*, image/png;q=0", "image/png", 0, id="forbidden"),
        pytest.param("image/png", "text/plain", 0, id="not named"),
        pytest.param("", "text/plain", 1, id="no wish"),
    ],
)
def test_quality(accept: str, media_type: str, quality: float) -> None:
    """The narrowest range of an Accept header decides. Source: RFC 9110, section 12.5.1."""
    assert quality_of(media_type, parse_wishes(accept)) == quality
