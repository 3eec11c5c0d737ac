"""Callers are kept apart in whole services: requests inside of requests, streams, threads, one after another."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from pymacaron.auth import generate_token
from pymacaron.events import RequestFinished
from pymacaron.log import current_user_id
from pymacaron.service import service_of

MakeService = Callable[..., Flask]

OPERATION = """\
  /{path}:
    get:
      operationId: {path}
      security: {security}
      responses: {{"200": {{description: done, content: {{text/plain: {{schema: {{type: string}}}}}}}}}}
"""
PATHS = ("caller", "inner", "lines", "threaded", "changed")
DOCUMENT = "".join(
    [
        'openapi: 3.1.0\ninfo: {title: Callers, version: "1"}\npaths:\n',
        *(OPERATION.format(path=path, security="[{token: []}]") for path in PATHS),
        OPERATION.format(path="anyone", security="[{token: []}, {}]"),
        "components:\n  securitySchemes: {token: {type: http, scheme: bearer}}\n",
    ]
)
HANDLERS = """
from concurrent.futures import ThreadPoolExecutor

from flask import copy_current_request_context, current_app, request
from pymacaron.auth import authenticate_http_request, generate_token, get_user_token_data, get_userid

def caller():
    return get_userid()

def anyone():
    return get_userid() or "nobody"

def inner():
    client = current_app.test_client()
    seen = [get_userid()]
    for headers in ({}, {"Authorization": f"Bearer {generate_token('eve')}"}):
        seen += [client.get("/anyone", headers=headers).text, get_userid()]
    return " ".join(seen)

def lines():
    for _ in range(2):
        yield get_userid()

def threaded():
    @copy_current_request_context
    def work():
        return authenticate_http_request()["sub"], get_userid()
    with ThreadPoolExecutor(1) as pool:
        return " ".join([*pool.submit(work).result(), pool.submit(get_userid).result() or "nobody", get_userid()])

def changed():
    data = get_user_token_data()
    data["roles"].append("admin")
    return f"{len(data['roles'])} {len(authenticate_http_request()['roles'])}"
"""


@pytest.fixture
def client(make_service: MakeService) -> FlaskClient:
    """Build the service."""
    return make_service(document=DOCUMENT, handlers=HANDLERS).test_client()


def headers_of(client: FlaskClient, user: str) -> dict[str, str]:
    """Return the header of a good token."""
    with client.application.app_context():
        return {"Authorization": f"Bearer {generate_token(user, data={'roles': ['reader']})}"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("caller", "bob", id="handler"),
        pytest.param("inner", "bob nobody bob eve bob", id="request-in-request"),
        pytest.param("lines", "bobbob", id="stream"),
        pytest.param("threaded", "bob bob nobody bob", id="thread"),
        pytest.param("changed", "2 2", id="claims-are-the-request's"),
    ],
)
def test_callers(client: FlaskClient, path: str, expected: str) -> None:
    """Each request has its own caller wherever it is handled, and leaves none behind."""
    finished: list[str | None] = []
    service_of(client.application).bus.subscribe(RequestFinished, lambda event: finished.append(event.user_id))
    headers = headers_of(client, "bob")
    for _ in range(2):
        answer = client.get(f"/{path}", headers=headers)
        assert answer.text == expected
        answer.close()
        assert finished[-1] == "bob"
        assert client.get("/anyone").text == "nobody"
        assert finished[-1] is None
        assert current_user_id() is None


def test_callers_one_after_another(client: FlaskClient) -> None:
    """Known tokens of several callers do not mix."""
    known = {user: headers_of(client, user) for user in ("anna", "bob", "eve")}
    for _ in range(3):
        for user, headers in known.items():
            assert client.get("/caller", headers=headers).text == user
