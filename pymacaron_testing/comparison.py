"""What two answers to the same request have in common: pure functions on JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.json_types import Json

Shape = frozenset[tuple[str, str]]
_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
_KEY = re.compile(r"(?:^|[_-])(?:id|ids|uuid|guid|key|slug|code)$|[a-z0-9](?:Id|ID|Ids|Uuid|UUID|Key)$", re.ASCII)
_SHOWN = 3
_SLOWER = 2.0
_MIN_DIFFERENCE_S = 0.02
_MIN_PAIRS = 12
_MAX_FASTER_SHARE = 0.1


def shape_of(value: Json) -> Shape:
    """Return every place in *value* with its type; items of arrays share one place: ``("/pets/*/name", "string")``."""
    return frozenset((place, _type_of(item)) for place, item in _places("", value))


def describe_shapes(ours: Shape, theirs: Shape) -> str:
    """Return how two shapes differ, for people; empty if they do not. *theirs* is the baseline's."""
    missing = [f"{place or 'the top'} ({kind}) is missing" for place, kind in sorted(theirs - ours)]
    added = [f"{place or 'the top'} ({kind}) is new" for place, kind in sorted(ours - theirs)]
    found = [*missing, *added]
    rest = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return ", ".join([*found[:_SHOWN], *rest])


def differing_places(ours: Json, theirs: Json) -> dict[str, tuple[Json, Json]]:
    """Return the places of scalars that both have, with different values; items of arrays by their number."""
    first, second = dict(_scalars("", ours)), dict(_scalars("", theirs))
    return {
        place: (first[place], second[place])
        for place in first
        if place in second and (first[place] != second[place] or type(first[place]) is not type(second[place]))
    }


def mark(value: Json, sent: Mapping[Json, str]) -> Json:
    """Return *value* with every scalar that was sent replaced by where it was sent, so that other values compare.

    sent: scalar -> its name in the request, such as ``body /name``.
    """
    if isinstance(value, dict):
        return {key: mark(item, sent) for key, item in value.items()}
    if isinstance(value, list):
        return [mark(item, sent) for item in value]
    if value is None or isinstance(value, bool):
        return value
    return f"⟨{sent[value]}⟩" if value in sent else value


def is_key(name: str) -> bool:
    """Tell whether *name* is that of an identifier: ``id``, ``pet_id``, ``petId``, ``uuid``."""
    return bool(_KEY.search(name))


def translate_keys(value: Json, twins: Mapping[str, str]) -> Json:
    """Return *value* with every identifier in it that has a twin replaced by that, numbers by numbers."""
    if isinstance(value, dict):
        return {key: _twin(item, twins) if is_key(key) else translate_keys(item, twins) for key, item in value.items()}
    return [translate_keys(item, twins) for item in value] if isinstance(value, list) else value


def hide_keys(value: Json) -> Json:
    """Return *value* with one word in place of every identifier."""
    if isinstance(value, dict):
        return {key: "⟨key⟩" if is_key(key) else hide_keys(item) for key, item in value.items()}
    return [hide_keys(item) for item in value] if isinstance(value, list) else value


def name_scalars(parts: Mapping[str, Json]) -> dict[Json, str]:
    """Return the scalars of a request's parts with their names, for `mark`. Short ones are left out: they recur."""
    return {
        value: f"{location} {place}"
        for location, part in parts.items()
        for place, value in _scalars("", part)
        if isinstance(value, str) and len(value) > 1
    }


def is_slower(pairs: Iterable[tuple[float, float]]) -> bool:
    """Tell whether the first of each pair of seconds is grossly slower: twice, and by 20 ms, in nearly all pairs."""
    taken = list(pairs)
    if len(taken) < _MIN_PAIRS:
        return False
    ours, theirs = median(one for one, _ in taken), median(other for _, other in taken)
    faster = sum(one <= other for one, other in taken)
    is_gross = ours > _SLOWER * theirs and ours - theirs > _MIN_DIFFERENCE_S
    return is_gross and faster <= _MAX_FASTER_SHARE * len(taken)


def _twin(value: Json, twins: Mapping[str, str]) -> Json:
    if isinstance(value, list):
        return [_twin(item, twins) for item in value]
    found = twins.get(str(value))
    if found is None or isinstance(value, dict | bool):
        return value
    return int(found) if isinstance(value, int) and found.isdecimal() else found


def _places(place: str, value: Json) -> Iterator[tuple[str, Json]]:
    if value is None:
        return  # may stand for anything that is not there
    yield place, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(f"{place}/{key}", item)
    elif isinstance(value, list):
        for item in value:
            yield from _places(f"{place}/*", item)


def _scalars(place: str, value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _scalars(f"{place}/{key}", item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _scalars(f"{place}/{number}", item)
    else:
        yield place, value


def _type_of(value: Json) -> str:
    return _TYPES.get(type(value), "null")
