"""Passwords are kept as salted hashes."""

from __future__ import annotations

import pytest

from conduit.passwords import hash_password, verify_password


@pytest.mark.parametrize(
    "password",
    [pytest.param("correct horse", id="ascii"), pytest.param("пароль\x00🔑", id="unicode and NUL")],
)
def test_hash(password: str) -> None:
    """A hash fits its password, no other, and does not show it."""
    hashed = hash_password(password, cost=16)
    assert verify_password(password, hashed)
    assert not verify_password(password + "x", hashed)
    assert password not in hashed


def test_salt() -> None:
    """The same password never has the same hash twice."""
    assert hash_password("password", cost=16) != hash_password("password", cost=16)
