"""Which properties of a value its schema speaks of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pymacaron.json_types import Json, JsonObject

_OPENING = ("additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames")
_MAX_DEPTH = 4


def keep_declared(value: Json, schema: JsonObject, document: JsonObject) -> Json:
    """Return *value* without properties that *schema* neither names nor explicitly allows.

    JSON Schema lets unnamed properties pass, many services refuse them: a request with one proves nothing. Objects
    whose schema names no property at all stay as they are. document: what local ``$ref`` point into.
    """
    branches = list(branches_of(schema, document))
    if isinstance(value, list):
        items = next((branch["items"] for branch in branches if isinstance(branch.get("items"), dict)), None)
        return value if items is None else [keep_declared(item, items, document) for item in value]
    if not isinstance(value, dict):
        return value
    named: dict[str, JsonObject] = {}
    for branch in branches:
        named.update({key: rule for key, rule in branch.get("properties", {}).items() if isinstance(rule, dict)})
    is_open = not named or any(key in branch for branch in branches for key in _OPENING)
    return {
        key: keep_declared(item, named[key], document) if key in named else item
        for key, item in value.items()
        if is_open or key in named
    }


def branches_of(schema: JsonObject, document: JsonObject) -> Iterator[JsonObject]:
    """Yield *schema* and everything that it refers to or is combined from. document: as for `keep_declared`."""
    yield from _branches(schema, document, set())


def copy_json(value: Json) -> Json:
    """Return a copy of *value* in which objects and lists are new ones."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    return [copy_json(item) for item in value] if isinstance(value, list) else value


def types_of(branches: Iterable[JsonObject]) -> set[str]:
    """Return the names of the types that a schema with these `branches_of` speaks of; empty where it may be any."""
    declared: list[Json] = [branch.get("type", []) for branch in branches]
    return {name for names in declared for name in ([names] if isinstance(names, str) else names)}


def _branches(schema: JsonObject, document: JsonObject, seen: set[str]) -> Iterator[JsonObject]:
    """Yield *schema* and everything that it refers to or is combined from."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        target = _follow(reference, document)
        if reference not in seen and isinstance(target, dict):
            yield from _branches(target, document, seen | {reference})
    yield schema
    for key in ("allOf", "anyOf", "oneOf"):
        for branch in schema.get(key, []):
            if isinstance(branch, dict):
                yield from _branches(branch, document, seen)


def _follow(reference: str, document: JsonObject) -> Json:
    """Return what a local reference points to, None if nothing is there."""
    node: Json = document
    for token in reference.removeprefix("#/").split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        node = node.get(key) if isinstance(node, dict) else None
    return node


def find_property(schema: JsonObject, name: str, document: JsonObject, depth: int = 0) -> JsonObject | None:
    """Return the schema of the property *name* of an object, or of the objects in an array; None if it has none.

    document: as for `keep_declared`. depth: arrays around it so far.
    """
    for branch in branches_of(schema, document):
        found = branch.get("properties", {}).get(name)
        if isinstance(found, dict):
            return found
        items = branch.get("items")
        if isinstance(items, dict) and depth < _MAX_DEPTH:
            found = find_property(items, name, document, depth + 1)
            if found is not None:
                return found
    return None
