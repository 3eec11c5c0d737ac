"""Functions around a request are called for operations when and as Flask calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, abort, after_this_request, g, request
from flask.typing import ResponseReturnValue

SameAsFlask = Callable[..., list[Any]]


def add_every_hook(app: Flask, log: Any) -> None:
    """Register each kind of hook twice, on the app and with a blueprint."""
    blueprint = Blueprint("other", "other")
    for owner, before, after, teardown in [
        ("app", app.before_request, app.after_request, app.teardown_request),
        ("blueprint", blueprint.before_app_request, blueprint.after_app_request, blueprint.teardown_app_request),
    ]:

        def before_request(owner: str = owner) -> None:
            log("before", owner, request.endpoint, request.view_args)

        def after_request(response: Response, owner: str = owner) -> Response:
            log("after", owner, response.status_code)
            response.headers.add("X-After", owner)
            return response

        def teardown_request(error: BaseException | None, owner: str = owner) -> None:
            log("teardown", owner, type(error).__name__, request.path)

        before(before_request)
        after(after_request)
        teardown(teardown_request)
    app.url_value_preprocessor(lambda endpoint, values: log("values", endpoint, dict(values or {})))
    blueprint.app_url_value_preprocessor(lambda endpoint, _: log("values of the blueprint", endpoint))
    blueprint.before_request(lambda: log("only for the blueprint"))
    blueprint.after_request(lambda response: log("only for the blueprint") or response)
    blueprint.teardown_request(lambda _: log("only for the blueprint"))
    blueprint.add_url_rule("/other", "view", lambda: "other")
    app.teardown_appcontext(lambda error: log("teardown app", type(error).__name__))
    app.register_blueprint(blueprint)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/items/5", id="operation"),
        pytest.param("POST", "/items", id="body"),
        pytest.param("GET", "/stream", id="stream"),
        pytest.param("HEAD", "/items/5", id="implicit-head"),
        pytest.param("OPTIONS", "/items/5", id="implicit-options"),
        pytest.param("PUT", "/items/5", id="method-not-allowed"),
        pytest.param("GET", "/nowhere", id="not-found"),
        pytest.param("GET", "/items/5/", id="slash-at-the-end"),
        pytest.param("GET", "/other", id="blueprint"),
    ],
)
def test_every_hook_runs_in_order(log: Any, same_as_flask: SameAsFlask, method: str, path: str) -> None:
    """Hooks of the app and app-wide ones of blueprints run around each request, in Flask's order."""

    def drive(app: Flask) -> None:
        log.answer(app.test_client().open(path, method=method, json={"id": 1} if method == "POST" else None))

    seen = same_as_flask(lambda app: add_every_hook(app, log), drive)
    assert [words[0] for words in seen].count("before") == 2
    assert ("teardown app", "NoneType") in seen


@pytest.mark.parametrize(
    "make_answer",
    [
        pytest.param(lambda: "early", id="text"),
        pytest.param(lambda: ({"early": True}, 202, {"X-Early": "1"}), id="tuple"),
        pytest.param(lambda: Response("early", 203), id="response"),
        pytest.param(lambda: "", id="empty-text"),
    ],
)
def test_a_hook_answers_in_place_of_the_handler(
    log: Any, same_as_flask: SameAsFlask, make_answer: Callable[[], ResponseReturnValue]
) -> None:
    """What a before_request function returns is the answer; later ones and the handler are not called."""

    def set_up(app: Flask) -> None:
        app.before_request(make_answer)
        add_every_hook(app, log)

    def get_item(item_id: int) -> None:
        raise AssertionError(item_id)

    seen = same_as_flask(set_up, lambda app: log.answer(app.test_client().get("/items/5")), get_item=get_item)
    assert "before" not in {words[0] for words in seen}


@pytest.mark.parametrize("where", ["preprocessor", "before", "handler", "after_this", "after"])
@pytest.mark.parametrize("error", [KeyError("broken"), "abort"], ids=["unexpected", "abort"])
def test_an_exception_is_seen_by_the_same_hooks(
    log: Any, same_as_flask: SameAsFlask, where: str, error: Exception | str
) -> None:
    """Teardown functions get an exception that nobody handled; the answer to any passes the after_request functions."""

    def fail(here: str, response: Any = None) -> Any:
        if here == where:
            log("raises", here)
            if isinstance(error, Exception):
                raise error
            abort(409)
        return response

    def set_up(app: Flask) -> None:
        add_every_hook(app, log)
        app.url_value_preprocessor(lambda *_: fail("preprocessor"))
        app.before_request(lambda: fail("before"))
        app.after_request(lambda response: fail("after", response))

    def get_item(item_id: int) -> dict[str, int]:
        after_this_request(lambda response: fail("after_this", response))
        fail("handler")
        return {"id": item_id}

    seen = same_as_flask(set_up, lambda app: log.answer(app.test_client().get("/items/5")), get_item=get_item)
    assert ("raises", where) in seen
    assert ("teardown app", "KeyError" if isinstance(error, Exception) else "NoneType") in seen or "after" in where


@pytest.mark.parametrize("where", ["teardown_request", "teardown_appcontext"])
def test_a_teardown_function_raises(log: Any, same_as_flask: SameAsFlask, where: str) -> None:
    """The exception reaches the server, and the next request is not touched by it."""

    def fail(_: BaseException | None) -> None:
        log("teardown")
        raise KeyError("teardown")

    def drive(app: Flask) -> None:
        client = app.test_client()
        for _ in range(2):
            with pytest.raises(KeyError, match="teardown"):
                client.get("/items/5")
        log(bool(request))

    seen = same_as_flask(lambda app: getattr(app, where)(fail), drive)
    assert seen == ["teardown", "teardown", False]


def test_after_this_request_in_hooks_and_handler(log: Any, same_as_flask: SameAsFlask) -> None:
    """It runs once, before the app's after_request functions, in order of registration, and may replace the answer."""

    def note(name: str) -> None:
        def after(response: Response) -> Response:
            log(name, response.status_code)
            return Response(f"{response.get_data(as_text=True).strip()} {name}", response.status_code + 1)

        after_this_request(after)

    def set_up(app: Flask) -> None:
        add_every_hook(app, log)
        app.before_request(lambda: note("hook"))

    def get_page() -> str:
        note("handler")
        return "page"

    def drive(app: Flask) -> None:
        log.answer(app.test_client().get("/page"))
        log.answer(app.test_client().get("/nowhere"))

    seen = same_as_flask(set_up, drive, get_page=get_page)
    assert (202, ("text/html", "page hook handler"), [("X-After", "blueprint"), ("X-After", "app")][::-1], []) in seen


def test_g_is_shared_and_new_for_each_request(log: Any, same_as_flask: SameAsFlask) -> None:
    """Hooks, handler and teardown functions of one request share `g`; the next request has another."""

    def note(place: str, response: Any = None) -> Any:
        g.places = [*g.get("places", []), place]
        log(place, g.places)
        return response

    def get_item(item_id: int) -> dict[str, int]:
        note("handler")
        return {"id": item_id}

    def set_up(app: Flask) -> None:
        app.before_request(lambda: note("before"))
        app.after_request(lambda response: note("after", response))
        app.teardown_request(lambda _: note("teardown"))
        app.teardown_appcontext(lambda _: note("teardown app"))

    def drive(app: Flask) -> None:
        for _ in range(2):
            log.answer(app.test_client().get("/items/5"))

    seen = same_as_flask(set_up, drive, get_item=get_item)
    assert seen.count(("teardown app", ["before", "handler", "after", "teardown", "teardown app"])) == 2


def test_a_preprocessor_changes_a_path_value(log: Any, same_as_flask: SameAsFlask) -> None:
    """The handler gets what a url_value_preprocessor made of the value."""

    def change(_: str | None, values: dict[str, Any] | None) -> None:
        for name in values or {}:
            values[name] = "7"  # type: ignore[index]  # it is not None here

    seen = same_as_flask(
        lambda app: app.url_value_preprocessor(change), lambda app: log.answer(app.test_client().get("/items/5"))
    )
    assert seen[0][1] == ("application/json", {"id": 7})
