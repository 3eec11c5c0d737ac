"""Mistakes in reading tokens are found over HTTP, one failure for each, and a strict service passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask, Response, jsonify, request

from pymacaron.spec import load_spec
from pymacaron_testing.checks.auth import check_auth
from pymacaron_testing.confirm import Outcome
from pymacaron_testing.credentials import Credentials, Identity
from pymacaron_testing.failure import Failure
from pymacaron_testing.generation import Generator
from pymacaron_testing.resources import Resources
from pymacaron_testing.session import RequestCount, TargetSession
from pymacaron_testing.signing import Signing
from pymacaron_testing.suite import Suite
from pymacaron_testing.wire import Wire

SECRET = "a-secret-of-thirty-two-characters"
CLAIMS = {"sub": "ada", "iss": "me", "aud": "us", "scope": "read", "exp": 4_102_444_800}
TOKEN = jwt.encode(CLAIMS, SECRET, algorithm="HS256")
OLD = jwt.encode({**CLAIMS, "sub": "old"}, SECRET, algorithm="HS256")
DOCUMENT = """
openapi: 3.1.0
info: {title: Me, version: '1'}
servers: [{url: /}]
security: [{token: [read]}]
paths:
  /me:
    get: {operationId: get_me, responses: {'200': {description: you}, '401': {description: no}}}
    put: {operationId: put_me, responses: {'204': {description: done}, '401': {description: no}}}
components: {securitySchemes: {token: {type: http, scheme: bearer}}}
"""


def read_claims(fault: str) -> dict[str, Any] | None:
    """Return the caller's claims, None if he is refused."""
    scheme, _, token = request.headers.get("Authorization", "").rpartition(" ")
    if fault == "lets PUT in" and request.method == "PUT":
        return CLAIMS
    if scheme != "Bearer" and fault != "takes any scheme":
        return None
    options: Any = {
        "verify_signature": fault != "reads unsigned tokens",
        "verify_exp": fault != "takes old tokens",
        "verify_nbf": fault != "takes early tokens",
        "verify_aud": fault != "takes other audiences",
        "verify_iss": fault != "takes other issuers",
    }
    if fault == "believes alg" and jwt.get_unverified_header(token)["alg"].lower() == "none":
        options = {"verify_signature": False}
    claims: dict[str, Any] = jwt.decode(token, SECRET, ["HS256"], options, audience="us", issuer="me")
    is_known = claims["sub"] == "ada" or fault == "takes revoked tokens"
    return claims if is_known and ("read" in claims["scope"].split() or fault == "takes any scope") else None


def build_app(fault: str) -> Flask:
    app = Flask("me")

    @app.route("/me", methods=["GET", "PUT"])
    def answer() -> Any:
        try:
            claims = read_claims(fault)
        except (jwt.PyJWTError, ValueError):
            if fault == "fails on garbage":
                return jsonify(error="oops"), 500
            claims = None
        if claims is None:
            return jsonify(error="who are you?"), 401
        return jsonify(sub=claims["sub"]) if request.method == "GET" else Response(status=204)

    return app


@pytest.fixture
def build(serve: Callable[[Any], str], tmp_path: Path) -> Callable[..., Suite]:
    """Give a function that serves a fault and returns the suite."""

    def build_suite(fault: str, *, signing: Signing | None = None, token: str = TOKEN) -> Suite:
        file = tmp_path / "me.yaml"
        file.write_text(DOCUMENT)
        api = load_spec(file)
        url = serve(build_app(fault))
        generator = Generator(api, url, seed=0, max_examples=0)
        user = Identity(lambda: Credentials("Authorization", f"Bearer {token}", ""))
        wire = Wire(generator, TargetSession(url, RequestCount()), (user,))
        refused = (Credentials("Authorization", f"Bearer {OLD}", ""),)
        return Suite(api, generator, wire, Resources(), "me.yaml", 7, refused=refused, signing=signing)

    return build_suite


def check(suite: Suite, operation_id: str) -> Outcome:
    return check_auth(suite, suite.api.get_operation(operation_id))


def find_caller(failure: Failure) -> str:
    return failure.promise.partition("a caller with ")[2].removesuffix(" is refused with 401")


@pytest.mark.parametrize(
    ("fault", "operation_id", "words"),
    [
        pytest.param("lets PUT in", "put_me", ["no credentials"], id="anybody"),
        pytest.param("takes any scheme", "get_me", ["the secret without the word before it"], id="scheme"),
        pytest.param(
            "takes revoked tokens", "get_me", ["the credentials of --pymacaron-refused number 1"], id="refused"
        ),
        pytest.param("believes alg", "get_me", ["the token unsigned, with alg: none"], id="alg: none"),
        pytest.param("takes old tokens", "get_me", ["a token that expired a day ago"], id="expired"),
        pytest.param("takes early tokens", "get_me", ["a token that is valid from tomorrow on"], id="too early"),
        pytest.param("takes other audiences", "get_me", ["a token for another audience"], id="audience"),
        pytest.param("takes other issuers", "get_me", ["a token of another issuer"], id="issuer"),
        pytest.param("takes any scope", "get_me", ["a token without the scope read"], id="scope"),
        pytest.param("fails on garbage", "get_me", ["garbage instead of the secret"], id="5xx"),
    ],
)
def test_fault(build: Callable[..., Suite], fault: str, operation_id: str, words: list[str]) -> None:
    """A mistake gives one failure that says who was let in."""
    outcome = check(build(fault, signing=Signing(SECRET)), operation_id)
    assert [find_caller(failure) for failure in outcome.failures] == words
    assert {failure.check for failure in outcome.failures} == {"server_error" if "fails" in fault else "ignored_auth"}
    assert not any(TOKEN in str(failure) or OLD in str(failure) for failure in outcome.failures)


def test_unsigned(build: Callable[..., Suite]) -> None:
    """Where no signature is looked at, that is told, and not every form of wrong signatures."""
    failures = check(build("reads unsigned tokens"), "get_me").failures
    assert find_caller(failures[0]) == "the token with a broken signature"
    assert not any("alg: none" in failure.promise for failure in failures)


def test_no_false_alarm(build: Callable[..., Suite]) -> None:
    """A strict service passes, with and without its key."""
    suite = build("", signing=Signing(SECRET))
    assert check(suite, "get_me") == check(suite, "put_me") == Outcome()
    assert check(build(""), "get_me") == Outcome()


def test_refused_user(build: Callable[..., Suite]) -> None:
    """Where the good credentials are refused too, that is told."""
    outcome = check(build("", token=OLD), "get_me")
    gap = "that forged credentials were refused tells nothing: the right ones got 401 too"
    assert outcome == Outcome(gaps=(gap,))
