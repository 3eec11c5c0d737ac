"""Tells the contract run who asks: users that it registers first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testaccept.accounts import register

if TYPE_CHECKING:
    from pymacaron_testing.session import TargetSession
    from pymacaron_testing.target import Target


def pytest_pymacaron_auth(target: Target, http: TargetSession, user: int) -> str:
    """Register a user and return the header line with the token. user: 1 asks for another one than 0 does."""
    del user  # every registration makes another one
    return f"Authorization: Token {register(http, target.url).user['token']}"
