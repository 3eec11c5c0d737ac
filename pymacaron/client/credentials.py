"""What a call shows to prove who calls: the caller's token, one's own, or whatever a security scheme asks for."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymacaron.auth import get_user_token

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation, SecurityScheme

Credential = str | Callable[[], str | None] | None
_TOKEN_TYPES = frozenset({"oauth2", "openIdConnect"})


@dataclass(slots=True)
class Proof:
    """Where credentials go in one request."""

    headers: dict[str, str] = field(default_factory=dict)
    query: list[tuple[str, str]] = field(default_factory=list)
    cookies: list[tuple[str, str]] = field(default_factory=list)


class Keyring:
    """Finds the credentials for each operation of one api.

    token: for every scheme that takes a bearer token; by default the token of the user whose request is being handled.
    named: security scheme -> its value; for HTTP basic ``user:password``, for an API key the whole value.
    """

    def __init__(self, api: Api, token: Credential, named: Mapping[str, Credential]) -> None:
        """Raise ValueError for a name in *named* that is no security scheme of *api*."""
        unknown = [name for name in named if name not in api.security_schemes]
        if unknown:
            known = ", ".join(api.security_schemes) or "none"
            raise ValueError(f"{api.name} has no security scheme {', '.join(unknown)}; it has {known}")
        self._schemes = api.security_schemes
        self._token = token
        self._named = named

    def prove(self, operation: Operation) -> Proof:
        """Return what the first alternative asks for that can be satisfied; nothing if none can."""
        for alternative in operation.security:
            values = {name: self._value_of(name) for name in alternative}
            if values and all(values.values()):
                return self._place({name: str(value) for name, value in values.items()})
        return Proof()

    def _value_of(self, name: str) -> str | None:
        if name in self._named:
            return _resolve(self._named[name])
        return _resolve(self._token) if _takes_token(self._schemes.get(name)) else None

    def _place(self, values: Mapping[str, str]) -> Proof:
        proof = Proof()
        for name, value in values.items():
            scheme = self._schemes[name]
            if scheme.type == "apiKey" and scheme.location == "query":
                proof.query.append((scheme.key, value))
            elif scheme.type == "apiKey" and scheme.location == "cookie":
                proof.cookies.append((scheme.key, value))
            elif scheme.type == "apiKey":
                is_token = name not in self._named
                proof.headers[scheme.key] = f"Bearer {value}" if is_token else value
            elif scheme.scheme.lower() == "basic":
                proof.headers["Authorization"] = f"Basic {b64encode(value.encode()).decode()}"
            else:
                proof.headers["Authorization"] = f"Bearer {value}"
        return proof


def users_token() -> str | None:
    """Return the token of the user whose request is being handled, `backend_token`'s inside of its block, else None."""
    return get_user_token() or None


def _resolve(credential: Credential) -> str | None:
    return credential() if callable(credential) else credential


def _takes_token(scheme: SecurityScheme | None) -> bool:
    """Tell whether a bearer token satisfies *scheme*.

    Swagger 2.0 can only say so by an API key in the header Authorization.
    """
    if scheme is None:
        return False
    if scheme.type == "apiKey":
        return scheme.location == "header" and scheme.key.lower() == "authorization"
    return scheme.type in _TOKEN_TYPES or (scheme.type == "http" and scheme.scheme.lower() == "bearer")
