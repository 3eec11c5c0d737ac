"""Flask's two contexts, their parts made when they are first asked for.

Pushing Flask's own costs more than most handlers: it makes the request object, two URL adapters, matches the URL and
opens the session, whether or not anybody looks at them.

These classes touch what Flask keeps to itself (``_cv_app``, ``_cv_request``, ``_cv_tokens``); it is the same from
Flask 3.0 to 3.1, and Flask's own tests are run against them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from flask.ctx import AppContext, RequestContext
from flask.globals import _cv_app, _cv_request
from flask.sessions import SecureCookieSessionInterface
from flask.signals import appcontext_popped, appcontext_pushed, appcontext_tearing_down, request_tearing_down

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask, Request
    from flask.sessions import SessionMixin

    from pymacaron.dispatch.table import LeanRoute

PRESERVE = "werkzeug.debug.preserve_context"
"""Key of the environ: function that keeps a context after the request."""

# Flask 3.1 keeps the session there, and offers a property over it.
_SESSION = "_session" if hasattr(RequestContext, "session") else "session"
_UNSET: Any = object()
_new = object.__new__
# Bound once: to look a method of an imported object up makes a new one each time.
_get_app, _set_app, _reset_app = _cv_app.get, _cv_app.set, _cv_app.reset
_get_request, _set_request, _reset_request = _cv_request.get, _cv_request.set, _cv_request.reset


class _OnDemand:
    """An attribute that is made when it is first read.

    `functools.cached_property` holds a lock meanwhile in Python 3.11, which would open all sessions one by one; with
    ``__getattr__`` every attribute of the context would be slower.
    """

    def __init__(self, make: Callable[[Any], Any], flag: str | None = None) -> None:
        """Take the name of an attribute that is True once this one was made."""
        self._make = make
        self._flag = flag

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        made = self._make(instance)
        setattr(instance, self._name, made)  # its __dict__ would cost time from now on
        if self._flag is not None:
            setattr(instance, self._flag, True)
        return made


class LeanAppContext(AppContext):
    """The app context of one request; ``g`` and the URL adapter are made on demand."""

    def __init__(self, app: Flask) -> None:
        """Take the app; unlike its parent, make nothing."""
        self.app = app
        self._cv_tokens = []

    g = _OnDemand(lambda context: context.app.app_ctx_globals_class())
    url_adapter = _OnDemand(lambda context: context.app.create_url_adapter(None))

    def push(self) -> None:
        """Make this the current app context."""
        self._cv_tokens.append(_set_app(self))
        if appcontext_pushed.receivers:
            appcontext_pushed.send(self.app, _async_wrapper=self.app.ensure_sync)

    def pop(self, exc: BaseException | None = _UNSET) -> None:
        """Make the one before it current again; tears down first if it was the last push."""
        app = self.app
        try:
            if len(self._cv_tokens) == 1 and (app.teardown_appcontext_funcs or appcontext_tearing_down.receivers):
                app.do_teardown_appcontext(sys.exc_info()[1] if exc is _UNSET else exc)
        finally:
            current = _get_app()
            _reset_app(self._cv_tokens.pop())
        if current is not self:
            raise AssertionError(f"Popped wrong app context. ({current!r} instead of {self!r})")
        if appcontext_popped.receivers:
            appcontext_popped.send(app, _async_wrapper=app.ensure_sync)


class LeanContext(RequestContext):
    """The request context of one call of an operation, and the call itself (`pymacaron.call.Call`).

    has_request: the request object was made. changes_answer: the session was opened, or `flask.after_this_request`
    called.
    """

    flashes = None

    def __init__(self, app: Flask, environ: WSGIEnvironment, route: LeanRoute, path_values: dict[str, Any]) -> None:
        """Take what routing found; unlike its parent, make nothing."""
        self.app = app
        self.environ = environ
        self.route = route
        self.path_values = path_values
        self.has_request = False
        self.changes_answer = False
        self._cv_tokens = []

    def _make_request(self) -> Request:
        request = self.app.request_class(self.environ)
        request.json_module = self.app.json
        request.url_rule = self.route.rule
        request.view_args = self.path_values
        return request

    request = _OnDemand(_make_request, "has_request")
    url_adapter = _OnDemand(lambda context: context.app.create_url_adapter(context.request))
    _after_request_functions = _OnDemand(lambda _context: [], "changes_answer")

    def _open_session(self) -> SessionMixin | None:
        interface = self.app.session_interface
        session = interface.open_session(self.app, self.request)
        return interface.make_null_session(self.app) if session is None else session

    if _SESSION == "_session":
        _session = _OnDemand(_open_session, "changes_answer")
    else:
        session = _OnDemand(_open_session, "changes_answer")

    def copy(self) -> RequestContext:
        """Return a context of Flask's with the same request and session, for another thread or greenlet."""
        return RequestContext(self.app, self.environ, request=self.request, session=getattr(self, _SESSION))

    def push(self) -> None:
        """Make this the current request context, in an app context of its own unless one of the app is current."""
        app = self.app
        outer = _get_app(None)
        inner = None
        if outer is None or outer.app is not app:
            if appcontext_pushed.receivers:
                inner = LeanAppContext(app)
                inner.push()
            else:  # the same in a third of the time
                inner = _new(LeanAppContext)
                inner.app = app
                inner._cv_tokens = [_set_app(inner)]  # noqa: SLF001 - what its push would do
        self._cv_tokens.append((_set_request(self), inner))
        interface = app.session_interface
        if type(interface) is not SecureCookieSessionInterface or (
            "HTTP_COOKIE" in self.environ and interface.get_cookie_name(app) in self.environ["HTTP_COOKIE"]
        ):
            getattr(self, _SESSION)  # it may have to be refreshed, whether or not anybody looks at it

    def pop(self, exc: BaseException | None = _UNSET) -> None:
        """Make the context before it current again; tears down first if it was the last push."""
        app, tokens = self.app, self._cv_tokens
        is_last = len(tokens) == 1
        if exc is _UNSET:
            exc = sys.exc_info()[1]
        try:
            if is_last and (app.teardown_request_funcs or request_tearing_down.receivers):
                app.do_teardown_request(exc)
            if is_last and self.has_request:
                self.request.close()
        finally:
            current = _get_request()
            token, inner = tokens.pop()
            _reset_request(token)
            if is_last and self.has_request:
                self.environ["werkzeug.request"] = None
            if inner is not None:
                is_told = appcontext_tearing_down.receivers or appcontext_popped.receivers
                if is_told or app.teardown_appcontext_funcs or _get_app() is not inner:
                    inner.pop(exc)
                else:  # the same in half of the time
                    _reset_app(inner._cv_tokens.pop())  # noqa: SLF001 - what its pop would do
            if current is not self:
                raise AssertionError(f"Popped wrong request context. ({current!r} instead of {self!r})")

    def preserve(self) -> None:
        """Let the test client or the debugger that asks for it keep the contexts."""
        self.environ[PRESERVE](_get_app())
        self.environ[PRESERVE](_get_request())
