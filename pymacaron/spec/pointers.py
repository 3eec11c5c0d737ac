"""JSON pointers: build them, take them apart, follow them (RFC 6901)."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from pymacaron.json_types import Json


class _Missing:
    """Type of `MISSING`."""


MISSING: Final = _Missing()


def join_pointer(pointer: str, *tokens: str | int) -> str:
    """Return *pointer* extended by *tokens*, which are escaped."""
    for token in tokens:
        text = str(token)
        if "~" in text or "/" in text:
            text = text.replace("~", "~0").replace("/", "~1")
        pointer = f"{pointer}/{text}"
    return pointer


def split_pointer(pointer: str) -> list[str]:
    """Return the unescaped tokens of *pointer*; the empty pointer has none."""
    tokens = pointer.split("/")[1:]
    return [token.replace("~1", "/").replace("~0", "~") for token in tokens] if "~" in pointer else tokens


def pointer_of_fragment(fragment: str) -> str:
    """Return the pointer that a URI *fragment* (without ``#``) spells, ``%``-escapes undone."""
    return unquote(fragment)


def follow_pointer(data: Json, pointer: str) -> Json:
    """Return what *pointer* leads to inside *data*, or `MISSING`."""
    node = data
    for token in split_pointer(pointer):
        if isinstance(node, dict) and token in node:
            node = node[token]
        elif isinstance(node, list) and token.isdecimal() and int(token) < len(node):
            node = node[int(token)]
        else:
            return MISSING
    return node
