"""Registers, finds and changes users, and says who calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from conduit.errors import NotFoundError, TakenError
from conduit.storage import Account, Name, new_id
from pymacaron.auth import get_userid
from pymacaron.exceptions import AuthInvalidTokenError
from pymacaron.persistence import AlreadyExistsError, transaction

_USER_ID = re.compile(r"[1-9][0-9]{0,17}")


@transaction()
def add_user(*, username: str, email: str, password_hash: str) -> Account:
    """Add a user. Raises TakenError if somebody has the username or email."""
    user = Account(id=new_id(), username=username, email=email, password_hash=password_hash)
    _take_name("username", username, user)
    _take_name("email", email, user)
    user.create_in_db()
    return user


@transaction()
def change_user(user: Account, changes: Mapping[str, Any]) -> None:
    """Set what *changes* names. Raises TakenError if somebody has the new username or email."""
    for kind in ("username", "email"):
        if changes.get(kind, getattr(user, kind)) != getattr(user, kind):
            Name(kind=kind, text=_as_name(kind, getattr(user, kind)), owner=user.id).delete_from_db()
            _take_name(kind, changes[kind], user)
    for name in ("username", "email", "password_hash"):
        setattr(user, name, changes.get(name, getattr(user, name)))
    user.about = {name: changes.get(name, value) for name, value in user.about.items()}
    user.save_to_db()


def find_user(kind: str, text: str) -> Account | None:
    """Return the user with this username, or this email whatever its case, or None."""
    names = Name.get_many([(kind, _as_name(kind, text))])
    return Account.load_from_db(names[0].owner) if names else None


def get_user(username: str) -> Account:
    """Return the user of this name. Raises NotFoundError."""
    user = find_user("username", username)
    if user is None:
        raise NotFoundError("There is no user of this name")
    return user


def find_viewer() -> Account | None:
    """Return the caller, None without a token. Raises AuthInvalidTokenError if the token's user does not exist."""
    user_id = get_userid()
    if not user_id:
        return None
    found = Account.get_many([int(user_id)] if _USER_ID.fullmatch(user_id) else [])
    if not found:
        raise AuthInvalidTokenError("The user of this token does not exist")
    return found[0]


def get_viewer() -> Account:
    """Return the caller of an operation that asks for a token. Raises AuthInvalidTokenError."""
    viewer = find_viewer()
    if viewer is None:
        raise AuthInvalidTokenError("The token names no user")
    return viewer


def _as_name(kind: str, text: str) -> str:
    return text.lower() if kind == "email" else text


def _take_name(kind: Any, text: str, user: Account) -> None:
    try:
        Name(kind=kind, text=_as_name(kind, text), owner=user.id).create_in_db()
    except AlreadyExistsError as error:
        raise TakenError(f"This {kind} is taken") from error
