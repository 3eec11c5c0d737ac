"""YAML text into plain data, by the scalars of YAML 1.2, with bounds on nesting and on aliases."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

import yaml

from pymacaron.json_types import Json, JsonObject
from pymacaron.spec.pointers import join_pointer

MAX_DEPTH = 100
MAX_ALIASED_NODES = 100_000

# YAML 1.2, section 10.3.2 (core schema), without octal, infinities and NaN, which JSON does not know.
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,60}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_CONSTANTS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TAG_PREFIX = "tag:yaml.org,2002:"
_TEXT_TAGS = {"!", *(_TAG_PREFIX + name for name in ("str", "timestamp", "binary"))}
_PLAIN_TAGS = {_TAG_PREFIX + name for name in ("null", "bool", "int", "float", "seq", "map")}
_MERGE = "<<"
# CSafeLoader is missing where PyYAML was built without libyaml.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TextFault(NamedTuple):
    """What is wrong with a text before it is a document. line: from 1, None if unknown."""

    line: int | None
    pointer: str
    found: str
    fix: str


class YamlError(Exception):
    """The text cannot be read at all; ``fault`` says why."""

    def __init__(self, fault: TextFault) -> None:
        """Take the one *fault* at which reading stopped."""
        super().__init__(fault.found)
        self.fault = fault


@dataclass(slots=True)
class YamlText:
    """A text that was read, and what is wrong in it though it could be read."""

    data: Json
    faults: list[TextFault] = field(default_factory=list)


def read_yaml(text: str, lines: dict[str, int] | None = None) -> YamlText:
    """Read one YAML document. Raises YamlError where the text breaks off.

    Dates, ``yes`` and ``on`` stay text; keys are always text; ``<<`` merges; an alias is the same object again.
    lines: if given, is filled with JSON pointer -> line, from 1, of the key or item that stands there.
    """
    reader = _Reader(lines)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        raise YamlError(_explain(error, text)) from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise YamlError(
            TextFault(None, "", f"the text holds a character that YAML forbids ({error})", "Remove it")
        ) from error
    return reader.result


def resolve_scalar(value: str) -> Json:
    """Return what an unquoted *value* means: null, a boolean, a number, or the text itself."""
    if value in _CONSTANTS:
        return _CONSTANTS[value]
    if _INT.fullmatch(value):
        return int(value)
    if _HEX.fullmatch(value):
        return int(value, 16)
    if _FLOAT.fullmatch(value) and math.isfinite(number := float(value)):
        return number
    return value


def _explain(error: yaml.MarkedYAMLError, text: str) -> TextFault:
    mark = error.problem_mark or error.context_mark
    problem = " ".join(filter(None, (error.context, error.problem)))
    if mark is None:
        return TextFault(None, "", f"this is no valid YAML: {problem}", "Correct it")
    line = text.splitlines()[mark.line : mark.line + 1]
    if line and line[0][mark.column : mark.column + 1] == "\t":
        return TextFault(mark.line + 1, "", "a tab indents this line, which YAML forbids", "Indent with spaces")
    return TextFault(mark.line + 1, "", f"this is no valid YAML: {problem}", "Correct the line or the one before")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


@dataclass(slots=True)
class _Frame:
    """A mapping or sequence that is being read. size: number of nodes in it, aliases expanded.

    indent: column of what is written in lines, not in brackets, around it or as it.
    """

    container: JsonObject | list[Json]
    pointer: str
    anchor: str | None
    indent: int
    is_flow: bool
    key: str | None = None
    size: int = 1
    merged: list[Json] = field(default_factory=list)


class _Reader:
    """Builds data from parser events, without recursion."""

    def __init__(self, lines: dict[str, int] | None) -> None:
        self.result = YamlText(None)
        self._lines = lines
        self._frames: list[_Frame] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._aliased_nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Use one parser event."""
        if isinstance(event, yaml.ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._take_alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(event, "a second YAML document begins", "Keep one document in a file")

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        if self._is_at_key():
            self._take_key(event)
            return
        if event.tag in _TEXT_TAGS or (event.tag is None and not event.implicit[0]):
            value: Json = event.value
        elif event.tag is None or event.tag in _PLAIN_TAGS:
            value = resolve_scalar(event.value)
        else:
            self._fault(event, f"the YAML tag {event.tag} has no meaning here", "Remove the tag")
            value = event.value
        self._remember(event.anchor, value, 1)
        self._add(value, 1, event)

    def _take_key(self, event: yaml.ScalarEvent) -> None:
        frame = self._frames[-1]
        frame.key = event.value
        if event.value in frame.container:
            self._fault(event, f"the key {event.value!r} stands here twice", "Remove one of them")
        if self._lines is not None:
            self._lines[join_pointer(frame.pointer, event.value)] = _line(event)

    def _is_at_key(self) -> bool:
        return bool(self._frames) and isinstance(self._frames[-1].container, dict) and self._frames[-1].key is None

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if self._is_at_key():
            self._stop(event, "a list or mapping stands where a key must stand", "Write text as key")
        if len(self._frames) >= MAX_DEPTH:
            self._stop(event, f"nesting is deeper than {MAX_DEPTH} levels", "Move inner parts to components")
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        container: JsonObject | list[Json] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._note_item_line(event)
        is_flow = bool(event.flow_style)
        indent = event.start_mark.column if event.start_mark else 0
        if is_flow:
            indent = self._frames[-1].indent if self._frames else 0
        self._frames.append(_Frame(container, self._pointer(), event.anchor, indent, is_flow))

    def _close(self, event: yaml.Event) -> None:
        frame = self._frames.pop()
        if frame.is_flow and event.start_mark and event.start_mark.column < frame.indent:
            # Source: YAML 1.2, section 8.2: what is in brackets is indented too. Parsers differ here.
            found = "this bracket stands left of what it belongs to"
            self.result.faults.append(TextFault(_line(event), frame.pointer, found, "Indent it"))
        for mapping in frame.merged:
            for key, value in mapping.items():
                frame.container.setdefault(key, value)  # type: ignore[union-attr]  # merges stand in mappings only
        self._remember(frame.anchor, frame.container, frame.size)
        self._add(frame.container, frame.size, event)

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        if self._is_at_key():
            self._stop(event, "an alias stands where a key must stand", "Write text as key")
        if event.anchor is None or event.anchor not in self._anchors:
            self._stop(
                event,
                f"the alias *{event.anchor} is inside of what it stands for, or stands for nothing",
                "Use $ref for parts that contain themselves",
            )
        value, size = self._anchors[event.anchor]
        self._aliased_nodes += size
        if self._aliased_nodes > MAX_ALIASED_NODES:
            self._stop(event, f"aliases expand to more than {MAX_ALIASED_NODES} nodes", "Use $ref instead of aliases")
        self._note_item_line(event)
        self._add(value, size, event)

    def _add(self, value: Json, size: int, event: yaml.Event) -> None:
        if not self._frames:
            self.result.data = value
            return
        frame = self._frames[-1]
        frame.size += size
        if isinstance(frame.container, list):
            if isinstance(event, yaml.ScalarEvent):
                self._note_item_line(event)
            frame.container.append(value)
            return
        key, frame.key = frame.key, None
        if key == _MERGE and self._is_mergeable(value):
            frame.merged.extend(value if isinstance(value, list) else [value])
        elif key is not None:
            frame.container[key] = value

    @staticmethod
    def _is_mergeable(value: Json) -> bool:
        return isinstance(value, dict) or (isinstance(value, list) and all(isinstance(item, dict) for item in value))

    def _pointer(self) -> str:
        if not self._frames:
            return ""
        frame = self._frames[-1]
        token = len(frame.container) if isinstance(frame.container, list) else frame.key or ""
        return join_pointer(frame.pointer, token)

    def _note_item_line(self, event: yaml.Event) -> None:
        if self._lines is not None:
            self._lines.setdefault(self._pointer(), _line(event))

    def _remember(self, anchor: str | None, value: Json, size: int) -> None:
        if anchor:
            self._anchors[anchor] = (value, size)

    def _fault(self, event: yaml.Event, found: str, fix: str) -> None:
        self.result.faults.append(TextFault(_line(event), self._pointer(), found, fix))

    def _stop(self, event: yaml.Event, found: str, fix: str) -> NoReturn:
        raise YamlError(TextFault(_line(event), self._pointer(), found, fix))
