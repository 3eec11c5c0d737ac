"""The keys that sign and verify JWTs: from the configuration, from PEM files and from JWKS URLs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pymacaron.config_file import show_path
from pymacaron.exceptions import AuthInvalidTokenError, ConfigError, Finding, HttpError

if TYPE_CHECKING:
    from pymacaron.config import PymConfig

log = logging.getLogger(__name__)

JWKS_TIMEOUT_S = 5
JWKS_LIFESPAN_S = 300
_JWKS_AHEAD_S = 60
_JWKS_PAUSE_S = 10
# Bytes of the hash, the least that a secret should have. Source: RFC 7518, section 3.2.
HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}


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


class KeySet:
    """The public keys behind a JWKS URL; after a failed fetch it waits before the next.

    No key is used for longer than `JWKS_LIFESPAN_S` after it was fetched. The last minute of that is for fetching anew:
    if the URL does not answer, the keys still hold. Safe for threads.
    """

    def __init__(self, url: str, on_change: Callable[[], None]) -> None:
        """Fetch nothing yet. on_change: called when the URL has other keys than before."""
        self._client = _Client(url, self._note) if urlsplit(url).scheme in {"http", "https"} else None
        self._on_change = on_change
        self._published: object = None
        self._until_s = 0.0
        self._renew_at_s = 0.0
        self._retry_at_s = 0.0
        self._renewing = threading.Lock()

    def get_key(self, key_id: str) -> Any:
        """Return the key called *key_id*. Raises AuthInvalidTokenError; HttpError: 503, there are no keys now."""
        assert self._client is not None  # find_missing refuses other URLs at start
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

    def is_current(self) -> bool:
        """Tell whether what was verified by these keys still holds; fetches them anew before it does not."""
        now = time.monotonic()
        if now >= self._until_s:
            return False
        if now >= self._renew_at_s and self._renewing.acquire(blocking=False):
            try:
                self._renew(now)
            finally:
                self._renewing.release()
        return True

    def _renew(self, now: float) -> None:
        assert self._client is not None
        self._renew_at_s = now + _JWKS_PAUSE_S
        try:
            self._client.get_jwk_set(refresh=True)
        except (jwt.PyJWTError, OSError, ValueError) as error:
            log.warning("The keys behind jwt_jwks_url cannot be fetched anew (%s)", type(error).__name__)

    def _note(self, published: object) -> None:
        self._until_s = time.monotonic() + JWKS_LIFESPAN_S
        self._renew_at_s = self._until_s - _JWKS_AHEAD_S
        if self._published not in (None, published):
            self._on_change()
        self._published = published

    def _pause(self, error: Exception) -> Any:
        self._retry_at_s = time.monotonic() + _JWKS_PAUSE_S
        log.error("The keys behind jwt_jwks_url cannot be fetched (%s)", type(error).__name__)
        raise _keys_unavailable() from error


class _Client(jwt.PyJWKClient):
    """Tells what it fetched."""

    def __init__(self, url: str, on_fetched: Callable[[object], None]) -> None:
        super().__init__(url, lifespan=JWKS_LIFESPAN_S, timeout=JWKS_TIMEOUT_S)
        self._on_fetched = on_fetched

    def fetch_data(self) -> Any:
        published = super().fetch_data()
        self._on_fetched(published)
        return published


def find_missing(settings: JwtSettings) -> list[Finding]:
    """Return what *settings* lack to verify tokens."""
    findings = [
        Finding(settings.where, f"{name} is missing, and tokens are verified against it", f"Set {name}")
        for name, value in (("jwt_issuer", settings.issuer), ("jwt_audience", settings.audience))
        if not value
    ]
    for algorithm in settings.algorithms:
        if algorithm in HMAC_BYTES and not settings.secret:
            found = f"jwt_secret is missing, and jwt_algorithms names {algorithm}"
            fix = "Set jwt_secret, or name the algorithm of your public key in jwt_algorithms"
            findings.append(Finding(settings.where, found, fix))
        elif algorithm not in HMAC_BYTES and not (settings.public_key or settings.private_key or settings.jwks_url):
            found = f"there is no public key, and jwt_algorithms names {algorithm}"
            findings.append(Finding(settings.where, found, "Set jwt_public_key or jwt_jwks_url"))
    url = urlsplit(settings.jwks_url or "https:")
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in {"127.0.0.1", "::1", "localhost"}):
        found = f"jwt_jwks_url is {settings.jwks_url}, where anyone on the way can change the keys"
        findings.append(Finding(settings.where, found, "Write an https URL"))
    return findings


def prepare_keys(settings: JwtSettings) -> tuple[dict[str, Any], list[Finding]]:
    """Return algorithm -> key, ready for use, and what is wrong; keys of a JWKS URL come with the token's kid."""
    keys: dict[str, Any] = {}
    findings: list[Finding] = []
    for algorithm in settings.algorithms:
        try:
            if algorithm in HMAC_BYTES:
                if settings.secret:
                    keys[algorithm] = pad_secret(settings.secret, algorithm)
                    prepare_key(settings, algorithm, "jwt_secret", keys[algorithm])
            elif settings.public_key:
                pem = read_pem(settings, "jwt_public_key", settings.public_key)
                keys[algorithm] = prepare_key(settings, algorithm, "jwt_public_key", pem)
            elif settings.private_key and not settings.jwks_url:
                pem = read_pem(settings, "jwt_private_key", settings.private_key)
                private = prepare_key(settings, algorithm, "jwt_private_key", pem)
                keys[algorithm] = private.public_key()
        except ConfigError as error:
            findings += [finding for finding in error.findings if finding not in findings]
    return keys, findings


def prepare_key(settings: JwtSettings, algorithm: str, name: str, key: bytes) -> Any:
    """Return *key*, which setting *name* gives, as *algorithm* uses it. Raises ConfigError."""
    try:
        if name == "jwt_private_key":
            load_pem_private_key(key, password=None)
        return jwt.get_algorithm_by_name(algorithm).prepare_key(key)
    except (jwt.PyJWTError, ValueError, TypeError):
        # The reason could quote the key.
        found = f"{name} is no key for {algorithm}"
        fix = "Correct the key, or name its algorithm in jwt_algorithms"
        raise ConfigError(Finding(settings.where, found, fix)) from None


def read_pem(settings: JwtSettings, name: str, text: str) -> bytes:
    """Return the PEM that *text* is, or that the file it names holds. Raises ConfigError."""
    if "-----BEGIN" in text:
        return text.replace("\\n", "\n").encode()
    try:
        return (settings.folder / text).read_bytes()
    except OSError as error:
        found = f"{name} is neither PEM text nor a readable file ({error.strerror})"
        raise ConfigError(Finding(settings.where, found, "Write -----BEGIN … or the path of a PEM file")) from None


def pad_secret(secret: str, algorithm: str) -> bytes:
    """Return the secret as bytes, zeros behind a short one.

    HMAC fills keys up with zeros itself (RFC 2104, section 2), so signatures stay what they are, and the JWT library
    does not warn with each request of what `jwt_tokens.build_verifier` warns of once.
    """
    return secret.encode().ljust(HMAC_BYTES[algorithm], b"\0")


def _keys_unavailable() -> HttpError:
    headers = {"Retry-After": str(_JWKS_PAUSE_S)}
    return HttpError(503, "TOKEN_KEYS_UNAVAILABLE", "The keys that verify tokens cannot be fetched", headers=headers)
