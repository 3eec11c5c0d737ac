"""Tokens are signed as the target's issuer signs them."""

from __future__ import annotations

import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pymacaron.config import PymConfig, set_config
from pymacaron_testing.signing import Signing, find_signing, read_own_signing, read_token, sign_in

SECRET = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
CLAIMS = {"sub": "ada", "aud": "us", "exp": 1, "nbf": 1, "jti": "x"}


def make_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "RS256"])
def test_found(algorithm: str) -> None:
    """The secret that signed a token is recognised, with the token's algorithm, header and claims."""
    secret = make_pem() if algorithm == "RS256" else SECRET
    token = jwt.encode(CLAIMS, secret, algorithm=algorithm, headers={"kid": "1"})
    signing = find_signing(secret, token)
    assert signing is not None
    assert (signing.algorithm, signing.claims, signing.header["kid"]) == (algorithm, CLAIMS, "1")
    header, claims = read_token(signing.sign({"sub": "bob"})) or ({}, {})
    assert (header["alg"], header["kid"], claims) == (algorithm, "1", {"sub": "bob"})
    assert find_signing("another" * 10, token) is None
    assert SECRET not in repr(signing)


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "eyJhbGciOiAiSFMyNTYifQ.bm90IGpzb24.x", "W10.W10.x"])
def test_no_token(token: str) -> None:
    """What is no JWT is signed by nobody."""
    assert read_token(token) is None
    assert find_signing(SECRET, token) is None


def test_unknown_algorithm() -> None:
    """A token of an algorithm that nobody knows is signed by nobody."""
    token = "eyJhbGciOiAiWFgxIn0.e30.eA"  # {"alg": "XX1"}, {}
    assert read_token(token) == ({"alg": "XX1"}, {})
    assert find_signing(SECRET, token) is None


def test_without_a_token() -> None:
    """Without a token the secret tells how to sign."""
    found = [find_signing(secret, None) for secret in (SECRET, make_pem())]
    assert [signing and signing.algorithm for signing in found] == ["HS256", "RS256"]


def test_another_user() -> None:
    """Another user's token has the good one's claims, is valid now, and asks for the scopes."""
    token = jwt.encode(CLAIMS, SECRET, algorithm="HS256")
    signing = find_signing(SECRET, token)
    assert signing is not None
    credentials = sign_in(signing, "bob", "made up", scopes=("read", "write"))
    assert (credentials.name, credentials.scheme, credentials.origin) == ("Authorization", "Bearer", "made up")
    claims = jwt.decode(credentials.secret, SECRET, algorithms=["HS256"], audience="us")
    assert claims["sub"] == "bob"
    assert claims["jti"] == "bob"
    assert claims["scope"] == "read write"
    assert time.time() + 3000 < claims["exp"] < time.time() + 4000
    assert claims["nbf"] <= time.time()


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param({"sub": "1", "iss": "me", "scope": "read"}, True, id="only sub names the user"),
        pytest.param({"uid": "1"}, False, id="no sub"),
        pytest.param({"sub": "1", "email": "ada@example.com"}, False, id="a second name of the user"),
        pytest.param({"sub": "1", "role": "admin"}, False, id="a role, which may open other users' things"),
    ],
)
def test_names_users(claims: dict[str, object], expected: bool) -> None:
    """Another `sub` is another user only where nothing else in the token says who somebody is."""
    assert Signing(SECRET, claims=claims).names_users is expected


def test_own_configuration() -> None:
    """The service's own configuration signs, with a secret or a private key."""
    pem = make_pem()
    for options in ({"jwt_secret": SECRET}, {"jwt_private_key": pem, "jwt_algorithms": ["RS256"]}):
        set_config(PymConfig(jwt_issuer="me", jwt_audience="us", **options))
        try:
            signing = read_own_signing()
        finally:
            set_config(None)
        assert signing is not None
        assert signing.secret in {SECRET, pem}
        assert signing.claims.keys() == {"iss", "sub", "aud", "exp", "iat"}
        assert find_signing(signing.secret, signing.sign({"sub": "x"})) is not None
