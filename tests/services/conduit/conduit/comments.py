"""Adds, lists and removes comments."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from conduit.errors import ForbiddenError, NotFoundError
from conduit.tables import ArticleRow, CommentRow, Follow, UserRow, now

_NOBODY = 0


@dataclass(frozen=True, slots=True)
class CommentView:
    """A comment as one viewer sees it."""

    comment: CommentRow
    is_author_followed: bool


def add_comment(session: Session, article: ArticleRow, author: UserRow, body: str) -> CommentRow:
    """Add a comment."""
    moment = now()
    comment = CommentRow(article_id=article.id, author=author, body=body, created_at=moment, updated_at=moment)
    session.add(comment)
    session.flush()
    return comment


def list_comments(session: Session, article: ArticleRow, viewer: UserRow | None) -> list[CommentView]:
    """Return the article's comments, newest first."""
    viewer_id = viewer.id if viewer else _NOBODY
    is_followed = exists().where(Follow.followed_id == CommentRow.author_id, Follow.follower_id == viewer_id)
    query = select(CommentRow, is_followed).where(CommentRow.article_id == article.id).order_by(CommentRow.id.desc())
    return [CommentView(comment, followed) for comment, followed in session.execute(query)]


def remove_comment(session: Session, article: ArticleRow, comment_id: int, viewer: UserRow) -> None:
    """Remove a comment. Raises NotFoundError, or ForbiddenError if somebody else wrote it."""
    comment = session.get(CommentRow, comment_id)
    if comment is None or comment.article_id != article.id:
        raise NotFoundError("This article has no such comment")
    if comment.author_id != viewer.id:
        raise ForbiddenError("Only the author may remove a comment")
    session.delete(comment)
