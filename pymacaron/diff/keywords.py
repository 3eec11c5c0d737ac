"""How the keywords of two flattened schemas differ, one by one, apart from the schemas inside of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from pymacaron.diff.flat import Flat
from pymacaron.diff.merge import is_equal, is_in
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.resources import RESOURCES_KEY

# Larger numbers of these mean less for the first, more for the second.
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_CONDITIONS = (
    ("not",), ("if", "then", "else"), ("contains", "minContains", "maxContains"), ("dependentRequired",),
    ("dependentSchemas",), ("unevaluatedItems",), ("unevaluatedProperties",), ("allOf",), ("contentEncoding",),
    ("contentMediaType",), ("propertyNames",), ("$ref", RESOURCES_KEY),
)  # fmt: skip
# The formats that requests and answers are held to, apart from those that only say how wide a number is.
_HELD_FORMATS = frozenset({
    "date-time", "date", "time", "duration", "uuid", "email", "idn-email", "hostname", "idn-hostname", "uri",
    "uri-reference", "iri", "iri-reference", "ipv4", "ipv6", "byte", "binary", "decimal", "regex", "json-pointer",
})  # fmt: skip
_WIDTHS = {"int32": 0, "int64": 1}
_RANGES: dict[str, JsonObject] = {
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
}
# JSON Schema's types, number split into what is an integer and what is not.
_ATOMS = {"integer": {"integer"}, "number": {"integer", "fraction"}}
_IMPLYING = {"object": {"properties", "required", "additionalProperties"}, "array": {"items", "prefixItems"}}
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")
_IN_TEXT = frozenset({"integer", "fraction", "boolean", "string"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two schemas say differently.

    kind: key of `rules.KINDS`. keyword: where it stands, as `Flat.place` takes it. what: how it changed.
    tightens: schema that the new one demands and the old one did not, if any; loosens: the other way round.
    is_judged: the demands mean what they say of JSON; not so for the types of what is sent as text.
    """

    kind: str
    keyword: tuple[str, ...]
    what: str
    tightens: JsonObject | None
    loosens: JsonObject | None
    is_judged: bool = True


def find_differences(old: Flat, new: Flat, *, is_text: bool) -> Iterator[Difference]:
    """Yield how the keywords of *old* and *new* differ. is_text: values are sent as text, where 1 is a string too."""
    a, b = old.schema, new.schema
    yield from _types(a, b, is_text=is_text)
    if has_other_type(old, new, is_text=is_text):
        return
    yield from _enums(a, b)
    for keyword in chain(_LOWER_BOUNDS, _UPPER_BOUNDS):
        yield from _bound(a, b, keyword, is_upper=keyword in _UPPER_BOUNDS)
    yield from _simple(a, b, "uniqueItems", "bound")
    yield from _simple(a, b, "multipleOf", "bound")
    yield from _simple(a, b, "pattern", "pattern")
    yield from _formats(a, b)
    for keywords in _CONDITIONS:
        yield from compare_condition(a, b, keywords)


def has_other_type(old: Flat, new: Flat, *, is_text: bool) -> bool:
    """Tell whether no value can be right for both, but null: what else they say does not matter then."""
    before, after = (_atoms(_type_names(flat.schema), is_text=is_text) - {"null"} for flat in (old, new))
    return bool(before and after) and not before & after


def compare_condition(a: JsonObject, b: JsonObject, keywords: tuple[str, ...]) -> Iterator[Difference]:
    """Yield the difference of keywords that only mean something together, as a whole."""
    mine = {key: a[key] for key in keywords if key in a}
    theirs = {key: b[key] for key in keywords if key in b}
    if not is_equal(mine, theirs):
        name = "what $ref leads to" if keywords[0] == "$ref" else keywords[0]
        what = f"{name} changed" if mine and theirs else f"{name} is new" if theirs else f"{name} is gone"
        yield Difference("condition", (keywords[0],), what, theirs or None, mine or None)


def show(value: Json) -> str:
    """Return *value* as JSON."""
    return json.dumps(value, ensure_ascii=False)


def _types(a: JsonObject, b: JsonObject, *, is_text: bool) -> Iterator[Difference]:
    mine, theirs = _type_names(a), _type_names(b)
    before, after = _atoms(mine, is_text=is_text), _atoms(theirs, is_text=is_text)
    lost, gained = before - after, after - before
    is_typed = len(mine) < len(_TYPES) - 1 and len(theirs) < len(_TYPES) - 1
    if is_typed and "null" in lost | gained and mine != ["null"] and theirs != ["null"]:
        demand: JsonObject = {"not": {"type": "null"}}
        if "null" in lost:
            yield Difference("null", ("type",), "null is refused now", demand, None)
        else:
            yield Difference("null", ("type",), "null is allowed now", None, demand)
        lost, gained = lost - {"null"}, gained - {"null"}
    if lost or gained:
        what = _describe_types(a, b, mine, theirs)
        tightens: JsonObject | None = {"type": theirs} if lost else None
        loosens: JsonObject | None = {"type": mine} if gained else None
        kind = "type" if _implied_type(a) != theirs and _implied_type(b) != mine else "implied-type"
        yield Difference(kind, ("type",), what, tightens, loosens, is_judged=not is_text)


def _implied_type(schema: JsonObject) -> list[str] | None:
    """Return the type that a schema without one surely means, going by its keywords."""
    if "type" in schema:
        return None
    return next(([name] for name, keywords in _IMPLYING.items() if keywords & schema.keys()), None)


def _type_names(schema: JsonObject) -> list[str]:
    """Return the types that values may have, by ``type`` or else by ``enum``."""
    if "type" in schema:
        return list(schema["type"])
    if "enum" in schema:
        return list(dict.fromkeys(type_of(value) for value in schema["enum"]))
    return [name for name in _TYPES if name != "integer"]


def _atoms(types: list[str], *, is_text: bool) -> set[str]:
    atoms = {atom for name in types for atom in _ATOMS.get(name, {name})}
    return atoms | _IN_TEXT if is_text and "string" in atoms else atoms


def _describe_types(a: JsonObject, b: JsonObject, mine: list[str], theirs: list[str]) -> str:
    is_any, will_be_any = not {"type", "enum"} & a.keys(), not {"type", "enum"} & b.keys()
    if is_any:
        return f"the type must be {' or '.join(theirs)} now"
    if will_be_any:
        return f"the type need not be {' or '.join(mine)} any more"
    kept = {"null"} if "null" in mine and "null" in theirs else set()
    before = " or ".join(name for name in mine if name not in kept)
    after = " or ".join(name for name in theirs if name not in kept)
    return f"the type went from {before or 'null'} to {after or 'null'}"


def type_of(value: Json) -> str:
    """Return the JSON type of *value*; a number without fraction is an ``integer``."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    names = {float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _enums(a: JsonObject, b: JsonObject) -> Iterator[Difference]:
    mine, theirs = a.get("enum"), b.get("enum")
    if mine is None and theirs is not None:
        yield Difference("enum", ("enum",), f"only {_list(theirs)} {_is(theirs)} allowed now", {"enum": theirs}, None)
    elif theirs is None and mine is not None:
        what = f"the values are no longer limited to {_list(mine)}"
        yield Difference("enum", ("enum",), what, None, {"enum": mine})
    elif mine is not None and theirs is not None:
        lost = [value for value in mine if not is_in(value, theirs) and value is not None]
        gained = [value for value in theirs if not is_in(value, mine) and value is not None]
        if lost:
            what = f"the {_values(lost)} {_list(lost)} {_is(lost)} gone"
            yield Difference("value", ("enum",), what, {"not": {"enum": lost}}, None)
        if gained:
            what = f"the {_values(gained)} {_list(gained)} {_is(gained)} new"
            yield Difference("value", ("enum",), what, None, {"not": {"enum": gained}})


def _list(values: list[Json]) -> str:
    return ", ".join(map(show, values))


def _values(values: list[Json]) -> str:
    return "value" if len(values) == 1 else "values"


def _is(values: list[Json]) -> str:
    return "is" if len(values) == 1 else "are"


def _bound(a: JsonObject, b: JsonObject, keyword: str, *, is_upper: bool) -> Iterator[Difference]:
    mine, theirs = a.get(keyword), b.get(keyword)
    if mine == theirs:
        return
    if mine is not None and theirs is not None:
        is_tighter = (theirs < mine) is is_upper
        what = f"{keyword} went from {mine} to {theirs}"
    else:
        is_tighter = mine is None
        what = f"{keyword} {theirs} is new" if is_tighter else f"{keyword} {mine} is gone"
    if is_tighter:
        yield Difference("bound", (keyword,), what, {keyword: theirs}, None)
    else:
        yield Difference("bound", (keyword,), what, None, {keyword: mine})


def _simple(a: JsonObject, b: JsonObject, keyword: str, kind: str) -> Iterator[Difference]:
    mine, theirs = a.get(keyword), b.get(keyword)
    if is_equal(mine, theirs):
        return
    if mine is None:
        what = f"{keyword} {show(theirs)} is new"
    elif theirs is None:
        what = f"{keyword} {show(mine)} is gone"
    else:
        what = f"{keyword} went from {show(mine)} to {show(theirs)}"
    tightens = None if theirs is None else {keyword: theirs}
    yield Difference(kind, (keyword,), what, tightens, None if mine is None else {keyword: mine})


def _formats(a: JsonObject, b: JsonObject) -> Iterator[Difference]:
    mine, theirs = a.get("format"), b.get("format")
    is_held = {mine, theirs} & {*_HELD_FORMATS, *_WIDTHS}
    for difference in _simple(a, b, "format", "format" if is_held else "annotation"):
        tightens, loosens = _format_demand(theirs), _format_demand(mine)
        if mine in _WIDTHS and theirs in _WIDTHS:
            is_narrower = _WIDTHS[theirs] < _WIDTHS[mine]
            tightens, loosens = (tightens, None) if is_narrower else (None, loosens)
        yield Difference(difference.kind, ("format",), difference.what, tightens, loosens)


def _format_demand(name: str | None) -> JsonObject | None:
    return None if name is None else _RANGES.get(name, {"format": name})
