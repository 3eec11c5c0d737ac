"""Signs and verifies JWTs by the service's configuration; knows nothing of requests."""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jwt
from jwt.utils import base64url_encode

from pymacaron.exceptions import (
    AuthInvalidTokenError,
    AuthTokenExpiredError,
    ConfigError,
    Finding,
    PyMacaronException,
)
from pymacaron.jwt_keys import (
    HMAC_BYTES,
    JWKS_LIFESPAN_S,
    JwtSettings,
    KeySet,
    find_missing,
    pad_secret,
    prepare_key,
    prepare_keys,
    read_pem,
)
from pymacaron.verified_tokens import VerifiedToken, VerifiedTokens

if TYPE_CHECKING:
    from pymacaron.config import PymConfig
    from pymacaron.json_types import JsonObject

log = logging.getLogger(__name__)

LEEWAY_S = 10
# A key that was taken back without a JWKS URL saying so, in a file for one, is not believed for longer.
REMEMBERED_S = JWKS_LIFESPAN_S
_CLAIMS = ["exp", "iss", "aud"]


class TokenVerifier:
    """Verifies tokens against one set of settings. Safe for threads.

    The algorithm is one of the configuration's, and each algorithm has its own kind of key: a token cannot choose.
    Verified tokens are remembered until they expire, at most `REMEMBERED_S` seconds, and until the JWKS URL has other
    keys. Nothing is remembered of a token that was refused.
    """

    def __init__(self, settings: JwtSettings) -> None:
        """Prepare the keys. Raises ConfigError with everything that is missing or does not fit."""
        self._settings = settings
        self._jwks = KeySet(settings.jwks_url, self._forget) if settings.jwks_url else None
        self._keys, findings = prepare_keys(settings)
        findings += find_missing(settings)
        if findings:
            raise ConfigError(findings)
        self._only_key = next(iter(self._keys.items())) if len(self._keys) == len(settings.algorithms) == 1 else None
        self._known = VerifiedTokens()

    def verify(self, token: str) -> JsonObject:
        """Return the claims of *token*; the caller may change them. Errors are those of `check`."""
        return self.check(token).copy_claims()

    def recall(self, token: str) -> VerifiedToken | None:
        """Return what is known of *token*, None if it has to be verified."""
        if self._jwks is not None and not self._jwks.is_current():
            return None
        return self._known.find(token)

    def check(self, token: str) -> VerifiedToken:
        """Verify *token*, unless it is known.

        Raises: AuthTokenExpiredError, AuthInvalidTokenError: it is not good. HttpError: 503, the keys of the JWKS URL
        cannot be fetched.
        """
        known = self._known  # other keys may come meanwhile, with another memory
        verified = self.recall(token)
        if verified is None:
            now = time.time()
            claims = self._decode(token)
            until_s = min(int(claims["exp"]) + LEEWAY_S, now + REMEMBERED_S)
            verified = VerifiedToken(claims, until_s=until_s, length=len(token))
            known.add(token, verified)
        return verified

    def _forget(self) -> None:
        self._known = VerifiedTokens()

    def _decode(self, token: str) -> JsonObject:
        try:
            algorithm, key = self._only_key or self._choose_key(token)
            decoded = jwt.decode_complete(
                token,
                key,
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=LEEWAY_S,
                options={"require": _CLAIMS},
            )
        except (jwt.PyJWTError, ValueError, OverflowError, TypeError) as error:
            # Neither the token nor the library's text, which may quote it, leaves this place.
            raise _to_answer(error) from None
        if base64url_encode(decoded["signature"]).decode() != token.rpartition(".")[2]:
            # The library reads over characters that do not belong there; the signature does not protect itself.
            # Source: RFC 7515, section 5.2, step 8.
            raise AuthInvalidTokenError("JWT token is invalid")
        claims: JsonObject = decoded["payload"]
        return claims

    def _choose_key(self, token: str) -> tuple[str, Any]:
        """Return algorithm and key for a token that says which of them it was signed with."""
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in self._settings.algorithms:
            raise jwt.InvalidAlgorithmError
        return algorithm, self._keys.get(algorithm) or self._fetch_key(header.get("kid"))

    def _fetch_key(self, key_id: object) -> Any:
        assert self._jwks is not None  # other keys are there from the start
        if not isinstance(key_id, str):
            raise AuthInvalidTokenError("JWT token names no key (kid)")
        return self._jwks.get_key(key_id)


class CurrentVerifier:
    """Gives the verifier of a configuration, another one as soon as a setting has changed. Safe for threads.

    A configuration gets a new ``__dict__`` with each value that is set; only the list could be changed in place.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        """Know no configuration yet."""
        self._last: tuple[dict[str, Any], list[str], TokenVerifier] | None = None

    def recall(self, token: str, config: PymConfig) -> VerifiedToken | None:
        """Return what the verifier of *config* knows of *token*, None if it has to be verified."""
        last, fields = self._last, config.__dict__
        if last is None or last[0] is not fields or last[1] != fields["jwt_algorithms"]:
            return None
        return last[2].recall(token)

    def of(self, config: PymConfig) -> TokenVerifier:
        """Return the verifier of *config*. Raises ConfigError."""
        last, fields = self._last, config.__dict__
        algorithms = [*fields["jwt_algorithms"]]
        if last is not None and last[0] is fields and last[1] == algorithms:
            return last[2]
        verifier = build_verifier(JwtSettings.of(config))
        self._last = fields, algorithms, verifier
        return verifier


@lru_cache(maxsize=16)
def build_verifier(settings: JwtSettings) -> TokenVerifier:
    """Return the verifier of *settings*, and warn of a weak secret, once. Raises ConfigError."""
    verifier = TokenVerifier(settings)
    for algorithm in settings.algorithms:
        least = HMAC_BYTES.get(algorithm, 0)
        if settings.secret and len(settings.secret.encode()) < least:
            log.warning(
                "%s: jwt_secret is shorter than the %d bytes that %s asks for (RFC 7518). Replace it by a longer one",
                settings.where,
                least,
                algorithm,
            )
    return verifier


def sign_token(settings: JwtSettings, claims: JsonObject) -> str:
    """Return a token with *claims*, signed by the first configured algorithm that there is a key for.

    Raises: ConfigError: there is no jwt_secret or jwt_private_key, or it does not fit.
    """
    for algorithm in settings.algorithms:
        if algorithm in HMAC_BYTES and settings.secret:
            return jwt.encode(claims, pad_secret(settings.secret, algorithm), algorithm=algorithm)
        if algorithm not in HMAC_BYTES and settings.private_key:
            pem = read_pem(settings, "jwt_private_key", settings.private_key)
            return jwt.encode(claims, prepare_key(settings, algorithm, "jwt_private_key", pem), algorithm=algorithm)
    names = ", ".join(settings.algorithms)
    found = f"there is no key to sign a token with by {names}"
    raise ConfigError(Finding(settings.where, found, "Set jwt_secret for HS algorithms, jwt_private_key for others"))


def _to_answer(error: Exception) -> PyMacaronException:
    if isinstance(error, jwt.ExpiredSignatureError):
        return AuthTokenExpiredError("JWT token has expired")
    messages: dict[type[Exception], str] = {
        jwt.InvalidAlgorithmError: "JWT token is signed by an algorithm that is not accepted",
        jwt.InvalidSignatureError: "JWT token signature is invalid",
        jwt.InvalidAudienceError: "JWT has incorrect audience",
        jwt.InvalidIssuerError: "JWT has incorrect issuer",
        jwt.ImmatureSignatureError: "JWT token was issued in the future",
        jwt.MissingRequiredClaimError: "JWT token lacks one of the claims exp, iss, aud",
    }
    return AuthInvalidTokenError(messages.get(type(error), "JWT token is invalid"))
