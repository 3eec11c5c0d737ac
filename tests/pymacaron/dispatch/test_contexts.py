"""Lean contexts are Flask's contexts: their parts are there when somebody asks, and go when the request ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, copy_current_request_context, current_app, g, request, session, url_for
from flask.ctx import RequestContext
from flask.globals import app_ctx, request_ctx
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.signals import appcontext_popped, appcontext_pushed, appcontext_tearing_down, request_tearing_down
from werkzeug.routing import Rule

from pymacaron.dispatch import LeanContext, LeanRoute
from pymacaron.dispatch.contexts import LeanAppContext


def make_environ(**more: Any) -> dict[str, Any]:
    """Return the environ of a GET of /pets/7."""
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/pets/7",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "a=1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        **more,
    }


@pytest.fixture
def app() -> Flask:
    """Return an app with one rule."""
    app = Flask("app", static_folder=None)
    app.secret_key = "test"
    app.add_url_rule("/pets/<p0>", "pets", lambda _p0: "")
    return app


def make_context(app: Flask, **environ: Any) -> LeanContext:
    """Return the context of a request to the rule of *app*."""
    rule: Rule = next(app.url_map.iter_rules())
    return LeanContext(app, make_environ(**environ), LeanRoute(rule, lambda _context: ""), {"p0": "7"})


def test_parts_are_made_once_and_when_asked_for(app: Flask) -> None:
    """The proxies of Flask see request, session, ``g`` and the app; before that nothing is there."""
    context = make_context(app)
    with context:
        assert current_app == app
        assert not {"request", "session", "_session", "url_adapter"} & set(vars(context))
        assert not context.has_request
        assert (request.endpoint, request.view_args, request.args["a"]) == ("pets", {"p0": "7"}, "1")
        assert context.has_request
        assert request_ctx.request is context.request
        assert "g" not in vars(app_ctx._get_current_object())
        g.mark = 1
        assert g.mark == 1
        assert not context.changes_answer
        session["a"] = 1
        assert context.changes_answer
        assert url_for("pets", p0=8) == "/pets/8"
        assert app_ctx.url_adapter is None
    assert not app_ctx
    assert not request_ctx
    with pytest.raises(AttributeError, match="nothing"):
        context.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="nothing"):
        LeanAppContext(app).nothing  # noqa: B018


def test_a_context_of_the_app_that_is_there_is_used(app: Flask) -> None:
    """A request within an app context shares its ``g``; one of another app has its own."""
    with app.app_context():
        g.mark = 1
        with make_context(app):
            assert g.mark == 1
    with Flask("other").app_context():
        g.mark = 2
        with make_context(app):
            assert "mark" not in g
        assert g.mark == 2


def test_hooks_and_signals_of_the_end(app: Flask) -> None:
    """Teardown functions and signals run once, with the exception, request before app."""
    seen: list[Any] = []
    app.teardown_request(lambda error: seen.append(("request", error)))
    app.teardown_appcontext(lambda error: seen.append(("app", error)))

    def hear(name: str) -> Any:
        return lambda _sender, **data: seen.append((name, data.get("exc")))

    error = ValueError()
    listeners = [
        (signal, hear(name))
        for name, signal in (
            ("pushed", appcontext_pushed),
            ("request signal", request_tearing_down),
            ("app signal", appcontext_tearing_down),
            ("popped", appcontext_popped),
        )
    ]
    for signal, listener in listeners:
        signal.connect(listener, app)
    context = make_context(app)
    context.push()
    context.push()
    context.pop(None)
    assert seen == [("pushed", None)]
    context.pop(error)
    assert seen[1:] == [
        ("request", error),
        ("request signal", error),
        ("app", error),
        ("app signal", error),
        ("popped", None),
    ]


def test_the_exception_is_found_where_none_is_given(app: Flask) -> None:
    """As in Flask, ``pop()`` alone takes the exception that is being handled."""
    seen: list[Any] = []
    app.teardown_request(seen.append)
    app.teardown_appcontext(seen.append)
    context = make_context(app)
    context.push()
    error = ValueError("x")
    try:
        raise error
    except ValueError:
        context.pop()
    assert seen == [error, error]


def test_contexts_are_popped_in_order(app: Flask) -> None:
    """Popping another than the current context is told."""
    outer, inner = make_context(app), make_context(app)
    outer.push()
    inner.push()
    with pytest.raises(AssertionError, match="Popped wrong request context"):
        outer.pop(None)
    outer_app, inner_app = LeanAppContext(app), LeanAppContext(app)
    outer_app.push()
    inner_app.push()
    with pytest.raises(AssertionError, match="Popped wrong app context"):
        outer_app.pop(None)


@pytest.fixture(autouse=True)
def _clean_up() -> Iterator[None]:
    yield
    while request_ctx:
        request_ctx._get_current_object().pop(None)  # type: ignore[attr-defined]
    while app_ctx:
        app_ctx._get_current_object().pop(None)  # type: ignore[attr-defined]


def test_a_session_that_came_is_opened(app: Flask) -> None:
    """It may have to be refreshed; without one, or with other cookies, nothing is opened."""
    for cookie, is_open in (("session=x", True), ("other=x", False)):
        context = make_context(app, HTTP_COOKIE=cookie)
        with context:
            assert context.changes_answer is is_open


def test_a_session_interface_of_the_apps_own(app: Flask) -> None:
    """It is asked at each request, and None means a session that cannot be written."""

    class Own(SecureCookieSessionInterface):
        def open_session(self, app: Flask, request: Any) -> SecureCookieSession | None:  # noqa: ARG002
            return None

    app.session_interface = Own()
    context = make_context(app)
    with context:
        assert context.changes_answer
        assert app.session_interface.is_null_session(session._get_current_object())  # type: ignore[attr-defined]


def test_a_copy_for_another_thread(app: Flask) -> None:
    """A copy is a context of Flask's, with the same request and session."""
    seen: list[Any] = []
    with make_context(app) as context:
        assert isinstance(context, LeanContext)
        session["a"] = 1
        assert type(context.copy()) is RequestContext
        thread = threading.Thread(
            target=copy_current_request_context(lambda: seen.append((request.path, session["a"])))
        )
        thread.start()
        thread.join()
    assert seen == [("/pets/7", 1)]


def test_the_request_is_closed(app: Flask) -> None:
    """Files of a request are closed with it, and the environ lets go of it."""
    context = make_context(app)
    closed: list[int] = []
    with context:
        made = context.request
        made.close = lambda: closed.append(1)
    assert closed == [1]
    assert context.environ["werkzeug.request"] is None
