"""New values for the parts of a body that a case is not about, so that names which must be unique do not clash."""

from __future__ import annotations

import sys
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from string import ascii_lowercase, digits
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Parameter

_VARIED = 6
_NEAR = 64


def freshen(value: Json, fresh: Json, keep: tuple[str, ...] = ()) -> Json:
    """Return *value* with the texts and whole numbers of *fresh* where both have one.

    keep: path of the property that stays as it is, with all below it. What only one of them has stays as in *value*.
    """
    if not isinstance(value, dict) or not isinstance(fresh, dict):
        return value
    return {key: _choose(key, item, fresh.get(key), keep) for key, item in value.items()}


def make_distinct(body: Json, number: int, fits: Callable[[Json], bool]) -> Json:
    """Return *body* with every text in its objects made unlike all others, by *number*, as far as *fits* allows."""
    for path, text in list(_texts(body)):
        longer, varied = text + _letters(number), vary(text, number)
        has_room = sum(character.isalnum() for character in text) >= _VARIED
        for candidate in (varied, longer) if has_room else (longer, varied):
            changed = _with_text(body, path, candidate)
            if fits(changed):
                body = changed
                break
    return body


def vary(text: str, number: int) -> str:
    """Return a text of the same form: up to six of its first letters and digits are replaced, by *number*.

    A text without any of ASCII gets other characters of the same Unicode categories.
    """
    characters = list(text)
    places = [place for place, character in enumerate(characters) if character.isascii() and character.isalnum()]
    rest = number
    for place in places[:_VARIED]:
        character = characters[place]
        signs = digits if character.isdigit() else ascii_lowercase
        rest, sign = divmod(rest, len(signs))
        characters[place] = signs[sign].upper() if character.isupper() else signs[sign]
    if not places:
        for place, letter in zip(range(len(characters)), _letters(number), strict=False):
            characters[place] = _neighbour(characters[place], ord(letter) - ord("a") + 1)
    return "".join(characters)


def is_idempotency_key(parameter: Parameter) -> bool:
    """Tell whether *parameter* is a header by which servers know requests that they have served already."""
    return parameter.location == "header" and parameter.name.lower().replace("-", "").endswith("idempotencykey")


def renew_key(key: str, number: int, fits: Callable[[str], bool]) -> str | None:
    """Return a key unlike all others, by *number*, that *fits* allows; None where there is none."""
    candidates = (str(uuid.UUID(int=number, version=4)), key + _letters(number), vary(key, number))
    return next((candidate for candidate in candidates if fits(candidate)), None)


def _neighbour(character: str, distance: int) -> str:
    """Return the next character of the same category that is at least *distance* away; itself if none is near."""
    code, category = ord(character), unicodedata.category(character)
    near = (*range(code + distance, code + distance + _NEAR), *range(code - distance, code - distance - _NEAR, -1))
    near_characters = (chr(other) for other in near if 0 < other <= sys.maxunicode)
    return next((other for other in near_characters if unicodedata.category(other) == category), character)


def _letters(number: int) -> str:
    letters = ""
    for _ in range(_VARIED):
        number, rest = divmod(number, len(ascii_lowercase))
        letters += ascii_lowercase[rest]
    return letters


def _texts(body: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(body, str):
        yield path, body
    if isinstance(body, dict):
        for key, value in body.items():
            yield from _texts(value, (*path, key))


def _with_text(body: Json, path: tuple[str, ...], text: str) -> Json:
    return {**body, path[0]: _with_text(body[path[0]], path[1:], text)} if path else text


def _choose(key: str, item: Json, fresh: Json, keep: tuple[str, ...]) -> Json:
    if keep == (key,):
        return item
    if isinstance(item, dict):
        return freshen(item, fresh, keep[1:] if keep[:1] == (key,) else ())
    is_unique_kind = isinstance(item, str | int) and not isinstance(item, bool)
    return fresh if is_unique_kind and type(fresh) is type(item) else item
