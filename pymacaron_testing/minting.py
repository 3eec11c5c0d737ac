"""Tokens that must be refused, signed with the service's own key: only one of their claims is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import jwt

from pymacaron_testing.signing import read_token

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron_testing.signing import Signing

_LIFESPAN_S = 3600
_DAY_S = 86_400
_SCOPE_CLAIMS = ("scope", "scp", "scopes", "permissions")
_FOREIGN_SECRET = "pymacaron-foreign-secret-that-no-service-has-ever-used-" + "x" * 16


def mint_faulty(token: str, signing: Signing, scopes: Iterable[str] = ()) -> Iterator[tuple[str, str, str]]:
    """Yield forms of the good *token* that have one fault each: words for people, a short fixed word, the token.

    scopes: those that an operation asks for; the token without each of them is among the forms if it names its scopes.
    Source: RFC 7519, sections 4.1.1 to 4.1.5; RFC 9068, section 2.2.3 for scopes.
    """
    read = read_token(token)
    if read is None:
        return
    header, claims = read[0], _renew(read[1])
    for words, fault, changed in (*_misdate(claims), *_misname(claims), *_drop_scopes(claims, scopes)):
        yield words, fault, signing.sign(changed, header=header)
    foreign = jwt.encode(claims, _FOREIGN_SECRET, algorithm="HS256")
    yield "a token signed with another secret", "signature", foreign


def _misdate(claims: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    now = int(time.time())
    past = {**claims, "iat": now - 2 * _DAY_S, "exp": now - _DAY_S}
    yield "a token that expired a day ago", "expired", past
    future = {**claims, "nbf": now + _DAY_S, "exp": now + 2 * _DAY_S}
    yield "a token that is valid from tomorrow on", "not yet valid", future


def _misname(claims: JsonObject) -> Iterator[tuple[str, str, JsonObject]]:
    if claims.get("iss"):
        yield "a token of another issuer", "issuer", {**claims, "iss": "https://other-issuer.example"}
    if claims.get("aud"):
        is_list = isinstance(claims["aud"], list)
        other: Json = ["other-audience"] if is_list else "other-audience"
        yield "a token for another audience", "audience", {**claims, "aud": other}


def _drop_scopes(claims: JsonObject, scopes: Iterable[str]) -> Iterator[tuple[str, str, JsonObject]]:
    name = next((name for name in _SCOPE_CLAIMS if name in claims), None)
    held = claims[name] if name else None
    words = held.split() if isinstance(held, str) else held
    if name is None or not isinstance(words, list):
        return
    for scope in scopes:
        if scope in words:
            rest = [word for word in words if word != scope]
            kept: Json = " ".join(str(word) for word in rest) if isinstance(held, str) else rest
            yield f"a token without the scope {scope}", f"scope {scope}", {**claims, name: kept}


def _renew(claims: Mapping[str, Json]) -> JsonObject:
    now = int(time.time())
    kept = {name: value for name, value in claims.items() if name != "nbf"}
    return {**kept, "iat": now, "exp": now + _LIFESPAN_S}
