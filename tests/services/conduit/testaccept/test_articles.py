"""Articles, their lists, tags and favorites."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from testaccept.accounts import Account, make_name


def test_write_and_read(anna: Account, nobody: Account) -> None:
    """An article is answered as it was written, with its author, dates and an address of its own."""
    new = {
        "title": "Дракон 🐉 & <b>Как</b>",
        "description": "NUL \x00, tab \t and 'quotes\"",
        "body": "Ünïcödé\n" * 100,
        "tagList": ["дом", "a", "🐉"],
    }
    article = anna.call("POST", "/articles", {"article": new}, status=201)["article"]
    assert {key: article[key] for key in new} == new
    assert article["author"] == {"username": anna.name, "bio": None, "image": None, "following": False}
    assert (article["favorited"], article["favoritesCount"]) == (False, 0)
    assert article["createdAt"] == article["updatedAt"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(article["createdAt"])) < timedelta(minutes=5)
    assert nobody.call("GET", f"/articles/{article['slug']}")["article"] == article


def test_title_of_symbols(anna: Account, nobody: Account) -> None:
    """A title without letters or digits still gets an address."""
    article = anna.write("!!! ???")
    assert nobody.call("GET", f"/articles/{article['slug']}")["article"]["title"] == "!!! ???"


def test_title_feed(anna: Account, nobody: Account) -> None:
    """An article called like another path does not hide it."""
    article = anna.write("Feed")
    assert nobody.call("GET", f"/articles/{article['slug']}")["article"]["title"] == "Feed"


def test_same_title(anna: Account) -> None:
    """Articles of the same title, written at once, have different addresses."""
    title = make_name("title")
    with ThreadPoolExecutor(6) as pool:
        slugs = set(pool.map(lambda _: anna.write(title)["slug"], range(6)))
    assert len(slugs) == 6
    assert title in slugs


def test_long_text(anna: Account) -> None:
    """The longest text that is allowed comes back whole; one letter more is refused."""
    new = {"title": "x" * 200, "description": "y" * 500, "body": "🐉" * 20_000, "tagList": ["z" * 64] * 20}
    article = anna.call("POST", "/articles", {"article": new}, status=201)["article"]
    assert (article["title"], article["body"], article["tagList"]) == (new["title"], new["body"], ["z" * 64])
    for field in ("title", "description", "body"):
        anna.call("POST", "/articles", {"article": new | {field: str(new[field]) + "x"}}, status=422)
    anna.call("POST", "/articles", {"article": new | {"tagList": ["z"] * 21}}, status=422)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"title": ""}, id="empty title"),
        pytest.param({"title": None}, id="null as title"),
        pytest.param({"body": 1}, id="number as body"),
        pytest.param({"tagList": "a"}, id="text as tags"),
        pytest.param({"tagList": [""]}, id="empty tag"),
        pytest.param({"tagList": [None]}, id="null as tag"),
    ],
)
def test_broken_article(anna: Account, changes: dict[str, object]) -> None:
    """An article with one broken field is refused."""
    new = {"title": "T", "description": "d", "body": "b"} | changes
    anna.call("POST", "/articles", {"article": new}, status=422)


def test_change(anna: Account) -> None:
    """A new title moves the article; other fields change in place; what is not sent stays."""
    article = anna.write(make_name("old"), ["tag"])
    path = f"/articles/{article['slug']}"
    changed = anna.call("PUT", path, {"article": {"body": "new"}})["article"]
    assert changed == article | {"body": "new", "updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] > article["updatedAt"]
    title = make_name("new")
    changed = anna.call("PUT", path, {"article": {"title": title}})["article"]
    assert (changed["title"], changed["slug"], changed["body"]) == (title, title, "new")
    anna.call("GET", path, status=404)
    assert anna.call("GET", f"/articles/{title}")["article"] == changed


def test_only_the_author(anna: Account, ben: Account) -> None:
    """Nobody but the author changes or removes an article."""
    article = anna.write()
    path = f"/articles/{article['slug']}"
    ben.call("PUT", path, {"article": {"body": "stolen"}}, status=403)
    ben.call("DELETE", path, status=403)
    assert anna.call("GET", path)["article"] == article
    anna.call("DELETE", path, status=204)
    anna.call("GET", path, status=404)
    anna.call("DELETE", path, status=404)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("GET", "", None, id="read"),
        pytest.param("PUT", "", {"article": {"body": "x"}}, id="change"),
        pytest.param("DELETE", "", None, id="remove"),
        pytest.param("POST", "/favorite", None, id="favorite"),
        pytest.param("DELETE", "/favorite", None, id="no favorite"),
        pytest.param("GET", "/comments", None, id="comments"),
        pytest.param("POST", "/comments", {"comment": {"body": "x"}}, id="comment"),
        pytest.param("DELETE", "/comments/1", None, id="remove comment"),
    ],
)
def test_unknown_article(anna: Account, method: str, path: str, body: Any) -> None:
    """An article that does not exist is answered with 404."""
    anna.call(method, f"/articles/{make_name()}{path}", body, status=404)


def test_filters(anna: Account, ben: Account, nobody: Account) -> None:
    """Lists are filtered by tag, author and favorite, also together; what nobody knows gives nothing."""
    tag = make_name("🐉 tag")
    one, two, three = anna.write(tags=[tag, "x"])["slug"], anna.write()["slug"], ben.write(tags=[tag])["slug"]
    anna.call("POST", f"/articles/{three}/favorite")
    assert nobody.find(tag=tag) == [three, one]
    assert nobody.find(author=anna.name) == [two, one]
    assert nobody.find(favorited=anna.name) == [three]
    assert nobody.find(tag=tag, author=anna.name) == [one]
    assert nobody.find(favorited=anna.name, author=anna.name) == []
    assert nobody.find(tag=make_name()) == []
    assert nobody.find(author=make_name()) == []
    assert nobody.find(favorited=make_name()) == []
    assert nobody.find(author="\x00' OR 1=1 --", tag="🐉") == []


def test_pages(anna: Account, nobody: Account) -> None:
    """Pages are cut from the list, newest first; the number of all articles is on each of them."""
    slugs = [anna.write()["slug"] for _ in range(5)][::-1]
    for limit, offset in ((2, 0), (2, 4), (100, 0), (1, 5), (5, 1_000_000_000)):
        page = nobody.call("GET", "/articles", params={"author": anna.name, "limit": limit, "offset": offset})
        assert [article["slug"] for article in page["articles"]] == slugs[offset : offset + limit]
        assert page["articlesCount"] == 5
    assert len(nobody.call("GET", "/articles")["articles"]) <= 20


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize(
    "value",
    [
        *["-1", "x", "", "1.5", "1e3", "0x10", "null"],
        pytest.param("9" * 30, id="huge"),
        pytest.param("9" * 5000, id="gigantic"),
        pytest.param("\u0661", id="Arabic digit"),
        pytest.param("\x00", id="NUL"),
    ],
)
def test_broken_pages(nobody: Account, name: str, value: str) -> None:
    """A limit or offset that is no number in range is refused."""
    nobody.call("GET", "/articles", params={name: value}, status=422)


@pytest.mark.parametrize(
    "slug", [*["a%00b", "A", "%F0%9F%90%89", "a%20b", "%ED%A0%80", "..a", "a--b"], pytest.param("x" * 121, id="long")]
)
def test_broken_slug(nobody: Account, slug: str) -> None:
    """An address that no article can have is refused."""
    nobody.call("GET", f"/articles/{slug}", status=422)


def test_favorites(anna: Account, ben: Account, nobody: Account) -> None:
    """Marks are counted once per user and shown to the user who set them."""
    path = f"/articles/{anna.write()['slug']}"
    for _ in range(2):
        marked = anna.call("POST", f"{path}/favorite")["article"]
        assert (marked["favorited"], marked["favoritesCount"]) == (True, 1)
    marked = ben.call("POST", f"{path}/favorite")["article"]
    assert (marked["favorited"], marked["favoritesCount"]) == (True, 2)
    for _ in range(2):
        marked = ben.call("DELETE", f"{path}/favorite")["article"]
        assert (marked["favorited"], marked["favoritesCount"]) == (False, 1)
    assert anna.call("GET", path)["article"]["favorited"] is True
    seen = nobody.call("GET", path)["article"]
    assert (seen["favorited"], seen["favoritesCount"]) == (False, 1)


def test_tags(anna: Account, nobody: Account) -> None:
    """Each tag of an article is listed once, until no article has it any more."""
    tag = make_name("tag 🐉")
    slugs = [anna.write(tags=[tag, tag])["slug"] for _ in range(2)]
    assert nobody.call("GET", "/tags")["tags"].count(tag) == 1
    for slug in slugs:
        anna.call("DELETE", f"/articles/{slug}", status=204)
    assert tag not in nobody.call("GET", "/tags")["tags"]
