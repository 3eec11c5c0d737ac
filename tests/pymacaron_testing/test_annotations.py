"""Formats that are annotations are found wherever a schema has them."""

from __future__ import annotations

from pymacaron_testing.annotations import drop_annotations


def test_drop_annotations() -> None:
    """Formats that services assert stay, and so do properties called format."""
    schema = {
        "properties": {"format": {"format": "regex"}, "a": {"format": "date"}},
        "anyOf": [{"format": "iri", "type": "string"}],
        "default": None,
    }
    assert drop_annotations(schema) == {
        "properties": {"format": {}, "a": {"format": "date"}},
        "anyOf": [{"type": "string"}],
        "default": None,
    }
