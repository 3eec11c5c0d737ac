"""Tells the contract run who asks: a user that it registers first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from testaccept.accounts import register

if TYPE_CHECKING:
    import pytest

    from pymacaron_testing.target import Target


def pytest_pymacaron_auth(config: pytest.Config, target: Target) -> str:  # noqa: ARG001 - the hook's signature
    """Register a user and return the header line with the token."""
    with requests.Session() as http:
        user = register(http, target.url).user
    return f"Authorization: Token {user['token']}"
