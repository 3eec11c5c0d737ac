"""Which parts of two documents are the same, with everything that they refer to: nobody needs to compare those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pymacaron.diff.flat import Side
from pymacaron.diff.merge import is_equal
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.pointers import pointer_of_fragment, split_pointer


@dataclass(frozen=True, slots=True)
class Sameness:
    """same: names of the schemas that are the same in both documents, with all that they lead to."""

    same: frozenset[str]

    @classmethod
    def find(cls, old: Side, new: Side) -> Sameness:
        """Compare the named schemas of two documents."""
        mine, theirs = old.named_schemas, new.named_schemas
        same = {name for name in mine if name in theirs and is_equal(mine[name], theirs[name])}
        leads_to = {name: set(_references(mine[name])) for name in same}
        while True:
            tainted = {name for name in same if not leads_to[name] <= same}
            if not tainted:
                return cls(frozenset(same))
            same -= tainted

    def is_same(self, old: JsonObject, new: JsonObject) -> bool:
        """Tell whether two schemas, one of each document, are the same."""
        return is_equal(old, new) and self.same.issuperset(_references(old))


def _references(schema: Json) -> Iterator[str | None]:
    """Yield the names of the schemas that *schema* refers to; None for what is no named schema."""
    if isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)
    if not isinstance(schema, Mapping):
        return
    for key, inner in schema.items():
        if key == "$ref" and isinstance(inner, str) and inner.startswith("#"):
            tokens = split_pointer(pointer_of_fragment(inner[1:]))
            yield tokens[2] if tokens[:2] == ["components", "schemas"] and len(tokens) > 2 else None  # noqa: PLR2004
        else:
            yield from _references(inner)
