"""Callers that the document refuses, made from good credentials: what they send, and what is wrong with it."""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymacaron_testing.forging import forge_claims, forge_keys, forge_unsigned, forge_without_algorithm
from pymacaron_testing.minting import mint_faulty
from pymacaron_testing.signing import read_token

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron_testing.credentials import Credentials
    from pymacaron_testing.signing import Signing

GARBAGE = "pymacaron-garbage"
_SHORT = 8
# What lookups by pattern, by comparison as text or by joined SQL let in.
_CATCH_ALLS = ("*", "%", ".*", "' OR '1'='1", "null", "undefined", "true", "0")
# Alphabets in which case does not matter: hexadecimal numbers, UUIDs, Crockford's base32.
_CASELESS = re.compile(r"[0-9a-fA-F-]+|[0-9A-Z]+")
# Who is let in with the first of these is let in with the others for the same reason.
_IMPLIED = {
    "signature": frozenset({"signature", "claims", "algorithm", "key"}),
    "part": frozenset({"part", "case"}),
    "empty": frozenset({"empty", "part", "case"}),
}
_TWO_FORMS = {"part", "scheme"}


@dataclass(frozen=True, slots=True)
class Impostor:
    """A caller that must be refused.

    words: what is wrong with it, for people. fault: a short fixed word, equal for callers that are let in for one
    reason. headers: what it sends for credentials, as in `Wire.send`.
    """

    words: str
    fault: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What impostors can be made from.

    asked: the good credentials that the operation asks for. scopes: those that it asks for. refused: credentials that
    somebody said must be refused. signing: what signs good tokens, None where it is unknown. public_keys: JWKs.
    is_scheme_declared: the document says which word stands before the secret. has_query_key: it declares a key of the
    query. taken: credentials that are good, for whomever.
    """

    asked: tuple[Credentials, ...] = ()
    scopes: tuple[str, ...] = ()
    refused: tuple[Credentials, ...] = ()
    signing: Signing | None = None
    public_keys: Sequence[JsonObject] = ()
    is_scheme_declared: bool = False
    has_query_key: bool = False
    taken: frozenset[str] = frozenset()


def find_impostors(known: Knowledge) -> list[Impostor]:
    """Return the callers that must be refused, the plainest first; anonymous ones lead."""
    found = [Impostor("no credentials", "anonymous", {})]
    if not known.asked:
        found.append(Impostor("garbage instead of a token", "garbage", {"Authorization": f"Bearer {GARBAGE}"}))
        found += [_refuse(number, one, {}) for number, one in enumerate(known.refused, 1)]
        return found
    for position, credentials in enumerate(known.asked):
        kept = {one.name: one.value for one in (*known.asked[:position], *known.asked[position + 1 :])}
        if kept:
            found.append(Impostor(f"no {credentials.name.lstrip('?')}", "anonymous", kept))
        found += [
            Impostor(words, fault, {**kept, credentials.name: value})
            for words, fault, value in _spoil(credentials, known)
            if value not in known.taken
        ]
        found += _misplace(credentials, kept, known)
        found += [
            _refuse(number, one, kept)
            for number, one in enumerate(known.refused, 1)
            if one.name.lower() == credentials.name.lower()
        ]
    return found


def choose_tellers(impostors: Iterable[Impostor]) -> list[Impostor]:
    """Return one of *impostors* for each fault; two where the same fault has two usual forms.

    A secret may be compared from either end; the word before it may be missing or another one.
    """
    counts: Counter[str] = Counter()
    chosen: list[Impostor] = []
    for impostor in impostors:
        counts[impostor.fault] += 1
        if counts[impostor.fault] <= (2 if impostor.fault in _TWO_FORMS else 1):
            chosen.append(impostor)
    return chosen


def implies(admitted: str, other: str) -> bool:
    """Tell whether callers of the fault *other* come in for the same reason as those of *admitted*."""
    return admitted in {"anonymous", "garbage"} or other in _IMPLIED.get(admitted, {admitted})


def _refuse(number: int, refused: Credentials, kept: Mapping[str, str]) -> Impostor:
    words = f"the credentials of --pymacaron-refused number {number}"
    return Impostor(words, f"refused {number}", {**kept, refused.name: refused.value})


def _spoil(credentials: Credentials, known: Knowledge) -> Iterator[tuple[str, str, str]]:
    """Yield words, fault and header value of each way to spoil *credentials*."""
    secret = _secret_of(credentials)
    yield "garbage instead of the secret", "garbage", _with_secret(credentials, GARBAGE)
    yield "an empty secret", "empty", _with_secret(credentials, "")
    if known.is_scheme_declared and credentials.scheme:
        other = "Bearer" if credentials.scheme.lower() == "basic" else "Basic"
        yield "the secret without the word before it", "scheme", secret
        yield f"the secret after the word {other}", "scheme", f"{other} {secret}"
    if credentials.scheme.lower() == "basic":
        found = _spoil_password(secret)
    elif read_token(secret):
        found = _spoil_token(secret, known)
    else:
        found = _spoil_key(secret)
    for words, fault, spoilt in found:
        yield words, fault, _with_secret(credentials, spoilt)


def _spoil_token(token: str, known: Knowledge) -> Iterator[tuple[str, str, str]]:
    for fault, forged in (
        ("signature", forge_unsigned(token)),
        ("claims", forge_claims(token)),
        ("algorithm", forge_without_algorithm(token)),
        ("key", forge_keys(token, known.public_keys)),
    ):
        yield from ((words, fault, text) for words, text in forged.items())
    if known.signing is not None:
        yield from mint_faulty(token, known.signing, known.scopes)


def _spoil_key(secret: str) -> Iterator[tuple[str, str, str]]:
    if len(secret) >= _SHORT:
        yield "the secret without its last character", "part", secret[:-1]
        yield "the secret and one more character", "part", secret + "x"
        yield "the first half of the secret", "part", secret[: len(secret) // 2]
        yield "the secret with another last character", "part", secret[:-1] + ("a" if secret[-1] != "a" else "b")
        if not _CASELESS.fullmatch(secret) and secret.swapcase() != secret:
            yield "the secret in another case", "case", secret.swapcase()
    for text in _CATCH_ALLS:
        yield f"{text} instead of the secret", "pattern", text


def _spoil_password(secret: str) -> Iterator[tuple[str, str, str]]:
    """Yield ways to spoil ``user:password`` in base64 (RFC 7617)."""
    try:
        user, colon, password = base64.b64decode(secret, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return
    if not colon:
        return
    for words, text in (
        ("a wrong password", f"{user}:{password}x"),
        ("an empty password", f"{user}:"),
        ("a user without a password", user),
        ("the password of an unknown user", f"{user}-pymacaron:{password}"),
    ):
        yield words, "password", base64.b64encode(text.encode()).decode()


def _misplace(credentials: Credentials, kept: Mapping[str, str], known: Knowledge) -> Iterator[Impostor]:
    """Yield callers that put a header's key into the URL, where logs and histories keep it."""
    is_key = not credentials.scheme and not credentials.is_in_query and credentials.name.lower() != "cookie"
    if is_key and not known.has_query_key and not known.is_scheme_declared:
        for name in dict.fromkeys((credentials.name, "api_key")):
            words = f"the key in the query, as {name}, instead of the header"
            yield Impostor(words, "place", {**kept, f"?{name}": credentials.value})


def _secret_of(credentials: Credentials) -> str:
    is_cookie = credentials.name.lower() == "cookie"
    return credentials.value.partition("=")[2] if is_cookie else credentials.secret


def _with_secret(credentials: Credentials, secret: str) -> str:
    if credentials.name.lower() == "cookie":
        return f"{credentials.value.partition('=')[0]}={secret}"
    return credentials.with_secret(secret)
