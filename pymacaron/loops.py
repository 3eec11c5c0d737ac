"""Which schemas lead back to themselves without a step into the value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pymacaron.json_types import Json, JsonObject

_REF = "#/components/schemas/"


def find_loops(schemas: Mapping[str, JsonObject]) -> set[str]:
    """Return the names of the schemas that are parts of themselves, as ``A: {anyOf: [{$ref: A}]}``.

    No model can be made of them: its validation would never end.
    """
    parts = {name: set(_find_parts(schema)) & schemas.keys() for name, schema in schemas.items()}
    return {name for name in schemas if name in _reach(name, parts)}


def _find_parts(schema: Json) -> Iterator[str]:
    """Yield the names that hold for the same value as *schema* does."""
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(_REF):
        yield reference.removeprefix(_REF)
    for key in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(key, ()):
            yield from _find_parts(part)


def _reach(name: str, parts: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(parts[name])
    while waiting:
        part = waiting.pop()
        if part not in reached:
            reached.add(part)
            waiting += parts[part]
    return reached
