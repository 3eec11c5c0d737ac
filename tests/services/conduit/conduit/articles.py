"""Writes, finds and lists articles, and keeps their tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, func, select

from apis.conduit_models import NewArticle
from conduit.errors import ForbiddenError, NotFoundError
from conduit.slugs import add_suffix, make_slug
from conduit.storage import Account, Favorite, Follow, Name, StoredArticle, StoredComment, Tag, new_id, now
from pymacaron.persistence import AlreadyExistsError, transaction
from pymacaron.persistence.sql import current_sql_store


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a list, newest first. limit: articles at most; offset: articles skipped."""

    limit: int
    offset: int


@transaction()
def add_article(author: Account, new: NewArticle) -> StoredArticle:
    """Add an article with a slug of its own; of equal tags the first one counts."""
    moment, number = now(), new_id()
    content = new.clone()
    content.tagList = list(dict.fromkeys(new.tagList or ()))
    article = StoredArticle(
        id=number,
        slug=_take_slug(new.title, number),
        author=author.id,
        content=content,
        created_at=moment,
        updated_at=moment,
    )
    article.create_in_db()
    for tag in content.tagList:
        Tag(tag=json.dumps(tag), article=number).create_in_db()
    return article


@transaction()
def change_article(article: StoredArticle, changes: Mapping[str, str]) -> None:
    """Set title, description or body of *article*; a new title gives a new slug."""
    if changes.get("title", article.content.title) != article.content.title:
        Name(kind="slug", text=article.slug, owner=article.id).delete_from_db()
        article.slug = _take_slug(changes["title"], article.id)
    if changes:
        article.content = NewArticle(**{**dict(article.content), **changes})
        article.updated_at = now()
        article.save_to_db()


@transaction()
def remove_article(article: StoredArticle) -> None:
    """Remove *article* with all that belongs to it."""
    Name(kind="slug", text=article.slug, owner=article.id).delete_from_db()
    article.delete_from_db()
    store = current_sql_store()
    with store.connection() as connection:
        for model in (Tag, Favorite, StoredComment):
            table = store.table_of(model)
            connection.execute(delete(table).where(table.c.article == article.id))


def get_article(slug: str) -> StoredArticle:
    """Return the article. Raises NotFoundError."""
    names = Name.get_many([("slug", slug)])
    found = StoredArticle.get_many(name.owner for name in names)
    if not found:
        raise NotFoundError("There is no article with this slug")
    return found[0]


def get_own_article(slug: str, viewer: Account) -> StoredArticle:
    """Return the article of *viewer*. Raises NotFoundError, or ForbiddenError if somebody else wrote it."""
    article = get_article(slug)
    if article.author != viewer.id:
        raise ForbiddenError("Only the author may change or remove an article")
    return article


def list_articles(chosen: list[Select[int]], page: Page) -> tuple[list[StoredArticle], int]:
    """Return one page of the articles whose ids all of *chosen* select, and the number of all of them."""
    store = current_sql_store()
    ids = store.table_of(StoredArticle).c.id
    conditions = [ids.in_(each) for each in chosen]
    wanted = select(ids).where(*conditions).order_by(ids.desc()).limit(page.limit).offset(page.offset)
    (all_of_them,) = store.fetch(select(func.count(ids).label("total")).where(*conditions))
    return StoredArticle.get_many(row["id"] for row in store.fetch(wanted)), all_of_them["total"]


def with_tag(tag: str) -> Select[int]:
    """Select articles with this tag."""
    table = current_sql_store().table_of(Tag)
    return select(table.c.article).where(table.c.tag == json.dumps(tag))


def written_by(username: str) -> Select[int]:
    """Select articles of the user of this name."""
    store = current_sql_store()
    table, names = store.table_of(StoredArticle), store.table_of(Name)
    return select(table.c.id).where(table.c.author == names.c.owner, *_is_user(names, username))


def favorites_of(username: str) -> Select[int]:
    """Select favorites of the user of this name."""
    store = current_sql_store()
    table, names = store.table_of(Favorite), store.table_of(Name)
    return select(table.c.article).where(table.c.user == names.c.owner, *_is_user(names, username))


def feed_of(viewer: Account) -> Select[int]:
    """Select articles of the users whom *viewer* follows."""
    store = current_sql_store()
    table, follows = store.table_of(StoredArticle), store.table_of(Follow)
    return select(table.c.id).where(table.c.author == follows.c.followed, follows.c.follower == viewer.id)


def count_favorites(articles: list[StoredArticle]) -> dict[int, int]:
    """Return article id -> number of users whose favorite it is, without those of nobody."""
    store = current_sql_store()
    article = store.table_of(Favorite).c.article
    count = func.count().label("count")
    wanted = select(article, count).where(article.in_([each.id for each in articles])).group_by(article)
    return {row["article"]: row["count"] for row in store.fetch(wanted)}


def list_tags() -> list[str]:
    """Return all tags, the most used first."""
    store = current_sql_store()
    tag = store.table_of(Tag).c.tag
    found = store.fetch(select(tag).group_by(tag).order_by(func.count().desc(), tag))
    return [json.loads(row["tag"]) for row in found]


def _is_user(names: Any, username: str) -> tuple[Any, ...]:
    return names.c.kind == "username", names.c.text == username


def _take_slug(title: str, article_id: int) -> str:
    slug = make_slug(title)
    for each in (slug, add_suffix(slug)):
        try:
            Name(kind="slug", text=each, owner=article_id).create_in_db()
        except AlreadyExistsError:
            continue
        return each
    raise AssertionError(f"a random slug is taken twice: {slug}")
