"""Requests like those of a person: the last means to reach a first success."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymacaron_testing.resources import Resources, Scalar, normalise

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron_testing.exchange import Case
    from pymacaron_testing.generation import Generator

_MAX_DEPTH = 4
# What people write into fields of these names; the document may only say that they are texts.
_USUAL = {
    "email": "user-{}@example.com",
    "mail": "user-{}@example.com",
    "username": "user{}",
    "login": "user{}",
    "password": "Secret-{}-word",
    "url": "https://example.com/{}",
    "uri": "https://example.com/{}",
    "link": "https://example.com/{}",
    "website": "https://example.com/{}",
    "image": "https://example.com/{}.png",
    "avatar": "https://example.com/{}.png",
    "phone": "+4612345{}",
    "date": "2030-01-15",
    "country": "SE",
    "currency": "EUR",
    "language": "en",
    "name": "Name {}",
    "title": "Title {}",
    "slug": "slug-{}",
}


def humanise(case: Case, generator: Generator, resources: Resources, number: int) -> Case:
    """Return *case* with usual values, values of existing things, or both, by turns: another *number*, another turn."""
    for location, values in generator.values_of(case).items():
        usual = use_usual_values(values, number) if number % 3 != 1 else values
        chosen = fill_in(usual, resources) if number % 3 != 0 else usual
        if chosen != values:
            case = generator.with_part(case, location, chosen)
    return case


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


def use_usual_values(value: Json, number: int) -> Json:
    """Return *value* with what people write into fields of well-known names. number: makes them unique."""
    if not isinstance(value, dict):
        return value
    return {key: _usual(key, item, number) for key, item in value.items()}


def _usual(key: str, item: Json, number: int) -> Json:
    if isinstance(item, dict):
        return use_usual_values(item, number)
    plain = normalise(key)
    word = next((word for word in _USUAL if plain.endswith(word)), None)
    return _USUAL[word].format(number) if word and isinstance(item, str) else item


def _choose(generated: Json, *known: Scalar | None) -> Json:
    """Return the first known value of the generated one's type, else the generated one."""
    for value in known:
        if value is not None and type(value) is type(generated):
            return value
    return generated
