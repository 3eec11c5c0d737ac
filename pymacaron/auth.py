"""Who calls: the tokens of requests, the decorators and functions of pymacaron 2, and new tokens."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from flask import request
from flask.globals import _cv_app, _cv_request

from pymacaron.config import get_config
from pymacaron.exceptions import AuthMissingHeaderError, ConfigError, Finding
from pymacaron.jwt_keys import JwtSettings
from pymacaron.jwt_tokens import sign_token
from pymacaron.log import note_user
from pymacaron.token_resolver import TokenClaims, TokenResolver, find_service, to_claims

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.token_resolver import Caller

P = ParamSpec("P")
R = TypeVar("R")

_get_app, _get_request = _cv_app.get, _cv_request.get
TOKEN_COOKIE = "token"  # noqa: S105 - the name of a cookie
_backend_token: ContextVar[str | None] = ContextVar("pymacaron_backend_token", default=None)


def jwt_resolver(header: str = "Authorization", prefix: str = "Token", cookie: str | None = None) -> TokenResolver:
    """Return a resolver for JWTs in another place than ``Authorization: Bearer``.

    prefix: word before the token, case does not matter; "" if the token stands alone. cookie: name of a cookie that is
    read where the header is absent, its value url-quoted, with the prefix.
    """
    return TokenResolver(header, prefix, cookie)


bearer_resolver = jwt_resolver(prefix="Bearer", cookie=TOKEN_COOKIE)


def requires_auth(f: Callable[P, R]) -> Callable[P, R]:
    """Let *f* run only for callers with a valid JWT: ``x-decorate-server: pymacaron.auth.requires_auth``."""
    if inspect.iscoroutinefunction(f):

        @functools.wraps(f)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> object:
            _authenticate()
            return await cast("Awaitable[object]", f(*args, **kwargs))

        return cast("Callable[P, R]", call_async)

    @functools.wraps(f)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        _authenticate()
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
    if token is not None:
        return load_auth_token(bearer_resolver.take_token(token))
    _authenticate()
    return _current_claims()


def _authenticate() -> None:
    """Remember who calls, unless that is known already. Raises AuthError."""
    if isinstance(_current_caller(), (tuple, TokenClaims)):
        return
    caller = bearer_resolver.identify(request.environ, (), find_service())
    if caller is None:
        message = "There is no Authorization header in the HTTP request"
        raise AuthMissingHeaderError(message, headers={"WWW-Authenticate": "Bearer"})
    remember_user(caller)


def load_auth_token(token: str, load: bool = True) -> JsonObject:  # noqa: FBT001, FBT002 - kept from pymacaron 2
    """Return the claims of *token*, and the token itself as ``token``. Raises AuthError.

    load: make the token's user the caller of the request that is being handled.
    """
    claims = to_claims(bearer_resolver.accept(token))
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
    return _user_id_of(_current_caller()) or ""


def get_user_token_data() -> JsonObject:
    """Return the claims of the caller's token, and the token itself as ``token``; {} if nobody is authenticated."""
    user = dict(_current_claims())
    return {**user, "token": get_user_token()} if user else user


def get_user_token() -> str:
    """Return the caller's token, or `backend_token`'s inside of its block; "" if there is none."""
    caller = _current_caller()
    return _backend_token.get() or str((caller[1] if isinstance(caller, tuple) else caller.get("token")) or "")


def get_token_issuer() -> str:
    """Return who issued the caller's token; outside of a request the configuration's jwt_issuer, or ""."""
    return str(_current_claims().get("iss") or get_config().jwt_issuer or "")


def remember_user(caller: Caller) -> None:
    """Make *caller* the caller of the request that is being handled; outside of one, of the app context.

    The request's context holds it, not ``g``: a request that is handled inside of another one shares its ``g``.
    """
    in_request = _get_request(None)
    context = in_request or _get_app(None)
    if context is not None:
        context.pymacaron_caller = caller  # type: ignore[union-attr]
    if in_request is not None:
        note_user(caller[0].user_id if type(caller) is tuple else _user_id_of(caller))


def _current_caller() -> Caller:
    context = _get_request(None) or _get_app(None)
    caller: Caller = getattr(context, "pymacaron_caller", {})
    return caller


def _current_claims() -> JsonObject:
    """Return the caller's claims: from the first time on the same object, for this request alone."""
    caller = _current_caller()
    if isinstance(caller, tuple):
        caller = to_claims(caller)
        context = _get_request(None) or _get_app(None)
        context.pymacaron_caller = caller  # type: ignore[union-attr]
    return caller


def _user_id_of(caller: Caller) -> str | None:
    return caller[0].user_id if isinstance(caller, tuple) else str(caller.get("sub") or "") or None
