"""Profiles and following."""

from __future__ import annotations

from testaccept.accounts import Account, make_name


def test_follow(anna: Account, ben: Account, nobody: Account) -> None:
    """Following shows in the profile for the follower only, and twice is as good as once."""
    path = f"/profiles/{ben.name}"
    assert anna.call("GET", path)["profile"]["following"] is False
    for _ in range(2):
        assert anna.call("POST", f"{path}/follow")["profile"]["following"] is True
    assert anna.call("GET", path)["profile"]["following"] is True
    assert ben.call("GET", path)["profile"]["following"] is False
    assert nobody.call("GET", path)["profile"]["following"] is False
    for _ in range(2):
        assert anna.call("DELETE", f"{path}/follow")["profile"]["following"] is False
    assert anna.call("GET", path)["profile"]["following"] is False


def test_unknown_user(anna: Account) -> None:
    """A user who does not exist has no profile and cannot be followed."""
    path = f"/profiles/{make_name()}"
    anna.call("GET", path, status=404)
    anna.call("POST", f"{path}/follow", status=404)
    anna.call("DELETE", f"{path}/follow", status=404)


def test_feed(anna: Account, ben: Account) -> None:
    """The feed holds the articles of followed users, newest first, in pages."""
    assert anna.call("GET", "/articles/feed") == {"articles": [], "articlesCount": 0}
    slugs = [ben.write(f"Feed {number}")["slug"] for number in range(3)]
    anna.write()
    anna.call("POST", f"/profiles/{ben.name}/follow")
    feed = anna.call("GET", "/articles/feed")
    assert [article["slug"] for article in feed["articles"]] == slugs[::-1]
    assert feed["articlesCount"] == 3
    assert all(article["author"]["following"] for article in feed["articles"])
    assert all("body" not in article for article in feed["articles"])
    page = anna.call("GET", "/articles/feed", params={"limit": 1, "offset": 1})
    assert [article["slug"] for article in page["articles"]] == [slugs[1]]
    assert page["articlesCount"] == 3
    anna.call("DELETE", f"/profiles/{ben.name}/follow")
    assert anna.call("GET", "/articles/feed")["articles"] == []
