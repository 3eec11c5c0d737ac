"""Parts of Flask that a service replaces, and what it puts around the app, are used for operations too."""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping
from importlib.metadata import version
from io import BytesIO
from typing import Any

import pytest
from flask import Blueprint, Flask, Request, Response, current_app, g, jsonify, request, session, url_for
from flask.ctx import _AppCtxGlobals
from flask.json.provider import DefaultJSONProvider
from flask.sessions import SessionInterface, SessionMixin
from flask.testing import FlaskClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

SameAsFlask = Callable[..., list[Any]]
IS_OLD = version("flask").startswith("3.0.")


def nothing(_: Flask) -> None:
    """Set up nothing."""


def get_three(app: Flask, log: Any) -> None:
    """Call two operations and what is none."""
    client = app.test_client()
    for path in ("/items/5", "/page", "/nowhere"):
        log.answer(client.get(path))


def override(name: str, log: Any) -> type[Flask]:
    """Return a subclass of Flask whose method *name* is noted, then does what Flask does."""

    def method(self: Flask, *arguments: Any, **keywords: Any) -> Any:
        log(name, len(arguments), sorted(keywords))
        return getattr(Flask, name)(self, *arguments, **keywords)

    return type("OwnFlask", (Flask,), {name: method})


@pytest.mark.parametrize(
    "name",
    [
        "wsgi_app",
        "full_dispatch_request",
        "dispatch_request",
        "preprocess_request",
        "finalize_request",
        "make_response",
        "process_response",
        "handle_user_exception",
        "handle_http_exception",
        "handle_exception",
        "log_exception",
        "do_teardown_request",
        "do_teardown_appcontext",
        "request_context",
        "app_context",
        "create_url_adapter",
        "should_ignore_error",
        "inject_url_defaults",
        "raise_routing_exception",
        "make_default_options_response",
        "__call__",
    ],
)
def test_a_method_is_overridden(log: Any, same_as_flask: SameAsFlask, name: str) -> None:
    """A subclass's method is called as often, with the same, as on plain Flask."""

    def get_item(item_id: int) -> dict[str, int]:
        url_for("shop:getPage")
        if item_id == 9:
            raise KeyError(item_id)
        return {"id": item_id}

    def drive(app: Flask) -> None:
        log.entries.clear()  # what start did
        get_three(app, log)
        log.answer(app.test_client().get("/items/9"))
        log.answer(app.test_client().options("/items/9"))

    seen = same_as_flask(nothing, drive, make_app=override(name, log), get_item=get_item)
    assert name in {entry[0] for entry in seen}


def test_dispatch_request_decides(log: Any, same_as_flask: SameAsFlask) -> None:
    """An overridden dispatch_request may answer in the view's place, as those that check something do."""

    class OwnFlask(Flask):
        def dispatch_request(self) -> Any:
            return super().dispatch_request() if request.args else ("nothing asked", 402)

    def drive(app: Flask) -> None:
        log.answer(app.test_client().get("/items/5"))
        log.answer(app.test_client().get("/items/5?x=1"))

    assert [entry[0] for entry in same_as_flask(nothing, drive, make_app=OwnFlask)] == [402, 200]


class OwnRequest(Request):
    """A request with something of its own."""

    @property
    def tenant(self) -> str:
        """Return who asks."""
        return self.headers.get("X-Tenant", "nobody")


class OwnResponse(Response):
    """A response with a header of its own."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        """Add the header."""
        super().__init__(*arguments, **keywords)
        self.headers["X-Own"] = "1"


class OwnGlobals(_AppCtxGlobals):
    """A `g` that has something already."""

    mark = "own"


def test_own_classes(log: Any, same_as_flask: SameAsFlask) -> None:
    """``request_class``, ``response_class``, ``app_ctx_globals_class`` and ``test_client_class`` are used."""

    class OwnClient(FlaskClient):
        def open(self, *arguments: Any, **keywords: Any) -> Any:
            keywords.setdefault("headers", {})["X-Tenant"] = "me"
            return super().open(*arguments, **keywords)

    class OwnFlask(Flask):
        request_class = OwnRequest
        response_class = OwnResponse
        app_ctx_globals_class = OwnGlobals
        test_client_class = OwnClient

    def get_page() -> str:
        return f"{request.tenant} {g.mark} {type(current_app.make_response('')).__name__}"  # type: ignore[attr-defined]

    seen = same_as_flask(nothing, lambda app: get_three(app, log), make_app=OwnFlask, get_page=get_page)
    assert seen[1][1:3] == (("text/html", "me own OwnResponse"), [("X-Own", "1")])
    assert seen[0][2] == [("X-Own", "1")]


class PlainSession(dict[str, Any], SessionMixin):
    """A session that is a dict."""


class HeaderSessions(SessionInterface):
    """Keeps the session in headers, and notes what it is asked."""

    def __init__(self, log: Any) -> None:
        """Take the log."""
        self._log = log

    def open_session(self, app: Flask, request: Request) -> PlainSession:
        """Read the header."""
        self._log("open", app.name, request.path)
        return PlainSession(json.loads(request.headers.get("X-Session", "{}")))

    def save_session(self, app: Flask, session: MutableMapping[str, Any], response: Response) -> None:
        """Write the header."""
        self._log("save", app.name, dict(session))
        response.headers["X-Session"] = json.dumps(session)


def test_an_own_session_interface(log: Any, same_as_flask: SameAsFlask) -> None:
    """It opens and saves a session for each request, whether or not anybody uses it."""

    def get_item(item_id: int) -> dict[str, int]:
        session["id"] = item_id
        return {"id": item_id}

    def set_up(app: Flask) -> None:
        app.session_interface = HeaderSessions(log)

    seen = same_as_flask(set_up, lambda app: get_three(app, log), get_item=get_item)
    assert ("save", "shop", {"id": 5}) in seen
    assert [entry[0] for entry in seen].count("open") == 3


def test_an_own_json_provider(log: Any, same_as_flask: SameAsFlask) -> None:
    """``app.json`` is used by jsonify and get_json inside of handlers."""

    class OwnProvider(DefaultJSONProvider):
        def dumps(self, obj: Any, **keywords: Any) -> str:
            if obj:  # the serializer of sessions asks about {}
                log("dumps", obj)
            return super().dumps(obj, **keywords)

        def loads(self, s: str | bytes, **keywords: Any) -> Any:
            log("loads", s)
            return super().loads(s, **keywords)

    class OwnFlask(Flask):
        json_provider_class = OwnProvider

    def get_page() -> str:
        return jsonify({"a": request.get_json(silent=True)}).get_data(as_text=True)

    def drive(app: Flask) -> None:
        log.answer(app.test_client().get("/page", data=b"[1]", content_type="application/json"))

    seen = same_as_flask(nothing, drive, make_app=OwnFlask, get_page=get_page)
    assert ("loads", b"[1]") in seen


@pytest.mark.parametrize(
    "how",
    [
        "config",
        "config-later",
        pytest.param("hook", marks=pytest.mark.skipif(IS_OLD, reason="Flask 3.1 brought limits of a single request")),
        "request-class",
        "other-input",
    ],
)
def test_the_body_that_a_service_allows(log: Any, same_as_flask: SameAsFlask, how: str) -> None:
    """A body is as long as configuration, hooks and the request class allow, and comes from where they say."""

    class ShortRequest(Request):
        @property  # type: ignore[misc]  # Flask's can be set, this one need not
        def max_content_length(self) -> int | None:  # type: ignore[override]
            return 30

    class OwnFlask(Flask):
        request_class = ShortRequest if how == "request-class" else Request

    def before() -> None:
        if how == "hook":
            request.max_content_length = 30
        elif how == "other-input":
            request.environ["wsgi.input"] = BytesIO(b'{"id": 7}')
            request.environ["CONTENT_LENGTH"] = "9"

    def set_up(app: Flask) -> None:
        if how == "config":
            app.config["MAX_CONTENT_LENGTH"] = 30
        app.before_request(before)

    def drive(app: Flask) -> None:
        client = app.test_client()
        for name in ("a", "a" * 20):
            log.answer(client.post("/items", json={"id": 1, "name": name}))
            if how == "config-later":
                app.config["MAX_CONTENT_LENGTH"] = 30
            log.answer(client.get("/items/5"))

    seen = same_as_flask(set_up, drive, make_app=OwnFlask)
    assert [entry[0] for entry in seen] == [201, 200, 201 if how == "other-input" else 413, 200]


def proxy_fix(app: Flask) -> None:
    """Trust one proxy."""
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1, x_host=1)  # type: ignore[method-assign]


def mount(app: Flask) -> None:
    """Serve the app below /shop, beside another one."""

    def other(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"other"]

    app.wsgi_app = DispatcherMiddleware(other, {"/shop": app.wsgi_app})  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("middleware", "prefix"), [pytest.param(proxy_fix, "", id="proxy-fix"), pytest.param(mount, "/shop", id="mount")]
)
def test_middleware(log: Any, same_as_flask: SameAsFlask, middleware: Callable[[Flask], None], prefix: str) -> None:
    """What stands around ``app.wsgi_app`` changes addresses, prefixes and what is served."""

    def get_item(item_id: int) -> dict[str, int]:
        log(request.url, request.remote_addr, request.script_root, request.path, url_for("shop:getPage"))
        log(url_for("shop:getPage", _external=True))
        return {"id": item_id}

    headers = {
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "h.test",
        "X-Forwarded-Prefix": "/pre",
    }

    def drive(app: Flask) -> None:
        log.answer(app.test_client().get(f"{prefix}/items/5", headers=headers))
        log.answer(app.test_client().get("/elsewhere"))

    seen = same_as_flask(middleware, drive, get_item=get_item)
    assert len(seen) == 4


def test_middleware_sees_every_request(log: Any, same_as_flask: SameAsFlask) -> None:
    """A callable around ``app.wsgi_app`` sees environ, status and headers of each request."""

    def set_up(app: Flask) -> None:
        inner = app.wsgi_app

        def outer(environ: Any, start_response: Any) -> Any:
            def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                log("start", status.upper())
                return start_response(status, [*headers, ("X-Outer", "1")], *rest)

            log("environ", environ["PATH_INFO"])
            return inner(environ, start)

        app.wsgi_app = outer  # type: ignore[method-assign]

    seen = same_as_flask(set_up, lambda app: get_three(app, log))
    assert seen[2][2] == [("X-Outer", "1")]


@pytest.mark.filterwarnings("ignore:Current server name")  # Flask's, of a request to another one
@pytest.mark.parametrize("kind", ["server-name", "subdomains", "host-matching"])
def test_hosts(log: Any, same_as_flask: SameAsFlask, kind: str) -> None:
    """Rules of hosts and subdomains next to the operations are matched as Flask does, and so are the operations."""

    def make_app(*arguments: Any, **options: Any) -> Flask:
        if kind == "host-matching":
            options |= {"host_matching": True, "static_host": "static.test"}
        options["subdomain_matching"] = kind == "subdomains"
        app = Flask(*arguments, **options)
        if kind != "host-matching":
            app.config["SERVER_NAME"] = "shop.test"
        return app

    def set_up(app: Flask) -> None:
        if kind == "subdomains":
            app.add_url_rule("/page", "sub", lambda: "subdomain", subdomain="sub")
            app.add_url_rule("/items/<x>", "tenant", lambda tenant, x: f"{tenant} {x}", subdomain="<tenant>")
        elif kind == "host-matching":
            app.add_url_rule("/page", "sub", lambda: "host", host="sub.shop.test")

    def drive(app: Flask) -> None:
        for host in ("shop.test", "sub.shop.test", "other.shop.test", "other.test", "shop.test:81"):
            for path in ("/items/5", "/page"):
                log.answer(app.test_client().get(path, base_url=f"http://{host}"))

    seen = same_as_flask(set_up, drive, make_app=make_app)
    assert len(seen) == 10


def test_rules_of_flask_next_to_operations(log: Any, same_as_flask: SameAsFlask) -> None:
    """The app's own rules win, lose, redirect and convert as on plain Flask."""

    def set_up(app: Flask) -> None:
        blueprint = Blueprint("other", "other", url_prefix="/items")
        blueprint.add_url_rule("/special", "special", lambda: "special")
        blueprint.add_url_rule("/<int:x>/parts", "parts", lambda x: f"parts {x}")
        blueprint.add_url_rule("/<path:x>/deep", "deep", lambda x: f"deep {x}")
        blueprint.add_url_rule("/folder/", "folder", lambda: "folder")
        app.register_blueprint(blueprint)
        app.add_url_rule("/items/<int:x>", "post", lambda x: f"post {x}", methods=["POST"])
        app.add_url_rule("/old", "old", redirect_to="/page")
        app.add_url_rule("/pages", "pages", lambda page: f"page {page}", defaults={"page": 1})
        app.add_url_rule("/pages/<int:page>", "pages")

    def drive(app: Flask) -> None:
        client = app.test_client()
        for path in ("special", "5", "5/parts", "a/b/deep", "folder", "folder/", "5/", "/5", "%35"):
            log.answer(client.get(f"/items/{path}"))
        for path in ("/old", "/pages", "/pages/1", "/pages/2", "//page", "/page?a=1"):
            log.answer(client.get(path))
        for method in ("POST", "PUT", "HEAD", "OPTIONS"):
            log.answer(client.open("/items/5", method=method))

    def get_item(item_id: int) -> dict[str, int]:
        log("values", request.view_args)
        return {"id": item_id}

    seen = same_as_flask(set_up, drive, get_item=get_item)
    assert len(seen) > 20


def test_a_view_function_is_wrapped(log: Any, same_as_flask: SameAsFlask) -> None:
    """What stands in ``app.view_functions`` is what answers, whenever it was put there."""

    def drive(app: Flask) -> None:
        client = app.test_client()
        for number in range(3):
            log.answer(client.get("/items/5"))
            inner = app.view_functions["shop:getItem"]

            def outer(number: int = number, inner: Callable[..., Any] = inner, **path_values: Any) -> Any:
                log("wrapped", number)
                return inner(**path_values)

            app.view_functions["shop:getItem"] = outer

    seen = same_as_flask(nothing, drive)
    assert [entry[1] for entry in seen if entry[0] == "wrapped"] == [0, 1, 0]


def test_async_handlers_and_hooks(log: Any, same_as_flask: SameAsFlask) -> None:
    """Coroutines are awaited wherever Flask awaits them, with the request current."""

    async def get_item(item_id: int) -> dict[str, int]:
        log("handler", request.path, g.mark)
        if item_id == 9:
            raise KeyError(item_id)
        return {"id": item_id}

    def set_up(app: Flask) -> None:
        async def before() -> None:
            g.mark = "async"

        async def after(response: Response) -> Response:
            log("after", response.status_code, request.path)
            return response

        async def teardown(error: BaseException | None) -> None:
            log("teardown", type(error).__name__)

        async def handle(error: KeyError) -> tuple[str, int]:
            log("error", type(error).__name__)
            return "async", 418

        app.before_request(before)
        app.after_request(after)
        app.teardown_request(teardown)
        app.teardown_appcontext(teardown)
        app.register_error_handler(KeyError, handle)

    def drive(app: Flask) -> None:
        for number in (5, 9):
            log.answer(app.test_client().get(f"/items/{number}"))

    seen = same_as_flask(set_up, drive, get_item=get_item)
    assert [entry[0] for entry in seen if isinstance(entry[0], int)] == [200, 418]


@pytest.mark.parametrize("setting", ["DEBUG", "TESTING"])
def test_set_up_after_the_first_request(log: Any, same_as_flask: SameAsFlask, setting: str) -> None:
    """Flask refuses hooks and rules that come after the first request, with its own words."""

    def set_up(app: Flask) -> None:
        app.config[setting] = True

    def drive(app: Flask) -> None:
        app.test_client().get("/items/5")
        for change in (lambda: app.before_request(lambda: None), lambda: app.add_url_rule("/late", "late")):
            with pytest.raises(AssertionError) as caught:
                change()
            log(str(caught.value))

    assert len(same_as_flask(set_up, drive)) == 2
