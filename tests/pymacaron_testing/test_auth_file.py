"""Users of an auth file send fixed headers, or log in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request

from pymacaron.exceptions import StartupError
from pymacaron_testing.auth_file import find_token, read_auth_file
from pymacaron_testing.login import build_identity, list_passwords
from pymacaron_testing.session import TargetSession

Serve = Callable[[Any], str]
FILE = """
auth:
  - {name: fixed, fixedHeaders: [{name: X-Key, value: " k1"}, {name: X-Tenant, value: t1}]}
  - name: json
    loginEndpointAuth:
      payloadUserPwd: {username: ada, password: secret-1, usernameField: user, passwordField: pass}
      token: {extractFrom: body, extractSelector: /data/0/token, sendIn: header, sendName: Authorization,
              sendTemplate: "Bearer {token}"}
  - name: form
    loginEndpointAuth:
      contentType: application/x-www-form-urlencoded
      payloadUserPwd: {username: bob, password: secret-2, usernameField: user, passwordField: pass}
      token: {extractFrom: header, extractSelector: X-Token, sendIn: query, sendName: key}
  - name: cookie
    loginEndpointAuth:
      payloadRaw: '{"user": "eve", "pass": "secret-3"}'
      expectCookies: true
  - name: basic
    loginEndpointAuth:
      verb: GET
      headers: [{name: Authorization, value: Basic ZGFuOnNlY3JldC00}]
      expectCookies: true
  - name: new
    createUsers:
      endpoint: /users
      verb: POST
      contentType: application/json
      payloadRaw: '{"user": "{name}", "pass": "secret-5"}'
      generators: [{placeHolder: "{name}", prefix: u_, postfix: "@x", maxLength: 20}]
    loginEndpointAuth:
      payloadRaw: '{"user": "{name}", "pass": "secret-5"}'
      expectCookies: true
authTemplate:
  loginEndpointAuth: {endpoint: /login, verb: POST, contentType: application/json}
"""


def build_app() -> Flask:
    app = Flask("login")
    known = {"ada": "secret-1", "bob": "secret-2", "eve": "secret-3", "dan": "secret-4"}
    logins: list[str] = []

    @app.post("/users")
    def create() -> tuple[str, int]:
        known[request.json["user"]] = request.json["pass"]
        return "", 201

    @app.route("/login", methods=["GET", "POST"])
    def login() -> tuple[Response, int] | Response:
        given: Any = request.form or request.get_json(silent=True) or {}
        if request.authorization:
            given = {"user": request.authorization.username, "pass": request.authorization.password}
        if known.get(given.get("user"), "") != given.get("pass"):
            return jsonify(error="wrong"), 401
        logins.append(given["user"])
        token = f"{given['user']}-{len(logins)}"
        response = jsonify(data=[{"token": token}])
        response.headers["X-Token"] = token
        response.set_cookie("session", token)
        return response

    return app


def read(tmp_path: Path, text: str, name: str = "auth.yaml") -> Any:
    (tmp_path / name).write_text(text)
    return read_auth_file(tmp_path / name)


def test_users(serve: Serve, tmp_path: Path) -> None:
    """Every way to get credentials gives them, again when they are renewed; a new user is made once."""
    url = serve(build_app())
    users = [build_identity(user, lambda: TargetSession(url)) for user in read(tmp_path, FILE)]
    found = [[(one.name, one.value) for one in user.all] for user in users]
    assert found[:5] == [
        [("X-Key", "k1"), ("X-Tenant", "t1")],
        [("Authorization", "Bearer ada-1")],
        [("?key", "bob-2")],
        [("Cookie", "session=eve-3")],
        [("Cookie", "session=dan-4")],
    ]
    name = found[5][0][1]
    assert name.startswith('session="u_' if name[8] == '"' else "session=u_")
    renewed = users[5].renew()
    assert renewed is not None
    assert renewed.value.rpartition("-")[0] == name.rpartition("-")[0]
    assert renewed.value != name


def test_passwords(tmp_path: Path) -> None:
    """Passwords are known, so that they can be hidden."""
    hidden = [password for user in read(tmp_path, FILE) for password in list_passwords(user)]
    assert hidden == ["secret-1", "secret-2", "ZGFuOnNlY3JldC00"]


def test_toml(tmp_path: Path) -> None:
    """The file may be TOML."""
    text = '[[auth]]\nname = "a"\n[[auth.fixedHeaders]]\nname = "X"\nvalue = "1"\n'
    assert read(tmp_path, text, "auth.toml")[0].fixedHeaders[0].value == "1"


LOGIN = "auth: [{name: a, loginEndpointAuth: {endpoint: %s, verb: POST, payloadRaw: '%s', %s}}]"
TOKEN = "token: {extractFrom: body, extractSelector: /nope, sendIn: header, sendName: A}"
ADA = '{"user": "ada", "pass": "secret-1"}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            LOGIN % ("/login", '{"user": "ada", "pass": "wrong"}', "expectCookies: true"),
            "POST /login was answered 401. Correct the user in the file.",
            id="refused",
        ),
        pytest.param(
            LOGIN % ("/users", ADA, "expectCookies: true"),
            "POST /users set no cookie. Write token: into the file if the body has one.",
            id="no cookie",
        ),
        pytest.param(
            LOGIN % ("/login", ADA, TOKEN),
            "POST /login has no token in its answer's body /nope. Correct extractSelector.",
            id="no token",
        ),
        pytest.param(
            LOGIN.replace("endpoint:", "externalEndpointURL:") % ("'http://127.0.0.1:9/x'", ADA, TOKEN),
            "POST http://127.0.0.1:9/x got no answer (connection refused). Look at the service.",
            id="no answer",
        ),
    ],
)
def test_failed_login(serve: Serve, tmp_path: Path, text: str, message: str) -> None:
    """A login that gives nothing is told, without the password."""
    url = serve(build_app())
    with pytest.raises(StartupError) as caught:
        build_identity(read(tmp_path, text)[0], lambda: TargetSession(url)).get()
    assert str(caught.value) == f"--pymacaron-auth-file, a: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("auth: [", ": it is no valid YAML. Correct it."),
        ("users: []", ": it has no list auth. Write auth: with a list of users."),
        ("auth: [{name: a}]", "#/auth/0: it needs fixedHeaders or loginEndpointAuth. Correct it."),
        (
            "auth: [{name: a, fixedHeaders: [{name: X, valeu: s3cret}]}]",
            "#/auth/0/fixedHeaders/0/value: field required. Correct it.",
        ),
        (
            "auth: [{name: a, loginEndpointAuth: {verb: POST, expectCookies: true}}]",
            "#/auth/0/loginEndpointAuth: it needs one of endpoint and externalEndpointURL. Correct it.",
        ),
        (
            "auth: [{name: a, loginEndpointAuth: {endpoint: /x, verb: POST}}]",
            "#/auth/0/loginEndpointAuth: it needs token, or expectCookies: true. Correct it.",
        ),
    ],
)
def test_wrong_file(tmp_path: Path, text: str, message: str) -> None:
    """What is wrong in the file is told, without its values."""
    with pytest.raises(StartupError) as caught:
        read(tmp_path, text)
    assert f"{tmp_path / 'auth.yaml'}{message}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there is told."""
    with pytest.raises(StartupError) as caught:
        read_auth_file(tmp_path / "nope.yaml")
    assert str(caught.value).endswith(
        "nope.yaml: it cannot be read (No such file or directory). Give the path of an auth file."
    )


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [("", {"a/b": [{"~": 1}]}), ("/a~1b/0/~0", 1), ("/a~1b/1", None), ("/a~1b/x", None), ("/nope", None)],
)
def test_pointer(pointer: str, expected: object) -> None:
    """Tokens are named by JSON pointers."""
    assert find_token({"a/b": [{"~": 1}]}, pointer) == expected
