"""The operations of apis/conduit.yaml, one function each."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from apis.conduit_models import (
    LoginUserRequest,
    MultipleArticlesResponse,
    MultipleCommentsResponse,
    NewArticleRequest,
    NewCommentRequest,
    NewUserRequest,
    ProfileResponse,
    SingleArticleResponse,
    SingleCommentResponse,
    TagsResponse,
    UpdateArticleRequest,
    UpdateUserRequest,
    UserResponse,
)
from conduit import articles, comments, users
from conduit.articles import Page
from conduit.errors import WrongCredentialsError
from conduit.passwords import DEFAULT_COST, hash_password, verify_password
from conduit.storage import Favorite, Follow
from conduit.users import find_viewer, get_viewer
from conduit.views import show_article, show_articles, show_comments, show_profiles, show_user
from pymacaron import get_config
from pymacaron.persistence import NotFoundError, transaction


def login(body: LoginUserRequest) -> UserResponse:
    """Log in."""
    user = users.find_user("email", body.user.email)
    # An unknown email takes as long as a wrong password, so that nobody learns who is registered.
    is_right = verify_password(body.user.password, user.password_hash if user else _nobodys_hash())
    if user is None or not is_right:
        raise WrongCredentialsError("Email or password is wrong")
    return show_user(user)


def create_user(body: NewUserRequest) -> tuple[UserResponse, int]:
    """Register."""
    new = body.user
    return show_user(users.add_user(username=new.username, email=new.email, password_hash=_hash(new.password))), 201


def get_current_user() -> UserResponse:
    """Answer the caller."""
    return show_user(get_viewer())


def update_current_user(body: UpdateUserRequest) -> UserResponse:
    """Change the caller."""
    changes = body.user.to_json()
    if "password" in changes:
        changes["password_hash"] = _hash(changes["password"])
    with transaction():
        viewer = get_viewer()
        users.change_user(viewer, changes)
    return show_user(viewer)


def get_profile_by_username(username: str) -> ProfileResponse:
    """Answer a user's profile."""
    viewer, user = find_viewer(), users.get_user(username)
    return ProfileResponse(profile=show_profiles([user.id], viewer)[user.id])


def follow_user_by_username(username: str) -> ProfileResponse:
    """Follow a user."""
    viewer, user = get_viewer(), users.get_user(username)
    Follow(follower=viewer.id, followed=user.id).save_to_db()
    return get_profile_by_username(username)


def unfollow_user_by_username(username: str) -> ProfileResponse:
    """Unfollow a user."""
    viewer, user = get_viewer(), users.get_user(username)
    with suppress(NotFoundError):
        Follow(follower=viewer.id, followed=user.id).delete_from_db()
    return get_profile_by_username(username)


def get_articles_feed(offset: int, limit: int) -> MultipleArticlesResponse:
    """List articles of the users whom the caller follows."""
    return _list([articles.feed_of(get_viewer())], Page(limit, offset))


def get_articles(
    offset: int, limit: int, tag: str | None = None, author: str | None = None, favorited: str | None = None
) -> MultipleArticlesResponse:
    """List articles."""
    filters = [(articles.with_tag, tag), (articles.written_by, author), (articles.favorites_of, favorited)]
    return _list([choose(value) for choose, value in filters if value is not None], Page(limit, offset))


def create_article(body: NewArticleRequest) -> tuple[SingleArticleResponse, int]:
    """Write an article."""
    viewer = get_viewer()
    return show_article(articles.add_article(viewer, body.article), viewer), 201


def get_article(slug: str) -> SingleArticleResponse:
    """Answer an article."""
    return show_article(articles.get_article(slug), find_viewer())


@transaction()
def update_article(body: UpdateArticleRequest, slug: str) -> SingleArticleResponse:
    """Change an article of the caller."""
    viewer = get_viewer()
    article = articles.get_own_article(slug, viewer)
    articles.change_article(article, body.article.to_json())
    return show_article(article, viewer)


@transaction()
def delete_article(slug: str) -> None:
    """Remove an article of the caller."""
    articles.remove_article(articles.get_own_article(slug, get_viewer()))


def get_article_comments(slug: str) -> MultipleCommentsResponse:
    """List an article's comments."""
    found = comments.list_comments(articles.get_article(slug))
    return MultipleCommentsResponse(comments=show_comments(found, find_viewer()))


@transaction()
def create_article_comment(body: NewCommentRequest, slug: str) -> SingleCommentResponse:
    """Comment on an article."""
    viewer = get_viewer()
    comment = comments.add_comment(articles.get_article(slug), viewer, body.comment)
    return SingleCommentResponse(comment=show_comments([comment], viewer)[0])


@transaction()
def delete_article_comment(slug: str, id: int) -> None:  # noqa: A002 - the document's name of the parameter
    """Remove a comment of the caller."""
    comments.remove_comment(articles.get_article(slug), id, get_viewer())


@transaction()
def create_article_favorite(slug: str) -> SingleArticleResponse:
    """Mark an article as favorite."""
    viewer, article = get_viewer(), articles.get_article(slug)
    Favorite(user=viewer.id, article=article.id).save_to_db()
    return show_article(article, viewer)


@transaction()
def delete_article_favorite(slug: str) -> SingleArticleResponse:
    """Take the favorite mark off."""
    viewer, article = get_viewer(), articles.get_article(slug)
    with suppress(NotFoundError):
        Favorite(user=viewer.id, article=article.id).delete_from_db()
    return show_article(article, viewer)


def get_tags() -> TagsResponse:
    """List tags."""
    return TagsResponse(tags=articles.list_tags())


def _list(chosen: list[Any], page: Page) -> MultipleArticlesResponse:
    found, total = articles.list_articles(chosen, page)
    return MultipleArticlesResponse(articles=show_articles(found, find_viewer()), articlesCount=total)


def _hash(password: str) -> str:
    return hash_password(password, getattr(get_config(), "password_cost", DEFAULT_COST))


@cache
def _nobodys_hash() -> str:
    return _hash("nobody has this password")
