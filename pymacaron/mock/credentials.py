"""Who may call a mock: whoever sends its one token, in the way that the document says."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING

from pymacaron.exceptions import AuthInvalidTokenError

if TYPE_CHECKING:
    from flask import Request

    from pymacaron.json_types import JsonObject
    from pymacaron.service import SecurityResolver
    from pymacaron.spec import Api, SecurityScheme

DEFAULT_TOKEN = "mock-token"  # noqa: S105 - no secret: it is printed at start
USER = "mock"


def build_resolver(scheme: SecurityScheme, token: str) -> SecurityResolver:
    """Return what lets callers in who send *token* by *scheme*: anything with mutual TLS, which a mock has not."""

    def resolve(request: Request, _scopes: tuple[str, ...]) -> JsonObject | None:
        if scheme.type == "mutualTLS":
            return {"sub": USER}
        given = _read(scheme, request)
        if not given:
            return None
        if not hmac.compare_digest(_take_token(scheme, given).encode(), token.encode()):
            raise AuthInvalidTokenError("This is not the token that the mock takes; it printed the right one at start")
        return {"sub": USER}

    return resolve


def describe_credentials(api: Api, token: str) -> list[str]:
    """Return how to send *token*, a line for each scheme that an operation of *api* asks for."""
    asked = {name for operation in api.operations for need in operation.security for name in need}
    schemes = (api.security_schemes[name] for name in sorted(asked & api.security_schemes.keys()))
    return list(dict.fromkeys(filter(None, (_describe(scheme, token) for scheme in schemes))))


def _read(scheme: SecurityScheme, request: Request) -> str:
    if scheme.type == "apiKey" and scheme.location == "query":
        return request.args.get(scheme.key, "")
    if scheme.type == "apiKey" and scheme.location == "cookie":
        return request.cookies.get(scheme.key, "")
    return request.headers.get(scheme.key if scheme.type == "apiKey" else "Authorization", "")


def _take_token(scheme: SecurityScheme, given: str) -> str:
    """Return the token in what came; ``""`` if there is none in it."""
    word, space, rest = given.strip().partition(" ")
    if scheme.type == "apiKey":
        return rest.strip() if space else word
    if word.lower() != _word(scheme).lower():
        return ""
    if word.lower() != "basic":
        return rest.strip()
    try:
        user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return password if user == USER else ""


def _word(scheme: SecurityScheme) -> str:
    return scheme.scheme.capitalize() if scheme.type == "http" else "Bearer"


def _describe(scheme: SecurityScheme, token: str) -> str:
    if scheme.type == "mutualTLS":
        return ""
    if scheme.type == "apiKey":
        name = f"Cookie: {scheme.key}=" if scheme.location == "cookie" else f"{scheme.key}: "
        return f"{name}{token}" if scheme.location != "query" else f"?{scheme.key}={token}"
    secret = base64.b64encode(f"{USER}:{token}".encode()).decode() if scheme.scheme.lower() == "basic" else token
    return f"Authorization: {_word(scheme)} {secret}"
