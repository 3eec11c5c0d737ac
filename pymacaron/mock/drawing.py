"""One instance of a schema, drawn at random, not yet judged."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from pymacaron.json_types import Json, JsonObject
from pymacaron.mock.flattening import ImpossibleError, flatten
from pymacaron.mock.heights import height_of
from pymacaron.mock.numbers import sample_number
from pymacaron.mock.patterns import PatternError, is_match, sample_patterns
from pymacaron.mock.texts import sample_text

Path = tuple[str | int, ...]

_DEEP = 6  # from here on only what must be there
_DEEPEST = 60
_MOST_NODES = 400
_TRIES = 20
_ANY_TYPE = ("string", "integer", "number", "boolean", "object", "array", "null")
_KEYWORDS_OF = {
    "object": {"properties", "required", "additionalProperties", "patternProperties", "minProperties", "propertyNames"},
    "array": {"items", "prefixItems", "minItems", "contains", "uniqueItems"},
    "string": {"patterns", "formats", "minLength", "maxLength", "contentEncoding"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multiples"},
}


@dataclass(frozen=True, slots=True)
class Manner:
    """How to draw. banned: paths whose examples are wrong. optional_share: of properties that need not be there."""

    has_examples: bool = True
    banned: frozenset[Path] = frozenset()
    optional_share: float = 1.0


@dataclass(slots=True)
class Draw:
    """State of one draw. heights: see `find_heights`. examples: paths at which an example was taken."""

    schemas: Mapping[str, JsonObject]
    heights: Mapping[str, float]
    rng: Random
    manner: Manner
    examples: set[Path] = field(default_factory=set)
    _nodes: int = 0
    _path: Path = ()

    def value(self, schema: Json, *key: str | int) -> Json:
        """Return a value for *schema*. key: of the property or item that it is. Raises ImpossibleError."""
        outer, self._path = self._path, (*self._path, *key)
        self._nodes += 1
        if len(self._path) > _DEEPEST:
            raise ImpossibleError("it is nested too deep")
        try:
            return self._value(flatten(schema, self.schemas, self._choose))
        finally:
            self._path = outer

    @property
    def _is_small(self) -> bool:
        """Tell whether only what must be there is drawn."""
        return self.manner.optional_share == 0 or len(self._path) > _DEEP or self._nodes > _MOST_NODES

    def _choose(self, alternatives: list[Json]) -> Json:
        heights = [height_of(alternative, self.heights) for alternative in alternatives]
        most = min(heights) if self._is_small else math.inf
        possible = [one for one, height in zip(alternatives, heights, strict=True) if height <= most]
        rich = [one for one in possible if not _is_null(one)]
        return self.rng.choice(rich or possible or alternatives)

    def _value(self, flat: JsonObject) -> Json:
        example = self._example(flat)
        if example:
            self.examples.add(self._path)
            return example[0]
        if "enum" in flat:
            return self.rng.choice(_fitting(flat))
        draw_kind: Callable[[JsonObject], Json] = getattr(self, f"_{self._choose_type(flat)}")
        return draw_kind(flat)

    def _null(self, _flat: JsonObject) -> None:
        return None

    def _boolean(self, _flat: JsonObject) -> bool:
        return self.rng.random() < 0.5  # noqa: PLR2004 - a coin

    def _string(self, flat: JsonObject) -> str:
        return sample_text(flat, self.rng)

    def _integer(self, flat: JsonObject) -> Json:
        return self._number(flat, is_integer=True)

    def _number(self, flat: JsonObject, *, is_integer: bool = False) -> Json:
        number = sample_number(flat, self.rng, is_integer=is_integer)
        if number is None:
            raise ImpossibleError(f"{self._pointer()} has no number between its bounds")
        return number

    def _pointer(self) -> str:
        return "".join(f"/{part}" for part in self._path) or "/"

    def _example(self, flat: JsonObject) -> list[Json]:
        """Return the example to take, as a list of one; empty where none is to be taken."""
        if not self.manner.has_examples or self._path in self.manner.banned:
            return []
        given = [flat["example"]] if "example" in flat else flat.get("examples", [])[:1]
        given = given or ([flat["default"]] if "default" in flat else [])
        # null as example or default of what may hold more says nothing
        return [value for value in given if value is not None or flat.get("type") == ["null"]]

    def _choose_type(self, flat: JsonObject) -> str:
        if "type" in flat:
            types: list[str] = [name for name in flat["type"] if name != "null"] or ["null"]
            return types[-1] if types[-2:] == ["integer", "number"] else self.rng.choice(types)
        for name, keywords in _KEYWORDS_OF.items():
            if not keywords.isdisjoint(flat):
                return name
        if self.manner.optional_share in {0.0, 1.0}:
            return "string"
        return self.rng.choice(_ANY_TYPE)

    # --- arrays ----------------------------------------------------------------------------------------------------

    def _array(self, flat: JsonObject) -> list[Json]:
        prefix, items = flat.get("prefixItems", []), flat.get("items", True)
        wanted = [flat["contains"]] * flat.get("minContains", 1) if "contains" in flat else []
        least = max(flat.get("minItems", 0), len(wanted))
        most = min(flat.get("maxItems", math.inf), len(prefix) if items is False else math.inf)
        count = least if self._is_small else max(least, min(most, max(len(prefix), self.rng.randint(1, 3))))
        value: list[Json] = []
        for index in range(int(count)):
            schema = prefix[index] if index < len(prefix) else items
            if index >= len(prefix) and wanted:
                schema = {"allOf": [schema, wanted.pop()]}
            try:
                item = self._item(schema, value, is_unique=flat.get("uniqueItems") is True)
            except ImpossibleError:
                if index < least:
                    raise
                break
            value.append(item)
        return value

    def _item(self, schema: Json, others: list[Json], *, is_unique: bool) -> Json:
        taken = {json.dumps(other, sort_keys=True) for other in others} if is_unique else set()
        for _ in range(_TRIES):
            item = self.value(schema, len(others))
            if json.dumps(item, sort_keys=True) not in taken:
                return item
            manner, self.manner = self.manner, Manner(has_examples=False, optional_share=1.0)
            try:
                item = self.value(schema, len(others))
            finally:
                self.manner = manner
            if json.dumps(item, sort_keys=True) not in taken:
                return item
        raise ImpossibleError(f"{self._pointer()} has too few different items")

    # --- objects ---------------------------------------------------------------------------------------------------

    def _object(self, flat: JsonObject) -> JsonObject:
        names = self._choose_names(flat)
        flat = self._apply_dependencies(flat, names)
        properties = flat.get("properties", {})
        value: JsonObject = {}
        for name in [name for name in properties if name in names] + [name for name in names if name not in properties]:
            schema = properties.get(name, _schema_of_other(flat, name))
            if name in flat.get("required", []):
                value[name] = self.value(schema, name)
                continue
            try:
                value[name] = self.value(schema, name)
            except ImpossibleError:  # what need not be there may be left out
                continue
        for name in self._other_names(flat, value):
            value[name] = self.value(_schema_of_other(flat, name), name)
        return value

    def _choose_names(self, flat: JsonObject) -> list[str]:
        required = flat.get("required", [])
        most = flat.get("maxProperties", math.inf)
        optional = []
        for name, schema in flat.get("properties", {}).items():
            is_wanted = not self._is_small and self.rng.random() < self.manner.optional_share
            if name not in required and is_wanted and height_of(schema, self.heights) < math.inf:
                optional.append(name)
        return [*required, *optional[: int(max(0, min(len(optional), most - len(required))))]]

    def _apply_dependencies(self, flat: JsonObject, names: list[str]) -> JsonObject:
        """Return *flat* with what the properties *names* bring along, and add those to *names*."""
        added: list[Json] = [
            schema for name, schema in flat.get("dependentSchemas", {}).items() if name in names and schema is not True
        ]
        if added:
            flat = flatten({"allOf": [_unflatten(flat), *added]}, self.schemas, self._choose)
        waiting = list(names)
        while waiting:
            for name in flat.get("dependentRequired", {}).get(waiting.pop(), []):
                if name not in names:
                    names.append(name)
                    waiting.append(name)
        names += [name for name in flat.get("required", []) if name not in names]
        return flat

    def _other_names(self, flat: JsonObject, value: JsonObject) -> Iterator[str]:
        """Yield names that the schema does not list, where they are wanted."""
        least = flat.get("minProperties", 0) - len(value)
        other = flat.get("additionalProperties", True)
        is_map = not flat.get("properties") and (isinstance(other, dict) or flat.get("patternProperties"))
        count = max(least, self.rng.randint(1, 2) if is_map and not self._is_small else 0)
        count = int(min(count, flat.get("maxProperties", math.inf) - len(value)))
        left = [name for name in flat.get("properties", {}) if name not in value]
        taken = set(value)
        for _ in range(max(count, 0)):
            name = left.pop(0) if left else self._other_name(flat, taken)
            taken.add(name)
            yield name

    def _other_name(self, flat: JsonObject, taken: set[str]) -> str:
        patterns = list(flat.get("patternProperties", {}))
        for _ in range(_TRIES):
            if "propertyNames" in flat:
                name = self.value({"allOf": [{"type": "string"}, flat["propertyNames"]]}, "")
            elif patterns:
                name = self._patterned(self.rng.choice(patterns))
            else:
                name = sample_text({"maxLength": 20}, self.rng)
            if isinstance(name, str) and name not in taken:
                return name
        raise ImpossibleError(f"{self._pointer()} has too few names for its properties")

    def _patterned(self, pattern: str) -> str | None:
        try:
            return sample_patterns([pattern], self.rng, lambda _: True)
        except PatternError:
            return None


def _is_null(schema: Json) -> bool:
    return isinstance(schema, dict) and (schema.get("type") in ("null", ["null"]) or schema.get("const", 0) is None)


def _fitting(flat: JsonObject) -> list[Json]:
    """Return the values of ``enum`` that have one of the types; all where none has, and null only where it is alone."""
    values = [value for value in flat["enum"] if value is not None] or flat["enum"]
    if "type" not in flat:
        return list(values)
    return [value for value in values if _has_type(value, flat["type"])] or list(values)


def _has_type(value: Json, types: list[str]) -> bool:
    if isinstance(value, float) and value.is_integer():
        return "integer" in types or "number" in types
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    name = names.get(type(value), "null")
    return name in types or (name == "integer" and "number" in types)


def _schema_of_other(flat: JsonObject, name: str) -> Json:
    """Return the schema of a property that is not listed. For patterns the judge has the last word."""
    if name in flat.get("properties", {}):
        return flat["properties"][name]
    for pattern, schema in flat.get("patternProperties", {}).items():
        if is_match(pattern, name):
            return schema
    return flat.get("additionalProperties", True)


def _unflatten(flat: JsonObject) -> JsonObject:
    """Return a schema from which `flatten` makes *flat*."""
    schema = {key: value for key, value in flat.items() if key not in {"patterns", "formats", "multiples"}}
    pairs = {"patterns": "pattern", "formats": "format", "multiples": "multipleOf"}
    rules = [{pairs[key]: rule} for key in pairs for rule in flat.get(key, [])]
    return {**schema, "allOf": rules} if rules else schema
