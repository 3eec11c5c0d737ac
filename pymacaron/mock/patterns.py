"""Texts that match a ``pattern`` of JSON Schema, drawn at random from a given source.

Own code, since no library fits: rstr takes from sets, whose order differs from process to process, and knows neither
possessive groups nor lookaheads; exrex is under the AGPL; hypothesis is made for tests. Like rstr this walks the tree
that Python's own parser of regular expressions makes.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from random import Random
from re import _parser  # no public name for it since 3.11
from typing import Any

from jsonschema_rs import Draft202012Validator

_LIKED = string.ascii_lowercase + string.digits + string.ascii_uppercase
_ALPHABET = _LIKED + "".join(sorted(set(string.printable) - set(_LIKED) - set("\t\n\r\x0b\x0c")))
_CATEGORIES = {
    "CATEGORY_DIGIT": string.digits,
    "CATEGORY_SPACE": " ",
    "CATEGORY_WORD": string.ascii_letters + string.digits + "_",
}
_TOKEN = re.compile(r"\\[pPu]\{[^}]*\}|\\k<[^>]*>|\\.|\(\?<(?![=!])|.", re.DOTALL)
_FAR = 0x3000
_TRIES = 30
_REPEATS = (3, 0, 1, 8, 2, 20)


class PatternError(ValueError):
    """A pattern that Python's parser does not understand."""


def sample_patterns(patterns: Sequence[str], rng: Random, fits: Callable[[str], bool]) -> str | None:
    """Return a text that every one of *patterns* matches and that *fits*, None if none is found.

    Raises: PatternError.
    """
    trees = [_parse(pattern) for pattern in patterns]
    for number in range(_TRIES * len(_REPEATS)):
        repeats = _REPEATS[number // len(trees) % len(_REPEATS)]
        text = _Walk(rng, repeats).write(trees[number % len(trees)])
        if fits(text) and all(is_match(pattern, text) for pattern in patterns):
            return text
    return None


def is_match(pattern: str, text: str) -> bool:
    """Tell whether *pattern* matches *text*, as JSON Schema has it."""
    return _matcher(pattern).is_valid(text)


@lru_cache(maxsize=512)
def _matcher(pattern: str) -> Draft202012Validator:
    return Draft202012Validator({"pattern": pattern})


@lru_cache(maxsize=512)
def _parse(pattern: str) -> Any:
    try:
        return _parser.parse(_to_python(pattern), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"{pattern!r}: {error}") from error


def _to_python(pattern: str) -> str:
    """Return *pattern* as Python writes it; not exact, for what comes out is matched with the pattern itself."""
    written = []
    is_inside = False
    for token in _TOKEN.findall(pattern):
        if token.startswith(("\\p{", "\\P{")):
            written.append("A-Za-z" if is_inside else "[A-Za-z]")
        elif token.startswith("\\u{"):
            written.append(re.escape(chr(int(token[3:-1], 16))))
        elif token.startswith("\\k<"):
            written.append(f"(?P={token[3:-1]})")
        elif token == "(?<":  # noqa: S105 - a sign of the pattern
            written.append("(?P<")
        else:
            written.append("\\[" if is_inside and token == "[" else token)  # noqa: S105
        is_inside = token == "[" or (is_inside and token != "]")  # noqa: S105
    return "".join(written)


class _Walk:
    """Writes one text. most: how often ``*`` and ``+`` repeat beyond their least."""

    def __init__(self, rng: Random, most: int) -> None:
        self._rng = rng
        self._most = most
        self._groups: dict[int, str] = {}
        self._ahead: list[str] = []

    def write(self, tree: Any) -> str:
        text = self._sequence(tree)
        return "".join(self._ahead) + text

    def _sequence(self, states: Iterable[tuple[Any, Any]]) -> str:
        return "".join(self._state(str(opcode), argument) for opcode, argument in states)

    def _state(self, opcode: str, argument: Any) -> str:
        handle = getattr(self, f"_{opcode.lower()}", None)
        return handle(argument) if handle else ""  # anchors and negative lookarounds write nothing

    def _literal(self, code: int) -> str:
        return chr(code)

    def _not_literal(self, code: int) -> str:
        return self._rng.choice(_LIKED.replace(chr(code), ""))

    def _any(self, _argument: None) -> str:
        return self._rng.choice(_LIKED)

    def _in(self, members: list[tuple[Any, Any]]) -> str:
        is_negated = str(members[0][0]) == "NEGATE"
        chosen = _characters(members)
        if not is_negated:
            return self._rng.choice(chosen)
        left = [sign for sign in _LIKED if sign not in chosen] or [sign for sign in _ALPHABET if sign not in chosen]
        return self._rng.choice(left) if left else chr(_FAR)

    def _branch(self, argument: tuple[Any, list[Any]]) -> str:
        return self._sequence(self._rng.choice(argument[1]))

    def _subpattern(self, argument: tuple[int | None, int, int, Any]) -> str:
        text = self._sequence(argument[3])
        if argument[0] is not None:
            self._groups[argument[0]] = text
        return text

    def _atomic_group(self, argument: Any) -> str:
        return self._sequence(argument)

    def _groupref(self, number: int) -> str:
        return self._groups.get(number, "")

    def _assert(self, argument: tuple[int, Any]) -> str:
        direction, states = argument
        if direction > 0:  # what must come somewhere ahead is written in front
            self._ahead.append(self._sequence(states))
        return ""

    def _max_repeat(self, argument: tuple[int, int, Any]) -> str:
        least, most, states = argument
        times = self._rng.randint(least, min(int(most), least + self._most))
        return "".join(self._sequence(states) for _ in range(times))

    _min_repeat = _max_repeat
    _possessive_repeat = _max_repeat


def _characters(members: list[tuple[Any, Any]]) -> list[str]:
    """Return the characters of a class, of a large range the first ones."""
    found: list[str] = []
    for opcode, argument in members:
        if str(opcode) == "LITERAL":
            found.append(chr(argument))
        elif str(opcode) == "RANGE":
            found += [chr(code) for code in range(argument[0], min(argument[1], argument[0] + 255) + 1)]
        elif str(opcode) == "CATEGORY":
            name = str(argument)
            inner = _CATEGORIES.get(name.replace("_NOT_", "_"), "")
            found += [sign for sign in _ALPHABET if sign not in inner] if "_NOT_" in name else list(inner)
    return found
