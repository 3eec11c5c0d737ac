"""What stands in an Api for a schema that cannot be taken apart.

A schema with ``$dynamicRef``, or of another dialect, has no equal among ``#/components/schemas/…``. Wherever it would
stand there is a stub instead::

    {"$ref": "file:///-/-/tree.json", "x-pymacaron-resources": {"file:///-/-/tree.json": {…}, …}}

The resources are the JSON Schema documents that the reference needs, whole and as written, by their URI; those of local
files are the same on every machine. Models take a stub for any value; a validator gets the resources as its registry.
JSON Schema's own metaschemas are not among them, for validators know those.
"""

from __future__ import annotations

from typing import Final

from pymacaron.json_types import Json, JsonObject

RESOURCES_KEY: Final = "x-pymacaron-resources"


def find_resources(schemas: Json) -> JsonObject:
    """Return the resources of all stubs in *schemas* (a schema, or a list or mapping of them): URI -> JSON Schema."""
    found: JsonObject = {}
    steps = [schemas]
    while steps:
        node = steps.pop()
        if isinstance(node, dict):
            found |= node.get(RESOURCES_KEY, {})
            steps += [value for key, value in node.items() if key != RESOURCES_KEY and isinstance(value, (dict, list))]
        elif isinstance(node, list):
            steps += node
    return found
