"""What Flask makes current during a request is there for operations: request, session, g, URLs, flashes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import (
    Flask,
    copy_current_request_context,
    current_app,
    flash,
    g,
    get_flashed_messages,
    has_app_context,
    has_request_context,
    make_response,
    request,
    session,
    stream_with_context,
    url_for,
)
from werkzeug.wrappers import Response

SameAsFlask = Callable[..., list[Any]]


def nothing(_: Flask) -> None:
    """Set up nothing."""


def test_the_request_says_what_came(log: Any, same_as_flask: SameAsFlask) -> None:
    """Rule, endpoint, path values, addresses, headers, cookies and arguments are those of Flask's own request."""

    def get_item(item_id: int) -> dict[str, int]:
        log(request.endpoint, request.blueprint, request.view_args, str(request.url_rule), request.routing_exception)
        log(request.url, request.base_url, request.host_url, request.script_root, request.full_path, request.root_path)
        log(request.headers["X-Own"], request.cookies["own"], request.args["q"], request.remote_addr, request.is_secure)
        log(
            request.method, request.scheme, request.accept_languages.best, request.authorization, request.max_form_parts
        )
        log(has_request_context(), has_app_context(), current_app.name, bool(request), "x" in g, type(request).__name__)
        return {"id": item_id}

    def drive(app: Flask) -> None:
        headers = {"X-Own": "1", "Accept-Language": "fr, en;q=0.5", "Authorization": "Bearer t"}
        client = app.test_client()
        client.set_cookie("own", "2", domain="h.test")
        log.answer(client.get("/items/5?q=%C3%A9", headers=headers, base_url="https://h.test:444"))

    seen = same_as_flask(nothing, drive, get_item=get_item)
    assert len(seen) == 6


def test_the_body_can_be_read_again(log: Any, same_as_flask: SameAsFlask) -> None:
    """The handler finds data and JSON in the request, though its body was read for it already."""

    def create_item(body: Any) -> dict[str, int]:
        log(request.get_json(), request.get_data(), request.content_length, request.mimetype, request.is_json)
        return {"id": body.id}

    def drive(app: Flask) -> None:
        log.answer(app.test_client().post("/items", json={"id": 4}))

    seen = same_as_flask(nothing, drive, create_item=lambda body: (create_item(body), 201)[0])
    assert seen[0][0] == {"id": 4}


def test_a_hook_reads_the_body_first(log: Any, same_as_flask: SameAsFlask) -> None:
    """A body that a hook looked at reaches the handler all the same."""

    def drive(app: Flask) -> None:
        log.answer(app.test_client().post("/items", json={"id": 4}))

    seen = same_as_flask(lambda app: app.before_request(lambda: log(request.get_json())), drive)
    assert seen[0] == {"id": 4}
    assert seen[1][0] == 201


@pytest.mark.parametrize("is_permanent", [True, False], ids=["permanent", "not-permanent"])
@pytest.mark.parametrize("refreshes", [True, False], ids=["refreshed", "not-refreshed"])
def test_sessions(log: Any, same_as_flask: SameAsFlask, is_permanent: bool, refreshes: bool) -> None:
    """A session is read, changed, refreshed and emptied; its cookie and Vary come when Flask sends them."""

    def get_item(item_id: int) -> dict[str, int]:
        if item_id == 1:
            session["count"] = session.get("count", 0) + 1
            session.permanent = is_permanent
        elif item_id == 2:
            log(session.get("count"))
        elif item_id == 3:
            session.clear()
        return {"id": item_id}

    def set_up(app: Flask) -> None:
        app.permanent_session_lifetime = timedelta(days=3)
        app.config["SESSION_REFRESH_EACH_REQUEST"] = refreshes

    def drive(app: Flask) -> None:
        client = app.test_client()
        for path in ("/items/2", "/items/1", "/items/0", "/items/1", "/items/2", "/page", "/items/3", "/items/0"):
            log.answer(client.get(path))
        with client.session_transaction() as opened:
            opened["count"] = 40
        client.get("/items/1")
        with client.session_transaction() as opened:
            log(dict(opened))

    seen = same_as_flask(set_up, drive, get_item=get_item)
    assert (2 in seen, None in seen) == (True, True)
    assert seen[-1] == {"count": 41, "_permanent": is_permanent}


@pytest.mark.parametrize("hook", ["before_request", "after_request", "teardown_request"])
def test_a_hook_uses_the_session(log: Any, same_as_flask: SameAsFlask, hook: str) -> None:
    """A session that only a hook touches is saved if there is still time."""

    def use(response: Any = None) -> Any:
        session["visits"] = session.get("visits", 0) + 1
        log(session["visits"])
        return response if hook == "after_request" else None

    def drive(app: Flask) -> None:
        client = app.test_client()
        for _ in range(2):
            log.answer(client.get("/items/5"))

    assert same_as_flask(lambda app: getattr(app, hook)(use), drive)


def test_a_forged_session_is_empty(log: Any, same_as_flask: SameAsFlask) -> None:
    """A cookie with a wrong signature opens a new session."""

    def get_item(item_id: int) -> dict[str, int]:
        log(dict(session), len(request.cookies))
        return {"id": item_id}

    def drive(app: Flask) -> None:
        client = app.test_client()
        client.set_cookie("session", "eyJ1c2VyIjoxfQ.x.y")
        log.answer(client.get("/items/5"))

    assert same_as_flask(nothing, drive, get_item=get_item)[0] == ({}, 1)


def test_a_session_without_a_key_cannot_be_written(log: Any, same_as_flask: SameAsFlask) -> None:
    """An interface that opens nothing gives the null session, whose error says what to do."""

    def get_item(item_id: int) -> dict[str, int]:
        with pytest.raises(RuntimeError) as caught:
            session["a"] = 1
        log(str(caught.value)[:30], session.get("a"))
        return {"id": item_id}

    def drive(app: Flask) -> None:
        app.secret_key = None
        log.answer(app.test_client().get("/items/5"))

    assert same_as_flask(nothing, drive, get_item=get_item)


def test_flashes(log: Any, same_as_flask: SameAsFlask) -> None:
    """A flash of one request is read by the next, once, in however many places of it."""

    def get_item(item_id: int) -> dict[str, int]:
        if item_id:
            flash(f"item {item_id}", "news")
        else:
            log(get_flashed_messages(with_categories=True), get_flashed_messages())
        return {"id": item_id}

    def drive(app: Flask) -> None:
        client = app.test_client()
        for path in ("/items/5", "/items/6", "/items/0", "/items/0"):
            log.answer(client.get(path))

    seen = same_as_flask(nothing, drive, get_item=get_item)
    assert ([("news", "item 5"), ("news", "item 6")], ["item 5", "item 6"]) in seen


@pytest.mark.filterwarnings("ignore:Current server name")  # Flask's, of a request to another one
@pytest.mark.parametrize("server_name", [None, "shop.test"])
def test_url_for(log: Any, same_as_flask: SameAsFlask, server_name: str | None) -> None:
    """URLs are built inside of handlers and hooks, with defaults and external ones, and outside with SERVER_NAME."""

    def build() -> None:
        log(url_for("shop:getPage"), url_for("shop:getPage", a="é"), url_for("shop:getPage", _anchor="x"))
        log(url_for("shop:getPage", _external=True), url_for("shop:getPage", _external=True, _scheme="https"))
        log(url_for(request.endpoint or "", **request.view_args or {}), url_for("static", filename="a.css"))
        log(url_for("nowhere", x=1))

    def get_item(item_id: int) -> dict[str, int]:
        build()
        return {"id": item_id}

    def set_up(app: Flask) -> None:
        app.config["SERVER_NAME"] = server_name
        app.before_request(build)
        app.url_defaults(lambda endpoint, values: values.setdefault("lang", endpoint[:4]))
        app.url_build_error_handlers.append(
            lambda error, endpoint, values: f"{type(error).__name__} {endpoint} {values}"
        )

    def drive(app: Flask) -> None:
        log.answer(app.test_client().get("/items/5"))
        log.answer(app.test_client().get("/items/5", base_url="http://other.test/root"))
        if server_name:
            with app.app_context():
                log(url_for("shop:getPage"))

    seen = same_as_flask(set_up, drive, get_item=get_item)
    assert len(seen) >= 9


def test_a_stream_keeps_its_context(log: Any, same_as_flask: SameAsFlask) -> None:
    """Pieces are made with request, session and g; teardown functions come after the last one."""

    def get_stream() -> Iterator[str]:
        yield request.path
        yield str(session.get("user"))
        yield str(g.mark)

    def set_up(app: Flask) -> None:
        app.before_request(lambda: setattr(g, "mark", "marked"))
        app.teardown_request(lambda _: log("teardown", g.get("mark")))

    def drive(app: Flask) -> None:
        client = app.test_client()
        with client.session_transaction() as opened:
            opened["user"] = 3
        log.answer(client.get("/stream"))

    seen = same_as_flask(set_up, drive, get_stream=get_stream)
    assert seen[-1][1] == ("text/html", "/stream3marked")


def test_a_response_of_flask_streams_with_its_context(log: Any, same_as_flask: SameAsFlask) -> None:
    """``stream_with_context`` works in a Response that the handler makes itself."""

    def get_page() -> Response:
        return current_app.response_class(stream_with_context(iter([request.path, "!"])), mimetype="text/html")

    def set_up(app: Flask) -> None:
        app.teardown_request(lambda _: log("teardown", request.path))

    seen = same_as_flask(set_up, lambda app: log.answer(app.test_client().get("/page")), get_page=get_page)
    assert seen[-1][1] == ("text/html", "/page!")


def test_a_thread_has_a_copy_of_the_context(log: Any, same_as_flask: SameAsFlask) -> None:
    """``copy_current_request_context`` gives a thread the request and the session."""

    def get_item(item_id: int) -> dict[str, int]:
        session["user"] = item_id

        @copy_current_request_context
        def work() -> None:
            log("thread", request.path, request.view_args, session["user"], url_for("shop:getPage"))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return {"id": item_id}

    seen = same_as_flask(nothing, lambda app: log.answer(app.test_client().get("/items/5")), get_item=get_item)
    assert seen[0][1] == "/items/5"


def test_the_test_client_keeps_the_context(log: Any, same_as_flask: SameAsFlask) -> None:
    """Inside of ``with client`` request, session and g stay until the next request or the end of the block."""

    def get_item(item_id: int) -> dict[str, int]:
        session["user"] = g.user = item_id
        return {"id": item_id}

    def set_up(app: Flask) -> None:
        app.teardown_request(lambda _: log("teardown", request.path))

    def drive(app: Flask) -> None:
        with app.test_client() as client:
            for number in (5, 6):
                log.answer(client.get(f"/items/{number}"))
                log("after", request.path, request.endpoint, session["user"], g.user, current_app.name)
            log.answer(client.get("/nowhere"))
            log("after", request.path, session["user"], "user" in g)
        log("outside", has_request_context(), has_app_context())

    seen = same_as_flask(set_up, drive, get_item=get_item)
    assert seen[-1] == ("outside", False, False)


def test_a_test_request_context_dispatches(log: Any, same_as_flask: SameAsFlask) -> None:
    """Flask's ways around WSGI reach an operation too."""

    def get_item(item_id: int) -> dict[str, int]:
        log(request.path, request.endpoint, url_for("shop:getPage"))
        return {"id": item_id}

    def drive(app: Flask) -> None:
        with app.test_request_context("/items/5"):
            log(request.view_args)
            response = app.full_dispatch_request()
            log(response.status_code, response.get_json())
        with app.test_request_context("/items/6"):
            app.preprocess_request()
            response = app.process_response(make_response(app.dispatch_request()))
            log(response.status_code, response.get_json())

    assert (200, {"id": 6}) in same_as_flask(nothing, drive, get_item=get_item)


def test_a_request_inside_of_an_app_context(log: Any, same_as_flask: SameAsFlask) -> None:
    """A request of the app whose context is current uses that one, as in a test that holds it open."""

    def get_item(item_id: int) -> dict[str, int]:
        log(g.get("mark"))
        g.mark = item_id
        return {"id": item_id}

    def set_up(app: Flask) -> None:
        app.teardown_appcontext(lambda _: log("teardown"))

    def drive(app: Flask) -> None:
        with app.app_context():
            g.mark = "outer"
            log.answer(app.test_client().get("/items/5"))
            log(g.mark)
        log.answer(app.test_client().get("/items/5"))

    seen = same_as_flask(set_up, drive, get_item=get_item)
    assert [entry for entry in seen if not isinstance(entry, tuple)] == ["outer", 5, "teardown", None, "teardown"]


def test_a_request_inside_of_a_request(log: Any, same_as_flask: SameAsFlask) -> None:
    """A handler that calls its own app finds its own request again."""

    def get_item(item_id: int) -> dict[str, int]:
        g.number = session["number"] = item_id
        if item_id:
            log.answer(current_app.test_client().get(f"/items/{item_id - 1}"))
        log(request.path, request.view_args, g.number, session["number"])
        return {"id": item_id}

    seen = same_as_flask(nothing, lambda app: log.answer(app.test_client().get("/items/2")), get_item=get_item)
    assert [entry[0] for entry in seen if len(entry) == 4 and isinstance(entry[0], str)][-1] == "/items/2"


def test_requests_in_several_threads(log: Any, same_as_flask: SameAsFlask) -> None:
    """Each of many concurrent requests sees its own request, session and g."""

    def get_item(item_id: int) -> dict[str, int]:
        session["id"] = g.id = item_id
        barrier.wait(timeout=20)
        assert (request.path, session["id"], g.id) == (f"/items/{item_id}", item_id, item_id)
        return {"id": item_id}

    barrier = threading.Barrier(6)

    def drive(app: Flask) -> None:
        answers = {}

        def call(number: int) -> None:
            answers[number] = app.test_client().get(f"/items/{number}").get_json()

        threads = [threading.Thread(target=call, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log(sorted(answers.items()))

    assert same_as_flask(nothing, drive, get_item=get_item) == [[(number, {"id": number}) for number in range(6)]]
