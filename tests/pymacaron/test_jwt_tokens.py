"""JWTs are signed and verified by what the configuration says, and by nothing that a token says."""

from __future__ import annotations

import base64
import json
import logging
import time
import warnings
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import SecretStr

from pymacaron.config import PymConfig
from pymacaron.exceptions import AuthError, AuthInvalidTokenError, AuthTokenExpiredError, ConfigError
from pymacaron.jwt_keys import JwtSettings
from pymacaron.jwt_tokens import LEEWAY_S, REMEMBERED_S, CurrentVerifier, TokenVerifier, build_verifier, sign_token

SECRET = "0123456789abcdef0123456789abcdef"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def private_pem(key: PrivateKeyTypes) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key: PrivateKeyTypes) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def settings(**changes: Any) -> JwtSettings:
    """Return good settings with *changes*."""
    good = {"jwt_secret": SECRET, "jwt_issuer": "pets.test", "jwt_audience": "pets"}
    return JwtSettings.of(PymConfig(**{**good, **changes}))


def claims(**changes: object) -> dict[str, Any]:
    """Return the claims of a good token with *changes*; None leaves a claim out."""
    now = int(time.time())
    good = {"iss": "pets.test", "aud": "pets", "sub": "bob", "iat": now, "exp": now + 60}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def encode(part: object) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_secrets(algorithm: str) -> None:
    """Tokens signed with the secret come back as their claims."""
    own = settings(jwt_algorithms=[algorithm], jwt_secret=SECRET * 2)
    given = claims(role="admin")
    token = sign_token(own, given)
    assert jwt.get_unverified_header(token)["alg"] == algorithm
    assert TokenVerifier(own).verify(token) == given


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        pytest.param("RS256", RSA, id="RS256"),
        pytest.param("PS384", RSA, id="PS384"),
        pytest.param("ES256", EC, id="ES256"),
        pytest.param("EdDSA", ED, id="EdDSA"),
    ],
)
@pytest.mark.parametrize("place", ["text", "one line", "file", "private only"])
def test_key_pairs(tmp_path: Path, algorithm: str, key: PrivateKeyTypes, place: str) -> None:
    """A private key signs and its public key verifies, be they PEM text, text in one line, or files."""
    private, public = private_pem(key), public_pem(key)
    if place == "one line":
        private, public = private.replace("\n", "\\n"), public.replace("\n", "\\n")
    if place == "file":
        (tmp_path / "private.pem").write_text(private)
        (tmp_path / "public.pem").write_text(public)
        private, public = "private.pem", "public.pem"
    keys = {"jwt_private_key": private} | ({} if place == "private only" else {"jwt_public_key": public})
    own = settings(jwt_secret=None, jwt_algorithms=[algorithm], folder=tmp_path, **keys)
    given = claims()
    assert TokenVerifier(own).verify(sign_token(own, given)) == given


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"iss": "other.test"}, "JWT has incorrect issuer", id="issuer"),
        pytest.param({"iss": "pets.test.evil"}, "JWT has incorrect issuer", id="issuer-prefix"),
        pytest.param({"iss": "pets"}, "JWT has incorrect issuer", id="issuer-part"),
        pytest.param({"iss": None}, "JWT token lacks one of the claims exp, iss, aud", id="no-issuer"),
        pytest.param({"aud": "cats"}, "JWT has incorrect audience", id="audience"),
        pytest.param({"aud": None}, "JWT token lacks one of the claims exp, iss, aud", id="no-audience"),
        pytest.param({"exp": None}, "JWT token lacks one of the claims exp, iss, aud", id="no-expiry"),
        pytest.param({"exp": "later"}, "JWT token is invalid", id="expiry-no-number"),
        pytest.param({"iat": 4_000_000_000}, "JWT token was issued in the future", id="future"),
        pytest.param({"nbf": 4_000_000_000}, "JWT token was issued in the future", id="not-yet"),
        pytest.param({"sub": 7}, "JWT token is invalid", id="subject-no-text"),
    ],
)
def test_wrong_claims(changes: dict[str, object], message: str) -> None:
    """One wrong claim makes a well-signed token invalid."""
    own = settings()
    token = jwt.encode(claims(**changes), SECRET, algorithm="HS256")
    with pytest.raises(AuthInvalidTokenError, match=f"^{message}$"):
        TokenVerifier(own).verify(token)


def test_many_audiences() -> None:
    """A token for several audiences is good if ours is one of them."""
    token = sign_token(settings(), claims(aud=["cats", "pets"]))
    assert TokenVerifier(settings()).verify(token)["sub"] == "bob"


def test_expiry() -> None:
    """A token is good until its expiry and a few seconds longer."""
    now = int(time.time())
    verifier = TokenVerifier(settings())
    just = claims(exp=now - LEEWAY_S + 3)
    assert verifier.verify(sign_token(settings(), just)) == just
    with pytest.raises(AuthTokenExpiredError, match=r"^JWT token has expired$"):
        verifier.verify(sign_token(settings(), claims(exp=now - LEEWAY_S - 1)))


def test_a_remembered_token_expires() -> None:
    """A token that was good before is refused once its time is over."""
    verifier = TokenVerifier(settings())
    token = sign_token(settings(), claims(exp=int(time.time()) - LEEWAY_S + 2))
    assert verifier.verify(token)["sub"] == "bob"
    time.sleep(2.1)
    with pytest.raises(AuthTokenExpiredError):
        verifier.verify(token)


def test_remembered_claims_are_copies() -> None:
    """Whoever changes the claims that it got changes nothing for the next request."""
    verifier = TokenVerifier(settings())
    token = sign_token(settings(), claims(roles=["reader"]))
    for _ in range(3):
        found = verifier.verify(token)
        assert found["roles"] == ["reader"]
        found["roles"].append("admin")


def test_how_long_a_token_is_remembered() -> None:
    """A token is remembered until it expires, to the second, and for some minutes at most."""
    verifier = TokenVerifier(settings())
    now = int(time.time())
    for given in (now + 5, now + 5.9):
        found = verifier.check(jwt.encode(claims(exp=given), SECRET, algorithm="HS256"))
        assert found.until_s == now + 5 + LEEWAY_S
    found = verifier.check(sign_token(settings(), claims(exp=now + 100_000)))
    assert now + REMEMBERED_S <= found.until_s <= time.time() + REMEMBERED_S


def test_a_known_token_is_not_verified_again() -> None:
    """The second time a token is only looked up."""
    verifier = TokenVerifier(settings())
    token = sign_token(settings(), claims())
    assert verifier.recall(token) is None
    assert verifier.check(token) is verifier.check(token) is verifier.recall(token)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"nbf": 4_000_000_000}, id="not-yet"),
        pytest.param({"exp": 1}, id="expired"),
        pytest.param({"iss": "other.test"}, id="issuer"),
    ],
)
def test_nothing_is_remembered_of_a_refused_token(changes: dict[str, object]) -> None:
    """A token that was refused is verified again each time it comes."""
    verifier = TokenVerifier(settings())
    token = sign_token(settings(), claims(**changes))
    for _ in range(2):
        with pytest.raises(AuthError):
            verifier.verify(token)
    assert verifier.recall(token) is None
    assert len(verifier._known) == 0


def spell(token: str, case: str) -> str:
    """Return *token* with a signature that a careless decoder takes for the same."""
    head, _, signature = token.rpartition(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return {
        "unused-bits": f"{head}.{signature[:-1]}{letters[letters.index(signature[-1]) + 1]}",
        "padded": f"{token}=",
        "foreign-character": f"{head}.{signature[:5]}!{signature[5:]}",
        "line-break": f"{token}\n",
        "space": f"{head}. {signature}",
        "first-character": f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
    }[case]


@pytest.mark.parametrize(
    "case", ["unused-bits", "padded", "foreign-character", "line-break", "space", "first-character"]
)
def test_a_token_has_one_spelling(case: str) -> None:
    """Beside a known good token, one with another spelling of its signature is neither found nor accepted."""
    verifier = TokenVerifier(settings())
    token = sign_token(settings(), claims())
    verifier.verify(token)
    other = spell(token, case)
    for _ in range(2):
        assert verifier.recall(other) is None
        with pytest.raises(AuthInvalidTokenError):
            verifier.verify(other)
    assert verifier.recall(token) is not None


def test_forged_tokens_are_no_known_ones() -> None:
    """Forgeries that share header and payload with a known token are refused each time."""
    verifier = TokenVerifier(settings())
    token = sign_token(settings(), claims())
    verifier.verify(token)
    forger = settings(jwt_secret="another-secret-of-32-bytes-or-more")
    for forged in (sign_token(forger, verifier.verify(token)), token.rpartition(".")[0] + "."):
        assert forged.rpartition(".")[0] == token.rpartition(".")[0]
        for _ in range(2):
            assert verifier.recall(forged) is None
            with pytest.raises(AuthInvalidTokenError):
                verifier.verify(forged)


def test_settings_that_change_at_run_time() -> None:
    """A verifier serves until a setting changes, be it by assignment or inside of a list; then nothing is known."""
    config = PymConfig(jwt_secret=SecretStr(SECRET), jwt_issuer="pets.test", jwt_audience="pets")
    current = CurrentVerifier()
    token = sign_token(settings(), claims())
    assert current.recall(token, config) is None
    verifier = current.of(config)
    verifier.verify(token)
    config.name = "another"
    assert current.of(config) is verifier
    assert current.recall(token, config) is not None
    changes: list[tuple[str, Any]] = [
        ("jwt_issuer", "other.test"),
        ("jwt_audience", "cats"),
        ("jwt_secret", SecretStr(SECRET[::-1])),
        ("jwt_algorithms", ["HS384"]),
    ]
    for name, value in changes:
        before = getattr(config, name)
        setattr(config, name, value)
        assert current.recall(token, config) is None
        with pytest.raises(AuthError):
            current.of(config).verify(token)
        setattr(config, name, before)
        assert current.of(config).verify(token)["sub"] == "bob"
    config.jwt_algorithms[:] = ["HS512"]
    assert current.recall(token, config) is None
    config.jwt_secret = None
    assert current.recall(token, config) is None
    with pytest.raises(ConfigError):
        current.of(config)


def forge(case: str) -> str:
    """Return a token that an attacker could make, knowing public keys and good tokens."""
    good = sign_token(settings(), claims())
    header, payload, signature = good.split(".")
    return {
        "none": f"{encode({'alg': 'none', 'typ': 'JWT'})}.{payload}.",
        "None": f"{encode({'alg': 'None', 'typ': 'JWT'})}.{payload}.",
        "no-alg": f"{encode({'typ': 'JWT'})}.{payload}.{signature}",
        "unhashable-alg": f"{encode({'alg': ['HS256']})}.{payload}.{signature}",
        "other-secret": jwt.encode(claims(), "another-secret-of-32-bytes-or-more", algorithm="HS256"),
        "other-hash": jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
        "other-payload": f"{header}.{encode(claims(sub='admin'))}.{signature}",
        "no-signature": f"{header}.{payload}.",
        "two-parts": f"{header}.{payload}",
        "garbage": "garbage",
        "empty": "",
        "not-ascii": "é.ü.ö",
        "payload-no-object": f"{header}.{encode([1])}.{signature}",
        "header-no-json": f"{encode(b'{{')}.{payload}.{signature}",
    }[case]


@pytest.mark.parametrize(
    "case",
    [
        "none",
        "None",
        "no-alg",
        "unhashable-alg",
        "other-secret",
        "other-hash",
        "other-payload",
        "no-signature",
        "two-parts",
        "garbage",
        "empty",
        "not-ascii",
        "payload-no-object",
        "header-no-json",
    ],
)
def test_forged_tokens(case: str) -> None:
    """A token that the secret did not sign is invalid."""
    with pytest.raises(AuthInvalidTokenError) as caught:
        TokenVerifier(settings()).verify(forge(case))
    assert caught.value.__cause__ is None


def test_a_public_key_is_no_secret() -> None:
    """HMAC with the text of the public key does not pass, also where both kinds of algorithm are accepted."""
    pem = public_pem(RSA)
    for algorithms, secret in ((["RS256"], None), (["RS256", "HS256"], SECRET)):
        verifier = TokenVerifier(settings(jwt_secret=secret, jwt_public_key=pem, jwt_algorithms=algorithms))
        for key in (pem, pem.strip()):
            signed = f"{encode({'alg': 'HS256', 'typ': 'JWT'})}.{encode(claims())}"
            signature = jwt.get_algorithm_by_name("HS256").sign(signed.encode(), key.encode())
            with pytest.raises(AuthInvalidTokenError):
                verifier.verify(f"{signed}.{encode(signature)}")


def test_both_kinds_of_keys() -> None:
    """Secret and public key may both be accepted, for a service that changes from one to the other."""
    own = settings(jwt_private_key=private_pem(RSA), jwt_algorithms=["RS256", "HS256"])
    verifier = TokenVerifier(own)
    assert jwt.get_unverified_header(sign_token(own, claims()))["alg"] == "RS256"
    assert verifier.verify(sign_token(own, claims()))["sub"] == "bob"
    assert verifier.verify(sign_token(settings(), claims()))["sub"] == "bob"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"jwt_issuer": None},
            "jwt_issuer is missing, and tokens are verified against it. Set jwt_issuer.",
            id="issuer",
        ),
        pytest.param(
            {"jwt_audience": ""},
            "jwt_audience is missing, and tokens are verified against it. Set jwt_audience.",
            id="audience",
        ),
        pytest.param(
            {"jwt_secret": None, "jwt_public_key": public_pem(RSA)},
            "jwt_secret is missing, and jwt_algorithms names HS256. "
            "Set jwt_secret, or name the algorithm of your public key in jwt_algorithms.",
            id="secret",
        ),
        pytest.param(
            {"jwt_algorithms": ["HS256", "RS256"]},
            "there is no public key, and jwt_algorithms names RS256. Set jwt_public_key or jwt_jwks_url.",
            id="public-key",
        ),
        pytest.param(
            {"jwt_algorithms": ["ES256"], "jwt_public_key": public_pem(RSA)},
            "jwt_public_key is no key for ES256. Correct the key, or name its algorithm in jwt_algorithms.",
            id="other-kind",
        ),
        pytest.param(
            {"jwt_algorithms": ["RS256", "RS512"], "jwt_public_key": "key.pem"},
            "jwt_public_key is neither PEM text nor a readable file (No such file or directory). "
            "Write -----BEGIN … or the path of a PEM file.",
            id="no-file",
        ),
        pytest.param(
            {"jwt_algorithms": ["RS256"], "jwt_private_key": public_pem(RSA)},
            "jwt_private_key is no key for RS256. Correct the key, or name its algorithm in jwt_algorithms.",
            id="private-key-is-public",
        ),
        pytest.param(
            {"jwt_secret": public_pem(RSA)},
            "jwt_secret is no key for HS256. Correct the key, or name its algorithm in jwt_algorithms.",
            id="secret-is-public-key",
        ),
        pytest.param(
            {"jwt_algorithms": ["RS256"], "jwt_jwks_url": "http://keys.example.com/jwks"},
            "jwt_jwks_url is http://keys.example.com/jwks, where anyone on the way can change the keys. "
            "Write an https URL.",
            id="jwks-http",
        ),
        pytest.param(
            {"jwt_algorithms": ["RS256"], "jwt_jwks_url": "file:///etc/passwd"},
            "jwt_jwks_url is file:///etc/passwd, where anyone on the way can change the keys. Write an https URL.",
            id="jwks-file",
        ),
    ],
)
def test_settings_that_do_not_fit(changes: dict[str, Any], expected: str) -> None:
    """A missing or wrong key is told when the verifier is built, without the key itself."""
    with pytest.raises(ConfigError) as caught:
        build_verifier(settings(**changes))
    assert str(caught.value) == f"pym-config.yaml: {expected}"


def test_no_key_to_sign_with() -> None:
    """A service that only verifies cannot sign."""
    own = settings(jwt_secret=None, jwt_public_key=public_pem(RSA), jwt_algorithms=["RS256"])
    with pytest.raises(ConfigError, match="there is no key to sign a token with by RS256"):
        sign_token(own, claims())


def test_a_short_secret_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A weak secret works as it always did; the log says so once, and never shows it."""
    own = settings(jwt_secret="not-so-long", name="short")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            token = sign_token(own, claims())
            assert build_verifier(own).verify(token)["sub"] == "bob"
    (record,) = caplog.records
    assert record.getMessage() == (
        "pym-config.yaml: jwt_secret is shorter than the 32 bytes that HS256 asks for (RFC 7518). "
        "Replace it by a longer one"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert jwt.decode(token, "not-so-long", algorithms=["HS256"], audience="pets")["sub"] == "bob"
