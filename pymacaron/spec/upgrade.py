"""Swagger 2.0, OpenAPI 3.0, 3.1 and 3.2 -> one shape, that of OpenAPI 3.1 with JSON Schema 2020-12."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.bundle import Fault
from pymacaron.spec.grammar import (
    FOLDERS_2,
    FOLDERS_3,
    FOLDERS_3_2,
    OPENAPI_3_0,
    OPENAPI_3_1,
    OPENAPI_3_2,
    SWAGGER_2,
    TARGET_VERSION,
    ObjectRule,
)
from pymacaron.spec.operations import dereference
from pymacaron.spec.schemas import rebuild, upgrade_schema
from pymacaron.spec.swagger import upgrade_swagger


@dataclass(frozen=True, slots=True)
class Dialect:
    """One version of the specification: its grammar, and where it keeps parts that have a name."""

    version: str
    rules: Mapping[str, ObjectRule]
    folders: Mapping[str, tuple[str, ...]]

    @property
    def is_closed(self) -> bool:
        """Tell whether bodies with properties that the document does not name are refused: Swagger 2.0's way here."""
        return self.version == "2.0"

    @property
    def has_addresses(self) -> bool:
        """Tell whether schemas may be named by ``$id`` and ``$anchor``."""
        return self.version not in ("2.0", "3.0")


_ADDRESSES = {"$id", "$anchor", "$schema", "$defs"}
DIALECTS = {
    "2.0": Dialect("2.0", SWAGGER_2, FOLDERS_2),
    "3.0": Dialect("3.0", OPENAPI_3_0, FOLDERS_3),
    "3.1": Dialect("3.1", OPENAPI_3_1, FOLDERS_3),
    "3.2": Dialect("3.2", OPENAPI_3_2, FOLDERS_3_2),
}


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The upgraded document; moves: new pointer -> old pointer; faults that only show on the way."""

    document: JsonObject
    moves: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def find_dialect(root: JsonObject) -> Dialect | Fault:
    """Return the dialect that *root* says it is written in, or what is wrong with that."""
    for key in ("openapi", "swagger"):
        if key in root:
            version = str(root[key])
            dialect = DIALECTS.get(version[:3])
            if dialect and (key == "swagger") == (dialect.version == "2.0") and version[3:4] in ("", "."):
                return dialect
            return Fault(f"/{key}", f"version {version} is unknown", "Write swagger 2.0, or openapi 3.0, 3.1 or 3.2")
    return Fault("", "neither openapi nor swagger says which version this is", "Add a line like openapi: 3.1.0")


def upgrade(root: JsonObject, dialect: Dialect) -> Upgraded:
    """Return *root*, whose nodes have the right types, in the one shape; parts that are missing stay missing."""
    if dialect.version == "2.0":
        return Upgraded(*upgrade_swagger(root))
    hook = partial(_upgrade_object, is_older=dialect.version == "3.0")
    document = rebuild(dialect.rules, "document", root, hook) | {"openapi": TARGET_VERSION}
    if "paths" in dialect.rules["document"].required:
        document.setdefault("paths", {})  # where it was missing, that was told
    if document.get("components", {}).get("mediaTypes"):
        document = rebuild(dialect.rules, "document", document, partial(_write_out_media_type, document))
    return Upgraded(document)


def _write_out_media_type(document: JsonObject, kind: str, node: JsonObject) -> Json:
    """Put the media type that a reference names in its place: of all parts that have names, only these need not."""
    return dereference(document, node, "").node if kind == "media-type" else node


def _upgrade_object(kind: str, node: JsonObject, *, is_older: bool) -> Json:
    if kind == "schema":
        schema = upgrade_schema(node, is_older=is_older)
        # References lead to components by now; an $id would change what they are relative to.
        return schema if is_older else {key: value for key, value in schema.items() if key not in _ADDRESSES}
    if kind == "parameter" and node.get("x-mandatory") is True:
        return node | {"required": True}
    if kind == "server-variable" and is_older and "enum" in node:
        # That there are values, the default among them, OpenAPI 3.0 says only with SHOULD.
        return node | {"enum": [*node["enum"], node.get("default", "")]}
    return node
