"""Who and what caused a task: taken where it is called, in force again where it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import jwt
from flask import has_request_context, request

from pymacaron.auth import get_user_token_data, remember_user
from pymacaron.exceptions import ConfigError
from pymacaron.jwt_keys import JwtSettings
from pymacaron.jwt_tokens import sign_token
from pymacaron.log import capture_context, pymlogger, restored_context
from pymacaron.token_resolver import TokenClaims

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.service import Service

log = pymlogger(__name__)

_PORTS = {"http": "80", "https": "443"}
NOWHERE = "http://localhost/"


@dataclass(frozen=True, slots=True)
class Caller:
    """What a task takes over from its caller.

    context: ids for the logs and the trace, see `pymacaron.log.capture_context`. url: of the request that called.
    claims: of the caller's token, or what another security resolver found, with the token itself as ``token``; empty
    where nobody is authenticated.
    """

    context: dict[str, str]
    url: str = NOWHERE
    claims: JsonObject = field(default_factory=dict)

    @classmethod
    def capture(cls) -> Caller:
        """Return the caller of what runs now; outside of a request nobody, with a request id of its own."""
        context = capture_context()
        context.setdefault("request_id", uuid4().hex)
        if not has_request_context():
            return cls(context)
        claims = {key: value for key, value in get_user_token_data().items() if _is_json(value)}
        return cls(context, request.url, claims)

    @classmethod
    def from_json(cls, data: JsonObject) -> Caller:
        """Return what `to_json` wrote; keys that this version does not know are left out."""
        return cls(data["context"], data["url"], data["claims"])

    def to_json(self) -> JsonObject:
        """Return it as JSON."""
        return {"context": self.context, "url": self.url, "claims": self.claims}

    @property
    def request_id(self) -> str | None:
        """Return the id of the request that called."""
        return self.context.get("request_id")

    @property
    def user_id(self) -> str | None:
        """Return the caller's id, None if nobody is authenticated."""
        return str(self.claims.get("sub") or "") or None

    @contextmanager
    def acting(self, service: Service, *, for_s: float) -> Iterator[None]:
        """Run the block as the caller: in the app's context, with URL, user, token, and the ids in the logs.

        for_s: seconds that the block may take; a token that would expire before is replaced by one that does not.
        """
        with restored_context(self.context, service.sampler), service.app.request_context(_make_environ(self.url)):
            if self.claims:
                remember_user(_renew(self.claims, service, for_s))
            yield


def _renew(claims: JsonObject, service: Service, for_s: float) -> JsonObject:
    """Return *claims* with a token that is good for *for_s* seconds, if the service can sign one."""
    token = claims.get("token")
    if not token:
        return claims
    known = TokenClaims(claims)
    try:
        own: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})  # it was verified when it came
    except jwt.PyJWTError:
        return known  # a token of another kind
    now = int(time.time())
    if "exp" not in own or own["exp"] > now + for_s:
        return known
    lifetime = max(service.config.jwt_token_timeout, int(for_s) + 1)
    renewed = {**own, "iat": now, "exp": now + lifetime}
    try:
        token = sign_token(JwtSettings.of(service.config), renewed)
    except ConfigError:
        log.warning("The caller's token expires before the task ends, and this service has no key to renew it with")
        return known
    if own.get("sub") == claims.get("sub"):  # else it is the token of a `backend_token` block
        known.update(iat=renewed["iat"], exp=renewed["exp"])
    known["token"] = token
    return known


def _make_environ(url: str) -> dict[str, Any]:
    """Return a GET request of *url*, in a tenth of the time that Werkzeug's own builder takes. Source: PEP 3333."""
    parts = urlsplit(url)
    scheme = parts.scheme or "http"
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parts.path, "latin-1") or "/",
        "QUERY_STRING": parts.query,
        "SERVER_NAME": parts.hostname or "localhost",
        "SERVER_PORT": str(parts.port or _PORTS.get(scheme, "80")),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc or "localhost",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (str, int, float, bool))
