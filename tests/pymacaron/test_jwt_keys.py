"""The keys behind a JWKS URL: fetched once for many tokens, anew in time, and believed for no longer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pymacaron.config import PymConfig
from pymacaron.exceptions import AuthInvalidTokenError, HttpError
from pymacaron.jwt_keys import JWKS_LIFESPAN_S, JwtSettings
from pymacaron.jwt_tokens import TokenVerifier

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def private_pem(key: PrivateKeyTypes) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class _KeyServer:
    """An issuer's JWKS endpoint on this machine."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKeyTypes] = {}
        self.status = 200
        self.body: bytes | None = None
        self.requests = 0
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.requests += 1
                self.send_response(owner.status)
                self.end_headers()
                self.wfile.write(owner.body if owner.body is not None else owner.document())

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def document(self) -> bytes:
        keys = []
        for key_id, key in self.keys.items():
            assert isinstance(key, rsa.RSAPrivateKey)
            keys.append({**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id})
        return json.dumps({"keys": keys}).encode()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def key_server() -> Iterator[_KeyServer]:
    """Serve one key, called one."""
    server = _KeyServer()
    server.keys["one"] = RSA
    yield server
    server.stop()


def sign(key: PrivateKeyTypes = RSA, key_id: str | None = "one", algorithm: str = "RS256") -> str:
    now = int(time.time())
    claims = {"iss": "pets.test", "aud": "pets", "sub": "bob", "iat": now, "exp": now + 60}
    return jwt.encode(claims, private_pem(key), algorithm=algorithm, headers={"kid": key_id} if key_id else None)


def jwks_verifier(server: _KeyServer, **changes: Any) -> TokenVerifier:
    good = {"jwt_issuer": "pets.test", "jwt_audience": "pets", "jwt_algorithms": ["RS256"], "jwt_jwks_url": server.url}
    return TokenVerifier(JwtSettings.of(PymConfig(**{**good, **changes})))


def test_jwks(key_server: _KeyServer) -> None:
    """The token's kid chooses the key, and keys are fetched once for many tokens."""
    verifier = jwks_verifier(key_server)
    for _ in range(3):
        assert verifier.verify(sign())["sub"] == "bob"
    assert key_server.requests == 1


def test_jwks_and_a_private_key(key_server: _KeyServer) -> None:
    """With a JWKS URL the published keys verify, whatever private key the service signs with."""
    own = jwks_verifier(key_server, jwt_private_key=private_pem(rsa.generate_private_key(65537, 2048)))
    assert own.verify(sign())["sub"] == "bob"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"key_id": None}, "JWT token names no key \\(kid\\)", id="no-kid"),
        pytest.param({"key_id": "two"}, "names a key \\(kid\\) that its issuer does not publish", id="unknown-kid"),
        pytest.param({"key": rsa.generate_private_key(65537, 2048)}, "JWT token signature is invalid", id="other-key"),
        pytest.param({"algorithm": "RS512"}, "an algorithm that is not accepted", id="algorithm"),
        pytest.param({"key": EC, "algorithm": "ES256"}, "JWT token is invalid", id="key-of-other-kind"),
    ],
)
def test_jwks_refusals(key_server: _KeyServer, options: dict[str, Any], message: str) -> None:
    """A token of no published key is invalid."""
    with pytest.raises(AuthInvalidTokenError, match=message):
        jwks_verifier(key_server, jwt_algorithms=["RS256", "ES256"]).verify(sign(**options))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(500, b"", id="error"),
        pytest.param(200, b"no json", id="no-json"),
        pytest.param(200, b'{"keys": []}', id="no-keys"),
    ],
)
def test_jwks_that_cannot_be_fetched(key_server: _KeyServer, status: int, body: bytes) -> None:
    """Without keys nobody's token is called wrong: the answer is 503, and the next fetch waits a while."""
    key_server.status, key_server.body = status, body
    verifier = jwks_verifier(key_server)
    for _ in range(3):
        with pytest.raises(HttpError) as caught:
            verifier.verify(sign())
        assert caught.value.status == 503
        assert caught.value.code == "TOKEN_KEYS_UNAVAILABLE"
        assert caught.value.headers == {"Retry-After": "10"}
    assert key_server.requests == 1
    key_server.status, key_server.body = 200, None
    assert verifier._jwks is not None
    verifier._jwks._retry_at_s = 0
    assert verifier.verify(sign())["sub"] == "bob"


def make_old(verifier: TokenVerifier, age_s: float) -> None:
    """Let the keys of *verifier* have been fetched *age_s* seconds ago."""
    keys = verifier._jwks
    assert keys is not None
    assert keys._client is not None
    assert keys._client.jwk_set_cache is not None
    keys._until_s -= age_s
    keys._renew_at_s -= age_s
    if age_s >= JWKS_LIFESPAN_S:
        keys._client.jwk_set_cache.put(None)


def test_jwks_are_fetched_ahead(key_server: _KeyServer) -> None:
    """In the last minute of their time keys are fetched anew by whoever comes; the same ones leave tokens known."""
    verifier = jwks_verifier(key_server)
    token = sign()
    verifier.verify(token)
    make_old(verifier, JWKS_LIFESPAN_S - 61)
    assert verifier.recall(token) is not None
    assert key_server.requests == 1
    make_old(verifier, 2)
    for _ in range(2):
        assert verifier.recall(token) is not None
        assert key_server.requests == 2


def test_jwks_without_a_key_that_was_there(key_server: _KeyServer) -> None:
    """A token is not good any more once its issuer has taken its key back, at the latest when the keys are old."""
    for age_s in (JWKS_LIFESPAN_S - 30, JWKS_LIFESPAN_S + 1):
        key_server.keys = {"one": RSA, "two": OTHER_RSA}
        verifier = jwks_verifier(key_server)
        gone, good = sign(), sign(OTHER_RSA, "two")
        for token in (gone, good):
            verifier.verify(token)
        del key_server.keys["one"]
        make_old(verifier, age_s)
        assert verifier.recall(gone) is None
        with pytest.raises(AuthInvalidTokenError, match="names a key \\(kid\\) that its issuer does not publish"):
            verifier.verify(gone)
        assert verifier.verify(good)["sub"] == "bob"


def test_jwks_with_another_key_of_the_same_name(key_server: _KeyServer) -> None:
    """A key that was replaced under its old name is another one."""
    verifier = jwks_verifier(key_server)
    token = sign()
    verifier.verify(token)
    key_server.keys["one"] = OTHER_RSA
    make_old(verifier, JWKS_LIFESPAN_S - 30)
    with pytest.raises(AuthInvalidTokenError, match="signature is invalid"):
        verifier.verify(token)


def test_jwks_that_change_while_a_token_is_verified(key_server: _KeyServer) -> None:
    """Other keys make the verifier forget all tokens, that one too during whose verification they came."""
    verifier = jwks_verifier(key_server)
    old, new = sign(), sign(OTHER_RSA, "two")
    verifier.verify(old)
    assert verifier._jwks is not None
    assert verifier._jwks._client is not None
    verifier._jwks._client.cooldown_duration = 0
    key_server.keys["two"] = OTHER_RSA
    verifier.verify(new)
    assert verifier.recall(old) is verifier.recall(new) is None
    assert verifier.check(new) is verifier.recall(new)


def test_jwks_that_cannot_be_fetched_anew(key_server: _KeyServer, caplog: pytest.LogCaptureFixture) -> None:
    """While the keys cannot be fetched known tokens are good until the keys are old, and no longer."""
    verifier = jwks_verifier(key_server)
    token = sign()
    verifier.verify(token)
    key_server.status = 500
    make_old(verifier, JWKS_LIFESPAN_S - 30)
    for _ in range(2):
        assert verifier.recall(token) is not None
        assert key_server.requests == 2
    assert "The keys behind jwt_jwks_url cannot be fetched anew (PyJWKClientConnectionError)" in caplog.text
    make_old(verifier, JWKS_LIFESPAN_S)
    assert verifier.recall(token) is None
    with pytest.raises(HttpError) as caught:
        verifier.verify(token)
    assert caught.value.status == 503


def test_jwks_are_fetched_anew_once(key_server: _KeyServer) -> None:
    """While one request fetches the keys anew, others do not wait for it."""
    verifier = jwks_verifier(key_server)
    token = sign()
    verifier.verify(token)
    make_old(verifier, JWKS_LIFESPAN_S - 30)
    assert verifier._jwks is not None
    with verifier._jwks._renewing:
        assert verifier.recall(token) is not None
    assert key_server.requests == 1
