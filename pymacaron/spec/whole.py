"""Schemas that stay as they are written, because references with a dynamic scope or an older dialect are in them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import NoReturn

import jsonschema_rs

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.bundle import FILES_KEY, BadReferenceError, Bundle, Fault
from pymacaron.spec.dialects import is_known_dialect, is_standard_dialect, means_something_else
from pymacaron.spec.grammar import OPENAPI_3_2
from pymacaron.spec.pointers import follow_pointer, join_pointer
from pymacaron.spec.resources import RESOURCES_KEY

_DYNAMIC = {"$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"}
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_NO_SCHEMA = {"const", "enum", "default", "example", "examples"}


@dataclass(frozen=True, slots=True)
class _Kept:
    """A place of the tree, ``holder[key]``, whose schema is kept; the stub that will stand there."""

    holder: Json
    key: str | int
    stub: JsonObject


@dataclass(slots=True)
class WholeSchemas:
    """The schemas of one bundle that are kept, and the files that they need.

    late: references that led nowhere so far, each with its pointer and keyword.
    """

    bundle: Bundle
    late: list[tuple[str, str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    _kept: list[_Kept] = field(default_factory=list)
    _files: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)
    _answers: dict[int, bool] = field(default_factory=dict)
    _resources: JsonObject = field(default_factory=dict)
    _stubs: dict[str, JsonObject] = field(default_factory=dict)

    def find_dialect(self) -> None:
        """Look for the dialect that the document says its schemas are in, if that is somebody's own."""
        dialect = self.bundle.root.get("jsonSchemaDialect")
        if isinstance(dialect, str) and self.bundle.addresses is not None and not is_known_dialect(dialect):
            self.late.append((dialect, "", "jsonSchemaDialect"))

    def is_needed(self, schema: Json) -> bool:
        """Tell whether *schema* must be kept: it has, at any depth, a keyword whose meaning lies in where it stands."""
        if self.bundle.addresses is None or not isinstance(schema, dict):
            return False
        if id(schema) not in self._answers:
            dialect = self.bundle.root.get("jsonSchemaDialect", "")
            self._answers[id(schema)] = any(_is_special(part, dialect) for part in _iterate_parts(schema))
        return self._answers[id(schema)]

    def keep(self, holder: Json, key: str | int, pointer: str) -> None:
        """Remember that a stub will stand for the schema ``holder[key]``."""
        self._kept.append(_Kept(holder, key, self.make_stub(pointer)))

    def make_stub(self, pointer: str) -> JsonObject:
        """Return what stands for the schema at *pointer*; see `pymacaron.spec.resources`."""
        from pymacaron.spec.addresses import write_uri  # noqa: PLC0415 - takes 0.1 s, and few documents need it

        self._follow(pointer)
        base, place = self.bundle.find_base(pointer)
        stub = {"$ref": write_uri(base, pointer.removeprefix(place)), RESOURCES_KEY: self._resources}
        return self._stubs.setdefault(pointer, stub)

    def copy_files(self) -> None:
        """Copy the files that kept schemas need, before their references are rewritten."""
        for key in self._files:
            self._resources[self.bundle.finder.uri_of(key)] = self._copy(key)

    def put_stubs(self) -> None:
        """Put the stubs in place of the schemas."""
        for kept in self._kept:
            kept.holder[kept.key] = kept.stub

    def check(self) -> Iterator[Fault]:
        """Yield a fault for each kept schema that JSON Schema refuses, if all their references are right."""
        if not self._stubs or self.faults:
            return
        for pointer, stub in self._stubs.items():
            try:
                registry = jsonschema_rs.Registry(list(self._resources.items()), retriever=_refuse_to_retrieve)
                jsonschema_rs.Draft202012Validator(stub, registry=registry, offline=True)
            except (ValueError, jsonschema_rs.ReferencingError) as error:
                reason = str(error).partition("\n")[0][:200]
                yield Fault(pointer, f"this is no schema: {reason}", "Correct it")

    def _follow(self, pointer: str) -> None:
        """Look at every reference behind *pointer*: each must lead somewhere, and its file is needed."""
        steps = [pointer]
        while steps:
            place = steps.pop()
            key = self.bundle.split_place(place)[0]
            if place in self._seen or key in self.bundle.standards:
                continue
            self._seen.add(place)
            self._files.add(key)
            for ref, holder, keyword in _iterate_references(follow_pointer(self.bundle.root, place), place):
                try:
                    steps.append(self.bundle.resolve(ref, holder)[0])
                except BadReferenceError:
                    self.late.append((ref, holder, keyword))

    def follow_late(self, *, is_last_try: bool) -> None:
        """Try again to follow references that led nowhere before."""
        late, self.late = self.late, []
        for ref, holder, keyword in late:
            try:
                self._follow(self.bundle.resolve(ref, holder)[0])
            except BadReferenceError as error:
                if is_last_try:
                    self.faults.append(Fault(join_pointer(holder, keyword), error.found, error.fix))
                else:
                    self.late.append((ref, holder, keyword))

    def _copy(self, key: str) -> Json:
        from pymacaron.spec.addresses import collect_schemas  # noqa: PLC0415

        root = self.bundle.root
        place = join_pointer("", FILES_KEY, key) if key else ""
        data = root[FILES_KEY][key] if key else {name: node for name, node in root.items() if name != FILES_KEY}
        addresses = self.bundle.addresses
        schemas = addresses.schemas_of(self.bundle.finder.uri_of(key)) if addresses else []
        if [where for where, _ in schemas] == [place]:
            return deepcopy(data)
        dialect = root.get("jsonSchemaDialect")
        head = {} if dialect is None or is_standard_dialect(dialect) else {"$schema": dialect}
        return deepcopy(head | collect_schemas(schemas, data))


def _iterate_parts(schema: Json) -> Iterator[JsonObject]:
    """Yield *schema* and the schemas inside of it."""
    steps: list[tuple[str, Json]] = [("schema", schema)]
    fields = OPENAPI_3_2["schema"].fields
    while steps:
        shape, node = steps.pop()
        if shape == "schema" and isinstance(node, dict):
            yield node
            steps += [(fields[key], value) for key, value in node.items() if "schema" in fields.get(key, "")]
            # `items` of older dialects may be a list; what they call definitions was never in OpenAPI.
            steps += [("[schema]", node["items"])] if isinstance(node.get("items"), list) else []
            steps += [("{schema}", node["definitions"])] if "definitions" in node else []
        elif isinstance(node, dict):
            steps += [("schema", value) for value in node.values()]
        elif isinstance(node, list):
            steps += [("schema", value) for value in node]


def _is_special(schema: JsonObject, dialect: str) -> bool:
    if not _DYNAMIC.isdisjoint(schema):
        return True
    own = schema.get("$schema", dialect)
    return isinstance(own, str) and own != "" and not is_standard_dialect(own) and _differs(schema, own)


def _differs(schema: JsonObject, dialect: str) -> bool:
    return not is_known_dialect(dialect) or any(means_something_else(part) for part in _iterate_parts(schema))


def _iterate_references(node: Json, pointer: str) -> Iterator[tuple[str, str, str]]:
    """Yield every reference in *node*, the pointer of the schema that has it, and its keyword.

    A dialect of somebody's own is a schema that has to be there.
    """
    steps: list[tuple[Json, str]] = [(node, pointer)]
    while steps:
        part, place = steps.pop()
        if isinstance(part, dict):
            for key, value in part.items():
                if isinstance(value, str) and (
                    key in _REFERENCES or (key == "$schema" and not is_known_dialect(value))
                ):
                    yield value, place, key
                elif key not in _NO_SCHEMA:
                    steps.append((value, join_pointer(place, key)))
        elif isinstance(part, list):
            steps += [(value, join_pointer(place, index)) for index, value in enumerate(part)]


def _refuse_to_retrieve(uri: str) -> NoReturn:
    raise ValueError(f"{uri} was not read")
