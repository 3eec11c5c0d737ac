r"""A ``pattern`` of JSON Schema, written so that Rust's engines match what ECMAScript matches.

They would take ``\b`` for the words of every script, ``.`` for all but one kind of newline, ``[`` and ``&&`` inside a
class for set operations, and know neither ``[^]`` nor surrogate pairs nor names in backreferences.
Source: ECMA-262, section 22.2, with the flag ``u``; JSON Schema 2020-12, core, section 6.4.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

_TOKEN = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u\{[0-9a-fA-F]+\}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}"
    r"|\\[pP]\{[^}]*\}|\\c[A-Za-z]|\\k<[^>]*>|\\[1-9][0-9]*|\\.|\(\?<(?![=!])[^>]*>|\(\?|\{[0-9]+(?:,[0-9]*)?\}|.",
    re.DOTALL,
)
_BACKTRACKING = re.compile(r"\(\?<?[=!]|\\[1-9]|\\[bBk]")
_WORD = "A-Za-z0-9_"
_SPACE = r"\t\n\x{b}\f\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
# Inside of a class, complements are spelled out: not every engine takes a class within a class.
_SETS = {
    r"\d": "0-9",
    r"\w": _WORD,
    r"\s": _SPACE,
    r"\D": r"\x{0}-\/:-\x{10ffff}",
    r"\W": r"\x{0}-\/:-@\[-\^`\{-\x{10ffff}",
    r"\S": (
        r"\x{0}-\x{8}\x{e}-\x{1f}!-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}"
        r"\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}"
    ),
}
_EDGE = rf"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_NO_EDGE = rf"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_OUTSIDE = {r"\b": _EDGE, r"\B": _NO_EDGE, ".": r"[^\n\r\x{2028}\x{2029}]", "{": r"\{", "}": r"\}", "]": r"\]"}
_CONTROLS = {"\t": r"\t", "\n": r"\n", "\v": r"\v", "\f": r"\f", "\r": r"\r"}
_ESCAPED = {escape: character for character, escape in _CONTROLS.items()} | {r"\0": "\0"}
_IN_CLASS = frozenset(r"[]\^-&~")
_HEX_PREFIX = 2


def translate_pattern(pattern: str) -> str:
    """Return the regular expression that matches the same texts; it is searched for, not anchored."""
    tokens = _TOKEN.findall(pattern)
    groups = [token for token in tokens if re.match(r"\($|\(\?<", token)]
    numbers = {rf"\k{group[2:]}": rf"\{number}" for number, group in enumerate(groups, 1) if group != "("}
    written = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token == "[":  # noqa: S105 - a sign of the pattern
            text, place = _translate_class(tokens, place + 1)
            written.append(text)
            continue
        written.append(numbers.get(token) or _translate_token(token))
        place += 1
    return "".join(written)


@lru_cache(maxsize=4096)
def is_linear(pattern: str) -> bool:
    """Tell whether pydantic's engine, whose time is linear in the text, takes the translated *pattern*."""
    if _BACKTRACKING.search(pattern.replace("\\\\", "")):
        return False
    try:
        SchemaValidator(core_schema.str_schema(pattern=translate_pattern(pattern)))
    except SchemaError:
        return False
    return True


def _translate_token(token: str) -> str:
    if token in _OUTSIDE:
        return _OUTSIDE[token]
    if token in _SETS:
        return f"[{_SETS[token]}]"
    character = _read_character(token)
    return token if character is None or token == character else _write_character(character)


def _translate_class(tokens: list[str], place: int) -> tuple[str, int]:
    """Return the class that begins after ``[``, and the place after its end."""
    is_negated = tokens[place : place + 1] == ["^"]
    place += is_negated
    parts = []
    while place < len(tokens) and tokens[place] != "]":
        first = _translate_member(tokens[place])
        is_range = tokens[place + 1 : place + 2] == ["-"] and tokens[place + 2 : place + 3] not in ([], ["]"])
        if is_range and not {tokens[place], tokens[place + 2]} & _SETS.keys():
            parts.append(f"{first}-{_translate_member(tokens[place + 2])}")
            place += 3
            continue
        is_last = tokens[place + 1 : place + 2] == ["]"]
        parts.append("-" if is_last and tokens[place] == "-" else first)
        place += 1
    body = "".join(parts)
    if not body:
        return (r"[\s\S]" if is_negated else r"[^\s\S]"), place + 1
    return f"[{'^' if is_negated else ''}{body}]", place + 1


def _translate_member(token: str) -> str:
    if token in _SETS:
        return _SETS[token]
    if token == r"\b":  # noqa: S105 - a sign of the pattern
        return r"\x{8}"
    character = _read_character(token)
    if character is None:
        return token
    if character.isascii() and character.isprintable():
        return f"\\{character}" if character in _IN_CLASS else character
    return _write_character(character)


def _read_character(token: str) -> str | None:
    """Return the one character that *token* stands for, None for a set or an instruction."""
    if len(token) == 1:
        return token
    if token in _ESCAPED:
        return _ESCAPED[token]
    if token.startswith((r"\x", r"\u")) and len(token) > _HEX_PREFIX:
        units = [int(part.strip("{}"), 16) for part in re.split(r"\\[xu]", token)[1:]]
        high, low = units if len(units) > 1 else (0xD800, units[0] - 0x10000 + 0xDC00)
        return chr(((high - 0xD800) << 10) + low - 0xDC00 + 0x10000)
    if token.startswith(r"\c") and len(token) > _HEX_PREFIX:
        return chr(ord(token[-1]) % 32)
    is_identity = token[0] == "\\" and len(token) == _HEX_PREFIX and not token[1].isalnum()
    return token[1] if is_identity else None


def _write_character(character: str) -> str:
    if character.isalnum() or character in "_ ":
        return character
    if character in _CONTROLS:
        return _CONTROLS[character]
    if character.isascii() and character.isprintable() and character not in "<>":
        return f"\\{character}"
    return f"\\x{{{ord(character):x}}}"
