"""Which of the declared media types is meant: exact ones before ranges, parameters compared where both state them.

Source: RFC 9110, sections 8.3 and 12.5.1; OpenAPI 3.2, "Request Body Object", content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from werkzeug.http import parse_options_header

if TYPE_CHECKING:
    from pymacaron.spec import Media

# How the content is written down, not what it is.
_INCIDENTAL = frozenset({"charset", "boundary", "q"})
_MOST_REMEMBERED = 64


@lru_cache(maxsize=256)
def split_media_type(media_type: str) -> tuple[str, Mapping[str, str]]:
    """Return type and subtype in lower case, and the parameters."""
    essence, parameters = parse_options_header(media_type)
    return essence.strip().lower(), parameters


def is_within(essence: str, declared: str) -> bool:
    """Tell whether *essence* is *declared* or within that range: ``*/*``, ``text/*``, ``application/*+json``."""
    if declared in (essence, "*/*", "*"):
        return True
    kind, _, subtype = declared.partition("/")
    own_kind, _, own_subtype = essence.partition("/")
    if kind not in (own_kind, "*"):
        return False
    return subtype == "*" or (subtype.startswith("*+") and own_subtype.endswith(subtype[1:]))


def is_same_media(given: Mapping[str, str], declared: Mapping[str, str]) -> bool:
    """Tell whether no parameter that both state differs; ``charset`` and ``boundary`` do not count."""
    return all(
        given[name].lower() == value.lower()
        for name, value in declared.items()
        if name in given and name not in _INCIDENTAL
    )


def specificity(declared: str) -> int:
    """Return how narrow the range *declared* is: 0 for ``*/*``, 3 for a media type."""
    kind, _, subtype = declared.partition("/")
    if "*" not in declared:
        return 3
    return 0 if kind == "*" else 1 if subtype == "*" else 2


class MediaTable:
    """The media types of one body."""

    def __init__(self, media: Sequence[Media]) -> None:
        """Take the declared *media*."""
        self.media = tuple(media)
        split = [(*split_media_type(one.media_type), one) for one in media]
        # Of equals the one with more parameters goes first: it says more.
        self._order = sorted(split, key=lambda row: (-specificity(row[0]), -len(row[1])))
        self._remembered: dict[str, Media | None] = {}

    def __str__(self) -> str:
        """Return the media types, as for an Accept header."""
        return ", ".join(media.media_type for media in self.media)

    def find(self, media_type: str) -> Media | None:
        """Return the narrowest declared media that *media_type* is of, None if it is of none."""
        if media_type in self._remembered:
            return self._remembered[media_type]
        found = self._find(media_type)
        if len(self._remembered) < _MOST_REMEMBERED:
            self._remembered[media_type] = found
        return found

    def _find(self, media_type: str) -> Media | None:
        essence, parameters = split_media_type(media_type)
        for declared, declared_parameters, media in self._order:
            if is_within(essence, declared) and is_same_media(parameters, declared_parameters):
                return media
        return None
