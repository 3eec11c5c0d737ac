"""What Conduit keeps, as classes whose objects load and save themselves."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import ClassVar, Literal

from apis.conduit_models import NewArticle, NewComment
from pymacaron.formats import DateTime
from pymacaron.model import PymacaronBaseModel
from pymacaron.persistence import Persistent


class Account(Persistent, PymacaronBaseModel):
    """A user. about: bio and image; what is inside an object may hold U+0000, which no column may."""

    table_name: ClassVar = "users"
    primary_key: ClassVar = "id"

    id: int
    username: str
    email: str
    password_hash: str
    about: dict[str, str | None] = {"bio": None, "image": None}  # noqa: RUF012 - pydantic copies it


class Name(Persistent, PymacaronBaseModel):
    """What only one may have. text: of emails in lower case. owner: id of the user or article."""

    table_name: ClassVar = "names"
    primary_key: ClassVar = ("kind", "text")

    kind: Literal["username", "email", "slug"]
    text: str
    owner: int


class Follow(Persistent, PymacaronBaseModel):
    """One user follows another."""

    table_name: ClassVar = "follows"
    primary_key: ClassVar = ("follower", "followed")

    follower: int
    followed: int


class StoredArticle(Persistent, PymacaronBaseModel):
    """An article. The higher the id, the newer."""

    table_name: ClassVar = "articles"
    primary_key: ClassVar = "id"
    indexes: ClassVar = {"by_author": ("author", "id")}

    id: int
    slug: str
    author: int
    content: NewArticle
    created_at: DateTime
    updated_at: DateTime


class Tag(Persistent, PymacaronBaseModel):
    """An article has a tag, whose text is written as JSON."""

    table_name: ClassVar = "tags"
    primary_key: ClassVar = ("tag", "article")
    indexes: ClassVar = {"by_article": "article"}

    tag: str
    article: int


class Favorite(Persistent, PymacaronBaseModel):
    """A user's favorite mark on an article."""

    table_name: ClassVar = "favorites"
    primary_key: ClassVar = ("user", "article")
    indexes: ClassVar = {"by_article": "article"}

    user: int
    article: int


class StoredComment(Persistent, PymacaronBaseModel):
    """A comment under an article. The higher the id, the newer."""

    table_name: ClassVar = "comments"
    primary_key: ClassVar = ("article", "id")

    article: int
    id: int
    author: int
    content: NewComment
    created_at: DateTime


def new_id() -> int:
    """Return a number that grows with time; writers take turns, so that no two have the same."""
    return time.time_ns() // 1000


def now() -> datetime:
    """Return this moment in UTC."""
    return datetime.now(UTC)
