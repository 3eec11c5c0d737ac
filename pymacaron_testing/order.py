"""The order in which the operations of a document are tested."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation

_PARAMETER = re.compile(r"\{[^{}]+\}")


def order_operations(api: Api) -> list[Operation]:
    """Return the operations so that what creates comes before what reads, and what deletes last.

    Of operations alike the shorter path comes first: ``POST /users`` before ``POST /users/login``. What only acts on a
    thing, ``POST /orders/{id}/close``, comes after all that needs it open.
    """
    known = {(other.method.upper(), other.path) for other in api.operations}
    parents = {other.path.rpartition("/")[0] for other in api.operations if other.path.endswith("}")}

    def is_action(operation: Operation) -> bool:
        path = operation.path
        return "{" in path and path not in parents and ("GET", path) not in known

    return sorted(api.operations, key=lambda operation: _rank(operation, is_action=is_action(operation)))


def _rank(operation: Operation, *, is_action: bool) -> tuple[int, int, int]:
    method, depth, length = operation.method.upper(), operation.path.count("{"), operation.path.count("/")
    if method == "DELETE":
        return 6, -depth, length
    if method == "POST" and is_action:
        return 5, depth, length
    if method == "POST":
        return (0 if not operation.path.endswith("}") else 1), depth, length
    if method in {"GET", "HEAD", "OPTIONS"}:
        return (2 if not operation.path.endswith("}") else 3), depth, length
    return 4, depth, length


def find_sources(api: Api, operation: Operation) -> list[Operation]:
    """Return the operations whose answers may name what the path of *operation* needs, likeliest first."""
    if "{" not in operation.path:
        return []
    prefixes = [operation.path[: match.start()].rstrip("/") for match in _PARAMETER.finditer(operation.path)]
    others = [other for other in api.operations if other.operation_id != operation.operation_id]
    near = [other for other in others if other.path.rstrip("/") in prefixes]
    creators = [other for other in near if other.method.upper() == "POST"]
    lists = [other for other in near if other.method.upper() == "GET"]
    puts = [other for other in others if other.method.upper() == "PUT" and other.path == operation.path]
    far = [other for other in others if other.method.upper() == "POST" and "{" not in other.path]
    return [*creators, *lists, *puts, *(other for other in far if other not in near)]
