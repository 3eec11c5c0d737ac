"""Clients as pymacaron 2 had them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from pymacaron import API, SpecError, apipool
from pymacaron.auth import backend_token

DOCUMENT = """\
swagger: "2.0"
info: {{title: Login, version: "1"}}
host: {host}
basePath: /v1
schemes: [http]
produces: [application/json]
paths:
  /users/{{id}}:
    get:
      x-bind-client: get_user
      x-bind-server: login.users.find_user
      x-decorate-request: {decorator}
      parameters:
        - {{in: path, name: id, type: string, required: true}}
        - {{in: query, name: upperCase, type: boolean}}
      responses: {{"200": {{description: one, schema: {{$ref: "#/definitions/User"}}}}}}
  /users:
    post:
      x-bind-client: create_user
      parameters: [{{in: body, name: body, schema: {{$ref: "#/definitions/User"}}}}]
      responses: {{"200": {{description: one, schema: {{$ref: "#/definitions/User"}}}}}}
definitions:
  User: {{type: object, properties: {{name: {{type: string}}}}}}
"""
CONFIG = "name: hello\njwt_secret: 0123456789abcdef0123456789abcdef\njwt_issuer: me.test\njwt_audience: all\n"
REX = b'{"name":"Rex"}'


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Any]:
    """Load the document above as a service would: ``load(host, decorator=…, config=…)``."""
    paths = list(sys.path)

    def make(host: str, decorator: str = "pymacaron.auth.add_auth", config: str = CONFIG) -> Any:
        (tmp_path / "clients").mkdir()
        (tmp_path / "clients" / "login.yaml").write_text(DOCUMENT.format(host=host, decorator=decorator))
        (tmp_path / "pym-config.yaml").write_text(config)
        app = Flask("svc", root_path=str(tmp_path))
        API(app, debug=True).load_clients("clients", ["login"])
        return apipool.login

    yield make
    sys.path[:] = paths


def test_calls_by_the_names_of_old(serve: Any, reply: Any, load: Any) -> None:
    """Methods are called as x-bind-client says, parameters as the document spells them; answers are models."""
    server = serve(lambda _seen: reply(200, REX))
    login = load(server.url.removeprefix("http://"))
    user = login.client.get_user(id="a b", upperCase=True)
    assert isinstance(user, login.User)
    assert user.name == "Rex"
    created = login.client.create_user(login.User(name="Rex"))
    assert isinstance(created, login.User)
    assert [(seen.method, seen.target, seen.body) for seen in server.seen] == [
        ("GET", "/users/a%20b?upperCase=true", b""),
        ("POST", "/users", REX),
    ]


def test_add_auth_sends_the_token_of_the_user(serve: Any, reply: Any, load: Any) -> None:
    """``x-decorate-request: pymacaron.auth.add_auth`` adds the token; other operations go without."""
    server = serve(lambda _seen: reply(200, REX))
    login = load(server.url.removeprefix("http://"))
    with backend_token(user_id="alice") as token:
        login.client.get_user(id="1")
        login.client.create_user(login.User(name="Rex"))
    assert server.seen[0].headers["authorization"] == f"Bearer {token}"
    assert "authorization" not in server.seen[1].headers


def test_the_extra_arguments(serve: Any, reply: Any, load: Any) -> None:
    """``max_attempts``, ``request_headers`` and the time-outs are for the call, not for the operation."""
    server = serve(lambda _seen: reply(503))
    login = load(server.url.removeprefix("http://"))
    for attempts in (1, 2):
        server.seen.clear()
        with pytest.raises(Exception, match="it answered 503"):
            login.client.get_user(id="1", max_attempts=attempts, request_headers={"X-Mine": "7"}, read_timeout=3)
        assert [seen.headers["x-mine"] for seen in server.seen] == ["7"] * attempts


def test_the_base_path_counts_only_where_it_is_asked_for(serve: Any, reply: Any, load: Any) -> None:
    """As for the operations that a service serves itself."""
    server = serve(lambda _seen: reply(200, REX))
    login = load(server.url.removeprefix("http://"), config=f"{CONFIG}use_base_path: true\n")
    login.client.get_user(id="1")
    assert server.seen[0].target == "/v1/users/1"


def test_a_decorator_that_is_not_there(load: Any) -> None:
    """It is told at start, with its place."""
    with pytest.raises(SpecError) as caught:
        load("login.test", decorator="nowhere.add_it")
    assert str(caught.value).endswith(
        "clients/login.yaml:12#/paths/~1users~1{id}/get/x-decorate-request: there is no function 'nowhere.add_it'. "
        "Write it as package.module.function, and put it where the service finds it."
    )
