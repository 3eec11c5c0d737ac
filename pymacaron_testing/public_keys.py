"""The public keys that a target publishes for its tokens."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from pymacaron_testing.session import join_url

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject

_TIMEOUT_S = 3
_KEY_SETS = ("/.well-known/jwks.json", "/jwks.json")
_CONFIGURATION = "/.well-known/openid-configuration"


@lru_cache(maxsize=8)
def fetch_public_keys(base_url: str) -> tuple[JsonObject, ...]:
    """Return the target's public keys as JWKs, empty where it publishes none at the usual places.

    Asked once for each URL; no other host is asked. Source: RFC 7517, section 5; OpenID Connect Discovery 1.0, 4.
    """
    named = _read_object(base_url, _CONFIGURATION).get("jwks_uri")
    places = [*([named] if isinstance(named, str) else []), *_KEY_SETS]
    for place in places:
        keys = _read_object(base_url, place).get("keys")
        if isinstance(keys, list):
            return tuple(key for key in keys if isinstance(key, dict))
    return ()


def _read_object(base_url: str, place: str) -> JsonObject:
    url = join_url(base_url, place)
    if urlsplit(url).netloc != urlsplit(base_url).netloc:
        return {}
    try:
        response = requests.get(url, timeout=_TIMEOUT_S, allow_redirects=False)
        found: Json = response.json() if response.ok else {}
    except (requests.RequestException, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
