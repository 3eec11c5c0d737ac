"""Texts that fit a schema of type string, drawn at random from a given source."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from pymacaron.json_types import JsonObject
from pymacaron.mock.patterns import PatternError, sample_patterns

_WORDS = (
    "amber", "apple", "aspen", "birch", "bloom", "breeze", "brook", "cedar", "cliff", "clover", "coral",
    "dawn", "delta", "ember", "fern", "field", "forest", "frost", "garden", "grove", "harbor", "hazel",
    "iris", "island", "ivory", "lake", "linden", "maple", "meadow", "mint", "north", "ocean", "olive", "opal",
    "pearl", "pine", "plum", "rain", "reed", "river", "robin", "sage", "shore", "silver", "spring", "stone",
    "summer", "valley", "willow", "winter",
)  # fmt: skip
_FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_DAYS_S = 86_400 * 730
_TRIES = 40


def sample_text(schema: JsonObject, rng: Random) -> str:
    """Return a text for *schema*, a flat one (see `flatten`); it fits, unless rules contradict each other.

    Read are ``patterns`` and ``formats`` (lists), ``minLength``, ``maxLength`` and ``contentEncoding``.
    """
    least = int(schema.get("minLength", 0))
    most = int(schema.get("maxLength", max(least, 40)))

    def fits(text: str) -> bool:
        return least <= len(text) <= most

    formats = [name for name in schema.get("formats", []) if name in _FORMATS]
    if schema.get("contentEncoding") == "base64":
        formats.append("byte")
    if schema.get("patterns"):
        texts = (_FORMATS[name](rng, least) for name in formats for _ in range(_TRIES))
        try:
            found = sample_patterns(schema["patterns"], rng, fits)
        except PatternError:
            found = None
        # A pattern beside a format usually narrows it: its texts then have the format.
        return found if found is not None else next(filter(fits, texts), _words(rng, least, most))
    for name in formats:
        for _ in range(_TRIES):
            text = _FORMATS[name](rng, least)
            if fits(text):
                return text
    return _words(rng, least, most)


def _words(rng: Random, least: int, most: int) -> str:
    text = rng.choice(_WORDS)
    while len(text) < least:
        text = f"{text} {rng.choice(_WORDS)}"
    return text[:most] if len(text[:most].rstrip()) < least else text[:most].rstrip()


def _word(rng: Random, least: int = 0, *, around: int = 0) -> str:
    """Return a word of letters, long enough that *around* more characters make *least*."""
    text = rng.choice(_WORDS)
    while len(text) + around < least:
        text += rng.choice(_WORDS)
    return text


def _instant(rng: Random) -> datetime:
    return _FIRST_DAY + timedelta(seconds=rng.randrange(_DAYS_S))


def _hostname(rng: Random, _least: int = 0) -> str:
    return f"{_word(rng)}.example.com"


def _uri(rng: Random, least: int = 0) -> str:
    return f"https://example.com/{_word(rng, least, around=20)}"


def _email(rng: Random, _least: int = 0) -> str:
    return f"{_word(rng)}.{_word(rng)}@example.com"


def _byte(rng: Random, least: int = 0) -> str:
    return base64.b64encode(sample_bytes(rng, max(12, (least + 3) // 4 * 3))).decode()


def sample_bytes(rng: Random, size: int) -> bytes:
    """Return *size* bytes."""
    return bytes(rng.getrandbits(8) for _ in range(size))


_FORMATS: dict[str, Callable[[Random, int], str]] = {
    "date-time": lambda rng, _: _instant(rng).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "datetime": lambda rng, _: _instant(rng).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "date": lambda rng, _: _instant(rng).strftime("%Y-%m-%d"),
    "time": lambda rng, _: _instant(rng).strftime("%H:%M:%SZ"),
    "duration": lambda rng, _: f"PT{rng.randint(1, 59)}M",
    "uuid": lambda rng, _: str(UUID(int=rng.getrandbits(128), version=4)),
    "email": _email,
    "idn-email": _email,
    "hostname": _hostname,
    "idn-hostname": _hostname,
    "ipv4": lambda rng, _: f"192.0.2.{rng.randint(1, 254)}",  # RFC 5737: for examples
    "ipv6": lambda rng, _: f"2001:db8::{rng.randint(1, 0xFFFF):x}",  # RFC 3849: for examples
    "uri": _uri,
    "url": _uri,
    "iri": _uri,
    "uri-reference": _uri,
    "iri-reference": _uri,
    "uri-template": lambda rng, _: f"https://example.com/{_word(rng)}/{{id}}",
    "json-pointer": lambda rng, _: f"/{_word(rng)}",
    "relative-json-pointer": lambda rng, _: f"0/{_word(rng)}",
    "regex": lambda rng, _: f"^{_word(rng)}$",
    "byte": _byte,
    "base64": _byte,
    "base64url": lambda rng, least: _byte(rng, least).replace("+", "-").replace("/", "_"),
    "decimal": lambda rng, _: f"{rng.randint(1, 999)}.{rng.randint(0, 99):02}",
    "password": lambda rng, least: f"{_word(rng, least, around=2)}{rng.randint(10, 99)}",
}
