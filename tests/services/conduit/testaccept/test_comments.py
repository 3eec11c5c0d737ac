"""Comments under articles."""

from __future__ import annotations

from typing import Any

import pytest

from testaccept.accounts import Account


def test_comment(anna: Account, ben: Account, nobody: Account) -> None:
    """Comments are answered as they were written and listed newest first, with the viewer's view of the author."""
    path = f"/articles/{anna.write()['slug']}/comments"
    assert nobody.call("GET", path) == {"comments": []}
    first = ben.call("POST", path, {"comment": {"body": "Шедевр 🐉\x00\n<script>"}})["comment"]
    assert first["body"] == "Шедевр 🐉\x00\n<script>"
    assert first["author"] == {"username": ben.name, "bio": None, "image": None, "following": False}
    second = anna.call("POST", path, {"comment": {"body": "x" * 5000}})["comment"]
    assert nobody.call("GET", path) == {"comments": [second, first]}
    anna.call("POST", f"/profiles/{ben.name}/follow")
    assert [comment["author"]["following"] for comment in anna.call("GET", path)["comments"]] == [False, True]


def test_only_the_author(anna: Account, ben: Account, nobody: Account) -> None:
    """Only who wrote a comment removes it, not even the author of the article."""
    article, other = anna.write()["slug"], anna.write()["slug"]
    comment = ben.call("POST", f"/articles/{article}/comments", {"comment": {"body": "mine"}})["comment"]
    path = f"/articles/{article}/comments/{comment['id']}"
    nobody.call("DELETE", path, status=401)
    anna.call("DELETE", path, status=403)
    ben.call("DELETE", f"/articles/{other}/comments/{comment['id']}", status=404)
    ben.call("DELETE", path, status=204)
    ben.call("DELETE", path, status=404)
    assert nobody.call("GET", f"/articles/{article}/comments") == {"comments": []}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no comment"),
        pytest.param({"comment": {}}, id="no body"),
        pytest.param({"comment": {"body": ""}}, id="empty body"),
        pytest.param({"comment": {"body": None}}, id="null as body"),
        pytest.param({"comment": {"body": "x" * 5001}}, id="long body"),
    ],
)
def test_broken_comment(anna: Account, body: Any) -> None:
    """A broken comment is refused."""
    anna.call("POST", f"/articles/{anna.write()['slug']}/comments", body, status=422)


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.0", "9" * 20, "%00"])
def test_broken_number(anna: Account, number: str) -> None:
    """A number that no comment can have is refused."""
    anna.call("DELETE", f"/articles/{anna.write()['slug']}/comments/{number}", status=422)


def test_removed_article(anna: Account) -> None:
    """An article takes its comments with it."""
    path = f"/articles/{anna.write()['slug']}"
    anna.call("POST", f"{path}/comments", {"comment": {"body": "c"}})
    anna.call("DELETE", path, status=204)
    anna.call("GET", f"{path}/comments", status=404)
