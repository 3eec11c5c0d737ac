"""What belongs to one running service: its app, its bus, its configuration, its documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import current_app
from flask.globals import _cv_app

from pymacaron.events import Bus
from pymacaron.exceptions import InvalidParameterError, PyMacaronException

if TYPE_CHECKING:
    from flask import Flask, Request

    from pymacaron.config import PymConfig
    from pymacaron.json_types import JsonObject
    from pymacaron.spec import Api, Operation
    from pymacaron.trace_context import Sampler

_get_app_context = _cv_app.get
ErrorCallback = Callable[[Exception], object]
ErrorReporter = Callable[[str, "JsonObject", BaseException | None], object]
SecurityResolver = Callable[["Request", tuple[str, ...]], "JsonObject | str | None"]
RevocationCheck = Callable[["JsonObject"], object]


@dataclass(slots=True)
class Service:
    """One service; every part finds it with `service_of(app)`.

    response_validation: mode for operations that name none, see `answer.ResponseCheck`.
    operations: id -> operation of all loaded documents that are served.
    error_callback: turns an exception into the service's own error body.
    error_reporter: the service's own ``(title, data, exception)`` function.
    security_resolvers: security scheme name -> function of (request, scopes) that returns the caller's user id or
    token data, None when no credentials came, and raises an AuthError when they are wrong.
    is_token_revoked: function of a good token's claims, asked at each request; true refuses the token.
    json_encoders: type -> function that makes JSON of it, in place of pydantic's way.
    ping_hooks: called on each /ping.
    sampler: opens the spans of requests and tasks; None where the service records none.
    """

    app: Flask
    config: PymConfig
    bus: Bus = field(default_factory=Bus)
    apis: dict[str, Api] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    is_debug: bool = False
    response_validation: str = "enforce"
    error_callback: ErrorCallback | None = None
    error_reporter: ErrorReporter | None = None
    security_resolvers: Mapping[str, SecurityResolver] = field(default_factory=dict)
    is_token_revoked: RevocationCheck | None = None
    json_encoders: Mapping[type, Callable[[Any], object]] = field(default_factory=dict)
    ping_hooks: list[Callable[[], object]] = field(default_factory=list)
    sampler: Sampler | None = None

    def status_of(self, error: PyMacaronException) -> int:
        """Return the HTTP status that *error* is answered with."""
        return self.config.validation_status if type(error) is InvalidParameterError else error.status


def service_of(app: Flask) -> Service:
    """Return the service that lives in *app*. Raises RuntimeError if pymacaron was never set up on it."""
    service = app.extensions.get("pymacaron")
    if not isinstance(service, Service):
        raise RuntimeError(  # noqa: TRY004 - what is wrong is the app's set-up
            f"Flask app {app.name!r} is no pymacaron service. Build it with pymacaron.create_app or API(app)"
        )
    return service


def current_service() -> Service:
    """Return the service of the request that is being handled. Raises RuntimeError outside of one."""
    context = _get_app_context(None)  # in a tenth of the time that the proxy takes
    return service_of(current_app if context is None else context.app)
