"""Secrets are taken out of reports."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import date
from urllib.parse import quote, urlencode

import pytest

from pymacaron.redaction import MASK, Redactor, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"name": "Rex", "age": 3, "tags": None}, {"name": "Rex", "age": 3, "tags": None}, id="harmless"),
        pytest.param({"token_count": 3, "monkey": "Bo"}, {"token_count": 3, "monkey": "Bo"}, id="names-like-secrets"),
        pytest.param({"Password": "x", "user_token": "x"}, {"Password": MASK, "user_token": MASK}, id="names"),
        pytest.param({"X-Api-Key": "x", "sentry_dsn": "x"}, {"X-Api-Key": MASK, "sentry_dsn": MASK}, id="more-names"),
        pytest.param({"password": None}, {"password": None}, id="no-secret-at-all"),
        pytest.param({"headers": {"Authorization": "x"}}, {"headers": {"Authorization": MASK}}, id="nested"),
        pytest.param([{"secret": 1}, ("a", {"b"})], [{"secret": MASK}, ["a", ["b"]]], id="lists"),
        pytest.param(f"got {JWT}!", f"got {MASK}!", id="jwt"),
        pytest.param("sent bearer abcdef-123456", f"sent bearer {MASK}", id="bearer"),
        pytest.param("Authorization: Basic Ym9iOnNlY3JldA==", f"Authorization: Basic {MASK}", id="basic"),
        pytest.param("a basic idea, a token of it", "a basic idea, a token of it", id="prose"),
        pytest.param("key=hunter22&x=hunter2", f"key={MASK}&x={MASK}", id="known-secrets"),
        pytest.param({"at": date(2026, 1, 2)}, {"at": "2026-01-02"}, id="no-json"),
        pytest.param(
            {"accessToken": "x", "clientSecret": "x"}, {"accessToken": MASK, "clientSecret": MASK}, id="camel"
        ),
        pytest.param({"pin": 1234, "spin": 1}, {"pin": MASK, "spin": 1}, id="short-names"),
        pytest.param({"tokens": 5, "passwords": ["x"]}, {"tokens": 5, "passwords": MASK}, id="counts"),
        pytest.param("User(name='Bo', password='it\\'s')", f"User(name='Bo', password={MASK})", id="repr"),
        pytest.param('{"api_key": "x", "n": "y"}', f'{{"api_key": {MASK}, "n": "y"}}', id="json"),
        pytest.param("?page=1&access_token=x/y&z=1", f"?page=1&access_token={MASK}&z=1", id="query"),
        pytest.param("secret='cut in the mid", f"secret={MASK}", id="no-end"),
        pytest.param("token=read(1), token=row[2]", "token=read(1), token=row[2]", id="code"),
        pytest.param("use_cookies=False, token=None", "use_cookies=False, token=None", id="constants"),
        pytest.param('password == "x" or token: wrong', 'password == "x" or token: wrong', id="comparison"),
        pytest.param("amqp://bo:pw@mq:5672//", f"amqp://{MASK}@mq:5672//", id="url"),
        pytest.param("http://x.test/a@b", "http://x.test/a@b", id="no-credentials"),
        pytest.param(
            "[type=int_parsing, input_value={'a': 'b'}, input_type=dict]",
            f"[type=int_parsing, input_value={MASK}, input_type=dict]",
            id="pydantic",
        ),
    ],
)
def test_redact(value: object, expected: object) -> None:
    """Values under telling names, JWTs, credentials and known secrets become asterisks; the rest stays."""
    assert redact(value, {"hunter2", "hunter22", "abc"}) == expected


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(str, id="itself"),
        pytest.param(repr, id="repr"),
        pytest.param(lambda secret: repr({"x": [repr(secret)]}), id="repr-of-a-repr"),
        pytest.param(lambda secret: json.dumps(json.dumps(secret)), id="json-in-json"),
        pytest.param(lambda secret: quote(secret, safe=""), id="url"),
        pytest.param(lambda secret: urlencode({"x": secret}), id="query"),
    ],
)
@pytest.mark.parametrize("secret", ["plain-1", "with 'both\" kinds", "back\\slash\nline\tend", "ü&=/+ %"])
def test_a_secret_is_found_however_it_is_written(secret: str, write: Callable[[str], str]) -> None:
    """In Python's way, in JSON's, in that of URLs, one inside of the other."""
    redacted = redact(f"<{write(secret)}>", [secret])
    assert MASK in redacted
    assert not any(part in redacted for part in ("plain", "both", "slash", "%C3", "\xfc", "kinds", "end"))


def test_names_of_the_document_and_names_that_are_cleared() -> None:
    """What the document calls a secret is one; what only looks like one need not be."""
    redactor = Redactor(names={"motto", "jwt"}, allowed={"token", "jwt"})
    given = {"Motto": "x", "token": "x", "jwt": "x", "text": "motto='x' token='x'"}
    assert redactor.redact(given) == {"Motto": MASK, "token": "x", "jwt": MASK, "text": f"motto={MASK} token='x'"}


def test_what_stands_under_the_name_of_a_secret_is_one_everywhere() -> None:
    """Texts and numbers are found at any depth, in what refers to itself, too."""
    given: dict[str, object] = {"a": [{"password": {"first": "abcd", "second": [12345, True, None]}}], "b": "efgh"}
    given["self"] = given
    redactor = Redactor()
    redactor.add_secrets(redactor.find_secrets(given))
    assert redactor.redact_text("abcd 12345 efgh") == f"{MASK} {MASK} efgh"


class Unspeakable:
    """What has no text."""

    def __str__(self) -> str:
        raise ValueError("secret")


def test_whatever_is_given_is_cut_and_written() -> None:
    """Endless, broken and huge values neither fail nor take long, and no part of a secret is left at a cut."""
    endless: list[object] = []
    endless += [endless, endless, Unspeakable(), {Unspeakable(): 1}]
    start = time.perf_counter()
    text = json.dumps(redact(endless))
    assert "whose text cannot be made: ValueError" in text
    assert redact(list(range(300))) == [*range(200), "…"]
    assert redact(dict.fromkeys(range(300), 1))["…"] == 100
    for hostile in ("eyJ" * 100_000, "a-" * 100_000, "token='" * 50_000, "://" * 100_000, "=" * 300_000):
        assert len(redact(hostile)) <= 20_000
    assert time.perf_counter() - start < 5
    secret = "K0123456789abcdef" * 10
    cuts = (4_096, 8_192, 40_000 - 16_384, 40_000 - 12_288)
    for shift in (cut - before for cut in cuts for before in range(0, 180, 30)):
        redacted = redact("." * shift + secret + "." * (40_000 - shift - len(secret)), [secret])
        assert "K0123" not in redacted
        assert "abcdef" not in redacted
