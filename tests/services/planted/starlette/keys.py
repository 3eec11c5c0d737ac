"""Who asks: opaque keys in `Authorization: Bearer …`."""

import hashlib
from datetime import UTC, datetime

from planted import planted
from problems import Problem
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request

PRODUCT = "workbench"


def _digest(key):
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _issue(key, user, *, product=PRODUCT, expires="2099-01-01", is_revoked=False):
    entry = {
        "user": user,
        "product": product,
        "expires": datetime.fromisoformat(expires).replace(tzinfo=UTC),
        "is_revoked": is_revoked,
    }
    return _digest(key), entry


_KEYS = dict(
    [
        _issue("wb_live_7f3a9c51e2d84b06alice", "alice"),
        _issue("wb_live_c08e5d72b91f4a36bob", "bob"),
        _issue("wb_live_1d94f6a0b7c35e82old", "alice", expires="2024-01-01"),
        _issue("wb_live_e5b27c80a3f146d9gone", "bob", is_revoked=True),
        _issue("bl_live_94c1d0e7f2a85b36bill", "alice", product="billing"),
    ]
)
_CACHED = {}


def refused(message):
    return Problem(401, "unauthenticated", message)


def find_user(request):
    """Return the name of who asks. Raises Problem 401."""
    line = request.headers.get("authorization")
    if line is None:
        raise refused("Send a key.")
    scheme, _, key = line.partition(" ")
    if scheme.lower() != "bearer" and not planted("scheme_ignored"):
        raise refused("Send the key as a Bearer token.")
    key = key.strip()
    entry = _KEYS.get(_digest(key))
    if entry is None and planted("key_prefix_is_enough") and len(key) > 16:
        entry = next((found for found in _match_prefix(key)), None)
    if entry is None:
        raise refused("The key is unknown.")
    if entry["is_revoked"] and not planted("revoked_key_accepted"):
        raise refused("The key was revoked.")
    if entry["expires"] < datetime.now(UTC) and not planted("expired_key_accepted"):
        raise refused("The key has expired.")
    if entry["product"] != PRODUCT and not planted("other_product_key_accepted"):
        raise refused("The key is for another product.")
    return entry["user"]


def _match_prefix(key):
    for known in ("wb_live_7f3a9c51e2d84b06alice", "wb_live_c08e5d72b91f4a36bob"):
        if known.startswith(key[:16]):
            yield _KEYS[_digest(known)]


class Signed(HTTPEndpoint):
    """An endpoint for users only; handlers find the name in `request.state.user`."""

    async def dispatch(self):
        request = Request(self.scope, receive=self.receive)
        request.state.user = find_user(request)
        await super().dispatch()
