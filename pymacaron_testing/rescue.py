"""Requests that name existing things: the last means to reach a first success."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymacaron_testing.resources import Resources, Scalar, normalise

if TYPE_CHECKING:
    from pymacaron.json_types import Json

_MAX_DEPTH = 4


def fill_in(value: Json, resources: Resources, depth: int = 0) -> Json:
    """Return *value* with the scalars of its objects taken from things that exist, where names agree.

    An object whose scalar properties all belong to one known thing gets that thing's values: a login gets the email
    and password of a user that the run signed up. Otherwise ``pet_id`` gets the id of a known pet.
    """
    if depth > _MAX_DEPTH or not isinstance(value, dict):
        return value
    names = {normalise(key): key for key, item in value.items() if not isinstance(item, dict | list)}
    found = resources.find_fields(frozenset(names)) or {}
    filled: dict[str, Json] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            filled[key] = fill_in(item, resources, depth + 1)
        else:
            filled[key] = _choose(item, found.get(normalise(key)), resources.find_reference(key))
    return filled


def _choose(generated: Json, *known: Scalar | None) -> Json:
    """Return the first known value of the generated one's type, else the generated one."""
    for value in known:
        if value is not None and type(value) is type(generated):
            return value
    return generated
