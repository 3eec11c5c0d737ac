"""New values for the parts of a body that a case is not about, so that names which must be unique do not clash."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.json_types import Json


def freshen(value: Json, fresh: Json, keep: tuple[str, ...] = ()) -> Json:
    """Return *value* with the texts and whole numbers of *fresh* where both have one.

    keep: path of the property that stays as it is, with all below it. What only one of them has stays as in *value*.
    """
    if not isinstance(value, dict) or not isinstance(fresh, dict):
        return value
    return {key: _choose(key, item, fresh.get(key), keep) for key, item in value.items()}


def vary(text: str, number: int) -> str:
    """Return a text of the same form: up to six of its first letters and digits are replaced, by *number*."""
    characters = list(text)
    places = [place for place, character in enumerate(characters) if character.isascii() and character.isalnum()][:6]
    for place in places:
        number, rest = divmod(number, len(ascii_lowercase))
        characters[place] = str(rest % 10) if characters[place].isdigit() else ascii_lowercase[rest]
    return "".join(characters)


def _choose(key: str, item: Json, fresh: Json, keep: tuple[str, ...]) -> Json:
    if keep == (key,):
        return item
    if isinstance(item, dict):
        return freshen(item, fresh, keep[1:] if keep[:1] == (key,) else ())
    is_unique_kind = isinstance(item, str | int) and not isinstance(item, bool)
    return fresh if is_unique_kind and type(fresh) is type(item) else item
