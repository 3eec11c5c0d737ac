"""How the parameters of an operation differ."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pymacaron.diff.change import Change
from pymacaron.diff.flat import Part, flatten
from pymacaron.diff.pair import OperationPair
from pymacaron.spec import Operation, Parameter

_NAME = re.compile(r"\{([^{}]*)\}")
_Key = tuple[str, str]


def compare_parameters(pair: OperationPair) -> Iterator[Change]:
    """Yield the changes of parameters outside of the body; those in the path are matched by their place in it."""
    mine, theirs = _by_key(pair.old), _by_key(pair.new)
    moved = _find_moved(mine, theirs)
    for key, parameter in mine.items():
        if key in moved:
            yield _tell_moved(pair, parameter, theirs[moved[key]])
            yield from _compare_values(pair, parameter, theirs[moved[key]])
        elif key in theirs:
            yield from _compare(pair, parameter, theirs[key])
        elif parameter.location != "path":
            what = "this parameter is gone"
            yield pair.tell("parameter-removed", what, where=_label(parameter), pointers=(parameter.pointer, ""))
    for key, parameter in theirs.items():
        if key not in mine and key not in moved.values() and parameter.location != "path":
            rule = "required-parameter-added" if parameter.is_required else "parameter-added"
            what = "this required parameter is new" if parameter.is_required else "this parameter is new"
            yield pair.tell(rule, what, where=_label(parameter), pointers=("", parameter.pointer))


def _by_key(operation: Operation) -> dict[_Key, Parameter]:
    """Return the parameters by what clients see of their names: not those in the path, nor the case of headers."""
    in_path = {name: str(index) for index, name in enumerate(_NAME.findall(operation.path))}
    found: dict[_Key, Parameter] = {}
    for parameter in operation.parameters:
        name = parameter.name
        if parameter.location == "path":
            name = in_path.get(name, name)
        elif parameter.location == "header":
            name = name.lower()
        if parameter.location != "form":
            found[parameter.location, name] = parameter
    return found


def _find_moved(mine: dict[_Key, Parameter], theirs: dict[_Key, Parameter]) -> dict[_Key, _Key]:
    """Return old key -> new key of parameters that stand somewhere else under the same name."""
    lost = [key for key in mine if key not in theirs and key[0] != "path"]
    gained = {key[1].lower(): key for key in theirs if key not in mine and key[0] != "path"}
    return {key: gained[key[1].lower()] for key in lost if key[1].lower() in gained}


def _label(parameter: Parameter) -> str:
    return f"{parameter.location} parameter {parameter.name}"


def _tell_moved(pair: OperationPair, old: Parameter, new: Parameter) -> Change:
    what = f"this parameter moved from {old.location} to {new.location}"
    return pair.tell("parameter-moved", what, where=_label(old), pointers=(old.pointer, new.pointer))


def _compare(pair: OperationPair, old: Parameter, new: Parameter) -> Iterator[Change]:
    pointers = (old.pointer, new.pointer)
    if new.is_required and not old.is_required:
        yield pair.tell("parameter-required", "it is required now", where=_label(new), pointers=pointers)
    elif old.is_required and not new.is_required:
        yield pair.tell("parameter-optional", "it is optional now", where=_label(new), pointers=pointers)
    if _is_written_differently(pair, old, new):
        what = f"it went from {_describe_style(old)} to {_describe_style(new)}"
        yield pair.tell("parameter-style-changed", what, where=_label(new), pointers=pointers)
    yield from _compare_values(pair, old, new)


def _compare_values(pair: OperationPair, old: Parameter, new: Parameter) -> Iterator[Change]:
    yield from pair.compare_schemas(
        "request",
        Part(old.schema, f"{old.pointer}/schema"),
        Part(new.schema, f"{new.pointer}/schema"),
        where=_label(new),
        is_text="content" not in (old.style, new.style),
    )


def _is_written_differently(pair: OperationPair, old: Parameter, new: Parameter) -> bool:
    """Tell whether some value is written in another way; for one that is no list or object only a few styles differ."""
    if (old.style, old.explode) == (new.style, new.explode):
        return False
    side = pair.documents.sides["request"][0]
    types = set(flatten(side, Part(old.schema, old.pointer)).schema.get("type", ("array", "object")))
    if types & {"array", "object"} or "content" in (old.style, new.style):
        return True
    return old.style != new.style and old.location == "path"


def _describe_style(parameter: Parameter) -> str:
    if parameter.style == "content":
        return "JSON"
    return f"style {parameter.style}{', explode' if parameter.explode else ''}"
