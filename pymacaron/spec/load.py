"""A file or URL, YAML or JSON -> its text and its data; what cannot be read is a fault with a line."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import requests

from pymacaron.exceptions import Finding, UnreadableSpecError
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.yaml_text import MAX_DEPTH, TextFault, YamlError, YamlText, read_yaml, resolve_scalar

_TIMEOUT_S = 30
_HTTP_OK = 200
_CHUNK_BYTES = 256 * 1024
# No document needs more; Twilio's largest has 2 MiB.
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SourceText:
    """A text and where it came from: *source* is a file path or URL, as messages show it."""

    source: str
    text: str


def is_url(source: str | Path) -> bool:
    """Tell whether *source* is an http or https URL."""
    return isinstance(source, str) and urlsplit(source).scheme in ("http", "https")


def read_source(source: str | Path) -> SourceText:
    """Read a file or an http(s) URL, in UTF-8 or UTF-16. Raises UnreadableSpecError if that fails."""
    return download(str(source), most_bytes=MAX_BYTES) if is_url(source) else read_file(Path(source))


def read_file(path: Path, *, most_bytes: int = MAX_BYTES) -> SourceText:
    """Read a file of at most *most_bytes*. Raises UnreadableSpecError if that fails."""
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _unreadable(
            path, f"this file cannot be read ({reason})", "Give the path of an OpenAPI document"
        ) from error
    return _decode(str(path), content, most_bytes)


def download(url: str, *, most_bytes: int, may_redirect: bool = True) -> SourceText:
    """Read a URL within `_TIMEOUT_S` and *most_bytes*. Raises UnreadableSpecError if that fails."""
    until = time.monotonic() + _TIMEOUT_S
    content = b""
    try:
        with requests.get(url, timeout=_TIMEOUT_S, allow_redirects=may_redirect, stream=True) as response:
            if response.status_code != _HTTP_OK:
                found = f"the server answered {response.status_code}"
                raise _unreadable(url, found, "Give the address of an OpenAPI document")
            for chunk in response.iter_content(_CHUNK_BYTES):
                content += chunk
                if len(content) > most_bytes:
                    break
                if time.monotonic() > until:
                    raise requests.Timeout
    except requests.RequestException as error:
        found = f"nothing could be fetched ({type(error).__name__})"
        raise _unreadable(url, found, "Check the address and the server") from error
    return _decode(url, content, most_bytes)


def _decode(source: str, content: bytes, most_bytes: int) -> SourceText:
    if len(content) > most_bytes:
        raise _unreadable(source, f"it is larger than {most_bytes} bytes", "Split it into several documents")
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return SourceText(source, content.decode(encoding))
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        found = f"byte {error.start} and what follows is no {name}"
        raise _unreadable(source, found, "Save the file as UTF-8") from error


def _unreadable(source: str | Path, found: str, fix: str) -> UnreadableSpecError:
    return UnreadableSpecError(Finding(str(source), found, fix, file=str(source)))


def parse_data(source_text: SourceText) -> tuple[Json, list[TextFault]]:
    """Return the data that a text holds, or faults; JSON by its look or its file name, else YAML."""
    text = source_text.text
    try:
        result = _read_json(text) if _looks_like_json(source_text) else read_yaml(text)
    except YamlError as error:
        return None, [error.fault]
    if _depth(result.data) > MAX_DEPTH:
        fault = TextFault(None, "", f"nesting is deeper than {MAX_DEPTH} levels", "Move inner parts to components")
        return None, [fault]
    return result.data, result.faults


def _looks_like_json(source_text: SourceText) -> bool:
    return source_text.source.endswith(".json") or source_text.text.lstrip().startswith("{")


class _DuplicateKeyError(Exception):
    """JSON with a key that stands twice in one object."""


def _read_json(text: str) -> YamlText:
    """Read JSON; text that is not quite JSON (comments, keys that stand twice, flow YAML) is read as YAML."""
    try:
        return YamlText(_DECODER.decode(text))
    except json.JSONDecodeError as error:
        return _read_as_yaml(text, TextFault(error.lineno, "", f"this is no valid JSON: {error.msg}", "Correct it"))
    except (ValueError, _DuplicateKeyError) as error:
        return _read_as_yaml(text, TextFault(None, "", f"this JSON cannot be used: {error}", "Correct it"))
    except RecursionError as error:
        fault = TextFault(None, "", f"nesting is deeper than {MAX_DEPTH} levels", "Move inner parts to components")
        raise YamlError(fault) from error


def _read_as_yaml(text: str, fault: TextFault) -> YamlText:
    try:
        return read_yaml(text)
    except YamlError as error:
        raise YamlError(fault) from error


def _take_pairs(pairs: list[tuple[str, Json]]) -> JsonObject:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise _DuplicateKeyError("a key stands twice in one object")
    return mapping


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


_DECODER = json.JSONDecoder(object_pairs_hook=_take_pairs, parse_constant=_refuse_constant, parse_float=resolve_scalar)


def _depth(data: Json) -> int:
    """Return how deep containers are nested, counting no further than just above `MAX_DEPTH`."""
    depth = 0
    level = [data]
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
    return depth
