"""The database holds under several threads and processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from conduit import articles, comments, users
from conduit.articles import Page
from conduit.database import Database
from conduit.errors import ForbiddenError, NotFoundError, TakenError
from conduit.tables import ArticleRow, CommentRow, Favorite, TagRow, UserRow

SERVICE = Path(__file__).parents[1]
EVERYTHING = Page(limit=100, offset=0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Give an empty database."""
    database = Database(tmp_path / "conduit.db")
    yield database
    database.close()


def _add_users(database: Database, *names: str) -> None:
    with database.write() as session:
        for name in names:
            users.add_user(session, username=name, email=f"{name}@example.com", password_hash="x")


def _add_article(database: Database, author: str, title: str, tags: tuple[str, ...] = ()) -> str:
    with database.write() as session:
        user = users.get_user(session, author)
        return articles.add_article(session, user, title=title, description="d", body="b", tags=tags).slug


def _run_together(count: int, function: Callable[[int], object]) -> list[object]:
    """Call *function* in *count* threads at once; return results and exceptions."""
    barrier = threading.Barrier(count)
    results: list[object] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
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
def test_taken(database: Database, username: str, email: str, taken: str) -> None:
    """A username or email cannot be used twice, and the error says which."""
    _add_users(database, "anna")
    with pytest.raises(TakenError, match=f"^This {taken} is taken$"), database.write() as session:
        users.add_user(session, username=username, email=email, password_hash="x")
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(UserRow)) == 1


def test_concurrent_duplicates(database: Database) -> None:
    """Of several registrations of one name at once, one wins and the others are told that it is taken."""

    def register(number: int) -> None:
        with database.write() as session:
            users.add_user(session, username="anna", email=f"{number}@example.com", password_hash="x")

    results = _run_together(8, register)
    assert [type(result) for result in results if result is not None] == [TakenError] * 7


def test_concurrent_slugs(database: Database) -> None:
    """Articles of one title written at once all get a slug of their own."""
    _add_users(database, "anna")
    slugs = _run_together(8, lambda _: _add_article(database, "anna", "Same title"))
    assert len(set(slugs)) == 8
    assert "same-title" in slugs


def test_concurrent_marks(database: Database) -> None:
    """Marks set and taken off by several threads at once end in one row or none, without an error."""
    _add_users(database, "anna", "ben")
    slug = _add_article(database, "anna", "T")

    def change(number: int) -> None:
        with database.write() as session:
            viewer = users.get_user(session, "ben")
            change = articles.remove_favorite if number % 3 == 0 else articles.add_favorite
            change(session, viewer, articles.get_article(session, slug))

    assert _run_together(9, change) == [None] * 9
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Favorite)) in {0, 1}


def test_new_file_in_several_processes(tmp_path: Path) -> None:
    """Several processes that open a file that does not exist yet all succeed."""
    code = (
        f"from pathlib import Path; from conduit.database import Database; Database(Path({str(tmp_path / 'new.db')!r}))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=SERVICE) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4


def test_foreign_keys(database: Database) -> None:
    """An article takes its comments, tags and favorites with it."""
    _add_users(database, "anna")
    slug = _add_article(database, "anna", "T", ("a", "b"))
    with database.write() as session:
        viewer = users.get_user(session, "anna")
        article = articles.get_article(session, slug)
        comments.add_comment(session, article, viewer, "c")
        articles.add_favorite(session, viewer, article)
    with database.write() as session:
        session.delete(articles.get_article(session, slug))
    with database.read() as session:
        for table in (ArticleRow, CommentRow, TagRow, Favorite):
            assert session.scalar(select(func.count()).select_from(table)) == 0


def test_rollback(database: Database) -> None:
    """A block that raises leaves nothing behind."""

    def fail() -> None:
        with database.write() as session:
            users.add_user(session, username="anna", email="a@example.com", password_hash="x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as session, pytest.raises(NotFoundError):
        users.get_user(session, "anna")


def test_wal(database: Database) -> None:
    """Readers do not wait for a writer and see the state before it."""
    with database.write() as writing:
        users.add_user(writing, username="anna", email="a@example.com", password_hash="x")
        with database.read() as reading:
            assert reading.scalar(text("PRAGMA journal_mode")) == "wal"
            assert reading.scalar(select(func.count()).select_from(UserRow)) == 0


def test_no_values_in_errors(database: Database) -> None:
    """The message of a failed statement does not show its values, which may be secrets."""
    _add_users(database, "anna")
    with pytest.raises(TakenError) as caught, database.write() as session:
        users.add_user(session, username="anna", email="secret@example.com", password_hash="secret-hash")
    assert "secret" not in repr(caught.value.__cause__)


def test_pages(database: Database) -> None:
    """Lists are newest first, cut into pages, with the number of all."""
    _add_users(database, "anna")
    for number in range(5):
        _add_article(database, "anna", f"T{number}")
    with database.read() as session:
        views, total = articles.list_articles(session, None, [], Page(limit=2, offset=1))
    assert [view.article.slug for view in views] == ["t3", "t2"]
    assert total == 5


def test_conditions(database: Database) -> None:
    """Articles are found by tag, author, favorite and feed; several conditions must all hold."""
    _add_users(database, "anna", "ben")
    one = _add_article(database, "anna", "One", ("x", "y", "x"))
    two = _add_article(database, "ben", "Two", ("y",))
    with database.write() as session:
        anna, ben = users.get_user(session, "anna"), users.get_user(session, "ben")
        articles.add_favorite(session, anna, articles.get_article(session, two))
        users.follow(session, ben, anna)

    with database.read() as session:
        anna, ben = users.get_user(session, "anna"), users.get_user(session, "ben")

        def find(*conditions: object) -> list[str]:
            views, _ = articles.list_articles(session, ben, conditions, EVERYTHING)  # type: ignore[arg-type]
            return [view.article.slug for view in views]

        assert find(articles.has_tag("y")) == [two, one]
        assert find(articles.has_tag("y"), articles.is_written_by("anna")) == [one]
        assert find(articles.is_favorite_of("anna")) == [two]
        assert find(articles.is_in_feed_of(ben)) == [one]
        assert find(articles.is_in_feed_of(anna)) == []
        assert articles.list_tags(session) == ["y", "x"]
        view = articles.view_article(session, one, ben)
        assert [tag.tag for tag in view.article.tags] == ["x", "y"]
        assert (view.favorites_count, view.is_favorite, view.is_author_followed) == (0, False, True)
        view = articles.view_article(session, two, anna)
        assert (view.favorites_count, view.is_favorite, view.is_author_followed) == (1, True, False)


def test_only_own(database: Database) -> None:
    """Articles and comments of others are out of reach, and a comment is only found under its article."""
    _add_users(database, "anna", "ben")
    slug, other = _add_article(database, "anna", "One"), _add_article(database, "anna", "Two")
    with database.write() as session:
        anna, ben = users.get_user(session, "anna"), users.get_user(session, "ben")
        article = articles.get_article(session, slug)
        comment = comments.add_comment(session, article, anna, "c")
        with pytest.raises(ForbiddenError):
            articles.get_own_article(session, slug, ben)
        with pytest.raises(ForbiddenError):
            comments.remove_comment(session, article, comment.id, ben)
        with pytest.raises(NotFoundError):
            comments.remove_comment(session, articles.get_article(session, other), comment.id, anna)
        comments.remove_comment(session, article, comment.id, anna)
        assert comments.list_comments(session, article, anna) == []


def test_change(database: Database) -> None:
    """A new title gives a new slug, the same title does not, and a change of nothing leaves the date alone."""
    _add_users(database, "anna")
    slug = _add_article(database, "anna", "One")
    with database.write() as session:
        article = articles.get_article(session, slug)
        before = article.updated_at
        articles.change_article(session, article, {})
        assert (article.slug, article.updated_at) == ("one", before)
        articles.change_article(session, article, {"title": "One", "body": "new"})
        assert (article.slug, article.body) == ("one", "new")
        assert article.updated_at > before
        articles.change_article(session, article, {"title": "Two"})
        assert article.slug == "two"


def test_odd_text(database: Database) -> None:
    """NUL, quotes and emoji come back as they went in."""
    _add_users(database, "anna")
    title = "a\x00b'\"; DROP TABLE users; -- 🐉 é\u202e"
    slug = _add_article(database, "anna", title, ("\x00", "🐉"))
    with database.read() as session:
        article = articles.get_article(session, slug)
        assert article.title == title
        assert [tag.tag for tag in article.tags] == ["\x00", "🐉"]
