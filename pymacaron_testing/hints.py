"""What the document cannot tell: ``x-pymacaron`` in it, or ``pymacaron_testing.yaml`` beside the tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from pymacaron.exceptions import ConfigError, Finding

if TYPE_CHECKING:
    from pathlib import Path

    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Api, Operation

FILE_NAME = "pymacaron_testing.yaml"
EXTENSION = "x-pymacaron"
_KEYS = ("shared", "key", "creates", "ignore", "skip", "values")
_SKIP_KEYS = {"checks", "reason", "until"}


@dataclass(frozen=True, slots=True)
class Waiver:
    """Checks whose failures somebody has accepted for some time.

    checks: names of groups or checks, ``never_succeeded``. until: the last day on which it holds.
    """

    checks: frozenset[str]
    reason: str
    until: dt.date


@dataclass(frozen=True, slots=True)
class Hints:
    """What somebody told about an operation.

    shared: True: everybody may see these things, False: only who made them, None: nothing was told. key: property of a
    thing that its path names it by. creates: name of the kind of things that the operation makes, ``pet``. ignore:
    properties that may change by themselves. values: parameter -> the value to send.
    """

    shared: bool | None = None
    key: str = ""
    creates: str = ""
    ignore: frozenset[str] = frozenset()
    skip: tuple[Waiver, ...] = ()
    values: Mapping[str, Json] = field(default_factory=dict)


class HintBook:
    """The hints of one document."""

    def __init__(self, levels: Mapping[str, tuple[Hints, ...]] | None = None) -> None:
        """Take the hints of each operation id, those that count most first."""
        self._hints = {key: _merge(hints) for key, hints in (levels or {}).items()}

    def of(self, operation: Operation) -> Hints:
        """Return what was told about *operation*."""
        return self._hints.get(operation.operation_id, Hints())


def load_hints(api: Api, source: str, folder: Path | None = None) -> HintBook:
    """Return what the document, and the file in *folder* if there is one, tell.

    The file ``{all: hints, paths: {/pets: hints}, operations: {listPets or "GET /pets": hints}}`` counts more than the
    document, and an operation more than its path, a path more than the whole; ``ignore``, ``skip`` and ``values`` of
    all levels add up. source: the document as errors name it.

    Raises: ConfigError: with every mistake.
    """
    findings: list[Finding] = []
    told = _read_file(folder / FILE_NAME, findings) if folder else {}
    findings += _find_unknown(api, told)
    levels: dict[str, tuple[Hints, ...]] = {}
    for operation in api.operations:
        name = f"{operation.method.upper()} {operation.path}"
        by_operation = told.get("operations", {})
        path_item = api.document.get("paths", {}).get(operation.path) or {}
        places: list[tuple[str, Json]] = [
            (f"{FILE_NAME}: operations: {operation.operation_id}", by_operation.get(operation.operation_id)),
            (f"{FILE_NAME}: operations: {name}", by_operation.get(name)),
            (f"{FILE_NAME}: paths: {operation.path}", told.get("paths", {}).get(operation.path)),
            (f"{FILE_NAME}: all", told.get("all")),
            (f"{source}: {name}: {EXTENSION}", operation.extensions.get(EXTENSION)),
            (f"{source}: {operation.path}: {EXTENSION}", path_item.get(EXTENSION)),
            (f"{source}: {EXTENSION}", api.extensions.get(EXTENSION)),
        ]
        levels[operation.operation_id] = tuple(
            _read_hints(where, value, findings) for where, value in places if value is not None
        )
    if findings:
        raise ConfigError(list(dict.fromkeys(findings)))
    return HintBook(levels)


def _merge(levels: tuple[Hints, ...]) -> Hints:
    values: dict[str, Json] = {}
    for hints in reversed(levels):
        values.update(hints.values)
    return Hints(
        shared=next((hints.shared for hints in levels if hints.shared is not None), None),
        key=next((hints.key for hints in levels if hints.key), ""),
        creates=next((hints.creates for hints in levels if hints.creates), ""),
        ignore=frozenset(name for hints in levels for name in hints.ignore),
        skip=tuple(waiver for hints in levels for waiver in hints.skip),
        values=values,
    )


def _read_file(file: Path, findings: list[Finding]) -> dict[str, JsonObject]:
    if not file.is_file():
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        findings.append(Finding(FILE_NAME, f"it cannot be read ({reason})", "Write YAML into it"))
        return {}
    if not isinstance(content, dict) or not all(isinstance(part, dict) for part in content.values()):
        fix = "Write all:, paths: or operations:, and a mapping below"
        findings.append(Finding(FILE_NAME, "it is no mapping of mappings", fix))
        return {}
    return content


def _find_unknown(api: Api, told: Mapping[str, JsonObject]) -> Iterator[Finding]:
    """Yield what the file says of sections, paths and operations that do not exist."""
    for section in told.keys() - {"all", "paths", "operations"}:
        yield Finding(f"{FILE_NAME}: {section}", "it is no section", "Use all, paths or operations")
    paths = {operation.path for operation in api.operations}
    for path in told.get("paths", {}).keys() - paths:
        yield Finding(f"{FILE_NAME}: paths: {path}", "the document has no such path", "Write it as in the document")
    names = {operation.operation_id for operation in api.operations}
    names |= {f"{operation.method.upper()} {operation.path}" for operation in api.operations}
    for name in told.get("operations", {}).keys() - names:
        fix = "Name it by operationId, or as GET /path"
        yield Finding(f"{FILE_NAME}: operations: {name}", "the document has no such operation", fix)


def _read_hints(where: str, value: Json, findings: list[Finding]) -> Hints:
    """Return the hints that *value* holds; what is wrong with it is added to *findings*."""
    if not isinstance(value, dict):
        findings.append(Finding(where, f"it is {value!r}", f"Write a mapping with some of {', '.join(_KEYS)}"))
        return Hints()
    types = {"shared": bool, "key": str, "creates": str, "ignore": list, "skip": list, "values": dict}
    read: JsonObject = {}
    for key, part in value.items():
        if key not in types:
            findings.append(Finding(f"{where}: {key}", "there is no such hint", f"Use {', '.join(_KEYS)}"))
        elif not isinstance(part, types[key]):
            words = {bool: "true or false", str: "a text", list: "a list", dict: "a mapping"}
            findings.append(Finding(f"{where}: {key}", f"it is {part!r}", f"Write {words[types[key]]}"))
        else:
            read[key] = part
    ignore = frozenset(str(name) for name in read.pop("ignore", ()))
    skip = tuple(_read_waivers(f"{where}: skip", read.pop("skip", ()), findings))
    return Hints(ignore=ignore, skip=skip, **read)


def _read_waivers(where: str, value: list[Json], findings: list[Finding]) -> Iterator[Waiver]:
    fix = "Write {checks: [latency], reason: why, until: 2030-01-31}"
    for part in value:
        if not isinstance(part, dict) or part.keys() != _SKIP_KEYS or not isinstance(part["checks"], list):
            findings.append(Finding(where, f"{part!r} is no waiver", fix))
            continue
        until = _read_date(part["until"])
        if until is None or not str(part["reason"]).strip():
            what = "a waiver without a reason" if until else f"until: {part['until']!r} is no date"
            findings.append(Finding(where, what, fix))
            continue
        yield Waiver(frozenset(map(str, part["checks"])), str(part["reason"]), until)


def _read_date(value: Json) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        return None
