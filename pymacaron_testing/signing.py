"""Signs JWTs as the target's issuer does, for other users and for tokens that must be refused."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jwt

from pymacaron.auth import generate_token
from pymacaron.config import get_config
from pymacaron.jwt_keys import HMAC_BYTES, JwtSettings, pad_secret, read_pem
from pymacaron_testing.credentials import Credentials

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject

DEFAULT_ALGORITHM = "HS256"
USER_ID = "pymacaron-test"
SECOND_USER_ID = "pymacaron-test-2"
_LIFETIME_S = 3600
_JWT_PARTS = 3
# Claims that say nothing about who somebody is beside `sub`: a token with others may name its user in them.
_IMPERSONAL = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "sub", "scope", "scp", "typ", "type", "token_type"})


@dataclass(frozen=True, slots=True)
class Signing:
    """The key of the target's JWTs.

    secret: text of the HMAC secret, or a PEM private key. algorithm: as in a token's header. claims and header: of a
    good token of the first user; the claims' times may have gone by.
    """

    secret: str = field(repr=False)
    algorithm: str = DEFAULT_ALGORITHM
    claims: Mapping[str, object] = field(default_factory=dict)
    header: Mapping[str, object] = field(default_factory=dict)

    def sign(self, claims: Mapping[str, object], *, header: Mapping[str, object] | None = None) -> str:
        """Return a token with exactly *claims*. header: beside ``alg``; that of the good token by default."""
        others = {key: value for key, value in (self.header if header is None else header).items() if key != "alg"}
        return jwt.encode(dict(claims), self.key, algorithm=self.algorithm, headers=others or None)

    @property
    def key(self) -> str | bytes:
        """The secret as the JWT library wants it: it warns of HMAC secrets that are short."""
        is_hmac = self.algorithm in HMAC_BYTES
        return pad_secret(self.secret, self.algorithm) if is_hmac else self.secret

    def renew_claims(self, **changes: object) -> JsonObject:
        """Return the good token's claims, issued now and valid for an hour, with *changes*."""
        now = int(time.time())
        times = {"iat": now, "exp": now + _LIFETIME_S}
        if "nbf" in self.claims:
            times["nbf"] = now
        return {**self.claims, **times, **changes}

    @property
    def names_users(self) -> bool:
        """Tell whether another ``sub`` makes a token another user's: nothing else in it says who somebody is."""
        return "sub" in self.claims and self.claims.keys() <= _IMPERSONAL


def read_token(token: str) -> tuple[JsonObject, JsonObject] | None:
    """Return header and claims of a JWT, unverified; None if *token* is none."""
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    except ValueError:
        return None
    return (header, claims) if isinstance(header, dict) and isinstance(claims, dict) and "alg" in header else None


def find_signing(secret: str, token: str | None) -> Signing | None:
    """Return how *token* was signed with *secret*; None if it was not, or cannot be told.

    Without a token: as most issuers sign, with the claims that most services want.
    """
    if token is None:
        is_pem = secret.lstrip().startswith("-----BEGIN")
        return Signing(secret, "RS256" if is_pem else DEFAULT_ALGORITHM, {"sub": USER_ID})
    read = read_token(token)
    if read is None:
        return None
    header, claims = read
    signing = Signing(secret, str(header["alg"]), claims, header)
    return signing if _is_signed(token, signing) else None


def _is_signed(token: str, signing: Signing) -> bool:
    """Tell whether the key gives the token's signature again, as HMAC and RSA (PKCS #1, version 1.5) do."""
    signed, _, signature = token.rpartition(".")
    try:
        algorithm = jwt.get_algorithm_by_name(signing.algorithm)
        again = algorithm.sign(signed.encode(), algorithm.prepare_key(signing.key))
    except (NotImplementedError, ValueError, TypeError, jwt.PyJWTError):
        return False
    return base64.urlsafe_b64encode(again).rstrip(b"=").decode() == signature


def read_own_signing() -> Signing | None:
    """Return the key of the configuration in force, with the claims of a token that it gives. Raises ConfigError."""
    settings = JwtSettings.of(get_config())
    read = read_token(generate_token(USER_ID))
    if read is None:
        return None
    header, claims = read
    if header["alg"] in HMAC_BYTES:
        secret = settings.secret or ""
    else:
        secret = read_pem(settings, "jwt_private_key", settings.private_key or "").decode()
    return Signing(secret, str(header["alg"]), claims, header)


def sign_in(signing: Signing, user_id: str, origin: str, *, scopes: tuple[str, ...] = ()) -> Credentials:
    """Return the bearer token of another user."""
    changes: dict[str, object] = {"sub": user_id}
    if "jti" in signing.claims:
        changes["jti"] = user_id
    if scopes and "scope" not in signing.claims and "scp" not in signing.claims:
        changes["scope"] = " ".join(scopes)
    return Credentials("Authorization", f"Bearer {signing.sign(signing.renew_claims(**changes))}", origin)
