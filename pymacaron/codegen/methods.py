"""Names of the methods that call operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pymacaron.spec.naming import snake_case, unique_name

if TYPE_CHECKING:
    from pymacaron.spec import Operation

# What every client has besides operations, and types that a method of the same name would hide from those below it.
_RESERVED = frozenset({
    "bool", "bytes", "call", "cast", "close", "dict", "float", "int", "list", "object", "send", "str", "tuple", "type",
    "with_options",
})  # fmt: skip


def name_methods(operations: Sequence[Operation]) -> dict[str, str]:
    """Return operation id -> the method that calls it, all different: the id in snake_case.

    Ids that are fine as they are get theirs first; a number makes the others differ, ``get_pet_2``. Names that classes
    of clients need themselves get an underscore, ``list_``.
    """
    ids = [operation.operation_id for operation in operations]
    wanted = {name: snake_case(name) for name in ids}
    wanted = {name: f"{method}_" if method in _RESERVED else method for name, method in wanted.items()}
    methods = {name: name for name in ids if wanted[name] == name}
    taken = set(methods)
    for name in ids:
        if name not in methods:
            methods[name] = unique_name(wanted[name], taken, "_")
            taken.add(methods[name])
    return {name: methods[name] for name in ids}
