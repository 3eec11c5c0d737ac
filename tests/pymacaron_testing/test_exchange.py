"""Requests and answers are shown without secrets, in a form that can be run again."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import requests

from pymacaron_testing.credentials import Credentials, Identity, Place, read_header_line
from pymacaron_testing.exchange import Exchange, Redaction, describe_answer, describe_request, find_subject, shorten

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
REDACTION = Redaction(("s3cret",), frozenset({"x-key"}))


def prepare(**options: Any) -> requests.PreparedRequest:
    return requests.Request("POST", "http://h/x", **options).prepare()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, "curl -i -X POST http://h/x", id="plain"),
        pytest.param(
            {"headers": {"Authorization": "Token s3cret"}},
            'curl -i -X POST -H "Authorization: Token $TOKEN" http://h/x',
            id="scheme stays",
        ),
        pytest.param({"headers": {"X-Key": "s3cret"}}, 'curl -i -X POST -H "X-Key: $TOKEN" http://h/x', id="own"),
        pytest.param(
            {"headers": {"Cookie": "session=abc def"}},
            'curl -i -X POST -H "Cookie: $TOKEN" http://h/x',
            id="cookie",
        ),
        pytest.param({"params": {"key": "s3cret"}}, 'curl -i -X POST "http://h/x?key=$TOKEN"', id="query"),
        pytest.param(
            {"data": '{"a": "it\'s `x` $HOME s3cret"}'},
            """curl -i -X POST --data-binary '{"a": "it'"'"'s `x` $HOME '"$TOKEN"'"}' http://h/x""",
            id="body with a secret",
        ),
        pytest.param({"data": b"a\x00'"}, r"curl -i -X POST --data-binary $'a\x00\x27' http://h/x", id="bytes"),
        pytest.param({"data": b"\xff\xfe"}, r"curl -i -X POST --data-binary $'\xff\xfe' http://h/x", id="no text"),
        pytest.param(
            {"data": iter([b"x"])},
            "curl -i -X POST -H 'Transfer-Encoding: chunked' --data-binary @- http://h/x",
            id="stream",
        ),
    ],
)
def test_curl(options: dict[str, object], expected: str) -> None:
    """The curl line sends the same request; credentials are $TOKEN."""
    assert describe_request(prepare(**options), REDACTION) == expected


def test_curl_is_safe() -> None:
    """Nothing in a body is expanded by the shell but $TOKEN."""
    body = "s3cret $(touch /tmp/x) `id` \\ \" ' !x"
    line = describe_request(prepare(data=body), REDACTION)
    script = f"curl() {{ printf '%s' \"${{@: -2:1}}\"; }}; TOKEN=tok; {line}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == body.replace("s3cret", "tok")


def test_large_body_is_cut() -> None:
    """A body of many kilobytes is described, not shown."""
    line = describe_request(prepare(data=b"a" * 5000), REDACTION)
    assert line.startswith("curl -i -X POST --data-binary @body  # 5000 bytes, cut here: aaa")
    assert len(line) < 400


def answer(content: bytes, content_type: str | None = "application/json", status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason, response._content = status, "OK", content
    if content_type:
        response.headers["Content-Type"] = content_type
    return response


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param(answer(b'{"a":\n  1}'), '200 OK (application/json) {"a": 1}', id="one line"),
        pytest.param(answer(b"", None), "200 OK (no Content-Type) without a body", id="empty"),
        pytest.param(answer(f'"{TOKEN} s3cret"'.encode()), '200 OK (application/json) "$TOKEN $TOKEN"', id="secrets"),
    ],
)
def test_answer(response: requests.Response, expected: str) -> None:
    """An answer is one line without secrets."""
    assert describe_answer(Exchange(None, prepare(), response), REDACTION) == expected  # type: ignore[arg-type]


def test_no_answer() -> None:
    """Where no answer came the reason is told."""
    exchange = Exchange(None, prepare(), None, "it took too long")  # type: ignore[arg-type]
    assert describe_answer(exchange, REDACTION) == "no answer: it took too long"
    assert (exchange.status, exchange.is_success, exchange.read_json()) == (0, False, None)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param(answer(b"[1]"), [1], id="JSON"),
        pytest.param(answer(b"[1"), None, id="broken JSON"),
        pytest.param(answer(b"[1]", "text/plain"), None, id="another type"),
    ],
)
def test_read_json(response: requests.Response, expected: object) -> None:
    """Only JSON is read as JSON."""
    assert Exchange(None, prepare(), response).read_json() == expected  # type: ignore[arg-type]


def test_shorten() -> None:
    """A long text is cut with a mark."""
    assert shorten("abcdef", 4) == "abc…"
    assert shorten("abcd", 4) == "abcd"


def test_header_line() -> None:
    """A header line is name, colon and value."""
    credentials = read_header_line("X-Key:  abc ", "origin")
    assert credentials == Credentials("X-Key", "abc", "origin")
    assert (credentials.scheme, credentials.secret, credentials.with_secret("x")) == ("", "abc", "x")


def test_key_of_the_query() -> None:
    """A line that begins with a question mark is a key of the query."""
    credentials = read_header_line("?key=a:b", "origin")
    assert (credentials, credentials.is_in_query) == (Credentials("?key", "a:b", "origin"), True)


@pytest.mark.parametrize("line", ["nothing", ": value", "Name:", "?=value", "?key"])
def test_bad_header_line(line: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match=r"^it is no header line 'Name: value'$"):
        read_header_line(line, "origin")


def test_identity() -> None:
    """The user is looked for once, and again only when told so."""
    found = iter([None, Credentials("A", "1", ""), Credentials("A", "2", "")])
    identity = Identity(lambda: next(found))
    assert (identity.get(), identity.get()) == (None, None)
    assert identity.redaction == Redaction()
    assert identity.renew() == Credentials("A", "1", "")
    assert identity.redaction == Redaction(("1",), frozenset({"a"}))


BEARER = Credentials("Authorization", "Bearer b", "")
BASIC = Credentials("authorization", "basic c", "")
KEY = Credentials("X-Key", "k", "")


@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        pytest.param([], [BEARER], id="nothing asked"),
        pytest.param([[Place("x-key")]], [KEY], id="by name"),
        pytest.param([[Place("Authorization", "basic")]], [BASIC], id="by scheme"),
        pytest.param([[Place("X-Key"), Place("Authorization", "Bearer")]], [KEY, BEARER], id="both"),
        pytest.param([[Place("?q")], [Place("X-Key")]], [KEY], id="second alternative"),
        pytest.param([[Place("?q"), Place("X-Key")]], [BEARER], id="one is missing"),
    ],
)
def test_choice_of_credentials(alternatives: list[list[Place]], expected: list[Credentials]) -> None:
    """An operation gets the credentials that it asks for, in doubt the first ones; all are secret."""
    identity = Identity(lambda: BEARER, [BASIC, KEY])
    assert identity.choose(alternatives) == tuple(expected)
    assert identity.redaction.clean("b c k") == "$TOKEN $TOKEN $TOKEN"


@pytest.mark.parametrize(
    ("location", "text", "expected"),
    [
        pytest.param("query", "anything", "limit", id="parameter"),
        pytest.param("body", "Object with valid 'name' value: Maximum length string", "name", id="valid property"),
        pytest.param("body", "/properties/user/properties/email/type", "user.email", id="inner property"),
        pytest.param("body", "- violates `type` at /properties/tags/items (was array)", "tags", id="items"),
        pytest.param("body", "/properties/user/required Missing required property: name", "user.name", id="missing"),
        pytest.param("body", "/additionalProperties Object with unexpected properties", "", id="the whole body"),
    ],
)
def test_find_subject(location: str, text: str, expected: str) -> None:
    """What a case is about is read from the generator's words."""
    assert find_subject("limit", location, text) == expected
