"""What came with a request comes back in the answer, where the answer has a place for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pymacaron.json_types import Json, JsonObject

_MARKS = re.compile(r"[^a-z0-9]")
_ID = "id"


def echo(answer: Json, given: Mapping[str, Json], is_valid: Callable[[Json], bool]) -> Json:
    """Return *answer* with the values of *given* in the properties of the same name and type, as long as it is valid.

    ``pet_id`` and ``petId`` are one name; both also name the ``id`` of an answer that has no ``petId``. An object that
    is an answer's only property is meant as well: ``{"pet": {…}}``.
    """
    if not isinstance(answer, dict):
        return answer
    if len(answer) == 1:
        [(key, inner)] = answer.items()
        if isinstance(inner, dict):
            return {key: echo(inner, given, lambda value: is_valid({key: value}))}
    places = {_plain(name): name for name in answer}
    for key, value in given.items():
        name = places.get(_plain(key))
        if name is None and _plain(key).endswith(_ID):
            name = places.get(_ID)
        if name is None or _type_of(answer[name]) != _type_of(value) or answer[name] == value:
            continue
        changed: JsonObject = {**answer, name: value}
        if is_valid(changed):
            answer = changed
    return answer


def _plain(name: str) -> str:
    return _MARKS.sub("", name.lower())


def _type_of(value: Json) -> str:
    if isinstance(value, bool) or value is None:
        return str(type(value))
    return "number" if isinstance(value, int | float) else type(value).__name__
