"""Formats that say something about a text and refuse none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.json_types import Json

# Source: JSON Schema 2020-12, validation, section 7.2.1: a format is an annotation. Services do assert the common ones.
_ANNOTATIONS = frozenset({
    "idn-email", "idn-hostname", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer",
    "relative-json-pointer", "regex",
})  # fmt: skip


def drop_annotations(schema: Json) -> Json:
    """Return *schema* without the formats that a service need not assert."""
    if isinstance(schema, list):
        return [drop_annotations(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: drop_annotations(value)
        for key, value in schema.items()
        if not (key == "format" and isinstance(value, str) and value in _ANNOTATIONS)
    }
