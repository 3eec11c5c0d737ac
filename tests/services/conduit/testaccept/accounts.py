"""Calls Conduit as one user, or as nobody."""

from __future__ import annotations

import secrets
from typing import Any

import requests

PASSWORD = "correct horse battery"
_LEAKS = ("Traceback (most recent call last)", 'File "', "sqlalchemy", "sqlite3", "scrypt:")


class Account:
    """One user's calls. Every answer is checked for what all answers have in common."""

    def __init__(self, http: requests.Session, base_url: str, *, user: dict[str, Any] | None = None) -> None:
        """Call *base_url* as *user*, the body of a registration or login, or as nobody."""
        self._http = http
        self._base_url = base_url.rstrip("/")
        self.user = user or {}

    @property
    def name(self) -> str:
        """The username."""
        return str(self.user["username"])

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request and return the answer, whatever its status below 500."""
        headers = options.pop("headers", {})
        if self.user and "Authorization" not in headers:
            headers["Authorization"] = f"Token {self.user['token']}"
        response = self._http.request(method, self._base_url + path, headers=headers, timeout=30, **options)
        assert response.status_code < 500, response.text
        assert response.headers["X-Request-Id"]
        for leak in _LEAKS:
            assert leak not in response.text
        return response

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any) -> Any:
        """Send one request, insist on *status* and return the answer's JSON, None without a body.

        Errors must have Conduit's shape; the messages are returned then.
        """
        response = self.send(method, path, json=body, **options)
        assert response.status_code == status, response.text
        if status == 204:
            assert response.content == b""
            return None
        if status < 400:
            return response.json()
        messages = response.json()["errors"]["body"]
        assert messages
        assert all(isinstance(message, str) for message in messages)
        return messages

    def write(self, title: str = "A title", tags: list[str] | None = None) -> dict[str, Any]:
        """Write an article and return it."""
        new = {"title": title, "description": "What it is about", "body": "What it says", "tagList": tags or []}
        article: dict[str, Any] = self.call("POST", "/articles", {"article": new}, status=201)["article"]
        return article

    def find(self, **filters: Any) -> list[str]:
        """Return the slugs of the articles that the filters leave."""
        return [article["slug"] for article in self.call("GET", "/articles", params=filters)["articles"]]


def make_name(prefix: str = "user") -> str:
    """Return a name that nobody has."""
    return f"{prefix}-{secrets.token_hex(8)}"


def register(http: requests.Session, base_url: str, prefix: str = "user") -> Account:
    """Register a new user and return the account."""
    name = make_name(prefix)
    new = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    user = Account(http, base_url).call("POST", "/users", {"user": new}, status=201)["user"]
    return Account(http, base_url, user=user)
