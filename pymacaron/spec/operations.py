"""The operations of an upgraded document as it writes them, references followed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.grammar import METHODS
from pymacaron.spec.naming import derive_operation_id, unique_name
from pymacaron.spec.pointers import follow_pointer, join_pointer, pointer_of_fragment


class Located(NamedTuple):
    """A node and where it stands in the upgraded document."""

    node: Json
    pointer: str


@dataclass(frozen=True, slots=True)
class WrittenOperation:
    """One method of one path.

    operation_id: as written, or made of method and path; with a number where a path item stands under several paths.
    parameters: its own and those of its path that it does not replace.
    """

    method: str
    path: str
    operation_id: str
    node: JsonObject
    pointer: str
    parameters: tuple[Located, ...]


def dereference(document: JsonObject, node: Json, pointer: str) -> Located:
    """Return what *node* is or refers to."""
    while isinstance(node, dict) and str(node.get("$ref")).startswith("#"):
        pointer = pointer_of_fragment(node["$ref"][1:])
        node = follow_pointer(document, pointer)
    return Located(node, pointer)


def iterate_operations(document: JsonObject) -> Iterator[WrittenOperation]:
    """Yield the operations under ``paths``, in the document's order, each with an id."""
    operations = [
        operation
        for path, item in document.get("paths", {}).items()
        if not path.startswith("x-")
        for operation in _iterate_item(document, path, item)
    ]
    taken = {operation.operation_id for operation in operations}
    used = set()
    for operation in operations:
        operation_id = operation.operation_id or derive_operation_id(operation.method, operation.path)
        if operation_id in used or not operation.operation_id:
            operation_id = unique_name(operation_id, taken, "_")
            taken.add(operation_id)
        used.add(operation_id)
        yield replace(operation, operation_id=operation_id)


def _iterate_item(document: JsonObject, path: str, item: JsonObject) -> Iterator[WrittenOperation]:
    pointer = join_pointer("/paths", path)
    target = dereference(document, item, pointer)
    # Beside a $ref a path item may have operations and parameters of its own.
    sources = [Located(item, pointer)] if target.pointer == pointer else [Located(item, pointer), target]
    shared = [part for source in sources for part in _parameters(document, source.node, source.pointer)]
    seen = set()
    for node, place in sources:
        methods = {name.upper(): (node[name], join_pointer(place, name)) for name in node if name in METHODS}
        for name, operation in node.get("additionalOperations", {}).items():
            methods.setdefault(name, (operation, join_pointer(place, "additionalOperations", name)))
        for method, (operation, operation_pointer) in methods.items():
            if method not in seen:
                seen.add(method)
                own = _parameters(document, operation, operation_pointer)
                parameters = _merge(own, shared)
                operation_id = operation.get("operationId", "")
                yield WrittenOperation(method, path, operation_id, operation, operation_pointer, parameters)


def _parameters(document: JsonObject, holder: JsonObject, pointer: str) -> list[Located]:
    """Return the parameters of *holder*; each pointer is where it is used, not where a $ref leads."""
    return [
        Located(dereference(document, node, "").node, join_pointer(pointer, "parameters", index))
        for index, node in enumerate(holder.get("parameters", []))
    ]


def _merge(own: list[Located], shared: list[Located]) -> tuple[Located, ...]:
    names = {(part.node.get("name"), part.node.get("in")) for part in own}
    return (*(part for part in shared if (part.node.get("name"), part.node.get("in")) not in names), *own)
