"""A file or URL, YAML or JSON -> its text and its data; what cannot be read is a fault with a line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import requests

from pymacaron.exceptions import Finding, SpecError
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.yaml_text import MAX_DEPTH, TextFault, YamlError, YamlText, read_yaml, resolve_scalar

_TIMEOUT_S = 30
_HTTP_OK = 200


@dataclass(frozen=True, slots=True)
class SourceText:
    """A text and where it came from: *source* is a file path or URL, as messages show it."""

    source: str
    text: str


def is_url(source: str | Path) -> bool:
    """Tell whether *source* is an http or https URL."""
    return isinstance(source, str) and urlsplit(source).scheme in ("http", "https")


def read_source(source: str | Path) -> SourceText:
    """Read a file or an http(s) URL, in UTF-8 or UTF-16. Raises SpecError if that fails."""
    content = _download(str(source)) if is_url(source) else _read_file(Path(source))
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return SourceText(str(source), content.decode(encoding))
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        raise SpecError(
            Finding(str(source), f"byte {error.start} and what follows is no {name}", "Save the file as UTF-8")
        ) from error


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


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError(
            Finding(str(path), f"this file cannot be read ({reason})", "Give the path of an OpenAPI document")
        ) from error


def _download(url: str) -> bytes:
    try:
        response = requests.get(url, timeout=_TIMEOUT_S)
    except requests.RequestException as error:
        raise SpecError(
            Finding(url, f"nothing could be fetched ({type(error).__name__})", "Check the address and the server")
        ) from error
    if response.status_code != _HTTP_OK:
        raise SpecError(
            Finding(url, f"the server answered {response.status_code}", "Give the address of an OpenAPI document")
        )
    return response.content


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
