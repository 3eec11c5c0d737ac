"""Whether an answer shows a certain thing, wherever in it that stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject

_TELLING_CHARACTERS = 6
_UNIQUE_CHARACTERS = 12
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Trace:
    """What a thing is recognised by.

    key_field and key: the property that names it and its value, empty where things have none. fields: its properties
    as they were sent and told back.
    """

    key_field: str
    key: str
    fields: JsonObject


def is_shown(trace: Trace, answer: Json, known: frozenset[str] = frozenset()) -> bool:
    """Tell whether *answer* shows the thing: an object in it with its key and its values, or with a telling text.

    A text tells if it is long and not among *known*, those that other things have too.
    """
    return any(_is_thing(trace, item, known) for item in _objects(answer))


def telling_texts(fields: JsonObject, known: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return those properties whose texts no other thing has."""
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, str) and len(value) >= _TELLING_CHARACTERS and value not in known
    }


def texts_of(value: Json, depth: int = 0) -> Iterator[str]:
    """Yield all texts inside *value*."""
    if isinstance(value, str):
        yield value
    elif depth < _MAX_DEPTH:
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from texts_of(item, depth + 1)


def _is_thing(trace: Trace, item: JsonObject, known: frozenset[str]) -> bool:
    has_key = bool(trace.key_field and trace.key) and str(item.get(trace.key_field)) == trace.key
    if trace.key_field and trace.key_field in item and not has_key:
        return False
    telling = telling_texts(trace.fields, known)
    values = [value for value in item.values() if isinstance(value, str)]
    if any(item.get(name) == text or (has_key and text in values) for name, text in telling.items()):
        return True
    common = [name for name, value in trace.fields.items() if name in item and isinstance(value, str | int | float)]
    is_same = all(item[name] == trace.fields[name] for name in common)
    return has_key and is_same and (bool(common) or len(trace.key) >= _UNIQUE_CHARACTERS)


def _objects(answer: Json, depth: int = 0) -> Iterator[JsonObject]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(answer, dict):
        yield answer
    for item in answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else ():
        if isinstance(item, dict | list):
            yield from _objects(item, depth + 1)
