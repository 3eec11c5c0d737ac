"""Names of the methods that call operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pymacaron.spec.naming import snake_case, unique_name

if TYPE_CHECKING:
    from pymacaron.spec import Operation

# What every client has besides operations.
OWN_METHODS = frozenset({"call", "close", "send", "with_options"})


def name_methods(operations: Sequence[Operation]) -> dict[str, str]:
    """Return operation id -> the method that calls it, all different: the id in snake_case.

    Ids that are fine as they are get theirs first; a number makes the others differ, ``send_2``.
    """
    ids = [operation.operation_id for operation in operations]
    taken = {name for name in ids if snake_case(name) == name} - OWN_METHODS
    methods = {name: name for name in taken}
    for name in ids:
        if name not in methods:
            methods[name] = unique_name(snake_case(name), taken | OWN_METHODS, "_")
            taken.add(methods[name])
    return {name: methods[name] for name in ids}
