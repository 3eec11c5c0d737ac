"""Which of several representations a request would rather have.

Source: RFC 9110, section 12.5.1; what Accept does not name has quality 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from pymacaron.media_table import is_same_media, is_within, specificity, split_media_type


@dataclass(frozen=True, slots=True)
class Wish:
    """One range of an Accept header."""

    essence: str
    parameters: Mapping[str, str]
    quality: float


@lru_cache(maxsize=256)
def parse_wishes(accept: str) -> tuple[Wish, ...]:
    """Return the ranges of an Accept header, the narrowest first; ``*/*`` where it says nothing."""
    ranges = parse_accept_header(accept, MIMEAccept)
    wishes = [Wish(*split_media_type(text), quality) for text, quality in ranges]
    wishes = [wish for wish in wishes if "/" in wish.essence or wish.essence == "*"] or [Wish("*/*", {}, 1)]
    return tuple(sorted(wishes, key=lambda wish: (-specificity(wish.essence), -len(wish.parameters))))


def quality_of(media_type: str, wishes: Iterable[Wish]) -> float:
    """Return how much *media_type*, or a range that the document declares, is wanted: 0 (not at all) to 1."""
    essence, parameters = split_media_type(media_type)
    is_range = "*" in essence
    best = 0.0
    for wish in wishes:
        if is_within(essence, wish.essence) and is_same_media(parameters, wish.parameters):
            return max(best, wish.quality)
        if is_range and is_within(wish.essence, essence):  # some type of that range
            best = max(best, wish.quality)
    return best
