"""The operations of apis/conduit.yaml, one function each."""

from __future__ import annotations

from functools import cache

from apis.conduit_models import (
    Article,
    ArticleSummary,
    Comment,
    LoginUserRequest,
    MultipleArticlesResponse,
    MultipleCommentsResponse,
    NewArticleRequest,
    NewCommentRequest,
    NewUserRequest,
    Profile,
    ProfileResponse,
    SingleArticleResponse,
    SingleCommentResponse,
    TagsResponse,
    UpdateArticleRequest,
    UpdateUserRequest,
    User,
    UserResponse,
)
from conduit import articles, comments, users
from conduit.articles import ArticleView, Page
from conduit.comments import CommentView
from conduit.database import database
from conduit.errors import WrongCredentialsError
from conduit.passwords import DEFAULT_COST, hash_password, verify_password
from conduit.tables import UserRow
from conduit.viewers import find_viewer, get_viewer
from pymacaron import get_config
from pymacaron.auth import generate_token


def login(body: LoginUserRequest) -> UserResponse:
    """Log in."""
    with database().read() as session:
        user = users.find_user_by_email(session, body.user.email)
        # An unknown email takes as long as a wrong password, so that nobody learns who is registered.
        is_right = verify_password(body.user.password, user.password_hash if user else _nobodys_hash())
        if user is None or not is_right:
            raise WrongCredentialsError("Email or password is wrong")
        return _show_user(user)


def create_user(body: NewUserRequest) -> tuple[UserResponse, int]:
    """Register."""
    password_hash = _hash(body.user.password)
    with database().write() as session:
        user = users.add_user(session, username=body.user.username, email=body.user.email, password_hash=password_hash)
        return _show_user(user), 201


def get_current_user() -> UserResponse:
    """Answer the caller."""
    with database().read() as session:
        return _show_user(get_viewer(session))


def update_current_user(body: UpdateUserRequest) -> UserResponse:
    """Change the caller."""
    changes = body.user.to_json()
    if "password" in changes:
        changes["password_hash"] = _hash(changes.pop("password"))
    with database().write() as session:
        viewer = get_viewer(session)
        users.change_user(session, viewer, changes)
        return _show_user(viewer)


def get_profile_by_username(username: str) -> ProfileResponse:
    """Answer a user's profile."""
    with database().read() as session:
        viewer = find_viewer(session)
        user = users.get_user(session, username)
        return ProfileResponse(profile=_show_profile(user, is_followed=users.is_following(session, viewer, user)))


def follow_user_by_username(username: str) -> ProfileResponse:
    """Follow a user."""
    with database().write() as session:
        viewer = get_viewer(session)
        user = users.get_user(session, username)
        users.follow(session, viewer, user)
        return ProfileResponse(profile=_show_profile(user, is_followed=True))


def unfollow_user_by_username(username: str) -> ProfileResponse:
    """Unfollow a user."""
    with database().write() as session:
        viewer = get_viewer(session)
        user = users.get_user(session, username)
        users.unfollow(session, viewer, user)
        return ProfileResponse(profile=_show_profile(user, is_followed=False))


def get_articles_feed(offset: int, limit: int) -> MultipleArticlesResponse:
    """List articles of the users whom the caller follows."""
    with database().read() as session:
        viewer = get_viewer(session)
        conditions = [articles.is_in_feed_of(viewer)]
        return _show_page(*articles.list_articles(session, viewer, conditions, Page(limit, offset)))


def get_articles(
    offset: int, limit: int, tag: str | None = None, author: str | None = None, favorited: str | None = None
) -> MultipleArticlesResponse:
    """List articles."""
    conditions = []
    if tag is not None:
        conditions.append(articles.has_tag(tag))
    if author is not None:
        conditions.append(articles.is_written_by(author))
    if favorited is not None:
        conditions.append(articles.is_favorite_of(favorited))
    with database().read() as session:
        viewer = find_viewer(session)
        return _show_page(*articles.list_articles(session, viewer, conditions, Page(limit, offset)))


def create_article(body: NewArticleRequest) -> tuple[SingleArticleResponse, int]:
    """Write an article."""
    new = body.article
    with database().write() as session:
        viewer = get_viewer(session)
        article = articles.add_article(
            session, viewer, title=new.title, description=new.description, body=new.body, tags=new.tagList or []
        )
        return _show_article(articles.view_article(session, article.slug, viewer)), 201


def get_article(slug: str) -> SingleArticleResponse:
    """Answer an article."""
    with database().read() as session:
        return _show_article(articles.view_article(session, slug, find_viewer(session)))


def update_article(body: UpdateArticleRequest, slug: str) -> SingleArticleResponse:
    """Change an article of the caller."""
    with database().write() as session:
        viewer = get_viewer(session)
        article = articles.get_own_article(session, slug, viewer)
        articles.change_article(session, article, body.article.to_json())
        return _show_article(articles.view_article(session, article.slug, viewer))


def delete_article(slug: str) -> None:
    """Remove an article of the caller."""
    with database().write() as session:
        session.delete(articles.get_own_article(session, slug, get_viewer(session)))


def get_article_comments(slug: str) -> MultipleCommentsResponse:
    """List an article's comments."""
    with database().read() as session:
        viewer = find_viewer(session)
        found = comments.list_comments(session, articles.get_article(session, slug), viewer)
        return MultipleCommentsResponse(comments=[_show_comment(view) for view in found])


def create_article_comment(body: NewCommentRequest, slug: str) -> SingleCommentResponse:
    """Comment on an article."""
    with database().write() as session:
        viewer = get_viewer(session)
        article = articles.get_article(session, slug)
        comment = comments.add_comment(session, article, viewer, body.comment.body)
        is_followed = users.is_following(session, viewer, viewer)
        return SingleCommentResponse(comment=_show_comment(CommentView(comment, is_followed)))


def delete_article_comment(slug: str, id: int) -> None:  # noqa: A002 - the document's name of the parameter
    """Remove a comment of the caller."""
    with database().write() as session:
        viewer = get_viewer(session)
        comments.remove_comment(session, articles.get_article(session, slug), id, viewer)


def create_article_favorite(slug: str) -> SingleArticleResponse:
    """Mark an article as favorite."""
    with database().write() as session:
        viewer = get_viewer(session)
        articles.add_favorite(session, viewer, articles.get_article(session, slug))
        return _show_article(articles.view_article(session, slug, viewer))


def delete_article_favorite(slug: str) -> SingleArticleResponse:
    """Take the favorite mark off."""
    with database().write() as session:
        viewer = get_viewer(session)
        articles.remove_favorite(session, viewer, articles.get_article(session, slug))
        return _show_article(articles.view_article(session, slug, viewer))


def get_tags() -> TagsResponse:
    """List tags."""
    with database().read() as session:
        return TagsResponse(tags=articles.list_tags(session))


def _hash(password: str) -> str:
    return hash_password(password, getattr(get_config(), "password_cost", DEFAULT_COST))


@cache
def _nobodys_hash() -> str:
    return _hash("nobody has this password")


def _show_user(user: UserRow) -> UserResponse:
    token = generate_token(str(user.id))
    return UserResponse(
        user=User(email=user.email, token=token, username=user.username, bio=user.bio, image=user.image)
    )


def _show_profile(user: UserRow, *, is_followed: bool) -> Profile:
    return Profile(username=user.username, bio=user.bio, image=user.image, following=is_followed)


def _show_summary(view: ArticleView) -> ArticleSummary:
    article = view.article
    return ArticleSummary(
        slug=article.slug,
        title=article.title,
        description=article.description,
        tagList=[tag.tag for tag in article.tags],
        createdAt=article.created_at,
        updatedAt=article.updated_at,
        favorited=view.is_favorite,
        favoritesCount=view.favorites_count,
        author=_show_profile(article.author, is_followed=view.is_author_followed),
    )


def _show_article(view: ArticleView) -> SingleArticleResponse:
    summary = _show_summary(view)
    return SingleArticleResponse(article=Article(**dict(summary), body=view.article.body))


def _show_page(views: list[ArticleView], total: int) -> MultipleArticlesResponse:
    return MultipleArticlesResponse(articles=[_show_summary(view) for view in views], articlesCount=total)


def _show_comment(view: CommentView) -> Comment:
    comment = view.comment
    return Comment(
        id=comment.id,
        createdAt=comment.created_at,
        updatedAt=comment.updated_at,
        body=comment.body,
        author=_show_profile(comment.author, is_followed=view.is_author_followed),
    )
