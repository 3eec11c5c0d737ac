"""Makes the last part of an article's address out of its title."""

from __future__ import annotations

import re
import secrets
import unicodedata

MAX_LENGTH = 120
_SUFFIX_BYTES = 4
_NOT_SLUG = re.compile(r"[^a-z0-9]+")
_RESERVED = frozenset({"", "feed"})  # /articles/feed is an operation of its own


def make_slug(title: str) -> str:
    """Return lower case ASCII letters and digits of *title*, joined by single hyphens, 120 characters at most.

    Accents fall off. A title without letters or digits, or one that would hide another path, gets a random end.
    """
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = _NOT_SLUG.sub("-", ascii_title)[: MAX_LENGTH - 2 * _SUFFIX_BYTES - 1].strip("-")
    return add_suffix(slug or "article") if slug in _RESERVED else slug


def add_suffix(slug: str) -> str:
    """Return *slug* with a random end, for the case that the plain one is taken."""
    return f"{slug}-{secrets.token_hex(_SUFFIX_BYTES)}"
