"""Items, as a caller sees them: these tests know the service's URL and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

TEAPOT = {
    "name": "Teapot",
    "description": None,
    "price_cents": 2900,
    "tags": ["kitchen"],
}


class Caller:
    """Calls the service as one user."""

    def __init__(self, http: requests.Session, token: str) -> None:
        """Sign what is sent with *token*."""
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, status: int, **options: Any) -> Any:
        """Send a request, insist on *status*, return the JSON if there is any."""
        answer = self._http.request(method, path, headers=self._headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
def ada(http: requests.Session, token: Callable[..., str]) -> Caller:
    """Give a user with a good token."""
    return Caller(http, token("ada"))


def test_an_item_lives(ada: Caller) -> None:
    """An item is created, read, replaced and deleted."""
    item = ada.call("POST", "/items", 201, json=TEAPOT)
    path = f"/items/{item['id']}"
    assert {key: item[key] for key in TEAPOT} == TEAPOT
    assert ada.call("GET", path, 200) == item
    new = {"name": "Tea for two", "description": "A pot, cups", "price_cents": 3900}
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


def test_many_callers(ada: Caller) -> None:
    """Items that are written at the same time do not get in each other's way."""

    def live(number: int) -> int:
        new = {"name": f"Item {number}", "price_cents": number}
        item = ada.call("POST", "/items", 201, json=new)
        path = f"/items/{item['id']}"
        assert ada.call("GET", path, 200) == item
        assert ada.call("GET", "/items", 200, params={"limit": 5})["items"]
        ada.call("DELETE", path, 204)
        assert (item["name"], item["price_cents"]) == (new["name"], number)
        return int(item["id"])

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(live, range(80)))) == 80


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


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/items"), ("PUT", "/items/1"), ("DELETE", "/items/1")],
)
def test_writing_needs_a_token(http: requests.Session, method: str, path: str) -> None:
    """Without a token nothing changes."""
    assert http.request(method, path, json=TEAPOT).status_code == 401
