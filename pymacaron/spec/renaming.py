"""Gives the schemas of an upgraded document names that are Python class names, in every reference too."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.grammar import OPENAPI_3_2
from pymacaron.spec.naming import name_classes
from pymacaron.spec.pointers import join_pointer, pointer_of_fragment, split_pointer
from pymacaron.spec.schemas import rebuild, schema_object

_FOLDER = "/components/schemas"


def rename_schemas(document: JsonObject) -> tuple[JsonObject, dict[str, str], dict[str, str]]:
    """Return the document, its names (as written -> class name) and its moves (new pointer -> old pointer)."""
    written = document.get("components", {}).get("schemas", {})
    names = name_classes(written)
    renamed = rebuild(OPENAPI_3_2, "document", document, partial(_rename_references, names))
    if written:
        renamed["components"]["schemas"] = {
            names[name]: schema_object(schema) for name, schema in renamed["components"]["schemas"].items()
        }
    moves = {join_pointer(_FOLDER, new): join_pointer(_FOLDER, old) for old, new in names.items() if new != old}
    return renamed, names, moves


def referred_name(ref: str) -> str | None:
    """Return the name in ``#/components/schemas/<name>``; None for references to something else."""
    tokens = split_pointer(pointer_of_fragment(ref.removeprefix("#")))
    return tokens[2] if ref.startswith("#") and tokens[:2] == ["components", "schemas"] else None


def _rename_references(names: Mapping[str, str], kind: str, node: JsonObject) -> Json:
    if kind == "schema" and "$ref" in node:
        return node | {"$ref": _rename(names, node["$ref"])}
    if kind == "discriminator":
        node = dict(node)
        if "mapping" in node:
            node["mapping"] = {value: _rename(names, ref) for value, ref in node["mapping"].items()}
        if "defaultMapping" in node:
            node["defaultMapping"] = _rename(names, node["defaultMapping"])
    return node


def _rename(names: Mapping[str, str], ref: str) -> str:
    name = referred_name(ref)
    return ref if name is None else f"#{_FOLDER}/{names.get(name, name)}"
