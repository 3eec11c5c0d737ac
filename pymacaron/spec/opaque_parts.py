"""Parts of forms that only the service can read: an object of which the document says that its part is no JSON is text.

Source: OpenAPI 3.2, "Encoding Object", contentType.
"""

from __future__ import annotations

from collections.abc import Iterator

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.media_types import essence_of, is_form_type, is_json_type, is_multipart
from pymacaron.spec.model import STYLE_KEYS
from pymacaron.spec.operations import dereference

_COMPOSITES = ("allOf", "anyOf", "oneOf")
_JSON_RANGES = {"*/*", "application/*"}
# What is still right of a schema whose values became text.
_LABELS = ("title", "description", "summary", "deprecated", "readOnly", "writeOnly", "x-")
_BOUNDS = ("minItems", "maxItems")


def find_opaque_parts(document: JsonObject, media_type: str, media: JsonObject) -> frozenset[str]:
    """Return the names of those properties of the form in *media* that are objects, or arrays of them, and not JSON."""
    names = {name for name, node in media.get("encoding", {}).items() if _is_foreign(node)}
    if not names or not (is_form_type(media_type) or is_multipart(media_type)):
        return frozenset()
    return frozenset(
        name
        for part in _parts(document, media.get("schema"))
        for name, schema in part.get("properties", {}).items()
        if name in names and write_as_text(document, schema) is not schema
    )


def write_parts_as_text(document: JsonObject, schema: Json, names: frozenset[str]) -> Json:
    """Return *schema*, that of a form, with text for the properties *names*; what a reference leads to is not changed.

    A reference stays where nothing changes behind it.
    """
    return _rewrite(document, schema, names, ()) if names else schema


def write_as_text(document: JsonObject, schema: Json) -> Json:
    """Return text in place of an object, and of the items of an array of them; any other *schema* as it is."""
    parts = list(_parts(document, schema))
    types = _types_of(parts)
    labels = {key: value for part in reversed(parts) for key, value in part.items() if key.startswith(_LABELS)}
    if "object" in types:
        return labels | {"type": _with_null("string", types)}
    items = [part["items"] for part in parts if "items" in part]
    if "array" in types and any(_is_structured(document, item) for item in items):
        bounds = {key: part[key] for part in parts for key in _BOUNDS if key in part}
        return labels | {"type": _with_null("array", types), "items": {"type": "string"}} | bounds
    return schema


def _rewrite(document: JsonObject, schema: Json, names: frozenset[str], seen: tuple[str, ...]) -> Json:
    if not isinstance(schema, dict):
        return schema
    node = dict(schema)
    if "properties" in node:
        node["properties"] = {
            name: write_as_text(document, inner) if name in names else inner
            for name, inner in node["properties"].items()
        }
    for key in _COMPOSITES:
        if key in node:
            node[key] = [_rewrite(document, inner, names, seen) for inner in node[key]]
    if "$ref" in node and node["$ref"] not in seen:
        target = dereference(document, {"$ref": node["$ref"]}, "").node
        written = _rewrite(document, target, names, (*seen, node["$ref"]))
        if written != target:
            node = _join(written, {key: value for key, value in node.items() if key != "$ref"})
    if node == schema:
        return schema
    node.pop("discriminator", None)  # it chooses among references, which are written out now
    return node


def _join(target: JsonObject, beside: JsonObject) -> JsonObject:
    """Return a schema that says what *target* says and what stood *beside* the reference to it."""
    if all(key.startswith(_LABELS) for key in beside):
        return target | beside
    return beside | {"allOf": [*beside.get("allOf", ()), target]}


def _is_foreign(encoding: JsonObject) -> bool:
    """Tell whether *encoding* names media types and none of them is JSON."""
    essences = [essence_of(one) for one in encoding.get("contentType", "").split(",") if one.strip()]
    is_styled = not STYLE_KEYS.isdisjoint(encoding)
    return bool(essences) and not is_styled and not any(is_json_type(one) or one in _JSON_RANGES for one in essences)


def _parts(document: JsonObject, schema: Json, seen: tuple[str, ...] = ()) -> Iterator[JsonObject]:
    """Yield *schema* and everything that it is composed of."""
    if not isinstance(schema, dict):
        return
    yield schema
    if "$ref" in schema and schema["$ref"] not in seen:
        target = dereference(document, {"$ref": schema["$ref"]}, "").node
        yield from _parts(document, target, (*seen, schema["$ref"]))
    for key in _COMPOSITES:
        for inner in schema.get(key, ()):
            yield from _parts(document, inner, seen)


def _is_structured(document: JsonObject, schema: Json) -> bool:
    return not {"object", "array"}.isdisjoint(_types_of(list(_parts(document, schema))))


def _types_of(parts: list[JsonObject]) -> set[str]:
    """Return the types that *parts* name; where they name none, what they have tells."""
    types: set[str] = set()
    for part in parts:
        declared = part.get("type", [])
        types.update([declared] if isinstance(declared, str) else declared)
    if types - {"null"}:
        return types
    has_properties = any("properties" in part or "additionalProperties" in part for part in parts)
    has_items = any("items" in part for part in parts)
    return types | ({"object"} if has_properties else {"array"} if has_items else set())


def _with_null(name: str, types: set[str]) -> Json:
    return [name, "null"] if "null" in types else name
