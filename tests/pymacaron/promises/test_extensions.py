"""Flask-CORS, Flask-Compress, Flask-Login and Flask-SQLAlchemy work for operations as for Flask's views."""

from __future__ import annotations

import gzip
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Request, current_app, request
from flask_compress import Compress
from flask_cors import CORS, cross_origin
from flask_login import (  # type: ignore[import-untyped]
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text
from werkzeug.test import TestResponse

SameAsFlask = Callable[..., list[Any]]
ORIGIN = {"Origin": "https://web.test"}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="everything"),
        pytest.param({"origins": ["https://web.test"], "supports_credentials": True, "max_age": 60}, id="one-origin"),
        pytest.param({"origins": ["https://other.test"]}, id="another-origin"),
        pytest.param({"resources": {r"/items/*": {"expose_headers": ["X-A"]}}}, id="some-paths"),
        pytest.param({"send_wildcard": True, "automatic_options": False}, id="no-automatic-options"),
    ],
)
def test_cors_for_the_app(log: Any, same_as_flask: SameAsFlask, options: dict[str, Any]) -> None:
    """App-wide rules hold for answers, errors and preflights of operations."""

    def get_item(item_id: int) -> dict[str, int]:
        return {"id": 1 // item_id}

    def drive(app: Flask) -> None:
        client = app.test_client()
        asked = {**ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "X-B"}
        for path in ("/items/5", "/items/0", "/page", "/nowhere"):
            log.answer(client.get(path, headers=ORIGIN))
            log.answer(client.get(path))
            log.answer(client.options(path, headers=asked))
        log.answer(client.post("/items", json={"id": 1}, headers=ORIGIN))

    seen = same_as_flask(lambda app: CORS(app, **options), drive, get_item=get_item)
    assert "Access-Control-Allow-Origin" in {name for entry in seen for name, _ in entry[2]}


def test_cors_for_one_function(log: Any, same_as_flask: SameAsFlask) -> None:
    """A handler with ``cross_origin`` has the headers, others do not."""

    @cross_origin(origins=["https://web.test"])
    def get_item(item_id: int) -> Any:
        return current_app.response_class(f'{{"id": {item_id}}}', mimetype="application/json")

    def drive(app: Flask) -> None:
        client = app.test_client()
        for path in ("/items/5", "/page"):
            log.answer(client.get(path, headers=ORIGIN))

    seen = same_as_flask(lambda _: None, drive, get_item=get_item)
    assert ("Access-Control-Allow-Origin", "https://web.test") in seen[0][2]
    assert seen[1][2] == []


@pytest.mark.parametrize("encoding", ["gzip", "br;q=0.5, gzip", "deflate", "identity", "nothing", None])
def test_compress(log: Any, same_as_flask: SameAsFlask, encoding: str | None) -> None:
    """Answers are compressed as the request allows, but for small ones and streams."""

    def unpack(response: TestResponse) -> None:
        coding = response.headers.get("Content-Encoding")
        log(response.status_code, coding, response.headers.get("Vary"), response.headers.get("ETag"))
        log(len(gzip.decompress(response.data)) if coding == "gzip" else len(response.data))

    def set_up(app: Flask) -> None:
        app.config["COMPRESS_MIN_SIZE"] = 100
        app.config["COMPRESS_MIMETYPES"] = ["text/html", "application/json"]
        Compress(app)

    def get_page() -> str:
        return "page " * int(request.args["times"])

    def get_stream() -> Iterator[str]:
        yield from ["stream "] * 50

    def drive(app: Flask) -> None:
        headers = {"Accept-Encoding": encoding} if encoding else {}
        for path in ("/page?times=1", "/page?times=200", "/stream"):
            unpack(app.test_client().get(path, headers=headers))

    seen = same_as_flask(set_up, drive, get_page=get_page, get_stream=get_stream)
    assert seen[2][:2] == (200, {"br;q=0.5, gzip": "gzip", "gzip": "gzip", "deflate": "deflate"}.get(encoding or ""))
    assert seen[3] == 1000 or encoding == "deflate"


class User(UserMixin):  # type: ignore[misc]
    """A user with nothing but an id."""

    def __init__(self, user_id: str) -> None:
        """Take the id."""
        self.id = user_id


def test_login(log: Any, same_as_flask: SameAsFlask) -> None:
    """Users log in and out, are remembered, found by a request's header, and refused without login."""

    def set_up(app: Flask) -> None:
        manager = LoginManager(app)
        manager.user_loader(lambda user_id: (log("load", user_id), User(user_id))[1])
        manager.request_loader(lambda request: User("of header") if "X-User" in request.headers else None)
        manager.session_protection = "strong"

    def get_item(item_id: int) -> dict[str, int]:
        if item_id == 0:
            logout_user()
        else:
            login_user(User(str(item_id)), remember=item_id == 2)
        return {"id": item_id}

    @login_required  # type: ignore[untyped-decorator]
    def get_page() -> str:
        return f"{current_user.get_id()} {current_user.is_authenticated}"

    def drive(app: Flask) -> None:
        client = app.test_client()
        for path in ("/page", "/items/1", "/page", "/items/0", "/page", "/items/2", "/page"):
            log.answer(client.get(path))
        client.delete_cookie("session")
        log.answer(client.get("/page"))  # remembered
        log.answer(client.get("/page", headers={"User-Agent": "another"}))  # strong protection: another browser
        log.answer(app.test_client().get("/page", headers={"X-User": "1"}))
        log(bool(current_user))

    seen = same_as_flask(set_up, drive, get_item=get_item, get_page=get_page)
    answers = [entry[:2] for entry in seen if isinstance(entry, tuple) and isinstance(entry[0], int)]
    assert [status for status, _ in answers[:3]] == [401, 200, 200]
    assert (200, ("text/html", "2 True")) in answers


def test_a_guard_asks_flask_login(make_service: Callable[..., Flask]) -> None:
    """A security scheme of the document may take its user from Flask-Login, whose session is open in the guard."""
    document = """\
        openapi: 3.1.0
        info: {title: Secrets, version: "1"}
        components: {securitySchemes: {login: {type: apiKey, in: cookie, name: session}}}
        paths:
          /login/{name}:
            get:
              operationId: logIn
              parameters: [{name: name, in: path, required: true, schema: {type: string}}]
              responses: {"204": {description: Done.}}
          /secret:
            get:
              operationId: getSecret
              security: [{login: []}]
              responses: {"200": {description: It., content: {text/plain: {schema: {type: string}}}}}
    """
    handlers = """\
        from flask_login import UserMixin, current_user, login_user
        from pymacaron.auth import get_userid

        class User(UserMixin):
            def __init__(self, name):
                self.id = name

        def log_in(name):
            login_user(User(name))

        def get_secret():
            return f"{current_user.get_id()} {get_userid()}"
    """

    def find_user(_request: Request, _scopes: tuple[str, ...]) -> str | None:
        return current_user.get_id() if current_user.is_authenticated else None

    app = make_service(textwrap.dedent(document), handlers, security_resolvers={"login": find_user})
    LoginManager(app).user_loader(User)
    client = app.test_client()
    assert client.get("/secret").status_code == 401
    assert client.get("/login/Ann").status_code == 204
    answer = client.get("/secret")
    assert (answer.status_code, answer.text) == (200, "Ann Ann")
    assert "Cookie" in answer.vary


def test_sqlalchemy(log: Any, same_as_flask: SameAsFlask) -> None:
    """Each request has a session of its own, which its end removes; what was not committed is gone."""
    current: list[SQLAlchemy] = []

    def set_up(app: Flask) -> None:
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///:memory:"
        database = SQLAlchemy()
        database.init_app(app)
        current[:] = [database]
        with app.app_context():
            database.session.execute(text("create table items (id integer)"))
            database.session.commit()

    def get_item(item_id: int) -> dict[str, int]:
        (database,) = current
        registry = database.session.registry
        log("fresh", registry.has())
        database.session.execute(text("insert into items values (:id)"), {"id": item_id})
        log("rows", database.session.execute(text("select id from items order by id")).scalars().all())
        if item_id == 9:
            raise KeyError(item_id)
        if item_id % 2:
            database.session.commit()
        return {"id": item_id}

    def drive(app: Flask) -> None:
        client = app.test_client()
        for number in (1, 2, 9, 3):
            log.answer(client.get(f"/items/{number}"))
        (database,) = current
        with app.app_context():
            database.engine.dispose()

    seen = same_as_flask(set_up, drive, get_item=get_item)
    assert ("rows", [1, 3]) in seen
    assert [entry[1] for entry in seen if entry[0] == "fresh"] == [False] * 4
