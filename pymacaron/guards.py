"""Guards: what the document's ``security`` asks of callers, as a function that runs before the handler."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from pymacaron.auth import TOKEN_COOKIE, jwt_resolver, remember_user, requires_auth
from pymacaron.exceptions import AuthError, AuthMissingHeaderError, ConfigError, Finding
from pymacaron.jwt_keys import JwtSettings
from pymacaron.jwt_tokens import build_verifier
from pymacaron.token_resolver import TokenResolver, to_claims

if TYPE_CHECKING:
    from pymacaron.call import Call
    from pymacaron.json_types import JsonObject
    from pymacaron.service import SecurityResolver, Service
    from pymacaron.spec import Api, Operation, SecurityScheme
    from pymacaron.token_resolver import Caller

Guard = Callable[["Call"], None]

_BEARER_TYPES = frozenset({"oauth2", "openIdConnect"})
_REQUIRES_AUTH = f"{requires_auth.__module__}.{requires_auth.__name__}"


def build_guard(service: Service, api: Api, operation: Operation) -> Guard | None:
    """Return what checks the caller of *operation*, None where the document asks nothing.

    The guard runs inside a request. It remembers the caller, or raises AuthMissingHeaderError, AuthInvalidTokenError,
    AuthTokenExpiredError (401) or InsufficientScopeError (403). One of the alternatives in ``security`` must hold;
    where one of them is ``{}``, a request without credentials passes, one with wrong credentials does not.
    Raises: ConfigError: a scheme has no resolver, or jwt_* keys are missing or wrong.
    """
    if is_decorated(operation):
        build_verifier(JwtSettings.of(service.config))
    findings: list[Finding] = []
    alternatives = []
    for requirement in operation.security:
        checks = [_build_check(service, api, operation, name, scopes) for name, scopes in requirement.items()]
        findings += [check for check in checks if isinstance(check, Finding)]
        alternatives.append([check for check in checks if not isinstance(check, Finding)])
    if findings:
        raise ConfigError(findings)
    required = [checks for checks in alternatives if checks]
    if not required:
        return None
    is_optional = len(required) < len(alternatives)
    if len(required) == len(required[0]) == 1:
        return _make_guard(required[0][0], is_optional=is_optional)
    return functools.partial(_guard, required, is_optional)


def is_decorated(operation: Operation) -> bool:
    """Tell whether a decorator asks for a token, as documents of pymacaron 2 write it, instead of ``security``."""
    decorators = operation.extensions.get("x-decorate-server") or []
    return _REQUIRES_AUTH in ([decorators] if isinstance(decorators, str) else decorators)


class _Check:
    """One scheme of one operation: its resolver with the scopes that are asked for."""

    def __init__(self, scheme: SecurityScheme, resolve: SecurityResolver, scopes: tuple[str, ...]) -> None:
        self._scheme = scheme
        self._resolve = resolve
        self._scopes = scopes

    def identify(self, call: Call) -> Caller | None:
        """Return the caller, None if no credentials came. Raises AuthError."""
        try:
            found = self._resolve(call.request, self._scopes)
        except AuthError as error:
            error.headers.setdefault("WWW-Authenticate", self.challenge)
            raise
        if not found:
            return None
        if isinstance(found, str):
            return {"sub": found}
        if isinstance(found, dict):
            return found
        raise TypeError(
            f"The resolver of {self._scheme.name} returned a {type(found).__name__}. "
            "Return the user's id, a dict of token data, or None"
        )

    @property
    def challenge(self) -> str:
        """What WWW-Authenticate says to callers without credentials. Source: RFC 9110, section 11.6.1."""
        if self._scheme.type == "apiKey":
            return f'ApiKey in="{self._scheme.location}", name="{self._scheme.key}"'
        return self._scheme.scheme.capitalize() if self._scheme.type == "http" else "Bearer"


class _TokenCheck(_Check):
    """The check for a JWT: it needs no request object."""

    def __init__(
        self, scheme: SecurityScheme, resolver: TokenResolver, scopes: tuple[str, ...], service: Service
    ) -> None:
        super().__init__(scheme, resolver, scopes)
        self._resolver = resolver
        self._service = service

    def identify(self, call: Call) -> Caller | None:
        try:
            return self._resolver.identify(call.environ, self._scopes, self._service)
        except AuthError as error:
            error.headers.setdefault("WWW-Authenticate", self.challenge)
            raise


def _build_check(
    service: Service, api: Api, operation: Operation, name: str, scopes: tuple[str, ...]
) -> _Check | Finding:
    def find(found: str, fix: str) -> Finding:  # lines are worked out only where something is wrong
        return Finding(api.place_of(f"{operation.pointer}/security"), found, fix)

    scheme = api.security_schemes.get(name)
    if scheme is None:
        return find(f"the security scheme {name} is not declared", "Declare it, or correct its name")
    resolver = service.security_resolvers.get(name)
    if isinstance(resolver, TokenResolver):
        return _TokenCheck(scheme, resolver, scopes, service)
    if resolver is not None:
        return _Check(scheme, resolver, scopes)
    if scheme.type in _BEARER_TYPES or (scheme.type == "http" and scheme.scheme.lower() == "bearer"):
        settings = JwtSettings.of(service.config)
        if settings.is_empty:
            found = f"{name} asks for a JWT, and there is no key to verify one"
            fix = "Set jwt_secret, jwt_public_key or jwt_jwks_url in pym-config.yaml, or pass a security resolver"
            return find(found, fix)
        build_verifier(settings)
        resolver = jwt_resolver(prefix="Bearer", cookie=TOKEN_COOKIE)
        return _TokenCheck(scheme, resolver, scopes, service)
    what = f"{scheme.type} {scheme.scheme}".strip()
    fix = f"Pass create_app(…, security_resolvers={{{name!r}: function}})"
    return find(f"there is no resolver for {name} ({what})", fix)


def _make_guard(check: _Check, *, is_optional: bool) -> Guard:
    """Return a guard of one check: a function in a function takes less time than a partial."""
    identify = check.identify

    def guard(call: Call) -> None:
        caller = identify(call)
        if caller is not None:
            remember_user(caller)
        elif not is_optional:
            raise _missing([[check]])

    return guard


def _guard(alternatives: list[list[_Check]], is_optional: bool, call: Call) -> None:  # noqa: FBT001 - bound at start
    refusal: AuthError | None = None
    for checks in alternatives:
        try:
            caller = checks[0].identify(call) if len(checks) == 1 else _identify_all(checks, call)
        except AuthError as error:
            refusal = refusal or error
            continue
        if caller is not None:
            remember_user(caller)
            return
    if refusal is not None:
        raise refusal
    if not is_optional:
        raise _missing(alternatives)


def _missing(alternatives: list[list[_Check]]) -> AuthMissingHeaderError:
    challenges = dict.fromkeys(check.challenge for checks in alternatives for check in checks)
    is_api_key = all(challenge.startswith("ApiKey") for challenge in challenges)
    message = "There is no API key" if is_api_key else "There is no Authorization header"
    return AuthMissingHeaderError(f"{message} in the HTTP request", headers={"WWW-Authenticate": ", ".join(challenges)})


def _identify_all(checks: list[_Check], call: Call) -> JsonObject | None:
    """Return the claims of all *checks* together, the first one's before later ones'; None if one is missing."""
    claims: JsonObject = {}
    for check in checks:
        found = check.identify(call)
        if found is None:
            return None
        claims = {**to_claims(found), **claims}
    return claims
