"""Signs and verifies JWTs by the service's configuration; knows nothing of requests."""

from __future__ import annotations

import logging
import threading
import time
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pymacaron.config_file import show_path
from pymacaron.exceptions import (
    AuthInvalidTokenError,
    AuthTokenExpiredError,
    ConfigError,
    Finding,
    HttpError,
    PyMacaronException,
)

if TYPE_CHECKING:
    from pymacaron.config import PymConfig
    from pymacaron.json_types import JsonObject

log = logging.getLogger(__name__)

LEEWAY_S = 10
JWKS_TIMEOUT_S = 5
JWKS_LIFESPAN_S = 300
_JWKS_PAUSE_S = 10
_CACHED_TOKENS = 1000
# Bytes of the hash, the least that a secret should have. Source: RFC 7518, section 3.2.
_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_CLAIMS = ["exp", "iss", "aud"]


@dataclass(frozen=True, slots=True)
class JwtSettings:
    """The jwt_* keys of a configuration; equal ones share a verifier. where: the file, for findings."""

    where: str
    folder: Path
    algorithms: tuple[str, ...]
    issuer: str | None
    audience: str | None
    secret: str | None = field(repr=False)
    public_key: str | None = field(repr=False)
    private_key: str | None = field(repr=False)
    jwks_url: str | None

    @classmethod
    def of(cls, config: PymConfig) -> JwtSettings:
        """Take the settings of *config*."""
        return cls(
            where=show_path(config.config_path) if config.config_path else "pym-config.yaml",
            folder=config.folder,
            algorithms=tuple(config.jwt_algorithms),
            issuer=config.jwt_issuer,
            audience=config.jwt_audience,
            secret=config.jwt_secret.get_secret_value() if config.jwt_secret else None,
            public_key=config.jwt_public_key,
            private_key=config.jwt_private_key.get_secret_value() if config.jwt_private_key else None,
            jwks_url=config.jwt_jwks_url,
        )

    @property
    def is_empty(self) -> bool:
        """Tell whether no key at all is configured: the service does without JWTs."""
        return not (self.secret or self.public_key or self.private_key or self.jwks_url)


class TokenVerifier:
    """Verifies tokens against one set of settings. Safe for threads.

    The algorithm is one of the configuration's, and each algorithm has its own kind of key: a token cannot choose.
    Verified tokens are remembered until they expire, at most `JWKS_LIFESPAN_S` seconds.
    """

    def __init__(self, settings: JwtSettings) -> None:
        """Prepare the keys. Raises ConfigError with everything that is missing or does not fit."""
        self._settings = settings
        self._jwks = _KeySet(settings.jwks_url) if settings.jwks_url else None
        self._keys, findings = _prepare_keys(settings)
        findings += _find_missing(settings)
        if findings:
            raise ConfigError(findings)
        self._known: dict[str, tuple[float, JsonObject]] = {}
        self._lock = threading.Lock()

    def verify(self, token: str) -> JsonObject:
        """Return the claims of *token*.

        Raises: AuthTokenExpiredError, AuthInvalidTokenError: it is not good. HttpError: 503, the keys of the JWKS URL
        cannot be fetched.
        """
        now = time.time()
        known = self._known.get(token)
        if known is not None and now < known[0]:
            return _copy(known[1])
        claims = self._decode(token)
        until = min(float(claims["exp"]) + LEEWAY_S, now + JWKS_LIFESPAN_S)
        with self._lock:
            self._known.pop(token, None)
            if len(self._known) >= _CACHED_TOKENS:
                del self._known[next(iter(self._known))]
            self._known[token] = (until, _copy(claims))
        return claims

    def _decode(self, token: str) -> JsonObject:
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in self._settings.algorithms:
                raise AuthInvalidTokenError("JWT token is signed by an algorithm that is not accepted")
            key = self._keys.get(algorithm) or self._fetch_key(header.get("kid"))
            claims: JsonObject = jwt.decode(
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
        return claims

    def _fetch_key(self, key_id: object) -> Any:
        if self._jwks is None:
            raise AuthInvalidTokenError("JWT token is signed by an algorithm that is not accepted")
        if not isinstance(key_id, str):
            raise AuthInvalidTokenError("JWT token names no key (kid)")
        return self._jwks.get_key(key_id)


class _KeySet:
    """The public keys behind a JWKS URL; after a failed fetch it waits before the next."""

    def __init__(self, url: str) -> None:
        self._client: jwt.PyJWKClient | None = None
        if urlsplit(url).scheme in {"http", "https"}:
            self._client = jwt.PyJWKClient(url, lifespan=JWKS_LIFESPAN_S, timeout=JWKS_TIMEOUT_S)
        self._retry_at_s = 0.0

    def get_key(self, key_id: str) -> Any:
        assert self._client is not None  # _find_missing refuses other URLs at start
        if time.monotonic() < self._retry_at_s:
            raise _keys_unavailable()
        try:
            return self._client.get_signing_key(key_id).key
        except jwt.exceptions.PyJWKClientConnectionError as error:
            return self._pause(error)
        except jwt.exceptions.PyJWKClientError:
            raise AuthInvalidTokenError("JWT token names a key (kid) that its issuer does not publish") from None
        except (jwt.PyJWTError, OSError, ValueError) as error:
            return self._pause(error)

    def _pause(self, error: Exception) -> Any:
        self._retry_at_s = time.monotonic() + _JWKS_PAUSE_S
        log.error("The keys behind jwt_jwks_url cannot be fetched (%s)", type(error).__name__)
        raise _keys_unavailable() from error


@lru_cache(maxsize=16)
def build_verifier(settings: JwtSettings) -> TokenVerifier:
    """Return the verifier of *settings*, and warn of a weak secret, once. Raises ConfigError."""
    verifier = TokenVerifier(settings)
    for algorithm in settings.algorithms:
        least = _HMAC_BYTES.get(algorithm, 0)
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
        if algorithm in _HMAC_BYTES and settings.secret:
            return jwt.encode(claims, _pad_secret(settings.secret, algorithm), algorithm=algorithm)
        if algorithm not in _HMAC_BYTES and settings.private_key:
            pem = _read_pem(settings, "jwt_private_key", settings.private_key)
            return jwt.encode(claims, _prepare(settings, algorithm, "jwt_private_key", pem), algorithm=algorithm)
    names = ", ".join(settings.algorithms)
    found = f"there is no key to sign a token with by {names}"
    raise ConfigError(Finding(settings.where, found, "Set jwt_secret for HS algorithms, jwt_private_key for others"))


def _find_missing(settings: JwtSettings) -> list[Finding]:
    findings = [
        Finding(settings.where, f"{name} is missing, and tokens are verified against it", f"Set {name}")
        for name, value in (("jwt_issuer", settings.issuer), ("jwt_audience", settings.audience))
        if not value
    ]
    for algorithm in settings.algorithms:
        if algorithm in _HMAC_BYTES and not settings.secret:
            found = f"jwt_secret is missing, and jwt_algorithms names {algorithm}"
            fix = "Set jwt_secret, or name the algorithm of your public key in jwt_algorithms"
            findings.append(Finding(settings.where, found, fix))
        elif algorithm not in _HMAC_BYTES and not (settings.public_key or settings.private_key or settings.jwks_url):
            found = f"there is no public key, and jwt_algorithms names {algorithm}"
            findings.append(Finding(settings.where, found, "Set jwt_public_key or jwt_jwks_url"))
    url = urlsplit(settings.jwks_url or "https:")
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in {"127.0.0.1", "::1", "localhost"}):
        found = f"jwt_jwks_url is {settings.jwks_url}, where anyone on the way can change the keys"
        findings.append(Finding(settings.where, found, "Write an https URL"))
    return findings


def _prepare_keys(settings: JwtSettings) -> tuple[dict[str, Any], list[Finding]]:
    """Return algorithm -> key, ready for use; those of a JWKS URL come with the token's kid."""
    keys: dict[str, Any] = {}
    findings: list[Finding] = []
    for algorithm in settings.algorithms:
        try:
            if algorithm in _HMAC_BYTES:
                if settings.secret:
                    keys[algorithm] = _pad_secret(settings.secret, algorithm)
                    _prepare(settings, algorithm, "jwt_secret", keys[algorithm])
            elif settings.public_key:
                pem = _read_pem(settings, "jwt_public_key", settings.public_key)
                keys[algorithm] = _prepare(settings, algorithm, "jwt_public_key", pem)
            elif settings.private_key and not settings.jwks_url:
                pem = _read_pem(settings, "jwt_private_key", settings.private_key)
                private = _prepare(settings, algorithm, "jwt_private_key", pem)
                keys[algorithm] = private.public_key()
        except ConfigError as error:
            findings += [finding for finding in error.findings if finding not in findings]
    return keys, findings


def _prepare(settings: JwtSettings, algorithm: str, name: str, key: bytes) -> Any:
    try:
        if name == "jwt_private_key":
            load_pem_private_key(key, password=None)
        return jwt.get_algorithm_by_name(algorithm).prepare_key(key)
    except (jwt.PyJWTError, ValueError, TypeError):
        # The reason could quote the key.
        found = f"{name} is no key for {algorithm}"
        fix = "Correct the key, or name its algorithm in jwt_algorithms"
        raise ConfigError(Finding(settings.where, found, fix)) from None


def _read_pem(settings: JwtSettings, name: str, text: str) -> bytes:
    """Return the PEM that *text* is, or that the file it names holds."""
    if "-----BEGIN" in text:
        return text.replace("\\n", "\n").encode()
    try:
        return (settings.folder / text).read_bytes()
    except OSError as error:
        found = f"{name} is neither PEM text nor a readable file ({error.strerror})"
        raise ConfigError(Finding(settings.where, found, "Write -----BEGIN … or the path of a PEM file")) from None


def _copy(claims: JsonObject) -> JsonObject:
    """Return a deep copy, fast for claims that are mostly text and numbers."""
    return {name: deepcopy(value) if isinstance(value, (list, dict)) else value for name, value in claims.items()}


def _pad_secret(secret: str, algorithm: str) -> bytes:
    """Return the secret as bytes, zeros behind a short one.

    HMAC fills keys up with zeros itself (RFC 2104, section 2), so signatures stay what they are, and the JWT library
    does not warn with each request of what `build_verifier` warns of once.
    """
    return secret.encode().ljust(_HMAC_BYTES[algorithm], b"\0")


def _to_answer(error: Exception) -> PyMacaronException:
    if isinstance(error, jwt.ExpiredSignatureError):
        return AuthTokenExpiredError("JWT token has expired")
    messages: dict[type[Exception], str] = {
        jwt.InvalidSignatureError: "JWT token signature is invalid",
        jwt.InvalidAudienceError: "JWT has incorrect audience",
        jwt.InvalidIssuerError: "JWT has incorrect issuer",
        jwt.ImmatureSignatureError: "JWT token was issued in the future",
        jwt.MissingRequiredClaimError: "JWT token lacks one of the claims exp, iss, aud",
    }
    return AuthInvalidTokenError(messages.get(type(error), "JWT token is invalid"))


def _keys_unavailable() -> HttpError:
    headers = {"Retry-After": str(_JWKS_PAUSE_S)}
    return HttpError(503, "TOKEN_KEYS_UNAVAILABLE", "The keys that verify tokens cannot be fetched", headers=headers)
