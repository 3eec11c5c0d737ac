"""How two schemas differ in what they say of objects."""

from __future__ import annotations

from collections.abc import Iterator

from pymacaron.diff.flat import Flat
from pymacaron.diff.keywords import Difference, compare_condition
from pymacaron.diff.walk import SchemaChange, SchemaWalk
from pymacaron.json_types import JsonObject
from pymacaron.spec.pointers import join_pointer


def walk_objects(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    """Yield how properties, those that must be there, and those without a name differ."""
    yield from _walk_properties(walk, old, new, path)
    yield from _walk_required(walk, old, new, path)
    yield from _walk_other_properties(walk, old, new, path)


def _walk_properties(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    mine, theirs = old.schema.get("properties", {}), new.schema.get("properties", {})
    for name in dict.fromkeys([*mine, *theirs]):
        inner = f"{path}{join_pointer('', name)}"
        if name in mine and name in theirs:
            yield from walk.compare(old.child("properties", name), new.child("properties", name), inner)
        elif name in mine:
            yield from _removed_property(walk, name, old, new, inner)
        else:
            yield from _added_property(walk, name, old, new, inner)


def _removed_property(walk: SchemaWalk, name: str, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    pointers = (old.place("properties", name), new.place("properties", name))
    is_required = name in old.schema.get("required", ())
    if name in new.hidden:
        rule = "request-property-became-read-only"
        if walk.direction == "answer":
            prefix = "answer-required" if is_required else "answer"
            rule = f"{prefix}-property-became-write-only"
        yield walk.tell(rule, path, f"this property is {walk.new.hiding} now", pointers)
    elif isinstance(new.schema.get("additionalProperties"), dict):
        yield from walk.compare(old.child("properties", name), new.child("additionalProperties"), path)
    elif walk.direction == "answer":
        rule = "answer-required-property-removed" if is_required else "answer-property-removed"
        yield walk.tell(rule, path, "this property is gone", pointers)
    elif new.schema.get("additionalProperties") is False or new.schema.get("unevaluatedProperties") is False:
        demand: JsonObject = {"properties": {name: False}}
        difference = Difference("property", ("properties", name), "this property is gone", demand, None)
        yield walk.weigh(difference, old, new, path)
    else:
        yield walk.tell("request-property-removed", path, "this property is gone", pointers)


def _added_property(walk: SchemaWalk, name: str, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    pointers = (old.place("properties", name), new.place("properties", name))
    is_required = name in new.schema.get("required", ())
    if name in old.hidden:
        end = "writable" if walk.direction == "request" else "readable"
        yield walk.tell(
            f"{walk.direction}-property-became-{end}", path, f"this property is no longer {walk.old.hiding}", pointers
        )
    elif isinstance(old.schema.get("additionalProperties"), dict):
        yield from walk.compare(old.child("additionalProperties"), new.child("properties", name), path)
    elif walk.direction == "request":
        if not is_required:
            yield walk.tell("request-property-added", path, "this property is new", pointers)
    elif old.schema.get("additionalProperties") is False:
        yield walk.tell("answer-property-added-to-closed-object", path, "this property is new", pointers)
    else:
        yield walk.tell("answer-property-added", path, "this property is new", pointers)


def _walk_required(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    mine, theirs = old.schema.get("required", ()), new.schema.get("required", ())
    for name in theirs:
        is_known = name in old.schema.get("properties", {}) or name in old.hidden
        if name not in mine and (walk.direction == "request" or is_known):
            what = "this property is required now" if is_known else "this required property is new"
            yield walk.weigh(_requiring(name, what, is_new=True), old, new, f"{path}{join_pointer('', name)}")
    for name in mine:
        is_told = name in old.schema.get("properties", {}) and name not in new.schema.get("properties", {})
        if name not in theirs and not is_told:
            what = "this property is no longer required"
            yield walk.weigh(_requiring(name, what, is_new=False), old, new, f"{path}{join_pointer('', name)}")


def _requiring(name: str, what: str, *, is_new: bool) -> Difference:
    demand: JsonObject = {"required": [name]}
    return Difference("required", ("required",), what, demand if is_new else None, None if is_new else demand)


def _walk_other_properties(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    mine, theirs = old.schema.get("additionalProperties"), new.schema.get("additionalProperties")
    inner = f"{path}/*"
    if mine is False or theirs is False:
        if mine is not theirs:
            yield _closing(walk, old, new, path)
    elif mine is not None or theirs is not None:
        yield from walk.compare(old.child("additionalProperties"), new.child("additionalProperties"), inner)
    patterns = (old.schema.get("patternProperties", {}), new.schema.get("patternProperties", {}))
    if patterns[0].keys() != patterns[1].keys():
        yield from (
            walk.weigh(difference, old, new, path)
            for difference in compare_condition(old.schema, new.schema, ("patternProperties",))
        )
        return
    for pattern in patterns[0]:
        parts = (old.child("patternProperties", pattern), new.child("patternProperties", pattern))
        yield from walk.compare(*parts, inner)


def _closing(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> SchemaChange:
    if new.schema.get("additionalProperties") is False:
        names = dict.fromkeys([*old.schema.get("properties", {}), *new.schema.get("properties", {})], True)
        demand: JsonObject = {"properties": names, "additionalProperties": False}
        what = "properties that are not named are refused now"
        difference = Difference("closed", ("additionalProperties",), what, demand, None)
        change = walk.weigh(difference, old, new, path)
        if walk.is_closed_by_version and change.severity == "breaking":
            return walk.tell("request-closed-by-version", path, what, (change.old_pointer, change.new_pointer))
        return change
    what = "properties that are not named are allowed now"
    demand = {"properties": old.schema.get("properties", {}), "additionalProperties": False}
    return walk.weigh(Difference("closed", ("additionalProperties",), what, None, demand), old, new, path)
