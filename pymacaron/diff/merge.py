"""Brings schemas of JSON Schema 2020-12 into one spelling, and merges two that must hold together."""

from __future__ import annotations

from collections.abc import Callable

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.resources import RESOURCES_KEY

_ANNOTATIONS = frozenset({
    "title", "description", "example", "examples", "deprecated", "externalDocs", "xml", "summary", "$comment", "$defs",
    "$id", "$schema", "$anchor", "contentSchema",
})  # fmt: skip
_EMPTY: tuple[tuple[str, Json], ...] = (
    ("minLength", 0), ("minItems", 0), ("minProperties", 0), ("uniqueItems", False), ("required", []), ("items", {}),
    ("items", True), ("additionalProperties", {}), ("additionalProperties", True), ("unevaluatedProperties", True),
    ("unevaluatedProperties", {}), ("unevaluatedItems", True), ("unevaluatedItems", {}), ("propertyNames", {}),
    ("propertyNames", True), ("properties", {}), ("patternProperties", {}), ("allOf", []), ("dependentRequired", {}),
    ("dependentSchemas", {}), ("readOnly", False), ("writeOnly", False),
)  # fmt: skip
_PICK: dict[str, Callable[..., Json]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
# Keywords that mean something only together.
_GROUPS = (
    ("if", "then", "else"), ("contains", "minContains", "maxContains"), ("oneOf", "discriminator"),
    ("anyOf", "discriminator"), ("prefixItems", "items"), ("$ref", RESOURCES_KEY),
)  # fmt: skip
_DEPENDS_ON_OTHERS = frozenset({"anyOf", "oneOf", "allOf", "if", "dependentSchemas", "patternProperties"})


def is_equal(first: Json, second: Json) -> bool:
    """Tell whether two JSON values are the same, as JSON Schema counts: 1 is 1.0, and is not true."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(is_equal(value, second[key]) for key, value in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(is_equal, first, second))
    return bool(first == second)


def is_in(value: Json, values: list[Json]) -> bool:
    """Tell whether *value* is one of *values*."""
    return any(is_equal(value, other) for other in values)


def tidy_schema(schema: JsonObject) -> JsonObject:
    """Return *schema* without annotations and keywords that demand nothing, ``type`` a list, ``const`` an ``enum``."""
    tidy = {
        key: value
        for key, value in schema.items()
        if key not in _ANNOTATIONS and (key == RESOURCES_KEY or not key.startswith("x-"))
    }
    if "const" in tidy:
        const = tidy.pop("const")
        tidy["enum"] = [value for value in tidy.get("enum", [const]) if is_equal(value, const)]
    if isinstance(tidy.get("type"), str):
        tidy["type"] = [tidy["type"]]
    if "number" in tidy.get("type", ()):
        tidy["type"] = [name for name in tidy["type"] if name != "integer"]
    for key, empty in _EMPTY:
        if key in tidy and is_equal(tidy[key], empty):
            del tidy[key]
    unevaluated = tidy.get("unevaluatedProperties")
    if unevaluated is not None and not _DEPENDS_ON_OTHERS & tidy.keys():
        del tidy["unevaluatedProperties"]
        tidy.setdefault("additionalProperties", unevaluated)
    return tidy


def local_reference(schema: JsonObject) -> str | None:
    """Return the reference to a part of the document that *schema* holds; None if it holds none, or one to a stub."""
    ref = schema.get("$ref")
    return ref if isinstance(ref, str) and ref.startswith("#") else None


def merge_schemas(first: JsonObject, second: JsonObject) -> JsonObject:
    """Return one schema for the values that obey both, which are tidy; what cannot be merged stays in ``allOf``."""
    second = dict(second)
    left: list[JsonObject] = [*first.get("allOf", ()), *second.pop("allOf", ())]
    merged = {key: value for key, value in first.items() if key != "allOf"}
    for group in _GROUPS:
        mine, theirs = _pick(merged, group), _pick(second, group)
        if mine and theirs and not is_equal(mine, theirs) and (mine.keys() | theirs.keys()) != {"items"}:
            left.append(theirs)
            second = {key: value for key, value in second.items() if key not in theirs}
    if "patternProperties" in {*merged, *second} and (
        "additionalProperties" in merged or "additionalProperties" in second
    ):
        objects = _pick(second, ("properties", "patternProperties", "additionalProperties"))
        left += [objects] if objects else []
        second = {key: value for key, value in second.items() if key not in objects}
    else:
        _merge_objects(merged, second)
    for key, value in second.items():
        _merge_keyword(merged, key, value, left)
    return merged | ({"allOf": left} if left else {})


def _pick(schema: JsonObject, keys: tuple[str, ...]) -> JsonObject:
    return {key: schema[key] for key in keys if key in schema}


def _merge_keyword(merged: JsonObject, key: str, value: Json, left: list[JsonObject]) -> None:
    if key not in merged or is_equal(merged[key], value):
        merged[key] = value
    elif key in _PICK:
        merged[key] = _PICK[key](merged[key], value)
    elif key == "type":
        merged[key] = _common_types(merged[key], value)
    elif key == "enum":
        merged[key] = [one for one in merged[key] if is_in(one, value)]
    elif key == "required":
        merged[key] = list(dict.fromkeys([*merged[key], *value]))
    elif key == "items":
        merged[key] = {"allOf": [merged[key], value]}
    elif key in ("default", "readOnly", "writeOnly"):
        merged[key] = value
    else:
        left.append({key: value})


def _common_types(first: list[str], second: list[str]) -> list[str]:
    common = [name for name in first if name in second]
    if "integer" not in common and {"integer", "number"} <= {*first, *second}:
        common.append("integer")
    return common


def _merge_objects(merged: JsonObject, second: JsonObject) -> None:
    """Merge properties and additionalProperties, which speaks of the properties beside it only."""
    mine, theirs = merged.pop("properties", {}), second.pop("properties", {})
    other, others = merged.pop("additionalProperties", None), second.pop("additionalProperties", None)
    properties: JsonObject = {}
    for name in dict.fromkeys([*mine, *theirs]):
        demands = [mine.get(name, other), theirs.get(name, others)]
        demands = [demand for demand in demands if demand is not None]
        is_same = len(demands) > 1 and is_equal(demands[0], demands[1])
        properties[name] = demands[0] if len(demands) == 1 or is_same else {"allOf": demands}
    if properties:
        merged["properties"] = properties
    rest = [demand for demand in (other, others) if demand is not None]
    if rest:
        is_closed = any(demand is False for demand in rest)
        merged["additionalProperties"] = False if is_closed else rest[0] if len(rest) == 1 else {"allOf": rest}
