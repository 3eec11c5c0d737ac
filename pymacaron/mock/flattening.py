"""A schema with everything that it refers to and is composed of, merged into one flat schema.

Flat schemas are plain dicts in which ``$ref``, ``allOf``, ``anyOf``, ``oneOf``, ``if`` and ``const`` are gone, and that
hold lists where several parts may speak: ``type``, ``enum``, ``patterns``, ``formats``, ``multiples``. What a merge
cannot say (``not``, that only one alternative of ``oneOf`` fits) is left out: whoever makes an instance has it judged.
Source: JSON Schema 2020-12, core, sections 10 and 11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pymacaron.json_types import Json, JsonObject

_REF = "#/components/schemas/"
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_LARGEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
_SMALLEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_COMPOSING = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "discriminator"})
_BOTH = ("items", "contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems")
_LISTS = {"pattern": "patterns", "format": "formats", "multipleOf": "multiples"}
# Chooses among schemas that are alternatives to each other.
Choose = Callable[[list[Json]], Json]


class ImpossibleError(Exception):
    """No instance: parts of a schema exclude each other."""


def referred_schema(reference: str, schemas: Mapping[str, JsonObject]) -> Json:
    """Return what *reference* leads to among the named *schemas*. Raises ImpossibleError if that is nothing."""
    name = reference.removeprefix(_REF)
    if name not in schemas:
        raise ImpossibleError(f"{reference} leads to nothing")
    return schemas[name]


def reference_name(schema: Json) -> str | None:
    """Return the name of the schema that *schema* refers to, None if it refers to none, or to a resource as a whole."""
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    return reference.removeprefix(_REF) if isinstance(reference, str) and reference.startswith(_REF) else None


def flatten(schema: Json, schemas: Mapping[str, JsonObject], choose: Choose) -> JsonObject:
    """Return *schema* as a flat one; *choose* decides between alternatives. Raises ImpossibleError."""
    flat: JsonObject = {}
    for part in _parts(schema, schemas, choose, frozenset()):
        flat = _merge(flat, _normalise(part)) if flat else _normalise(part)
    if flat.get("type") == []:
        raise ImpossibleError("no type is left")
    if flat.get("enum") == []:
        raise ImpossibleError("no value of enum is left")
    return flat


def _parts(
    schema: Json, schemas: Mapping[str, JsonObject], choose: Choose, seen: frozenset[str]
) -> Iterator[JsonObject]:
    """Yield the schemas that all hold for an instance, without what composes them."""
    if schema is False:
        raise ImpossibleError("the schema is false")
    if not isinstance(schema, dict):
        return
    yield {key: value for key, value in schema.items() if key not in _COMPOSING}
    name = reference_name(schema)
    if name is not None:
        if name in seen:
            raise ImpossibleError(f"{name} refers to itself")
        yield from _parts(referred_schema(schema["$ref"], schemas), schemas, choose, seen | {name})
    for part in schema.get("allOf", []):
        yield from _parts(part, schemas, choose, seen)
    for keyword in ("anyOf", "oneOf"):
        if schema.get(keyword):
            chosen = choose(schema[keyword])
            yield from _parts(chosen, schemas, choose, seen)
            yield from _discriminate(schema, chosen)
    if "if" in schema:
        both = [{"allOf": [schema["if"], schema.get("then", True)]}, schema.get("else", True)]
        yield from _parts(choose(both), schemas, choose, seen)


def _discriminate(schema: JsonObject, chosen: Json) -> Iterator[JsonObject]:
    """Yield what the discriminator says of the alternative that was *chosen*."""
    discriminator = schema.get("discriminator")
    name = reference_name(chosen)
    if not isinstance(discriminator, dict) or name is None:
        return
    mapping = discriminator.get("mapping", {})
    values = [value for value, target in mapping.items() if target.removeprefix(_REF) == name] or [name]
    key = discriminator["propertyName"]
    yield {"required": [key], "properties": {key: {"enum": values}}}


def _normalise(part: JsonObject) -> JsonObject:
    flat = dict(part)
    if "type" in flat:
        flat["type"] = [flat["type"]] if isinstance(flat["type"], str) else list(flat["type"])
    if "const" in flat:
        value = flat.pop("const")
        flat["enum"] = [value] if "enum" not in flat else [one for one in flat["enum"] if is_equal(one, value)]
    for key, name in _LISTS.items():
        if key in flat:
            flat[name] = [flat.pop(key)]
    if "examples" in flat and not isinstance(flat["examples"], list):
        del flat["examples"]
    return flat


def _merge(left: JsonObject, right: JsonObject) -> JsonObject:
    """Return the flat schema of what keeps both. What only one of them says is taken from there."""
    merged = {**right, **left}
    for key in left.keys() & right.keys():
        merge = _MERGERS.get(key)
        if merge:
            merged[key] = merge(left[key], right[key])
    if "properties" in merged or "additionalProperties" in merged:
        merged["properties"] = dict(_merge_properties(left, right))
    return merged


def _merge_properties(left: JsonObject, right: JsonObject) -> Iterator[tuple[str, Json]]:
    ours, theirs = left.get("properties", {}), right.get("properties", {})
    for name in {**ours, **theirs}:
        parts = []
        for side, own in ((left, ours), (right, theirs)):
            if name in own:
                parts.append(own[name])
            elif "additionalProperties" in side and not side.get("patternProperties"):
                parts.append(side["additionalProperties"])
        yield name, _all_of(*parts)


def _all_of(*parts: Json) -> Json:
    if any(part is False for part in parts):
        return False
    said = [part for part in parts if part not in (True, {})]
    if not said:
        return True
    return said[0] if len(said) == 1 or all(part == said[0] for part in said) else {"allOf": said}


def _merge_types(left: list[str], right: list[str]) -> list[str]:
    def has(types: list[str], name: str) -> bool:
        return name in types or (name == "integer" and "number" in types)

    return [name for name in _TYPES if has(left, name) and has(right, name) and (name in left or name in right)]


def _merge_enums(left: list[Json], right: list[Json]) -> list[Json]:
    return [value for value in left if any(is_equal(value, other) for other in right)]


def _merge_prefixes(left: list[Json], right: list[Json]) -> list[Json]:
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    return [*(_all_of(*pair) for pair in zip(longer, shorter, strict=False)), *longer[len(shorter) :]]


def _merge_mappings(left: JsonObject, right: JsonObject) -> JsonObject:
    return {
        key: _all_of(left[key], right[key]) if key in left and key in right else {**left, **right}[key]
        for key in {**left, **right}
    }


def _merge_dependencies(left: JsonObject, right: JsonObject) -> JsonObject:
    return {key: [*left.get(key, []), *right.get(key, [])] for key in {**left, **right}}


def is_equal(left: Json, right: Json) -> bool:
    """Tell whether two JSON values are equal: 1 is 1.0, true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(is_equal(left[key], right[key]) for key in left)
    return bool(left == right)


_MERGERS: dict[str, Callable[[Any, Any], Any]] = {
    "type": _merge_types,
    "enum": _merge_enums,
    "required": lambda left, right: list(dict.fromkeys([*left, *right])),
    "additionalProperties": _all_of,
    "patternProperties": _merge_mappings,
    "prefixItems": _merge_prefixes,
    "dependentSchemas": _merge_mappings,
    "dependentRequired": _merge_dependencies,
    **dict.fromkeys(_LARGEST, max),
    **dict.fromkeys(_SMALLEST, min),
    **dict.fromkeys(_BOTH, _all_of),
    **dict.fromkeys(_LISTS.values(), lambda left, right: list(dict.fromkeys([*left, *right]))),
}
