"""Finds the user who sends the request."""

from __future__ import annotations

import re

from sqlalchemy.orm import Session

from conduit.tables import UserRow
from pymacaron.auth import get_userid
from pymacaron.exceptions import AuthInvalidTokenError

_USER_ID = re.compile(r"[1-9][0-9]{0,17}")


def find_viewer(session: Session) -> UserRow | None:
    """Return the caller, None without a token. Raises AuthInvalidTokenError if the token's user does not exist."""
    user_id = get_userid()
    if not user_id:
        return None
    user = session.get(UserRow, int(user_id)) if _USER_ID.fullmatch(user_id) else None
    if user is None:
        raise AuthInvalidTokenError("The user of this token does not exist")
    return user


def get_viewer(session: Session) -> UserRow:
    """Return the caller of an operation that asks for a token. Raises AuthInvalidTokenError."""
    viewer = find_viewer(session)
    if viewer is None:
        raise AuthInvalidTokenError("The token names no user")
    return viewer
