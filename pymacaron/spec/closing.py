"""Request bodies of Swagger 2.0 documents take only the properties that they name, as in pymacaron 2."""

from __future__ import annotations

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.grammar import OPENAPI_3_2
from pymacaron.spec.operations import dereference, iterate_operations
from pymacaron.spec.renaming import referred_name
from pymacaron.spec.schemas import rebuild

# A schema with one of these says itself, or by others, which properties there are.
_OPEN_KEYWORDS = {"additionalProperties", "discriminator", "anyOf", "oneOf", "allOf", "$ref"}


def find_closed_schemas(document: JsonObject) -> set[str]:
    """Return the names of the schemas that request bodies are made of, without those that others are composed of."""
    schemas = document.get("components", {}).get("schemas", {})
    bodies = [
        media["schema"]
        for operation in iterate_operations(document)
        if "requestBody" in operation.node
        for media in dereference(document, operation.node["requestBody"], "").node.get("content", {}).values()
        if "schema" in media
    ]
    found: set[str] = set()
    names = [name for body in bodies for name in _referred_names(body)]
    while names:
        name = names.pop()
        if name not in found and name in schemas:
            found.add(name)
            names += _referred_names(schemas[name])
    composed = {name for schema in schemas.values() for name in _referred_names(schema, only_in="allOf")}
    return found - composed


def close_schema(schema: Json) -> Json:
    """Return *schema* so that objects in it refuse properties that they do not name."""
    closed: set[int] = set()

    def close(kind: str, node: JsonObject) -> JsonObject:
        if kind != "schema":
            return node
        for part in node.get("allOf", ()):
            if id(part) in closed:
                del part["additionalProperties"]
        if "allOf" in node:
            return node if "discriminator" in node else node | {"unevaluatedProperties": False}
        if "properties" in node and not _OPEN_KEYWORDS & node.keys():
            node = node | {"additionalProperties": False}
            closed.add(id(node))
        return node

    return rebuild(OPENAPI_3_2, "schema", schema, close)


def _referred_names(schema: Json, only_in: str | None = None) -> list[str]:
    names: list[str] = []

    def collect(kind: str, node: JsonObject) -> JsonObject:
        for part in node.get(only_in, ()) if only_in else [node]:
            name = (
                referred_name(part["$ref"]) if kind == "schema" and isinstance(part, dict) and "$ref" in part else None
            )
            if name is not None:
                names.append(name)
        return node

    rebuild(OPENAPI_3_2, "schema", schema, collect)
    return names
