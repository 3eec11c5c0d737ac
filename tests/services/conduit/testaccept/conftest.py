"""Accounts for the tests."""

from __future__ import annotations

import pytest
import requests

from testaccept.accounts import Account, register


@pytest.fixture
def nobody(http: requests.Session, base_url: str) -> Account:
    """Give calls without a token."""
    return Account(http, base_url)


@pytest.fixture
def anna(http: requests.Session, base_url: str) -> Account:
    """Give a new user."""
    return register(http, base_url, "anna")


@pytest.fixture
def ben(http: requests.Session, base_url: str) -> Account:
    """Give another new user."""
    return register(http, base_url, "ben")
