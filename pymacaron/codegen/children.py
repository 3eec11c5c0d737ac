"""Parents whose ``discriminator`` names the class of each value, among the schemas that extend them by ``allOf``.

Source: OpenAPI 3.1 and 3.2, "Discriminator Object".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pymacaron.json_types import Json, JsonObject
from pymacaron.judge import REF
from pymacaron.model import CHILDREN

if TYPE_CHECKING:
    from pymacaron.spec import Api


def add_children(api: Api, text: str, names: Mapping[str, str]) -> str:
    """Return the module *text* in which each such parent tells its classes by the property's value.

    names: schema name -> class name in *text*.
    """
    families = {names[name]: family for name, family in _find_families(api, names)}
    if not families:
        return text
    lines = text.splitlines()
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name in families]
    for node in reversed(classes):
        first = node.body[0]
        is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        place = (first.end_lineno if is_docstring else node.lineno) or node.lineno
        line = f"    {CHILDREN} = {families[node.name]!r}"
        lines[place:place] = ["", line] if is_docstring else [line, ""]
    return "\n".join(lines) + "\n"


def _find_families(api: Api, names: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, dict[str, str]]]]:
    """Yield parents, each with its property and the classes by its values; ``""`` stands for all other values."""
    written = {made: name for name, made in api.model_names.items()}
    for parent, schema in api.schemas.items():
        discriminator = schema.get("discriminator")
        if not isinstance(discriminator, dict) or "oneOf" in schema or "anyOf" in schema:
            continue
        children = [name for name in api.schemas if name != parent and _extends(name, parent, api.schemas)]
        tags = {written.get(name, name): names[name] for name in children}
        for tag, target in discriminator.get("mapping", {}).items():
            if target.removeprefix(REF) in children:
                tags[tag] = names[target.removeprefix(REF)]
        default = str(discriminator.get("defaultMapping", "")).removeprefix(REF)
        tags |= {"": names[default]} if default in children else {}
        if tags:
            yield parent, (str(discriminator["propertyName"]), tags)


def _extends(name: str, parent: str, schemas: Mapping[str, JsonObject], seen: tuple[str, ...] = ()) -> bool:
    """Tell whether the schema *name* has *parent* among its parts."""
    parts: list[Json] = schemas[name].get("allOf", []) if name in schemas and name not in seen else []
    targets = [str(part.get("$ref", "")).removeprefix(REF) for part in parts if isinstance(part, dict)]
    return parent in targets or any(_extends(target, parent, schemas, (*seen, name)) for target in targets)
