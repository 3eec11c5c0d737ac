"""Tells the contract run who asks: a user that it registers first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testaccept.accounts import register

if TYPE_CHECKING:
    from pymacaron_testing.session import TargetSession
    from pymacaron_testing.target import Target


def pytest_pymacaron_auth(target: Target, http: TargetSession) -> str:
    """Register a user and return the header line with the token."""
    return f"Authorization: Token {register(http, target.url).user['token']}"
