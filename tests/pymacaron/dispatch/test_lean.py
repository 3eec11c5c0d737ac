"""The lean way answers what Flask's ordinary way answers, and is taken wherever it may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Request, Response, after_this_request, g, request, session
from flask.signals import request_started
from werkzeug.test import Client, TestResponse

from pymacaron.dispatch import LeanContext, LeanDispatch
from pymacaron.events import RequestFinished
from pymacaron.service import service_of

MakeService = Callable[..., Flask]

MANY = {"limit": 100}
REQUESTS: dict[str, dict[str, Any]] = {
    "list": {"path": "/pets"},
    "head": {"path": "/pets", "method": "HEAD"},
    "created": {"path": "/pets", "method": "POST", "json": {"name": "Rex"}},
    "refused": {"path": "/pets", "method": "POST", "json": {"name": ""}},
    "no JSON": {"path": "/pets", "method": "POST", "data": b"{", "content_type": "application/json"},
    "wrong media type": {"path": "/pets", "method": "POST", "data": b"x", "content_type": "text/plain"},
    "empty": {"path": "/pets/7", "method": "DELETE"},
    "variable": {"path": "/pets/7"},
    "no integer": {"path": "/pets/x"},
    "unknown path": {"path": "/nothing"},
    "method": {"path": "/pets", "method": "PUT"},
    "options": {"path": "/pets", "method": "OPTIONS"},
    "slash": {"path": "/pets/"},
    "small, compressed": {"path": "/pets", "headers": {"Accept-Encoding": "gzip"}},
    "unacceptable": {"path": "/pets", "headers": {"Accept": "text/html"}},
    "built in": {"path": "/ping"},
}


def lean_of(app: Flask) -> LeanDispatch:
    """Return the lean way of *app*; there must be one."""
    assert isinstance(app.wsgi_app, LeanDispatch)
    return app.wsgi_app


def is_lean(app: Flask, path: str = "/pets") -> bool:
    """Tell whether a GET of *path* goes the lean way."""
    return isinstance(app.wsgi_app, LeanDispatch) and app.wsgi_app.find(environ_of(path)) is not None


def environ_of(path: str) -> dict[str, Any]:
    """Return what `LeanDispatch.find` looks at."""
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path}


def ask(wsgi_app: Any, **how: Any) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return status, headers without the request's id, and body of a request."""
    answer: TestResponse = Client(wsgi_app).open(**how)
    headers = sorted((name, value) for name, value in answer.headers if name != "X-Request-Id")
    assert answer.headers["X-Request-Id"]
    return answer.status_code, headers, answer.data


@pytest.mark.parametrize("how", [pytest.param(how, id=name) for name, how in REQUESTS.items()])
def test_both_ways_answer_alike(make_service: MakeService, how: dict[str, Any]) -> None:
    """Status, headers and body are the same."""
    app = make_service()
    assert ask(app.wsgi_app, **how) == ask(lean_of(app).ordinary, **how)


def test_large_answers_are_compressed(make_service: MakeService) -> None:
    """Compression is as ever, whatever the size."""
    app = make_service()
    app.config["COMPRESS_MIN_SIZE"] = 10
    how = {"path": "/pets", "headers": {"Accept-Encoding": "gzip"}}
    status, headers, _ = ask(app.wsgi_app, **how)
    assert (status, dict(headers)["Content-Encoding"]) == (200, "gzip")
    assert ask(lean_of(app).ordinary, **how)[1] == headers


def test_nothing_is_made_that_nobody_asks_for(make_service: MakeService) -> None:
    """Without hooks there is no request object, no session, no ``g``."""
    seen: list[LeanContext] = []
    app = make_service()
    lean = lean_of(app)
    serve = lean._serve

    def look(context: LeanContext, *rest: Any) -> Any:
        seen.append(context)
        return serve(context, *rest)

    lean._serve = look  # type: ignore[method-assign, assignment]
    assert app.test_client().get("/ping").status_code == 200
    assert not seen[0].has_request
    assert not seen[0].changes_answer


def test_what_a_hook_sees(make_service: MakeService) -> None:
    """Request, endpoint, values, session and ``g`` are there when somebody looks."""
    app = make_service()
    app.config["SECRET_KEY"] = "test"
    seen: list[Any] = []

    @app.before_request
    def before() -> None:
        g.mark = 1
        seen.append((request.endpoint, request.view_args, request.url, str(request.url_rule)))

    @app.after_request
    def after(response: Response) -> Response:
        session["count"] = session.get("count", 0) + 1
        response.headers["X-Mark"] = f"{g.mark} {session['count']}"
        return response

    client = app.test_client()
    client.get("/pets/7")
    answer = client.get("/pets/7")
    assert is_lean(app)
    assert answer.headers["X-Mark"] == "1 2"
    assert "session=" in answer.headers["Set-Cookie"]
    endpoint, values, url, rule = seen[0]
    assert (endpoint.rpartition(":")[2], list(values.values()), url) == ("getPet", ["7"], "http://localhost/pets/7")
    assert rule.startswith("/pets/<")


def test_a_handler_changes_its_answer(make_service: MakeService) -> None:
    """`after_this_request` works where nobody else wants a response."""
    app = make_service()

    @app.before_request
    def before() -> None:
        @after_this_request
        def mark(response: Response) -> Response:
            response.headers["X-Mark"] = "yes"
            return response

    assert app.test_client().get("/pets").headers["X-Mark"] == "yes"


class OwnDispatch(Flask):
    """An app that dispatches in its own way."""

    def full_dispatch_request(self) -> Response:
        """Mark each answer."""
        response = super().full_dispatch_request()
        response.headers["X-Own"] = "yes"
        return response


def test_an_app_that_dispatches_in_its_own_way(make_service: MakeService) -> None:
    """Nothing is left out of what a subclass adds."""
    app = make_service(app_class=OwnDispatch)
    assert not is_lean(app)
    assert app.test_client().get("/pets").headers["X-Own"] == "yes"


def test_middleware_around_the_app(make_service: MakeService) -> None:
    """What was wrapped around the app before it started sees every request."""
    seen: list[str] = []

    def prepare(app: Flask) -> None:
        inner = app.wsgi_app

        def wrap(environ: Any, start_response: Any) -> Any:
            seen.append(environ["PATH_INFO"])
            return inner(environ, start_response)

        app.wsgi_app = wrap  # type: ignore[method-assign]

    app = make_service(prepare=prepare)
    assert app.test_client().get("/pets").status_code == 200
    assert not is_lean(app)
    assert seen == ["/pets"]


def test_hosts_that_matter(make_service: MakeService) -> None:
    """Where the host of a request decides, Flask decides."""
    app = make_service()
    app.config["TRUSTED_HOSTS"] = ["example.com"]
    client = app.test_client()
    assert not is_lean(app)
    assert client.get("/pets").status_code == 400
    assert client.get("/pets", headers={"Host": "example.com"}).status_code == 200


def test_signals_and_own_classes(make_service: MakeService) -> None:
    """Receivers hear of requests, and the app's own request class is used."""

    class OwnRequest(Request):
        pass

    app = make_service()
    app.request_class = OwnRequest
    seen: list[type] = []

    def hear(_sender: Flask, **_: object) -> None:
        seen.append(type(request._get_current_object()))  # type: ignore[attr-defined]

    with request_started.connected_to(hear, app):
        app.test_client().get("/pets")
    assert seen == [OwnRequest]


SEGMENTS = """\
openapi: 3.1.0
info: {title: Segments, version: "1"}
paths:
  /one/{x}:
    get: {operationId: one, parameters: [&x {name: x, in: path, required: true, schema: {type: string}}]}
  /one/{x}/{y}:
    get:
      operationId: two
      parameters: [*x, {name: y, in: path, required: true, schema: {type: string}}]
"""


def test_an_encoded_slash_is_no_separator(make_service: MakeService) -> None:
    """It belongs to a value, also where the decoded path is another operation's."""
    handlers = "def one(x):\n    return [x]\n\ndef two(x, y):\n    return [x, y]\n"
    client = make_service(document=SEGMENTS, handlers=handlers).test_client()
    assert [client.get(path).json for path in ("/one/a%2Fb", "/one/a/b")] == [["a/b"], ["a", "b"]]


def test_handlers_see_the_body_too(make_service: MakeService) -> None:
    """What was read for the model is still there for who asks Flask, in the first request and later ones."""
    handlers = """\
    from flask import request
    from pymacaron.pool import apipool

    def create_pet(body):
        return apipool.pets.Pet(id=len(request.get_data()), name=request.get_json()["name"]), 201

    def list_pets(**_): ...
    def get_pet(pet_id): ...
    def delete_pet(pet_id): ...
    """
    client = make_service(handlers=handlers).test_client()
    sent = {"data": b'{"name":"Rex"}', "content_type": "application/json"}
    pets: list[Any] = [client.post("/pets", **sent).json for _ in range(3)]
    assert [(pet["id"], pet["name"]) for pet in pets] == [(14, "Rex")] * 3


def test_events_of_lean_requests(make_service: MakeService) -> None:
    """Each request is one event, with its operation, whatever way it goes."""
    app = make_service()
    events: list[RequestFinished] = []
    service_of(app).bus.subscribe(RequestFinished, events.append)
    client = app.test_client()
    client.get("/pets")
    client.delete("/pets/7")
    client.get("/pets/7%2F8")
    client.get("/nothing")
    assert [(event.operation_id, event.status) for event in events[:2]] == [("listPets", 200), ("deletePet", 204)]
    assert [event.operation_id for event in events[2:]] == ["getPet", None]
