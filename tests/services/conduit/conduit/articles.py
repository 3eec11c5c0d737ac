"""Writes, finds and lists articles, and keeps whose favorites they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, delete, exists, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from conduit.errors import ForbiddenError, NotFoundError
from conduit.slugs import add_suffix, make_slug
from conduit.tables import ArticleRow, Favorite, Follow, TagRow, UserRow, now

_NOBODY = 0  # ids of users begin at 1


@dataclass(frozen=True, slots=True)
class ArticleView:
    """An article as one viewer sees it."""

    article: ArticleRow
    favorites_count: int
    is_favorite: bool
    is_author_followed: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, newest first. limit: articles at most; offset: articles skipped."""

    limit: int
    offset: int


def add_article(
    session: Session, author: UserRow, *, title: str, description: str, body: str, tags: Sequence[str]
) -> ArticleRow:
    """Add an article with a slug of its own; of equal tags the first one counts."""
    moment = now()
    article = ArticleRow(
        created_at=moment,
        updated_at=moment,
        slug=_find_free_slug(session, title),
        title=title,
        description=description,
        body=body,
        author=author,
        tags=[TagRow(tag=tag, position=position) for position, tag in enumerate(dict.fromkeys(tags))],
    )
    session.add(article)
    session.flush()
    return article


def change_article(session: Session, article: ArticleRow, changes: Mapping[str, str]) -> None:
    """Set title, description or body of *article*; a new title gives a new slug."""
    if changes.get("title", article.title) != article.title:
        article.slug = _find_free_slug(session, changes["title"])
    for name, value in changes.items():
        setattr(article, name, value)
    if changes:
        article.updated_at = now()
    session.flush()


def get_article(session: Session, slug: str) -> ArticleRow:
    """Return the article. Raises NotFoundError."""
    article = session.scalar(select(ArticleRow).where(ArticleRow.slug == slug))
    if article is None:
        raise NotFoundError("There is no article with this slug")
    return article


def get_own_article(session: Session, slug: str, viewer: UserRow) -> ArticleRow:
    """Return the article of *viewer*. Raises NotFoundError, or ForbiddenError if somebody else wrote it."""
    article = get_article(session, slug)
    if article.author_id != viewer.id:
        raise ForbiddenError("Only the author may change or remove an article")
    return article


def view_article(session: Session, slug: str, viewer: UserRow | None) -> ArticleView:
    """Return the article as *viewer* sees it. Raises NotFoundError."""
    row = session.execute(_select_views(viewer).where(ArticleRow.slug == slug)).one_or_none()
    if row is None:
        raise NotFoundError("There is no article with this slug")
    return ArticleView(*row)


def list_articles(
    session: Session, viewer: UserRow | None, conditions: Sequence[ColumnElement[bool]], page: Page
) -> tuple[list[ArticleView], int]:
    """Return one page of the articles that fulfil all *conditions*, and the number of all of them."""
    total = session.scalar(select(func.count()).select_from(ArticleRow).where(*conditions)) or 0
    query = _select_views(viewer).where(*conditions).order_by(ArticleRow.id.desc())
    rows = session.execute(query.limit(page.limit).offset(page.offset)).all()
    return [ArticleView(*row) for row in rows], total


def has_tag(tag: str) -> ColumnElement[bool]:
    """Hold for articles with this tag."""
    return ArticleRow.id.in_(select(TagRow.article_id).where(TagRow.tag == tag))


def is_written_by(username: str) -> ColumnElement[bool]:
    """Hold for articles of the user of this name."""
    return ArticleRow.author_id.in_(select(UserRow.id).where(UserRow.username == username))


def is_favorite_of(username: str) -> ColumnElement[bool]:
    """Hold for favorites of the user of this name."""
    users = select(UserRow.id).where(UserRow.username == username)
    return ArticleRow.id.in_(select(Favorite.article_id).where(Favorite.user_id.in_(users)))


def is_in_feed_of(viewer: UserRow) -> ColumnElement[bool]:
    """Hold for articles of the users whom *viewer* follows."""
    return ArticleRow.author_id.in_(select(Follow.followed_id).where(Follow.follower_id == viewer.id))


def add_favorite(session: Session, viewer: UserRow, article: ArticleRow) -> None:
    """Mark *article* as favorite of *viewer*; marking twice changes nothing."""
    session.execute(insert(Favorite).values(user_id=viewer.id, article_id=article.id).on_conflict_do_nothing())


def remove_favorite(session: Session, viewer: UserRow, article: ArticleRow) -> None:
    """Take the favorite mark off."""
    session.execute(delete(Favorite).where(Favorite.user_id == viewer.id, Favorite.article_id == article.id))


def list_tags(session: Session) -> list[str]:
    """Return all tags, the most used first."""
    return list(session.scalars(select(TagRow.tag).group_by(TagRow.tag).order_by(func.count().desc(), TagRow.tag)))


def _select_views(viewer: UserRow | None) -> Select[ArticleRow, int, bool, bool]:
    viewer_id = viewer.id if viewer else _NOBODY
    favorites_count = select(func.count()).where(Favorite.article_id == ArticleRow.id).scalar_subquery()
    is_favorite = exists().where(Favorite.article_id == ArticleRow.id, Favorite.user_id == viewer_id)
    is_followed = exists().where(Follow.followed_id == ArticleRow.author_id, Follow.follower_id == viewer_id)
    return select(ArticleRow, favorites_count, is_favorite, is_followed)


def _find_free_slug(session: Session, title: str) -> str:
    """Source of its safety: the write transaction, which no other writer shares; the unique column is the net."""
    slug = make_slug(title)
    is_taken = session.scalar(select(exists().where(ArticleRow.slug == slug)))
    return add_suffix(slug) if is_taken else slug
