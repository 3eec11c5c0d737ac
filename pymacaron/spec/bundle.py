"""A document and the files that it refers to, as one tree in which every part has a place."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pymacaron.exceptions import Finding, SpecError
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.lines import describe_place
from pymacaron.spec.load import SourceText, parse_data, read_source
from pymacaron.spec.pointers import MISSING, follow_pointer, join_pointer, pointer_of_fragment, split_pointer

# The data of other files stand under this key of the root while the tree is checked, by relative path.
FILES_KEY = "x-pymacaron-files"


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
    """The tree. folder: where relative files are looked up, None where there are none (URL, text in memory).

    files: the texts read so far, by path relative to *folder*. moves: for each step that moved parts, in order, new
    pointer -> old pointer. findings: what is wrong inside files that were read on the way.
    """

    main: SourceText
    root: JsonObject
    folder: Path | None = None
    files: dict[str, SourceText] = field(default_factory=dict)
    moves: list[dict[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def resolve(self, ref: str, pointer: str) -> tuple[str, Json]:
        """Return pointer and node that *ref*, standing at *pointer*, leads to. Raises BadReferenceError."""
        base = self._file_of(pointer)[0]
        path, _, fragment = ref.partition("#")
        key = self._find_file(ref, path, base) if path else base
        if fragment and not fragment.startswith("/"):
            raise BadReferenceError(f"$ref {ref!r} names an anchor", "Refer to the part by a JSON pointer, #/…")
        target = (join_pointer("", FILES_KEY, key) if key else "") + pointer_of_fragment(fragment)
        node = follow_pointer(self.root, target)
        if node is MISSING:
            raise BadReferenceError(f"$ref {ref!r} leads to nothing", "Define that part or correct the reference")
        return target, node

    def original_pointer(self, pointer: str) -> str:
        """Return where the part at *pointer* of the upgraded tree stands as written.

        ``/paths/…`` in the document itself, ``Pet.yaml#/…`` in another file.
        """
        for moves in reversed(self.moves):
            pointer = _move_back(pointer, moves)
        key, inner = self._file_of(pointer)
        return f"{key}#{inner}" if key else inner

    def finding(self, fault: Fault) -> Finding:
        """Return *fault* with its place: file, line, pointer."""
        original = self.original_pointer(fault.pointer)
        key, _, pointer = ("", "", original) if original[:1] in ("", "/") else original.partition("#")
        source = self.files[key] if key else self.main
        return Finding(describe_place(source.source, source.text, pointer), fault.found, fault.fix)

    @staticmethod
    def _file_of(pointer: str) -> tuple[str, str]:
        tokens = split_pointer(pointer)
        if tokens[:1] != [FILES_KEY] or len(tokens) == 1:
            return "", pointer
        return tokens[1], join_pointer("", *tokens[2:])

    def _find_file(self, ref: str, path: str, base: str) -> str:
        """Return the key of the file that *path*, seen from file *base*, names; reads it if need be."""
        if urlsplit(path).scheme or path.startswith("/"):
            raise BadReferenceError(f"$ref {ref!r} leaves this folder", "Copy the part into the document")
        if self.folder is None:
            raise BadReferenceError(
                f"$ref {ref!r} names another file, which only a document in a file can do",
                "Copy the part into the document",
            )
        key = posixpath.normpath(posixpath.join(posixpath.dirname(base), unquote(path)))
        if (self.folder / key).resolve() == Path(self.main.source).resolve():
            return ""
        if key not in self.files:
            self._read(ref, key, self.folder)
        return key

    def _read(self, ref: str, key: str, folder: Path) -> None:
        try:
            source = read_source(folder / key)
        except SpecError as error:
            raise BadReferenceError(
                f"$ref {ref!r} cannot be used: {error.findings[0].found}", "Correct the path or the file"
            ) from error
        self.files[key] = source
        data, faults = parse_data(source)
        self.root.setdefault(FILES_KEY, {})[key] = data
        self.findings += [
            Finding(f"{source.source}:{fault.line}" if fault.line else source.source, fault.found, fault.fix)
            for fault in faults
        ]


def _move_back(pointer: str, moves: dict[str, str]) -> str:
    """Return *pointer* with its longest prefix that was moved put back."""
    prefix = pointer
    while prefix:
        if prefix in moves:
            return moves[prefix] + pointer[len(prefix) :]
        prefix = prefix.rpartition("/")[0]
    return pointer
