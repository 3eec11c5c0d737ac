"""Wrong callers are made from good credentials: all kinds of them, and none that is good."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from pymacaron_testing.credentials import Credentials
from pymacaron_testing.forging import forge_keys, forge_unsigned
from pymacaron_testing.impostors import Impostor, Knowledge, choose_tellers, find_impostors, implies
from pymacaron_testing.signing import Signing, read_token

SECRET = "a-secret-of-thirty-two-characters"
CLAIMS = {"sub": "ada", "iss": "me", "aud": ["us"], "scope": "read write", "exp": 4_102_444_800}
TOKEN = jwt.encode(CLAIMS, SECRET, algorithm="HS256", headers={"kid": "1"})
BEARER = Credentials("Authorization", f"Bearer {TOKEN}", "")
KEY = Credentials("X-Key", "k-Alice-123", "")


def values(impostors: list[Impostor], name: str, fault: str) -> list[str]:
    return [one.headers[name] for one in impostors if one.fault == fault]


def verify(token: str, **options: Any) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"], audience="us", issuer="me", **options)
    return claims


def test_token() -> None:
    """A strict verifier refuses every form of a token that is made without its key."""
    found = find_impostors(Knowledge((BEARER,), is_scheme_declared=True))
    assert [one.fault for one in found[:3]] == ["anonymous", "garbage", "empty"]
    assert found[0].headers == {}
    forged = [one for one in found if one.fault in {"signature", "claims", "algorithm", "key"}]
    assert len(forged) == 14
    for one in forged:
        assert one.headers["Authorization"].startswith("Bearer ")
        with pytest.raises(jwt.PyJWTError):
            verify(one.headers["Authorization"].removeprefix("Bearer "))
    assert values(found, "Authorization", "scheme") == [TOKEN, f"Basic {TOKEN}"]
    assert len({one.words for one in found}) == len(found)


def test_lax_verifiers() -> None:
    """The forms are what lax verifiers let in: no signature looked at, any algorithm, any key."""
    unsigned = forge_unsigned(TOKEN)
    for words in ("the token with a broken signature", "the token without its signature"):
        assert verify(unsigned[words], options={"verify_signature": False})["sub"] == "ada"
    found = find_impostors(Knowledge((BEARER,)))
    for value in values(found, "Authorization", "algorithm"):
        header, claims = read_token(value.removeprefix("Bearer ")) or ({}, {})
        assert (header["alg"].lower(), claims["sub"]) == ("none", "ada")
        assert value.endswith(".")
    own = forge_keys(TOKEN)["the token signed with a key that came along in its header"]
    key = jwt.PyJWK(jwt.get_unverified_header(own)["jwk"])
    assert jwt.decode(own, key, algorithms=["ES256"], audience="us", issuer="me")["sub"] == "ada"


def test_public_key_as_secret() -> None:
    """The text of a public key is tried as an HMAC secret; keys that are none are left out."""
    public = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    published = [json.loads(RSAAlgorithm.to_jwk(public)), {"kty": "oct"}, {"kty": "unknown"}, {}]
    forged = [text for words, text in forge_keys(TOKEN, published).items() if "public key" in words]
    assert len(forged) == 2
    assert read_token(forged[0]) == ({"typ": "JWT", "alg": "HS256", "kid": "1"}, CLAIMS)
    assert forged[0] != forged[1]


def test_minted() -> None:
    """With the key, tokens with one fault are made: the verifier names just that fault."""
    found = find_impostors(Knowledge((BEARER,), ("write", "admin"), signing=Signing(SECRET)))
    errors = {
        "expired": jwt.ExpiredSignatureError,
        "not yet valid": jwt.ImmatureSignatureError,
        "issuer": jwt.InvalidIssuerError,
        "audience": jwt.InvalidAudienceError,
    }
    for fault, error in errors.items():
        [value] = values(found, "Authorization", fault)
        with pytest.raises(error):
            verify(value.removeprefix("Bearer "))
    [value] = values(found, "Authorization", "scope write")
    assert verify(value.removeprefix("Bearer "))["scope"] == "read"
    assert values(found, "Authorization", "scope admin") == []
    assert "a token signed with another secret" in {one.words for one in found}


@pytest.mark.parametrize(
    ("secret", "fault", "count"),
    [
        pytest.param("k-Alice-123", "part", 4, id="parts of a key"),
        pytest.param("k-Alice-123", "case", 1, id="another case"),
        pytest.param("0f3a-99BC", "case", 0, id="hexadecimal digits have no case"),
        pytest.param("01HZX3QK", "case", 0, id="nor has base32"),
        pytest.param("short", "part", 0, id="parts of short keys may be anything"),
        pytest.param("k-Alice-123", "pattern", 8, id="patterns"),
        pytest.param("k-Alice-123", "place", 2, id="in the query"),
        pytest.param("k-Alice-123", "signature", 0, id="no token"),
    ],
)
def test_key(secret: str, fault: str, count: int) -> None:
    """A key that is no token is cut, changed, replaced and misplaced."""
    found = find_impostors(Knowledge((Credentials("X-Key", secret, ""),)))
    of_fault = [one for one in found if one.fault == fault]
    assert len(of_fault) == count
    assert all(secret not in one.headers.values() or fault == "place" for one in of_fault)


def test_password() -> None:
    """Of user and password only the password is wrong, or only the user."""
    secret = base64.b64encode(b"ada:lovelace").decode()
    found = find_impostors(Knowledge((Credentials("Authorization", f"Basic {secret}", ""),), is_scheme_declared=True))
    texts = [base64.b64decode(value[6:]).decode() for value in values(found, "Authorization", "password")]
    assert texts == ["ada:lovelacex", "ada:", "ada", "ada-pymacaron:lovelace"]
    assert values(found, "Authorization", "scheme") == [secret, f"Bearer {secret}"]


@pytest.mark.parametrize("text", ["!", "bm9jb2xvbg==", "/w=="])
def test_no_password(text: str) -> None:
    """What holds no user and password is only replaced."""
    found = find_impostors(Knowledge((Credentials("Authorization", f"Basic {text}", ""),)))
    assert values(found, "Authorization", "password") == []


def test_cookie() -> None:
    """The name of a cookie stays."""
    found = find_impostors(Knowledge((Credentials("Cookie", "session=k-Alice-123", ""),)))
    assert values(found, "Cookie", "garbage") == ["session=pymacaron-garbage"]
    assert "session=k-Alice-12" in values(found, "Cookie", "part")
    assert [one for one in found if one.fault == "place"] == []


def test_two_credentials() -> None:
    """Where two are asked for, one is spoilt or missing while the other is right."""
    found = find_impostors(Knowledge((KEY, Credentials("?app", "app-key-1", ""))))
    assert [dict(one.headers) for one in found if one.fault == "anonymous"] == [
        {},
        {"?app": "app-key-1"},
        {"X-Key": "k-Alice-123"},
    ]
    assert {"X-Key": "k-Alice-123", "?app": "pymacaron-garbage"} in [dict(one.headers) for one in found]


def test_refused() -> None:
    """What somebody said must be refused is sent where its header is asked for; good credentials never."""
    refused = (Credentials("x-key", "revoked", ""), Credentials("Authorization", "Bearer old", ""))
    found = find_impostors(Knowledge((KEY,), refused=refused, taken=frozenset({"k-Alice-123", "k-Alice-12"})))
    sent = [one for one in found if one.fault.startswith("refused")]
    assert [(one.words, dict(one.headers)) for one in sent] == [
        ("the credentials of --pymacaron-refused number 1", {"x-key": "revoked"})
    ]
    assert "k-Alice-12" not in values(found, "X-Key", "part")
    nobody = find_impostors(Knowledge(refused=refused))
    assert [one.fault for one in nobody] == ["anonymous", "garbage", "refused 1", "refused 2"]


def test_tellers() -> None:
    """One caller tells of each fault, two of parts of a secret."""
    found = find_impostors(Knowledge((KEY,), refused=(Credentials("X-Key", "old", ""),)))
    faults = [one.fault for one in choose_tellers(found)]
    assert faults == ["anonymous", "garbage", "empty", "part", "part", "case", "pattern", "place", "refused 1"]
    assert len(found) > 2 * len(faults) - 2


@pytest.mark.parametrize(
    ("admitted", "other", "expected"),
    [
        ("anonymous", "expired", True),
        ("garbage", "refused 1", True),
        ("signature", "algorithm", True),
        ("algorithm", "signature", False),
        ("part", "case", True),
        ("expired", "issuer", False),
    ],
)
def test_implies(admitted: str, other: str, expected: bool) -> None:
    """Who needs no credentials needs no right ones; a signature nobody looks at may be of any kind."""
    assert implies(admitted, other) is expected
