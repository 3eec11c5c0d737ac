"""What is kept holds under several threads and processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from apis.conduit_models import NewArticle, NewComment
from conduit import articles, comments, users
from conduit.articles import Page
from conduit.errors import ForbiddenError, NotFoundError, TakenError
from conduit.storage import Account, Favorite, Follow, Name, StoredArticle, StoredComment, Tag
from pymacaron.persistence import Persistent, open_store, transaction, using_store
from pymacaron.persistence.sql import SqlStore

SERVICE = Path(__file__).parents[1]
EVERYTHING = Page(limit=100, offset=0)


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[SqlStore]:
    """Give an empty database."""
    store = open_store(f"sqlite:///{tmp_path}/conduit.db", timeout_s=20)
    assert isinstance(store, SqlStore)
    with using_store(store):
        yield store
    store.close()


def _add_user(name: str) -> Account:
    return users.add_user(username=name, email=f"{name}@example.com", password_hash="x")


def _add_article(author: Account, title: str, tags: tuple[str, ...] = ()) -> StoredArticle:
    return articles.add_article(author, NewArticle(title=title, description="d", body="b", tagList=list(tags)))


def _count(store: SqlStore, model: type[Persistent]) -> int:
    (row,) = store.fetch(select(func.count().label("count")).select_from(store.table_of(model)))
    return int(row["count"])


def _run_together(store: SqlStore, count: int, function: Callable[[int], object]) -> list[object]:
    """Call *function* in *count* threads at once; return results and exceptions."""
    barrier = threading.Barrier(count)
    results: list[object] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            with using_store(store):
                results.append(function(number))
        except Exception as error:  # noqa: BLE001 - compared by the test
            results.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize(
    ("username", "email", "taken"),
    [
        pytest.param("anna", "other@example.com", "username", id="username"),
        pytest.param("other", "ANNA@Example.com", "email", id="email in another case"),
    ],
)
def test_taken(store: SqlStore, username: str, email: str, taken: str) -> None:
    """A username or email cannot be used twice, the error says which, and nothing of the second user is kept."""
    _add_user("anna")
    with pytest.raises(TakenError, match=f"^This {taken} is taken$"):
        users.add_user(username=username, email=email, password_hash="x")
    assert (_count(store, Account), _count(store, Name)) == (1, 2)


def test_concurrent_duplicates(store: SqlStore) -> None:
    """Of several registrations of one name at once, one wins and the others are told that it is taken."""

    def register(number: int) -> None:
        users.add_user(username="anna", email=f"{number}@example.com", password_hash="x")

    results = _run_together(store, 8, register)
    assert [type(result) for result in results if result is not None] == [TakenError] * 7


def test_concurrent_slugs(store: SqlStore) -> None:
    """Articles of one title written at once all get a slug of their own."""
    anna = _add_user("anna")
    slugs = _run_together(store, 8, lambda _: _add_article(anna, "Same title").slug)
    assert len(set(slugs)) == 8
    assert "same-title" in slugs


def test_concurrent_marks(store: SqlStore) -> None:
    """Marks set and taken off by several threads at once end in one object or none, without an error."""
    ben, article = _add_user("ben"), _add_article(_add_user("anna"), "T")

    def change(number: int) -> None:
        mark = Favorite(user=ben.id, article=article.id)
        with transaction():
            if number % 3:
                mark.save_to_db()
            elif Favorite.exists((ben.id, article.id)):
                mark.delete_from_db()

    assert _run_together(store, 9, change) == [None] * 9
    assert _count(store, Favorite) in {0, 1}


def test_new_file_in_several_processes(tmp_path: Path) -> None:
    """Several processes that write into a file that does not exist yet all succeed."""
    code = (
        "import sys; from conduit import users; from pymacaron.persistence import open_store, using_store\n"
        f"with using_store(open_store('sqlite:///{tmp_path}/new.db', timeout_s=20)):\n"
        "    users.add_user(username=sys.argv[1], email=sys.argv[1], password_hash='x')"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, f"user{n}"], cwd=SERVICE) for n in range(4)]
    assert [process.wait() for process in processes] == [0] * 4


def test_removing(store: SqlStore) -> None:
    """An article takes its comments, tags and favorites with it, and its slug is free again."""
    anna = _add_user("anna")
    article, other = _add_article(anna, "T", ("a", "b")), _add_article(anna, "Other", ("a",))
    for each in (article, other):
        comments.add_comment(each, anna, NewComment(body="c"))
        Favorite(user=anna.id, article=each.id).save_to_db()
    articles.remove_article(article)
    assert [_count(store, model) for model in (StoredArticle, StoredComment, Tag, Favorite)] == [1] * 4
    assert _add_article(anna, "T").slug == "t"


def test_pages() -> None:
    """Lists are newest first, cut into pages, with the number of all."""
    anna = _add_user("anna")
    for number in range(5):
        _add_article(anna, f"T{number}")
    found, total = articles.list_articles([], Page(limit=2, offset=1))
    assert [article.slug for article in found] == ["t3", "t2"]
    assert total == 5


def test_conditions() -> None:
    """Articles are found by tag, author, favorite and feed; several conditions must all hold."""
    anna, ben = _add_user("anna"), _add_user("ben")
    one, two = _add_article(anna, "One", ("x", "y", "x")), _add_article(ben, "Two", ("y",))
    Favorite(user=anna.id, article=two.id).save_to_db()
    Follow(follower=ben.id, followed=anna.id).save_to_db()

    def find(*chosen: object) -> list[str]:
        return [article.slug for article in articles.list_articles(list(chosen), EVERYTHING)[0]]  # type: ignore[arg-type]

    assert find(articles.with_tag("y")) == ["two", "one"]
    assert find(articles.with_tag("y"), articles.written_by("anna")) == ["one"]
    assert find(articles.favorites_of("anna")) == ["two"]
    assert find(articles.feed_of(ben)) == ["one"]
    assert find(articles.feed_of(anna)) == []
    assert articles.list_tags() == ["y", "x"]
    assert articles.get_article("one").content.tagList == ["x", "y"]
    assert articles.count_favorites([one, two]) == {two.id: 1}


def test_only_own() -> None:
    """Articles and comments of others are out of reach, and a comment is only found under its article."""
    anna, ben = _add_user("anna"), _add_user("ben")
    article, other = _add_article(anna, "One"), _add_article(anna, "Two")
    comment = comments.add_comment(article, anna, NewComment(body="c"))
    with pytest.raises(ForbiddenError):
        articles.get_own_article("one", ben)
    with pytest.raises(ForbiddenError):
        comments.remove_comment(article, comment.id, ben)
    with pytest.raises(NotFoundError):
        comments.remove_comment(other, comment.id, anna)
    comments.remove_comment(article, comment.id, anna)
    assert comments.list_comments(article) == []


def test_changed_users() -> None:
    """A user keeps what is not changed, and a name that was given up is free; nothing but the known can be set."""
    anna = _add_user("anna")
    users.change_user(anna, {"username": "anne", "bio": "b", "id": 1, "about": {}})
    assert users.get_user("anne") == anna
    assert (anna.email, anna.about, anna.id == 1) == ("anna@example.com", {"bio": "b", "image": None}, False)
    with pytest.raises(NotFoundError):
        users.get_user("anna")
    users.change_user(anna, {"email": "ANNA@example.com"})
    with pytest.raises(TakenError):
        _add_user("anna")
    with pytest.raises(TakenError):
        users.change_user(_add_user("ben"), {"username": "anne"})


def test_change() -> None:
    """A new title gives a new slug, the same title does not, and a change of nothing leaves the date alone."""
    article = _add_article(_add_user("anna"), "One")
    before = article.updated_at
    articles.change_article(article, {})
    assert (article.slug, article.updated_at) == ("one", before)
    articles.change_article(article, {"title": "One", "body": "new"})
    assert (article.slug, article.content.body) == ("one", "new")
    assert article.updated_at > before
    articles.change_article(article, {"title": "Two"})
    assert articles.get_article("two") == article
    with pytest.raises(NotFoundError):
        articles.get_article("one")


def test_odd_text() -> None:
    """NUL, quotes and emoji come back as they went in."""
    title = "a\x00b'\"; DROP TABLE users; -- 🐉 é\u202e"
    slug = _add_article(_add_user("anna"), title, ("\x00", "🐉")).slug
    article = articles.get_article(slug)
    assert (article.content.title, article.content.tagList) == (title, ["\x00", "🐉"])
    assert articles.list_articles([articles.with_tag("\x00")], EVERYTHING) == ([article], 1)
