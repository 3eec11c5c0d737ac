"""Who calls: the tokens of requests, the decorators and functions of pymacaron 2, and new tokens."""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from urllib.parse import unquote_plus

from flask import g, has_app_context, has_request_context, request

from pymacaron.config import get_config
from pymacaron.exceptions import (
    AuthError,
    AuthInvalidTokenError,
    AuthMissingHeaderError,
    ConfigError,
    Finding,
    InsufficientScopeError,
)
from pymacaron.jwt_tokens import JwtSettings, build_verifier, sign_token
from pymacaron.log import user_id_var

if TYPE_CHECKING:
    from flask import Request

    from pymacaron.json_types import JsonObject
    from pymacaron.service import SecurityResolver

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

TOKEN_COOKIE = "token"  # noqa: S105 - the name of a cookie
_SCOPE_CLAIMS = ("scope", "scopes", "permissions")
_backend_token: ContextVar[str | None] = ContextVar("pymacaron_backend_token", default=None)


class TokenClaims(dict[str, Any]):
    """Claims of a token that was verified, and the token itself as ``token``."""


def jwt_resolver(header: str = "Authorization", prefix: str = "Token", cookie: str | None = None) -> SecurityResolver:
    """Return a resolver for JWTs in another place than ``Authorization: Bearer``.

    prefix: word before the token, case does not matter; "" if the token stands alone. cookie: name of a cookie that is
    read where the header is absent, its value url-quoted, with the prefix.
    """

    def resolve(request: Request, scopes: tuple[str, ...]) -> JsonObject | None:
        value = request.headers.get(header) or (unquote_plus(request.cookies.get(cookie, "")) if cookie else "")
        if not value.strip():
            return None
        claims = _verify(_take_token(value, header, prefix), prefix)
        _check_scopes(claims, scopes, prefix)
        return claims

    return resolve


def _take_token(value: str, header: str, prefix: str) -> str:
    words = value.split()
    if prefix and words[0].lower() != prefix.lower():
        raise _invalid(f"{header} header must start with {prefix}", prefix)
    tokens = words[1:] if prefix else words
    if not tokens:
        raise _invalid(f"Token not found in {header} header", prefix)
    if len(tokens) > 1:
        form = f"be {prefix} + space + token" if prefix else "hold one token"
        raise _invalid(f"{header} header must {form}", prefix)
    return tokens[0]


def _verify(token: str, prefix: str) -> TokenClaims:
    settings = JwtSettings.of(get_config())
    try:
        verifier = build_verifier(settings)
    except ConfigError as error:
        log.error("A token came and cannot be verified: %s", error)  # noqa: TRY400 - findings, not a trace
        raise _invalid("This service has no key to verify tokens with", prefix) from None
    try:
        return TokenClaims(verifier.verify(token), token=token)
    except AuthError as error:
        error.headers["WWW-Authenticate"] = f'{prefix or "Bearer"} error="invalid_token"'
        raise


def _check_scopes(claims: JsonObject, scopes: tuple[str, ...], prefix: str) -> None:
    missing = [scope for scope in scopes if scope not in find_scopes(claims)]
    if missing:
        challenge = f'{prefix or "Bearer"} error="insufficient_scope", scope="{" ".join(scopes)}"'
        message = f"The token lacks the scope {' '.join(missing)}"
        raise InsufficientScopeError(message, headers={"WWW-Authenticate": challenge})


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


def _invalid(message: str, prefix: str) -> AuthInvalidTokenError:
    """Source: RFC 6750, section 3."""
    return AuthInvalidTokenError(message, headers={"WWW-Authenticate": f'{prefix or "Bearer"} error="invalid_token"'})


_read_bearer = jwt_resolver(prefix="Bearer", cookie=TOKEN_COOKIE)


def requires_auth(f: Callable[P, R]) -> Callable[P, R]:
    """Let *f* run only for callers with a valid JWT: ``x-decorate-server: pymacaron.auth.requires_auth``."""
    if inspect.iscoroutinefunction(f):

        @functools.wraps(f)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> object:
            authenticate_http_request()
            return await cast("Awaitable[object]", f(*args, **kwargs))

        return cast("Callable[P, R]", call_async)

    @functools.wraps(f)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        authenticate_http_request()
        return f(*args, **kwargs)

    return call


def add_auth(f: Callable[P, R]) -> Callable[P, R]:
    """Pass the caller's token on: *f* gets it in its argument ``headers``, as ``Authorization: Bearer …``."""

    @functools.wraps(f)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        given = cast("dict[str, str] | None", kwargs.get("headers"))
        kwargs["headers"] = {**(given or {}), "Authorization": f"Bearer {get_user_token()}"}
        return f(*args, **kwargs)

    return call


def authenticate_http_request(token: str | None = None) -> JsonObject:
    """Return the claims of the request's token, verified once per request, and remember the caller.

    token: a header value (``Bearer …``) to verify instead. Raises AuthError.
    """
    user = _current_user()
    if token is None and isinstance(user, TokenClaims):
        return user
    if token is not None:
        return load_auth_token(_take_token(token, "Authorization", "Bearer"))
    claims = _read_bearer(request, ())
    if not isinstance(claims, TokenClaims):
        message = "There is no Authorization header in the HTTP request"
        raise AuthMissingHeaderError(message, headers={"WWW-Authenticate": "Bearer"})
    remember_user(claims)
    return claims


def load_auth_token(token: str, load: bool = True) -> JsonObject:  # noqa: FBT001, FBT002 - kept from pymacaron 2
    """Return the claims of *token*, and the token itself as ``token``. Raises AuthError.

    load: make the token's user the caller of the request that is being handled.
    """
    claims = _verify(token, "Bearer")
    if load:
        remember_user(claims)
    return claims


def generate_token(
    user_id: str,
    expire_in: int | None = None,
    data: Mapping[str, object] | None = None,
    issuer: str | None = None,
    iat: float | None = None,
    *,
    audience: str | None = None,
) -> str:
    """Return a new token for *user_id*, signed by the configuration's key.

    expire_in: seconds, jwt_token_timeout by default; negative for a token that has expired. data: further claims; they
    never replace sub, iss, aud, exp or iat. iat: time of issue, seconds since 1970.
    Raises: ValueError: *user_id* is empty. ConfigError: keys are missing.
    """
    if not user_id:
        raise ValueError("generate_token: user_id is empty")
    config = get_config()
    settings = JwtSettings.of(config)
    issued_at = int(time.time() if iat is None else iat)
    claims: JsonObject = {
        **(data or {}),
        "iss": issuer or config.jwt_issuer,
        "sub": str(user_id),
        "aud": audience or config.jwt_audience,
        "exp": issued_at + (config.jwt_token_timeout if expire_in is None else expire_in),
        "iat": issued_at,
    }
    for claim, key in (("iss", "jwt_issuer"), ("aud", "jwt_audience")):
        if not claims[claim]:
            raise ConfigError(Finding(settings.where, f"{key} is missing, and every token carries it", f"Set {key}"))
    return sign_token(settings, claims)


@contextmanager
def backend_token(
    issuer: str | None = None, user_id: str | None = None, data: Mapping[str, object] | None = None
) -> Iterator[str]:
    """Act as the backend inside the block: ``get_user_token`` and ``add_auth`` give a token of *user_id*.

    user_id: default_user_id by default. The caller's own token is back after the block, whatever happens in it.
    """
    token = generate_token(user_id or get_config().default_user_id, issuer=issuer, data=data)
    previous = _backend_token.set(token)
    try:
        yield token
    finally:
        _backend_token.reset(previous)


def get_userid() -> str:
    """Return the caller's id, the claim ``sub``; "" if nobody is authenticated."""
    return str(_current_user().get("sub") or "")


def get_user_token_data() -> JsonObject:
    """Return the claims of the caller's token, and the token itself as ``token``; {} if nobody is authenticated."""
    user = dict(_current_user())
    return {**user, "token": get_user_token()} if user else user


def get_user_token() -> str:
    """Return the caller's token, or `backend_token`'s inside of its block; "" if there is none."""
    return _backend_token.get() or str(_current_user().get("token") or "")


def get_token_issuer() -> str:
    """Return who issued the caller's token; outside of a request the configuration's jwt_issuer, or ""."""
    return str(_current_user().get("iss") or get_config().jwt_issuer or "")


def _current_user() -> JsonObject:
    user: JsonObject = g.get("pymacaron_user", {}) if has_app_context() else {}
    return user


def remember_user(claims: JsonObject) -> None:
    """Make the user of *claims* the caller of the request that is being handled."""
    if has_app_context():
        g.pymacaron_user = claims
    if has_request_context():
        user_id_var.set(str(claims.get("sub") or "") or None)
