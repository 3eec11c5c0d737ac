"""What a schema must obey, beyond the types of its keywords."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import jsonschema_rs

from pymacaron.json_types import JsonObject
from pymacaron.spec.bundle import Fault
from pymacaron.spec.pointers import join_pointer

_BOUNDS = (
    ("minimum", "maximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
)


def check_schema(schema: JsonObject, pointer: str) -> Iterator[Fault]:
    """Yield the faults of one schema; its inner schemas are not looked at."""
    for name in {name for name in schema.get("required", ()) if schema["required"].count(name) > 1}:
        yield Fault(join_pointer(pointer, "required"), f"{name} stands in required twice", "Remove one of them")
    for keyword in ("allOf", "anyOf", "oneOf"):
        if schema.get(keyword) == []:
            yield Fault(join_pointer(pointer, keyword), f"{keyword} is empty", "Add an entry or remove it")
    for lower, upper in _BOUNDS:
        if lower in schema and upper in schema and schema[lower] > schema[upper]:
            yield Fault(join_pointer(pointer, lower), f"{lower} is above {upper}", "Swap or correct them")
    if schema.get("multipleOf", 1) <= 0:
        yield Fault(join_pointer(pointer, "multipleOf"), "multipleOf is not above 0", "Write a number above 0")
    if "pattern" in schema and not _is_pattern(schema["pattern"]):
        yield Fault(
            join_pointer(pointer, "pattern"),
            f"{schema['pattern']!r} is no regular expression",
            "Correct it, in the syntax of ECMA-262",
        )


@lru_cache(maxsize=1024)
def _is_pattern(pattern: str) -> bool:
    try:
        jsonschema_rs.Draft202012Validator({"pattern": pattern})
    except jsonschema_rs.ValidationError:
        return False
    return True
