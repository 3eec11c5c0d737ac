"""Finds the JWT of a request, verifies it, and hands on who calls."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote_plus

from flask import current_app, has_app_context
from werkzeug.http import parse_cookie

from pymacaron.config import get_config
from pymacaron.exceptions import AuthError, AuthInvalidTokenError, ConfigError, InsufficientScopeError
from pymacaron.jwt_tokens import CurrentVerifier
from pymacaron.service import Service

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Request

    from pymacaron.config import PymConfig
    from pymacaron.json_types import JsonObject
    from pymacaron.verified_tokens import VerifiedToken

log = logging.getLogger(__name__)

# A verified token that nobody has asked the claims of, with its text; or claims, TokenClaims if they are a token's.
Caller: TypeAlias = "tuple[VerifiedToken, str] | JsonObject"


class TokenClaims(dict[str, Any]):
    """Claims of a token that was verified, and the token itself as ``token``."""


class TokenResolver:
    """Finds and verifies the JWT of a request; a `SecurityResolver` that guards need no request object for."""

    def __init__(self, header: str, prefix: str, cookie: str | None) -> None:
        """Take the place of the token; see `auth.jwt_resolver`."""
        self._header = header
        self._prefix = prefix
        self._cookie = cookie
        self._key = f"HTTP_{header.upper().replace('-', '_')}"
        self._start = f"{prefix} " if prefix else ""
        self._start_length = len(self._start)
        self._verifiers = CurrentVerifier()

    def __call__(self, request: Request, scopes: tuple[str, ...]) -> JsonObject | None:
        """Return the caller's claims, None if no token came. Raises AuthError."""
        caller = self.identify(request.environ, scopes, find_service())
        return None if caller is None else to_claims(caller)

    def identify(self, environ: WSGIEnvironment, scopes: tuple[str, ...], service: Service | None) -> Caller | None:
        """Return who calls *service*, None if no token came. Raises AuthError."""
        value = environ.get(self._key) or (self._read_cookie(environ) if self._cookie else "")
        config = get_config() if service is None else service.config
        verified = None
        if value.startswith(self._start):
            token = value[self._start_length :]
            verified = self._verifiers.recall(token, config)
        if verified is None:
            if not value or value.isspace():
                return None
            token = self.take_token(value)
            verified = self._verify(token, config)
        is_unasked = service is None or service.is_token_revoked is None
        caller = (verified, token) if is_unasked else self._admit(verified, token, service)
        if scopes and not verified.scopes.issuperset(scopes):
            raise self._refuse_scopes(verified.scopes, scopes)
        return caller

    def accept(self, token: str) -> Caller:
        """Return whose *token* it is. Raises AuthError."""
        return self._admit(self._verify(token, get_config()), token, find_service())

    def take_token(self, value: str) -> str:
        """Return the token in the *value* of a header. Raises AuthInvalidTokenError."""
        header, prefix = self._header, self._prefix
        words = value.split()
        if prefix and words[0].lower() != prefix.lower():
            raise self._refuse(f"{header} header must start with {prefix}")
        tokens = words[1:] if prefix else words
        if not tokens:
            raise self._refuse(f"Token not found in {header} header")
        if len(tokens) > 1:
            form = f"be {prefix} + space + token" if prefix else "hold one token"
            raise self._refuse(f"{header} header must {form}")
        return tokens[0]

    def _read_cookie(self, environ: WSGIEnvironment) -> str:
        if not self._cookie or self._cookie not in environ.get("HTTP_COOKIE", ""):
            return ""
        return unquote_plus(parse_cookie(environ).get(self._cookie, ""))

    def _verify(self, token: str, config: PymConfig) -> VerifiedToken:
        try:
            return self._verifiers.of(config).check(token)
        except ConfigError as error:
            log.error("A token came and cannot be verified: %s", error)  # noqa: TRY400 - findings, not a trace
            raise self._refuse("This service has no key to verify tokens with") from None
        except AuthError as error:
            error.headers["WWW-Authenticate"] = f'{self._prefix or "Bearer"} error="invalid_token"'
            raise

    def _admit(self, verified: VerifiedToken, token: str, service: Service | None) -> Caller:
        if service is None or service.is_token_revoked is None:
            return verified, token
        claims = to_claims((verified, token))
        if service.is_token_revoked(claims):
            raise self._refuse("JWT token was revoked")
        return claims

    def _refuse(self, message: str) -> AuthInvalidTokenError:
        """Source: RFC 6750, section 3."""
        challenge = f'{self._prefix or "Bearer"} error="invalid_token"'
        return AuthInvalidTokenError(message, headers={"WWW-Authenticate": challenge})

    def _refuse_scopes(self, found: frozenset[str], scopes: tuple[str, ...]) -> InsufficientScopeError:
        missing = [scope for scope in scopes if scope not in found]
        challenge = f'{self._prefix or "Bearer"} error="insufficient_scope", scope="{" ".join(scopes)}"'
        message = f"The token lacks the scope {' '.join(missing)}"
        return InsufficientScopeError(message, headers={"WWW-Authenticate": challenge})


def to_claims(caller: Caller) -> JsonObject:
    """Return the claims of *caller*: a copy, if they are a token's that nobody has asked them of."""
    if not isinstance(caller, tuple):
        return caller
    verified, token = caller
    return TokenClaims(verified.copy_claims(), token=token)


def find_service() -> Service | None:
    """Return the service in whose context this runs, None outside of one and in apps without pymacaron."""
    service = current_app.extensions.get("pymacaron") if has_app_context() else None
    return service if isinstance(service, Service) else None
