"""Registering, logging in and changing one's account."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pymacaron.auth import generate_token
from testaccept.accounts import PASSWORD, Account, make_name


def _new_user() -> dict[str, Any]:
    name = make_name()
    return {"username": name, "email": f"{name}@example.com", "password": PASSWORD}


def test_register_and_log_in(nobody: Account) -> None:
    """Who registers can log in, and both give a token that works; the password is never answered."""
    new = _new_user()
    registered = nobody.call("POST", "/users", {"user": new}, status=201)["user"]
    assert registered | {"token": ""} == {
        "username": new["username"],
        "email": new["email"],
        "token": "",
        "bio": None,
        "image": None,
    }
    credentials = {"email": new["email"].upper(), "password": PASSWORD}
    logged_in = nobody.call("POST", "/users/login", {"user": credentials})["user"]
    for token in (registered["token"], logged_in["token"]):
        headers = {"Authorization": f"Token {token}"}
        assert nobody.call("GET", "/user", headers=headers)["user"]["email"] == new["email"]


@pytest.mark.parametrize(
    ("field", "value"),
    [pytest.param("password", "wrong horse battery", id="password"), pytest.param("email", "x@y", id="email")],
)
def test_wrong_credentials(nobody: Account, anna: Account, field: str, value: str) -> None:
    """A wrong password and an unknown email are refused with the same words."""
    credentials = {"email": anna.user["email"], "password": PASSWORD, field: value}
    messages = nobody.call("POST", "/users/login", {"user": credentials}, status=401)
    assert messages == ["Email or password is wrong"]


@pytest.mark.parametrize("field", ["username", "email"])
def test_taken(nobody: Account, anna: Account, field: str) -> None:
    """A username or email that is taken is refused, and the answer says which."""
    new = _new_user() | {field: anna.user[field]}
    assert nobody.call("POST", "/users", {"user": new}, status=422) == [f"This {field} is taken"]


def test_taken_email_in_another_case(nobody: Account, anna: Account) -> None:
    """An email is the same in capital letters."""
    new = _new_user() | {"email": anna.user["email"].upper()}
    assert nobody.call("POST", "/users", {"user": new}, status=422) == ["This email is taken"]


def test_concurrent_registrations(nobody: Account) -> None:
    """Of several registrations of the same name at once exactly one succeeds, the others get 422."""
    new = _new_user()

    def send(_: int) -> int:
        return nobody.send("POST", "/users", json={"user": new}).status_code

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(send, range(6))) == [201] + [422] * 5


def _broken_users() -> Iterator[object]:
    for field, value, name in [
        ("username", "", "empty username"),
        ("username", "a/b", "username with a slash"),
        ("username", "..", "username of dots"),
        ("username", "a\x00b", "username with NUL"),
        ("username", "x" * 65, "long username"),
        ("username", "имя", "username in other letters"),
        ("username", 7, "number as username"),
        ("username", None, "null as username"),
        ("email", "nobody", "email without @"),
        ("email", "a@b@c", "email with two @"),
        ("email", f"{'x' * 250}@y.example", "long email"),
        ("password", "short", "short password"),
        ("password", "secret " * 30, "long password"),
    ]:
        yield pytest.param(field, value, id=name)


@pytest.mark.parametrize(("field", "value"), list(_broken_users()))
def test_broken_registration(nobody: Account, field: str, value: object) -> None:
    """A registration with one broken field is refused; the answer names the field, and never shows its value."""
    messages = nobody.call("POST", "/users", {"user": _new_user() | {field: value}}, status=422)
    assert field in " ".join(messages)
    assert "secret" not in " ".join(messages)


@pytest.mark.parametrize("missing", ["username", "email", "password"])
def test_incomplete_registration(nobody: Account, missing: str) -> None:
    """A registration without one of its fields is refused, and the answer names it."""
    new = _new_user()
    del new[missing]
    assert missing in " ".join(nobody.call("POST", "/users", {"user": new}, status=422))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="broken JSON"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="no user"),
        pytest.param(b'{"user": {"email": "\xff", "password": "x"}}', id="no UTF-8"),
        pytest.param(rb'{"user": {"email": "\ud800@example.com", "password": "x"}}', id="lone surrogate"),
        pytest.param(b"[" * 5000, id="deep"),
    ],
)
def test_broken_body(nobody: Account, data: bytes) -> None:
    """A body that is no such JSON is refused with Conduit's error body."""
    response = nobody.send("POST", "/users/login", data=data, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["errors"]["body"]


def test_other_media_type(nobody: Account) -> None:
    """A body that is no JSON is refused with 415."""
    response = nobody.send("POST", "/users/login", data="user=me")
    assert response.status_code == 415
    assert response.json()["errors"]["body"]


def test_change(anna: Account, nobody: Account) -> None:
    """Fields that are sent change, the others stay; bio and image can be taken away with null."""
    image = "https://example.com/anna.png"
    changed = anna.call("PUT", "/user", {"user": {"bio": "Пишу 🐉 & <b>", "image": image}})["user"]
    assert (changed["bio"], changed["image"], changed["username"]) == ("Пишу 🐉 & <b>", image, anna.name)
    changed = anna.call("PUT", "/user", {"user": {"bio": None}})["user"]
    assert (changed["bio"], changed["image"]) == (None, image)
    assert nobody.call("GET", f"/profiles/{anna.name}")["profile"] == {
        "username": anna.name,
        "bio": None,
        "image": image,
        "following": False,
    }


def test_change_name_and_password(anna: Account, nobody: Account) -> None:
    """A new name, email and password replace the old ones, and the token still works."""
    name = make_name()
    changes = {"username": name, "email": f"{name}@example.com", "password": "another password"}
    anna.call("PUT", "/user", {"user": changes})
    assert anna.call("GET", "/user")["user"]["username"] == name
    nobody.call("GET", f"/profiles/{anna.name}", status=404)
    for password, status in (("another password", 200), (PASSWORD, 401)):
        credentials = {"email": changes["email"], "password": password}
        nobody.call("POST", "/users/login", {"user": credentials}, status=status)


@pytest.mark.parametrize("field", ["username", "email"])
def test_change_to_taken(anna: Account, ben: Account, field: str) -> None:
    """Nobody can take another's name or email; one's own is fine."""
    assert anna.call("PUT", "/user", {"user": {field: ben.user[field]}}, status=422) == [f"This {field} is taken"]
    anna.call("PUT", "/user", {"user": {field: anna.user[field]}})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"username": None}, id="null as username"),
        pytest.param({"password": ""}, id="empty password"),
        pytest.param({"image": "javascript:alert(1)"}, id="image that is no address"),
        pytest.param({"bio": "x" * 2001}, id="long bio"),
    ],
)
def test_broken_change(anna: Account, changes: dict[str, object]) -> None:
    """A broken change is refused and changes nothing."""
    anna.call("PUT", "/user", {"user": changes}, status=422)
    assert anna.call("GET", "/user")["user"] | {"token": ""} == anna.user | {"token": ""}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", "/user", id="GET user"),
        pytest.param("GET", "/articles/feed", id="feed"),
        pytest.param("POST", "/profiles/x/follow", id="follow"),
        pytest.param("DELETE", "/articles/x", id="delete article"),
        pytest.param("POST", "/articles/x/favorite", id="favorite"),
    ],
)
def test_no_token(nobody: Account, method: str, path: str) -> None:
    """What is somebody's own asks for a token."""
    nobody.call(method, path, status=401)


@pytest.mark.parametrize(
    "make_header",
    [
        pytest.param(lambda token: f"Token {token[:-4]}AAAA", id="wrong signature"),
        pytest.param(lambda _: "Token nonsense", id="no JWT"),
        pytest.param(lambda _: "Token ", id="empty"),
        pytest.param(lambda token: f"Bearer {token}", id="wrong prefix"),
        pytest.param(lambda _: f"Token {generate_token('1', expire_in=-3600)}", id="expired"),
        pytest.param(lambda _: f"Token {generate_token('99999999999999999999999')}", id="user who is too high"),
        pytest.param(lambda _: f"Token {generate_token('nobody')}", id="user who does not exist"),
    ],
)
@pytest.mark.parametrize("path", ["/user", "/articles"])
def test_wrong_token(anna: Account, make_header: Any, path: str) -> None:
    """A wrong token is refused, also where none is needed."""
    anna.call("GET", path, headers={"Authorization": make_header(anna.user["token"])}, status=401)
