"""Items, as a caller sees them: these tests know the service's URL and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from pymacaron.auth import generate_token

TEAPOT = {
    "name": "Teapot",
    "description": None,
    "price_cents": 2900,
    "tags": ["kitchen"],
}


class Caller:
    """Calls the service as one user."""

    def __init__(self, http: requests.Session, base_url: str, token: str) -> None:
        """Sign what is sent to *base_url* with *token*."""
        self._http = http
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, status: int, **options: Any) -> Any:
        """Send a request, insist on *status*, return the JSON if there is any."""
        url = f"{self._base_url}{path}"
        answer = self._http.request(
            method, url, headers=self._headers, timeout=10, **options
        )
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
def ada(http: requests.Session, base_url: str) -> Caller:
    """Give a user with a good token."""
    return Caller(http, base_url, generate_token("ada"))


def test_an_item_lives(ada: Caller) -> None:
    """An item is created, read, replaced and deleted."""
    item = ada.call("POST", "/items", 201, json=TEAPOT)
    path = f"/items/{item['id']}"
    assert {key: item[key] for key in TEAPOT} == TEAPOT
    assert ada.call("GET", path, 200) == item
    new = {"name": "Teapot, large", "price_cents": 3900}
    replaced = ada.call("PUT", path, 200, json=new)
    assert replaced == {"id": item["id"], "created_at": item["created_at"], **new}
    assert ada.call("GET", path, 200) == replaced
    ada.call("DELETE", path, 204)
    for method, options in (("GET", {}), ("PUT", {"json": TEAPOT}), ("DELETE", {})):
        error = ada.call(method, path, 404, **options)
        assert error["error"] == "ITEM_NOT_FOUND"


def test_pages(ada: Caller) -> None:
    """Pages show all items, oldest first, none of them twice."""
    mine = [ada.call("POST", "/items", 201, json=TEAPOT)["id"] for _ in range(3)]
    seen: list[int] = []
    while True:
        page = ada.call(
            "GET", "/items", 200, params={"limit": 100, "offset": len(seen)}
        )
        seen += [item["id"] for item in page["items"]]
        if len(page["items"]) < 100:
            break
    assert [number for number in seen if number in mine] == mine
    first = ada.call("GET", "/items", 200, params={"limit": 1})
    assert [item["id"] for item in first["items"]] == seen[:1]
    for number in mine:
        ada.call("DELETE", f"/items/{number}", 204)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"name": ""}, id="empty name"),
        pytest.param({"name": None}, id="no name"),
        pytest.param({"price_cents": "2900"}, id="price as text"),
        pytest.param({"price_cents": -1}, id="negative price"),
        pytest.param({"tags": ["Big Letters"]}, id="bad tag"),
        pytest.param({"colour": "red"}, id="unknown field"),
    ],
)
def test_a_broken_item_is_refused(ada: Caller, change: dict[str, Any]) -> None:
    """What breaks the document never reaches the handlers."""
    error = ada.call("POST", "/items", 400, json={**TEAPOT, **change})
    assert error["error"] == "INVALID_PARAMETER"


def test_writing_needs_a_token(http: requests.Session, base_url: str) -> None:
    """Without a token nothing changes."""
    for method, path in (
        ("POST", "/items"),
        ("PUT", "/items/1"),
        ("DELETE", "/items/1"),
    ):
        answer = http.request(method, f"{base_url}{path}", json=TEAPOT, timeout=10)
        assert answer.status_code == 401
