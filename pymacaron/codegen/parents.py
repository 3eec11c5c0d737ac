"""Parents of the user's own for generated classes: ``x-parent`` and ``x-persist``."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pymacaron.exceptions import Finding, SpecError

if TYPE_CHECKING:
    from pymacaron.spec import Api

PERSIST = "x-persist"
PARENT_KEYS = (PERSIST, "x-parent")
PERSISTENT_NAMES = frozenset({
    "create_in_db", "delete_from_db", "exists", "get_many", "indexes", "load_from_db", "primary_key", "query",
    "remove_expired", "save_to_db", "table_name", "ttl_field", "update_in_db", "version_field",
})  # fmt: skip
"""What `pymacaron.persistence.Persistent` calls its own; properties of these names get others in Python."""


def add_parents(api: Api, text: str, names: Mapping[str, str]) -> str:
    """Return the module *text* in which each class also inherits from the class that its schema names.

    names: schema name -> class name in *text*. Raises SpecError with every ``module.Class`` that is none.
    """
    parents, findings = _read_parents(api)
    taken = {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    lines: dict[str, str] = {}
    for schema, paths in parents.items():
        class_name = names[schema]
        if class_name not in taken:
            where = f"{api.source}#/components/schemas/{schema}"
            findings.append(Finding(where, "only an object can have a parent class", "Remove x-parent and x-persist"))
            continue
        for path in paths:
            lines[path] = lines.get(path) or _choose_alias(path, taken | set(lines.values()))
        inherited = ", ".join(lines[path] for path in paths)
        text = re.sub(rf"^class {class_name}\(", f"class {class_name}({inherited}, ", text, count=1, flags=re.MULTILINE)
    if findings:
        raise SpecError(findings)
    return _add_imports(text, lines)


def _read_parents(api: Api) -> tuple[dict[str, list[str]], list[Finding]]:
    parents: dict[str, list[str]] = {}
    findings: list[Finding] = []
    for schema, content in api.schemas.items():
        for key in PARENT_KEYS:
            if key not in content:
                continue
            path = content[key]
            if _is_class_path(path):
                parents.setdefault(schema, []).append(path)
            else:
                where = f"{api.source}#/components/schemas/{schema}/{key}"
                findings.append(Finding(where, f"{path!r} names no class", "Write it as package.module.Class"))
    return parents, findings


def _is_class_path(path: object) -> bool:
    if not isinstance(path, str) or not path.isascii() or "." not in path:
        return False
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in path.split("."))


def _choose_alias(path: str, taken: set[str]) -> str:
    alias = f"Parent{path.rpartition('.')[2]}"
    number = 2
    while alias in taken:
        alias = f"Parent{number}{path.rpartition('.')[2]}"
        number += 1
    return alias


def _add_imports(text: str, aliases: Mapping[str, str]) -> str:
    if not aliases:
        return text
    imports = [node for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    lines = text.splitlines()
    place = imports[-1].end_lineno or 0
    for path, alias in sorted(aliases.items()):
        module, _, name = path.rpartition(".")
        lines.insert(place, f"from {module} import {name} as {alias}")
        place += 1
    return "\n".join(lines) + "\n"
