"""Remembers tokens that were verified, by their hash and until they have to be verified again."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject

# All remembered tokens together: about 10,000 of usual length, which take some 8 MB.
MOST_CHARACTERS = 2_500_000
_SCOPE_CLAIMS = ("scope", "scopes", "permissions")
# Each token is hashed behind 64 bytes that only this process knows. They fill the first block of SHA-256, which is
# worked out here, once: nobody can look for two tokens with one hash, and a hash found in a dump proves nothing of a
# token. Of the hashes that are fit for that, SHA-256 is the fastest where processors have instructions for it.
_SEED = hashlib.sha256(os.urandom(64))


class VerifiedToken:
    """What is kept of one token: everything but the token itself.

    user_id: the claim ``sub``, None where it is empty. scopes: as `find_scopes` finds them. until_s: when it has to be
    verified again, seconds since 1970. length: characters of the token.
    """

    __slots__ = ("_claims", "length", "scopes", "until_s", "user_id")

    def __init__(self, claims: JsonObject, *, until_s: float, length: int) -> None:
        """Keep *claims* for itself: nobody else may hold them."""
        self._claims = claims
        self.user_id = str(claims.get("sub") or "") or None
        self.scopes = find_scopes(claims)
        self.until_s = until_s
        self.length = length

    def copy_claims(self) -> JsonObject:
        """Return a deep copy of the claims, made fast where they are mostly text and numbers."""
        return {
            name: deepcopy(value) if isinstance(value, (list, dict)) else value for name, value in self._claims.items()
        }


class VerifiedTokens:
    """Token -> what was verified of it. Safe for threads.

    Tokens are found by their exact text only, and forgotten in the order in which they came: those are the first that
    have to be verified again anyway.
    """

    def __init__(self, *, most_characters: int = MOST_CHARACTERS, now: Callable[[], float] = time.time) -> None:
        """Start empty. *now* gives seconds since 1970."""
        self._most_characters = most_characters
        self._now = now
        self._characters = 0
        self._tokens: OrderedDict[bytes, VerifiedToken] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many tokens are remembered."""
        return len(self._tokens)

    def find(self, token: str) -> VerifiedToken | None:
        """Return what is known of *token*, None if it has to be verified."""
        state = _SEED.copy()  # as `_hash` does
        state.update(token.encode() if token.isascii() else token.encode("utf-8", "surrogatepass"))
        verified = self._tokens.get(state.digest())
        return verified if verified is not None and self._now() < verified.until_s else None

    def add(self, token: str, verified: VerifiedToken) -> None:
        """Remember a token that was verified."""
        key = _hash(token)
        now = self._now()
        with self._lock:
            replaced = self._tokens.pop(key, None)
            self._tokens[key] = verified
            self._characters += verified.length - (replaced.length if replaced else 0)
            while self._tokens:
                oldest = next(iter(self._tokens.values()))
                if self._characters <= self._most_characters and now < oldest.until_s:
                    return
                self._tokens.popitem(last=False)
                self._characters -= oldest.length


def _hash(token: str) -> bytes:
    state = _SEED.copy()
    state.update(token.encode() if token.isascii() else token.encode("utf-8", "surrogatepass"))
    return state.digest()


def find_scopes(claims: Mapping[str, object]) -> frozenset[str]:
    """Return the scopes that a token grants: words or items of its claims scope, scopes and permissions."""
    found: set[str] = set()
    for name in _SCOPE_CLAIMS:
        value = claims.get(name)
        if isinstance(value, str):
            found.update(value.split())
        elif isinstance(value, list):
            found.update(item for item in value if isinstance(item, str))
    return frozenset(found)
