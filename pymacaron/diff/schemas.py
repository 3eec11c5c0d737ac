"""How two schemas differ, whatever they are made of."""

from __future__ import annotations

from collections.abc import Iterator

from pymacaron.diff.flat import Flat
from pymacaron.diff.keywords import compare_condition, find_differences, has_other_type, show
from pymacaron.diff.merge import is_equal
from pymacaron.diff.objects import walk_objects
from pymacaron.diff.variants import is_choice, walk_choice, walk_variants
from pymacaron.diff.walk import SchemaChange, SchemaWalk


def walk_schemas(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    """Yield how two flattened schemas differ."""
    yield from _walk_default(walk, old, new, path)
    if is_choice(old) != is_choice(new):
        yield from walk_choice(walk, old, new, path)
        return
    for difference in find_differences(old, new, is_text=walk.is_text):
        yield walk.weigh(difference, old, new, path)
    if has_other_type(old, new, is_text=walk.is_text):
        return
    yield from walk_objects(walk, old, new, path)
    yield from _walk_items(walk, old, new, path)
    yield from walk_variants(walk, old, new, path)


def _walk_default(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    if walk.direction == "answer" or is_equal(old.schema.get("default"), new.schema.get("default")):
        return
    pointers = (old.place("default"), new.place("default"))
    mine, theirs = show(old.schema.get("default")), show(new.schema.get("default"))
    if "default" not in old.schema:
        yield walk.tell("request-default-added", path, f"the default {theirs} is new", pointers)
    elif "default" not in new.schema:
        yield walk.tell("request-default-removed", path, f"the default {mine} is gone", pointers)
    else:
        yield walk.tell("request-default-changed", path, f"the default went from {mine} to {theirs}", pointers)


def _walk_items(walk: SchemaWalk, old: Flat, new: Flat, path: str) -> Iterator[SchemaChange]:
    mine, theirs = old.children("prefixItems"), new.children("prefixItems")
    if len(mine) != len(theirs):
        keywords = ("prefixItems", "items")
        for difference in compare_condition(old.schema, new.schema, keywords):
            yield walk.weigh(difference, old, new, path)
        return
    for index, parts in enumerate(zip(mine, theirs, strict=True)):
        yield from walk.compare(*parts, f"{path}/{index}")
    if "items" in old.schema or "items" in new.schema:
        yield from walk.compare(old.child("items"), new.child("items"), f"{path}/*")
