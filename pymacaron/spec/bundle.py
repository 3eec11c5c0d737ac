"""A document and the files that it refers to, as one tree in which every part has a place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urldefrag, urljoin

from pymacaron.exceptions import Finding, SpecError, UnreadableSpecError
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.files import FileFinder
from pymacaron.spec.grammar import OPENAPI_3_2
from pymacaron.spec.lines import find_line
from pymacaron.spec.load import SourceText, parse_data
from pymacaron.spec.pointers import MISSING, follow_pointer, join_pointer, pointer_of_fragment, split_pointer

if TYPE_CHECKING:
    from pymacaron.spec.addresses import Addresses

# The data of other files stand under this key of the root while the tree is checked, by relative path or URL.
FILES_KEY = "x-pymacaron-files"
_MARKS = ("$id", "$anchor", "$dynamic", "$recursive", "$schema", "jsonSchemaDialect")
_SCHEMA_KEYWORDS = {key for key in OPENAPI_3_2["schema"].fields if not key.startswith("x-")} - {
    *("title", "description", "deprecated", "externalDocs", "required"),
}
# Where parts stood in Swagger 2.0, for references that were written as in OpenAPI 3.
_FOLDERS_OF_2 = {"/components/schemas/": "/definitions/", "/components/parameters/": "/parameters/"}


class Fault(NamedTuple):
    """What is wrong at a pointer of the tree; becomes a Finding when its line is looked up."""

    pointer: str
    found: str
    fix: str


class BadReferenceError(Exception):
    """A $ref leads nowhere; carries what was *found* and how to *fix* it."""

    def __init__(self, found: str, fix: str) -> None:
        """Take two parts of the finding."""
        super().__init__(found)
        self.found = found
        self.fix = fix


@dataclass(slots=True)
class Bundle:
    """The tree. finder: finds other files, and says which may be read.

    files: the texts read so far, by path relative to the document's folder, or by URL. moves: for each step that moved
    parts, in order, new pointer -> old pointer. findings: what is wrong inside files that were read on the way.
    standards: keys of files that are JSON Schema's own. has_addresses: ``$id``, anchors and ``$schema`` have a meaning,
    as they do from OpenAPI 3.1 on.
    """

    main: SourceText
    root: JsonObject
    finder: FileFinder = field(default_factory=FileFinder)
    files: dict[str, SourceText] = field(default_factory=dict)
    moves: list[dict[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    standards: set[str] = field(default_factory=set)
    has_addresses: bool = False
    addresses: Addresses | None = None

    def open_addresses(self) -> None:
        """Give ``$self``, ``$id`` and anchors their meaning."""
        self.has_addresses = True
        own = self.root.get("$self")
        if isinstance(own, str):
            self.finder.main_uri = urldefrag(urljoin(self.finder.main_uri, own)).url
        self._add_addresses("", self.main.text, [("document", "")])

    def resolve(self, ref: str, pointer: str, kind: str = "schema") -> tuple[str, Json]:
        """Return pointer and node that *ref*, standing at *pointer*, leads to. Raises BadReferenceError.

        kind: what is looked for there; it says how a file is read that is seen for the first time.
        """
        path, _, fragment = ref.partition("#")
        base, place = self.find_base(pointer)
        if path:
            base, place = self._find_resource(ref, urldefrag(urljoin(base, path)).url, (kind, fragment))
        if fragment and not fragment.startswith("/"):
            return self._find_anchor(ref, base, fragment)
        for written in _spell(fragment):
            target = place + pointer_of_fragment(written)
            node = follow_pointer(self.root, target)
            if node is not MISSING:
                return target, node
        raise BadReferenceError(f"$ref {ref!r} leads to nothing", "Define that part or correct the reference")

    def find_base(self, pointer: str) -> tuple[str, str]:
        """Return the URI that references at *pointer* are relative to, and the place of what it names."""
        key, inner = self.split_place(pointer)
        base, start = self.finder.uri_of(key), self._place_of(key)
        if self.addresses is None:
            return base, start
        uri, place = self.addresses.find_base(follow_pointer(self.root, start), inner, base)
        return uri, start + place

    def original_pointer(self, pointer: str) -> str:
        """Return where the part at *pointer* of the upgraded tree stands as written.

        ``/paths/…`` in the document itself, ``Pet.yaml#/…`` in another file.
        """
        for moves in reversed(self.moves):
            pointer = _move_back(pointer, moves)
        key, inner = self.split_place(pointer)
        return f"{key}#{inner}" if key else inner

    def finding(self, fault: Fault) -> Finding:
        """Return *fault* with its place: file, line, pointer."""
        original = self.original_pointer(fault.pointer)
        key, _, pointer = ("", "", original) if original[:1] in ("", "/") else original.partition("#")
        source = self.files[key] if key else self.main
        return Finding.at(source.source, find_line(source.text, pointer), pointer, found=fault.found, fix=fault.fix)

    @staticmethod
    def split_place(pointer: str) -> tuple[str, str]:
        """Return the key of the file in which *pointer* is, ``""`` for the document itself, and the pointer there."""
        tokens = split_pointer(pointer)
        if tokens[:1] != [FILES_KEY] or len(tokens) == 1:
            return "", pointer
        return tokens[1], join_pointer("", *tokens[2:])

    @staticmethod
    def _place_of(key: str) -> str:
        return join_pointer("", FILES_KEY, key) if key else ""

    def _find_resource(self, ref: str, uri: str, wanted: tuple[str, str]) -> tuple[str, str]:
        """Return URI and place of the schema or file at *uri*, which is read if need be. wanted: kind and fragment."""
        known = self.addresses.find_resource(uri) if self.addresses else None
        if known is not None:
            return uri, known
        key = self._find_standard(uri) if self.has_addresses else None
        if key is None:
            try:
                key = self.finder.find_key(uri)
                if key and key not in self.files:
                    self._read(key)
            except SpecError as error:
                found, fix = error.findings[0].found, error.findings[0].fix
                if isinstance(error, UnreadableSpecError):
                    fix = "Correct the path or the file"
                raise BadReferenceError(f"$ref {ref!r} cannot be used: {found}", fix) from error
            kind, fragment = wanted
            self._add_part(key, kind, pointer_of_fragment(fragment) if fragment.startswith("/") else "")
        return self.find_base(self._place_of(key))

    def _find_standard(self, uri: str) -> str | None:
        from pymacaron.spec.addresses import find_metaschema  # noqa: PLC0415 - takes 0.1 s

        if uri in self.standards:
            return uri
        schema = find_metaschema(uri) if "json-schema.org" in uri else None
        if schema is None:
            return None
        self.root.setdefault(FILES_KEY, {})[uri] = schema
        self.standards.add(uri)
        return uri

    def _find_anchor(self, ref: str, uri: str, name: str) -> tuple[str, Json]:
        place = self.addresses.find_anchor(uri, name) if self.addresses else None
        if place is None:
            fix = "Define it, or refer to the part by a JSON pointer, #/…"
            raise BadReferenceError(f"$ref {ref!r} names an anchor that is nowhere", fix)
        return place, follow_pointer(self.root, place)

    def _read(self, key: str) -> None:
        source = self.finder.read(key)
        self.files[key] = source
        data, faults = parse_data(source)
        self.root.setdefault(FILES_KEY, {})[key] = data
        self.findings += [
            Finding.at(source.source, fault.line, None, found=fault.found, fix=fault.fix) for fault in faults
        ]

    def _add_part(self, key: str, kind: str, inner: str) -> None:
        """Look for ``$id`` and anchors in a file that was referred to, of which a part of that *kind* is known now."""
        if key and self.has_addresses:
            data = self.root[FILES_KEY][key]
            if kind == "schema" and isinstance(data, dict) and _SCHEMA_KEYWORDS & data.keys():
                inner = ""
            if isinstance(data, dict) and "openapi" in data:
                kind, inner = "document", ""
            self._add_addresses(key, self.files[key].text, [(kind, inner)])

    def _add_addresses(self, key: str, text: str, parts: list[tuple[str, str]]) -> None:
        if not any(mark in text for mark in _MARKS):
            return
        from pymacaron.spec.addresses import Addresses  # noqa: PLC0415 - takes 0.1 s, and few documents need it

        self.addresses = self.addresses or Addresses(str(self.root.get("jsonSchemaDialect", "")))
        place = self._place_of(key)
        schemas = [
            found
            for kind, inner in parts
            for found in iterate_schemas(kind, follow_pointer(self.root, place + inner), place + inner)
        ]
        if not self.addresses.add(self.finder.uri_of(key), schemas):
            source = self.files[key].source if key else self.main.source
            found = "its $id and $anchor cannot be told, because a keyword of a schema has a wrong type"
            self.findings.append(Finding.at(source, None, None, found=found, fix="Correct the schema"))


def iterate_schemas(shape: str, node: Json, pointer: str) -> Iterator[tuple[str, Json]]:
    """Yield place and schema of every schema in *node*, which should be of *shape*, that is not inside another one."""
    steps: list[tuple[str, Json, str]] = [(shape, node, pointer)]
    while steps:
        shape, node, pointer = steps.pop()
        if shape == "schema":
            yield pointer, node
        elif shape.startswith("[") and isinstance(node, list):
            steps += [(shape[1:-1], item, join_pointer(pointer, index)) for index, item in enumerate(node)]
        elif shape.startswith("{") and isinstance(node, dict):
            steps += [(shape[1:-1], item, join_pointer(pointer, key)) for key, item in node.items()]
        elif shape in OPENAPI_3_2 and isinstance(node, dict):
            rule = OPENAPI_3_2[shape]
            for key, value in node.items():
                inner = rule.fields.get(key, None if key.startswith("x-") or key == "$ref" else rule.other)
                if inner and isinstance(value, (dict, list)):
                    steps.append((inner, value, join_pointer(pointer, key)))


def _spell(fragment: str) -> Iterator[str]:
    """Yield *fragment*, then what its author probably meant if it leads to nothing."""
    yield fragment
    if "+" in fragment:
        yield fragment.replace("+", " ")
    for new, old in _FOLDERS_OF_2.items():
        if fragment.startswith(new):
            yield old + fragment.removeprefix(new)


def _move_back(pointer: str, moves: dict[str, str]) -> str:
    """Return *pointer* with its longest prefix that was moved put back."""
    prefix = pointer
    while prefix:
        if prefix in moves:
            return moves[prefix] + pointer[len(prefix) :]
        prefix = prefix.rpartition("/")[0]
    return pointer
