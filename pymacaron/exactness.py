"""Where a generated model accepts exactly what its schema accepts, so that nothing else has to judge.

A white list: what is not known to be exact here is judged by jsonschema-rs too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import combinations

from pymacaron.formats import FORMATS, INTEGER_FORMATS
from pymacaron.json_types import Json, JsonObject
from pymacaron.judge import FOREIGN, REF, Direction, SameSchemas, find_foreign
from pymacaron.loops import find_loops
from pymacaron.patterns import is_linear

_ANNOTATIONS = frozenset({
    "title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "externalDocs",
    "xml", "$comment", "$schema", "contentMediaType", "contentEncoding", "contentSchema",
})  # fmt: skip
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_KEYWORDS: Mapping[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "integer": _BOUNDS | {"format"},
    "number": _BOUNDS | {"format"},
    "boolean": frozenset(),
    "null": frozenset(),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties", "discriminator"}),
}
# Their types have no room for bounds beside the format.
_BARE_FORMATS = frozenset({"DateTime", "Date", "Uuid", "DecimalText"})
# Above, neighbouring integers are one number to a double.
_LARGEST = 2**53


class Exactness:
    """Tells for the schemas of one api where models say everything."""

    def __init__(self, schemas: Mapping[str, JsonObject], direction: Direction) -> None:
        """Take all named *schemas* and which way their values go."""
        self._schemas = schemas
        self._own = FOREIGN["response" if direction == "request" else "request"]
        self._is_answer = direction == "response"
        self._local: dict[str, tuple[bool, frozenset[str]]] = {}
        self._loops = find_loops(schemas)
        self._local |= {name: (False, frozenset()) for name in self._loops}

    def is_exact(self, schema: Json) -> bool:
        """Tell whether the model of *schema*, and of all that it refers to, accepts what the schema accepts."""
        is_fine, names = self._look_at(schema)
        waiting, seen = list(names), set(names)
        while is_fine and waiting:
            name = waiting.pop()
            if name not in self._local:
                self._local[name] = self._look_at_named(name)
            is_fine, names = self._local[name]
            waiting += names - seen
            seen |= names
        return is_fine

    def _look_at_named(self, name: str) -> tuple[bool, frozenset[str]]:
        is_fine, names = self._look_at(self._schemas[name])
        # The generator takes an array of itself for an array of anything.
        return is_fine and (name not in names or self._schemas[name].get("type") == "object"), names

    def _look_at(self, schema: Json) -> tuple[bool, frozenset[str]]:
        """Return whether *schema* itself is exact, and the names that it refers to."""
        names: set[str] = set()
        return self._is_exact(schema, names), frozenset(names)

    def _is_exact(self, schema: Json, names: set[str]) -> bool:
        if not isinstance(schema, dict):
            return schema is True
        keys = _keywords(schema)
        if keys == {"$ref"}:
            names.add(self._target(schema))
            return self._target(schema) in self._schemas
        return not keys or self._is_exact_inline(schema, keys, names)

    def _is_exact_inline(self, schema: JsonObject, keys: set[str], names: set[str]) -> bool:
        if keys <= {"anyOf", "discriminator"} or keys <= {"oneOf", "discriminator"}:
            return self._is_exact_choice(schema, names)
        if "allOf" in keys:
            return self._is_exact_object_of_parts(schema, names)
        if "enum" in keys or "const" in keys:
            return _is_exact_enum(schema, keys)
        return "type" in keys and self._is_exact_type(schema, keys, names)

    def _is_exact_type(self, schema: JsonObject, keys: set[str], names: set[str]) -> bool:
        types = _types(schema)
        if not keys - {"type"} <= frozenset().union(*(_KEYWORDS[name] for name in types)):
            return False
        if "object" in types and (len(types) > 1 or not self._is_exact_object(schema, names)):
            return keys == {"type"}
        if "array" in types and "items" in schema and not self._is_exact(schema["items"], names):
            return False
        if "string" in types and not _is_exact_text(schema):
            return False
        return not {"integer", "number"} & types or _is_exact_number(schema, types)

    def _is_exact_object(self, schema: JsonObject, names: set[str]) -> bool:
        properties = schema.get("properties", {})
        extra = schema.get("additionalProperties", True)
        if not (bool(properties) if extra is False else self._is_exact(extra, names)):
            return False
        if "required" in schema and ("properties" not in schema or self._requires_own(schema)):
            return False
        if self._is_answer and any(find_foreign({"properties": properties}, self._schemas, "writeOnly")):
            return False
        return all(self._is_exact(inner, names) for inner in properties.values())

    def _requires_own(self, schema: JsonObject) -> bool:
        """Tell whether a property is required here that models make optional, for it only goes this way."""
        return not set(schema["required"]).isdisjoint(find_foreign(schema, self._schemas, self._own))

    def _is_exact_object_of_parts(self, schema: JsonObject, names: set[str]) -> bool:
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        parts = [part for inner in schema["allOf"] for part in self._flatten(inner, names)]
        parts += [(rest, True)] if set(rest) - _ANNOTATIONS else []
        properties: JsonObject = {}
        own: JsonObject = {}
        for part, is_own in parts:
            keys = _keywords(part)
            if not keys <= {"type", "properties", "required", "additionalProperties", "discriminator"}:
                return False
            if part.get("type", "object") != "object" or part.get("additionalProperties", True) not in (True, {}):
                return False
            if any(properties.setdefault(name, inner) != inner for name, inner in part.get("properties", {}).items()):
                return False
            own |= part.get("properties", {}) if is_own else {}
        required = [name for part, _ in parts for name in part.get("required", ())]
        if not any("type" in part for part, _ in parts) or not set(required) <= set(properties):
            return False
        is_demanded = self._requires_own({"properties": properties, "required": required})
        return not is_demanded and self._is_exact_object({"properties": own}, names)

    def _flatten(self, schema: Json, names: set[str], *, is_own: bool = True) -> Iterator[tuple[JsonObject, bool]]:
        """Yield what *schema* joins, references resolved and their names added, and whether it stands here.

        What is no plain part comes as it is.
        """
        if not isinstance(schema, dict):
            yield {"not": schema}, is_own
            return
        keys = _keywords(schema)
        name = self._target(schema)
        if keys == {"$ref"} and name in self._schemas and name not in self._loops:
            names.add(name)
            yield from self._flatten(self._schemas[name], names, is_own=False)
        elif "allOf" in keys:
            for part in schema["allOf"]:
                yield from self._flatten(part, names, is_own=is_own)
            yield {key: value for key, value in schema.items() if key != "allOf"}, is_own
        else:
            yield schema, is_own

    def _is_exact_choice(self, schema: JsonObject, names: set[str]) -> bool:
        choices = schema.get("oneOf") or schema.get("anyOf") or ()
        if not choices or not all(self._is_exact(choice, names) for choice in choices):
            return False
        if "discriminator" in schema:
            return self._is_tagged(schema["discriminator"], choices)
        if "anyOf" in schema:
            return True
        types = [self._find_types(choice) for choice in choices]
        return all(one.isdisjoint(other) for one, other in combinations(types, 2))

    def _is_tagged(self, discriminator: JsonObject, choices: list[Json]) -> bool:
        """Tell whether each of the *choices* demands a tag of its own."""
        tags: list[Json] = []
        for choice in choices:
            target = self._schemas.get(self._target(choice), {})
            tag = target.get("properties", {}).get(discriminator.get("propertyName"), {})
            values = tag.get("enum", [tag.get("const")]) if isinstance(tag, dict) else [None]
            if discriminator.get("propertyName") not in target.get("required", ()) or len(values) != 1:
                return False
            tags += values
        is_apart = all(isinstance(tag, str) for tag in tags) and len(set(tags)) == len(tags)
        mapping = discriminator.get("mapping", {})
        return is_apart and mapping == {
            tag: choice["$ref"] for tag, choice in zip(tags, choices, strict=True) if tag in mapping
        }

    def _find_types(self, schema: Json, seen: tuple[str, ...] = ()) -> set[str]:
        """Return the JSON types that an exact *schema* may accept."""
        every = set(_KEYWORDS)
        if not isinstance(schema, dict):
            return every
        name = self._target(schema)
        if name in self._schemas and name not in seen:
            return self._find_types(self._schemas[name], (*seen, name))
        if "type" in schema:
            types = _types(schema)
            return types | {"integer"} if "number" in types else types
        if "allOf" in schema:
            return {"object"}
        values = schema.get("enum", [schema["const"]] if "const" in schema else None)
        return {"null" if value is None else "string" for value in values} if values else every

    @staticmethod
    def _target(schema: Json) -> str:
        return str(schema.get("$ref", "")).removeprefix(REF) if isinstance(schema, dict) else ""


def exactness_of(schemas: Mapping[str, JsonObject], direction: Direction) -> Exactness:
    """Return what is known about *schemas*; the operations of an api share it."""
    return _make_exactness(SameSchemas(schemas), direction)


@lru_cache(maxsize=16)
def _make_exactness(key: SameSchemas, direction: Direction) -> Exactness:
    return Exactness(key.schemas, direction)


def _keywords(schema: JsonObject) -> set[str]:
    """Return the keywords of *schema* that may refuse a value."""
    keys = {key for key in schema if key not in _ANNOTATIONS and not key.startswith("x-")}
    is_asserted = schema.get("format") in FORMATS or schema.get("format") in INTEGER_FORMATS
    return keys if is_asserted else keys - {"format"}


def _types(schema: JsonObject) -> set[str]:
    types = schema["type"]
    return set(types) if isinstance(types, list) else {types}


def _is_exact_enum(schema: JsonObject, keys: set[str]) -> bool:
    """Tell whether only texts, and null, are listed; to Python, true is 1 and 1.0."""
    if not keys <= {"type", "enum"} and not keys <= {"type", "const"}:
        return False
    values = schema.get("enum", [schema.get("const")])
    types = {"null" if value is None else "string" for value in values}
    are_texts = all(value is None or isinstance(value, str) for value in values)
    return (
        bool(values)
        and are_texts
        and types <= (_types(schema) if "type" in schema else {"string", "null"}) <= {"string", "null"}
    )


def _is_exact_text(schema: JsonObject) -> bool:
    name = FORMATS.get(str(schema.get("format")))
    if name is not None and (not _types(schema) <= {"string", "null"}):
        return False
    if name in _BARE_FORMATS and not {"minLength", "maxLength", "pattern"}.isdisjoint(schema):
        return False
    if not all(isinstance(schema.get(key, 0), int) for key in ("minLength", "maxLength")):
        return False
    return "pattern" not in schema or is_linear(schema["pattern"])


def _is_exact_number(schema: JsonObject, types: set[str]) -> bool:
    if {"integer", "number"} <= types:
        return False
    bounds = [schema[key] for key in _BOUNDS if key in schema]
    if "integer" in types and not all(isinstance(bound, int) for bound in bounds):
        return False
    return all(abs(bound) <= _LARGEST for bound in bounds)
