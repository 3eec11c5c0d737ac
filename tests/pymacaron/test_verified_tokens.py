"""Tokens that were verified are remembered: by their hash, in bounded memory, up to their expiry."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import pytest

from pymacaron.verified_tokens import VerifiedToken, VerifiedTokens, find_scopes

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl"


class Clock:
    """A clock that tests move."""

    now_s = 1_800_000_000.0

    def read(self) -> float:
        """Return seconds since 1970."""
        return self.now_s


def verified(length: int = len(TOKEN), until_s: float = 1_900_000_000, **claims: Any) -> VerifiedToken:
    """Return what is kept of a token with these *claims*."""
    return VerifiedToken(claims, until_s=until_s, length=length)


def test_a_token_is_found_again() -> None:
    """A token is found by its text, with user and scopes worked out."""
    tokens = VerifiedTokens()
    tokens.add(TOKEN, verified(sub="bob", scope="read write"))
    found = tokens.find(TOKEN)
    assert found is not None
    assert (found.user_id, found.scopes) == ("bob", frozenset({"read", "write"}))
    assert found.copy_claims() == {"sub": "bob", "scope": "read write"}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(TOKEN[:-1] + "d", id="signature"),
        pytest.param(TOKEN[:-1], id="shorter"),
        pytest.param(TOKEN + "=", id="padding"),
        pytest.param(TOKEN + " ", id="space-behind"),
        pytest.param(" " + TOKEN, id="space-before"),
        pytest.param(TOKEN.swapcase(), id="case"),
        pytest.param(TOKEN.rpartition(".")[0] + ".", id="no-signature"),
        pytest.param("", id="empty"),
        pytest.param(TOKEN + "\ud800", id="surrogate"),
    ],
)
def test_no_other_token_is_found(other: str) -> None:
    """Only the very same text is the token."""
    tokens = VerifiedTokens()
    tokens.add(TOKEN, verified())
    assert tokens.find(other) is None


@pytest.mark.parametrize(
    ("sub", "user_id"),
    [("bob", "bob"), (None, None), ("", None), (7, "7")],
)
def test_users(sub: object, user_id: str | None) -> None:
    """The user is the claim ``sub``, as a text."""
    assert verified(sub=sub).user_id == user_id


def test_expiry_to_the_second() -> None:
    """A token is known until its time, and not at it."""
    clock = Clock()
    tokens = VerifiedTokens(now=clock.read)
    tokens.add(TOKEN, verified(until_s=clock.now_s + 10))
    clock.now_s += 9.999
    assert tokens.find(TOKEN) is not None
    clock.now_s += 0.001
    assert tokens.find(TOKEN) is None


def test_the_first_to_come_is_the_first_to_go() -> None:
    """What does not fit any more pushes out the oldest; a token that comes again counts once, as the newest."""
    tokens = VerifiedTokens(most_characters=30)
    for name in ("a", "b", "c", "a", "d"):
        tokens.add(name, verified(length=10))
    assert [tokens.find(name) is not None for name in "abcd"] == [True, False, True, True]
    tokens.add("long", verified(length=25))
    assert [tokens.find(name) is not None for name in ("a", "c", "d", "long")] == [False, False, False, True]


def test_a_token_that_is_too_long_is_not_kept() -> None:
    """A token that is longer than all memory is forgotten at once."""
    tokens = VerifiedTokens(most_characters=30)
    tokens.add("a", verified(length=31))
    assert tokens.find("a") is None
    assert len(tokens) == 0


def test_expired_tokens_make_room() -> None:
    """The oldest tokens leave memory with the next that comes after their expiry."""
    clock = Clock()
    tokens = VerifiedTokens(now=clock.read)
    for index in range(10):
        tokens.add(f"{index}", verified(until_s=clock.now_s + 10))
    clock.now_s += 11
    tokens.add("new", verified())
    assert len(tokens) == 1


def add_many(tokens: VerifiedTokens, first: int, last: int) -> None:
    """Add tokens of 250 characters, each for another user."""
    for index in range(first, last):
        claims = {"iss": "pets.test", "aud": "pets", "sub": f"user{index}", "iat": index, "exp": index + 60}
        tokens.add(f"{index:0250}", VerifiedToken(claims, until_s=1_900_000_000, length=250))


def test_memory_holds_ten_thousand_of_a_hundred_thousand() -> None:
    """Of a hundred thousand tokens the last ones that fit are known."""
    tokens = VerifiedTokens()
    add_many(tokens, 0, 100_000)
    assert len(tokens) == 10_000
    known = [tokens.find(f"{index:0250}") is not None for index in (0, 89_999, 90_000, 99_999)]
    assert known == [False, False, True, True]


def test_memory_is_bounded() -> None:
    """Once memory is full, more tokens do not make the process grow; a token takes about a kilobyte."""
    tokens = VerifiedTokens(most_characters=250 * 1000)
    tracemalloc.start()
    try:
        add_many(tokens, 0, 3000)
        full_bytes = tracemalloc.get_traced_memory()[0]
        add_many(tokens, 3000, 15_000)
        later_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert later_bytes < 1.1 * full_bytes
    assert later_bytes < 1000 * 2000


def test_nothing_holds_the_text_of_a_token() -> None:
    """Memory is keyed by hashes; no repr shows tokens or claims."""
    tokens = VerifiedTokens()
    found = verified(sub="bob")
    tokens.add(TOKEN, found)
    (key,) = tokens._tokens
    assert len(key) == 32
    for shown in (repr(tokens), repr(found), repr(vars(tokens))):
        assert TOKEN not in shown
        assert "bob" not in shown


def test_threads() -> None:
    """Eight threads that add and look up at once find what they added or nothing, and memory stays bounded."""
    tokens = VerifiedTokens(most_characters=500)
    wrong: list[object] = []

    def work(thread: int) -> None:
        for round_ in range(2000):
            name = f"{(thread + round_) % 100}"
            found = tokens.find(name)
            if found is None:
                tokens.add(name, verified(length=10, sub=name))
            elif found.user_id != name:
                wrong.append((name, found.user_id))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert len(tokens) == 50
    assert tokens._characters == 500


def test_claims_are_copies() -> None:
    """Whoever changes claims, however deep, changes nothing for the next one."""
    found = verified(roles=["reader"], address={"city": {"name": "Bern"}})
    for _ in range(2):
        claims = found.copy_claims()
        assert claims == {"roles": ["reader"], "address": {"city": {"name": "Bern"}}}
        claims["roles"].append("admin")
        claims["address"]["city"]["name"] = "Basel"
        claims["sub"] = "eve"


def test_scopes_of_a_token() -> None:
    """Scopes are the words of ``scope`` and the items of ``scopes`` and ``permissions``."""
    claims = {"scope": "a b", "scopes": ["c"], "permissions": ["d", 1]}
    assert find_scopes(claims) == {"a", "b", "c", "d"}
    assert find_scopes({}) == frozenset()
