"""Adds, lists and removes comments."""

from __future__ import annotations

from apis.conduit_models import NewComment
from conduit.errors import ForbiddenError, NotFoundError
from conduit.storage import Account, StoredArticle, StoredComment, new_id, now
from pymacaron.persistence import transaction


@transaction()
def add_comment(article: StoredArticle, author: Account, new: NewComment) -> StoredComment:
    """Add a comment."""
    comment = StoredComment(article=article.id, id=new_id(), author=author.id, content=new, created_at=now())
    comment.create_in_db()
    return comment


def list_comments(article: StoredArticle) -> list[StoredComment]:
    """Return the article's comments, newest first."""
    return StoredComment.query(where={"article": article.id}, order="descending", limit=100_000)


def remove_comment(article: StoredArticle, comment_id: int, viewer: Account) -> None:
    """Remove a comment. Raises NotFoundError, or ForbiddenError if somebody else wrote it."""
    found = StoredComment.get_many([(article.id, comment_id)])
    if not found:
        raise NotFoundError("This article has no such comment")
    if found[0].author != viewer.id:
        raise ForbiddenError("Only the author may remove a comment")
    found[0].delete_from_db()
