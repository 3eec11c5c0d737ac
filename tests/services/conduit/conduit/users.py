"""Registers, finds and changes users, and keeps who follows whom."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, exists, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from conduit.errors import NotFoundError, TakenError
from conduit.tables import Follow, UserRow


def add_user(session: Session, *, username: str, email: str, password_hash: str) -> UserRow:
    """Add a user. Raises TakenError if somebody has the username or email."""
    user = UserRow(username=username, email=email, password_hash=password_hash)
    session.add(user)
    _flush(session)
    return user


def change_user(session: Session, user: UserRow, changes: Mapping[str, str | None]) -> None:
    """Set columns of *user*, by name. Raises TakenError if somebody has the new username or email."""
    for name, value in changes.items():
        setattr(user, name, value)
    _flush(session)


def find_user_by_email(session: Session, email: str) -> UserRow | None:
    """Return the user with this email, whatever its case, or None."""
    return session.scalar(select(UserRow).where(UserRow.email == email))


def get_user(session: Session, username: str) -> UserRow:
    """Return the user of this name. Raises NotFoundError."""
    user = session.scalar(select(UserRow).where(UserRow.username == username))
    if user is None:
        raise NotFoundError("There is no user of this name")
    return user


def is_following(session: Session, viewer: UserRow | None, user: UserRow) -> bool:
    """Tell whether *viewer* follows *user*; nobody (None) follows nobody."""
    if viewer is None:
        return False
    condition = (Follow.follower_id == viewer.id) & (Follow.followed_id == user.id)
    return bool(session.scalar(select(exists().where(condition))))


def follow(session: Session, viewer: UserRow, user: UserRow) -> None:
    """Let *viewer* follow *user*; following twice changes nothing."""
    session.execute(insert(Follow).values(follower_id=viewer.id, followed_id=user.id).on_conflict_do_nothing())


def unfollow(session: Session, viewer: UserRow, user: UserRow) -> None:
    """Let *viewer* no longer follow *user*."""
    session.execute(delete(Follow).where(Follow.follower_id == viewer.id, Follow.followed_id == user.id))


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        taken = "username" if "users.username" in str(error.orig) else "email"
        raise TakenError(f"This {taken} is taken") from error
