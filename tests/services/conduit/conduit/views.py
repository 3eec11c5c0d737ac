"""Users, articles and comments as one viewer sees them."""

from __future__ import annotations

from collections.abc import Iterable

from apis.conduit_models import Article, ArticleSummary, Comment, Profile, SingleArticleResponse, User, UserResponse
from conduit.articles import count_favorites
from conduit.storage import Account, Favorite, Follow, StoredArticle, StoredComment
from pymacaron.auth import generate_token


def show_user(user: Account) -> UserResponse:
    """Return the own account, with a new token."""
    token = generate_token(str(user.id))
    return UserResponse(user=User(email=user.email, token=token, username=user.username, **user.about))


def show_profiles(user_ids: Iterable[int], viewer: Account | None) -> dict[int, Profile]:
    """Return user id -> profile."""
    users = Account.get_many(user_ids)
    follows = Follow.get_many((viewer.id, user.id) for user in users) if viewer else []
    followed = {follow.followed for follow in follows}
    return {user.id: Profile(username=user.username, following=user.id in followed, **user.about) for user in users}


def show_articles(articles: list[StoredArticle], viewer: Account | None) -> list[ArticleSummary]:
    """Return the articles as lists show them."""
    authors = show_profiles((article.author for article in articles), viewer)
    marks = Favorite.get_many((viewer.id, article.id) for article in articles) if viewer else []
    favorites, counts = {mark.article for mark in marks}, count_favorites(articles)
    return [
        ArticleSummary(
            slug=article.slug,
            title=article.content.title,
            description=article.content.description,
            tagList=article.content.tagList or [],
            createdAt=article.created_at,
            updatedAt=article.updated_at,
            favorited=article.id in favorites,
            favoritesCount=counts.get(article.id, 0),
            author=authors[article.author],
        )
        for article in articles
    ]


def show_article(article: StoredArticle, viewer: Account | None) -> SingleArticleResponse:
    """Return the whole article."""
    (summary,) = show_articles([article], viewer)
    return SingleArticleResponse(article=Article(**dict(summary), body=article.content.body))


def show_comments(comments: list[StoredComment], viewer: Account | None) -> list[Comment]:
    """Return the comments."""
    authors = show_profiles((comment.author for comment in comments), viewer)
    return [
        Comment(
            id=comment.id,
            createdAt=comment.created_at,
            updatedAt=comment.created_at,
            body=comment.content.body,
            author=authors[comment.author],
        )
        for comment in comments
    ]
