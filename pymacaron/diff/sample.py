"""A few values that a schema probably allows: simple ones, at its bounds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.pointers import MISSING, follow_pointer, pointer_of_fragment

_MOST = 40
_MOST_DEPTH = 6
_MOST_LENGTH = 1000
_EXAMPLES = {
    "date-time": "2026-01-31T10:00:00Z", "date": "2026-01-31", "time": "10:00:00Z", "duration": "P1D",
    "uuid": "123e4567-e89b-12d3-a456-426614174000", "email": "ada@example.com", "hostname": "example.com",
    "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "uri": "https://example.com/", "uri-reference": "/a", "regex": "a",
    "json-pointer": "/a",
}  # fmt: skip
_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")


def sample_values(schema: JsonObject) -> Iterator[Json]:
    """Yield up to 40 values; they are guesses, which somebody has to hold to the schema."""
    yield from islice(_Sampler(schema).values(schema, 0), _MOST)


class _Sampler:
    def __init__(self, root: JsonObject) -> None:
        self._root = root

    def values(self, schema: Json, depth: int) -> Iterator[Json]:
        if schema is True:
            yield "a"
        if not isinstance(schema, dict) or depth > _MOST_DEPTH:
            return
        if "$ref" in schema:
            target = follow_pointer(self._root, pointer_of_fragment(schema["$ref"][1:]))
            if target is not MISSING:
                yield from self.values(self._join(target, schema, "$ref"), depth + 1)
            return
        yield from schema.get("examples", ())
        if "const" in schema or "enum" in schema:
            yield from schema.get("enum", [schema.get("const")])
            return
        for keyword in ("allOf", "anyOf", "oneOf"):
            if schema.get(keyword):
                yield from self._composed(schema, keyword, depth)
                return
        yield from self._typed(schema, depth)

    def _composed(self, schema: JsonObject, keyword: str, depth: int) -> Iterator[Json]:
        if keyword == "allOf":
            rest = schema
            for inner in schema["allOf"]:
                rest = self._join(inner, rest, "allOf")
            yield from self.values(rest, depth + 1)
            return
        for inner in schema[keyword]:
            yield from islice(self.values(self._join(inner, schema, keyword), depth + 1), 8)

    def _join(self, inner: Json, outer: JsonObject, dropped: str) -> Json:
        """Return *inner* with what stands beside it, roughly."""
        if not isinstance(inner, dict):
            return inner
        joined = {key: value for key, value in outer.items() if key not in (dropped, "$defs")} | inner
        if isinstance(inner.get("properties"), dict) and isinstance(outer.get("properties"), dict):
            joined["properties"] = outer["properties"] | inner["properties"]
        if "required" in inner and "required" in outer:
            joined["required"] = [*outer["required"], *inner["required"]]
        return joined

    def _typed(self, schema: JsonObject, depth: int) -> Iterator[Json]:
        types = schema.get("type", _guess_types(schema))
        for name in [types] if isinstance(types, str) else types:
            if name == "string":
                yield from _texts(schema)
            elif name in ("integer", "number"):
                yield from _numbers(schema, is_integer=name == "integer")
            elif name == "array":
                yield from self._arrays(schema, depth)
            elif name == "object":
                yield from self._objects(schema, depth)
            else:
                yield from {"boolean": (True, False), "null": (None,)}[name]

    def _arrays(self, schema: JsonObject, depth: int) -> Iterator[Json]:
        prefix = [next(self.values(inner, depth + 1), None) for inner in schema.get("prefixItems", ())]
        least = schema.get("minItems", 0)
        if least > _MOST_LENGTH:
            return
        items = list(islice(self.values(schema.get("items", True), depth + 1), 8))
        if "contains" in schema:
            items = list(islice(self.values(schema["contains"], depth + 1), 8)) + items
            yield items[:1]
        rest = max(0, least - len(prefix))
        yield [*prefix[:least], *items[:1] * rest]
        yield [*prefix, *items[:1] * max(rest, 1)]
        yield [*prefix, *items[:1] * max(rest, 2)]
        yield from ([item] for item in items)

    def _objects(self, schema: JsonObject, depth: int) -> Iterator[Json]:
        properties = schema.get("properties", {})
        first = {name: next(self.values(inner, depth + 1), None) for name, inner in properties.items()}
        first = {name: value for name, value in first.items() if properties[name] is not False}
        required = dict.fromkeys(schema.get("required", ()), "a")
        least = {name: first.get(name, value) for name, value in required.items()}
        while len(least) < min(schema.get("minProperties", 0), 20):
            left = [name for name in first if name not in least]
            name = left[0] if left else f"other{len(least)}"
            least[name] = first.get(name, "a")
        yield least
        yield first | least
        for name, inner in properties.items():
            for value in islice(self.values(inner, depth + 1), 8):
                yield least | {name: value}
        yield least | {"other": next(self.values(schema.get("additionalProperties", True), depth + 1), "a")}


def _guess_types(schema: JsonObject) -> tuple[str, ...]:
    for name, keywords in (
        ("object", {"properties", "required", "additionalProperties", "minProperties"}),
        ("array", {"items", "minItems", "prefixItems", "contains"}),
        ("string", {"minLength", "maxLength", "pattern", "format"}),
        ("number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    ):
        if keywords & schema.keys():
            return (name,)
    return _TYPES


def _texts(schema: JsonObject) -> Iterator[str]:
    if schema.get("format") in _EXAMPLES:
        yield _EXAMPLES[schema["format"]]
    least, most = schema.get("minLength", 0), schema.get("maxLength", _MOST_LENGTH)
    if least > _MOST_LENGTH:
        return
    yield from dict.fromkeys("a" * length for length in (max(least, 1), least, least + 1, least + 2) if length <= most)
    yield from dict.fromkeys(character * max(least, 1) for character in "A0 -")
    yield from _EXAMPLES.values()


def _numbers(schema: JsonObject, *, is_integer: bool) -> Iterator[int | float]:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    starts = [bound for bound in (low, high) if bound is not None] or [0]
    for start in starts:
        whole = start // step * step
        yield from (whole + step * index for index in (0, 1, -1, 2))
        if not is_integer:
            yield start
            yield start + 0.5
