"""The names of pymacaron.auth: tokens of requests, decorators, new tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from flask import Flask
from pydantic import SecretStr

from pymacaron.auth import (
    add_auth,
    authenticate_http_request,
    backend_token,
    generate_token,
    get_token_issuer,
    get_user_token,
    get_user_token_data,
    get_userid,
    jwt_resolver,
    load_auth_token,
    requires_auth,
)
from pymacaron.config import PymConfig, get_config, set_config
from pymacaron.exceptions import AuthError, AuthInvalidTokenError, AuthMissingHeaderError, ConfigError
from pymacaron.log import current_user_id, note_user

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def config() -> Iterator[PymConfig]:
    """Give the process a configuration with JWT keys."""
    config = PymConfig(jwt_secret=SecretStr(SECRET), jwt_issuer="pets.test", jwt_audience="pets")
    set_config(config)
    yield config
    set_config(None)
    note_user(None)


@pytest.fixture
def app() -> Flask:
    """Build an app with two protected views; the token functions need no more of pymacaron."""
    app = Flask("svc")

    @app.get("/me")
    @requires_auth
    def me() -> dict[str, Any]:
        return {"user": get_userid(), "token": get_user_token(), "issuer": get_token_issuer(), "log": current_user_id()}

    @app.errorhandler(AuthError)
    def answer(error: AuthError) -> tuple[dict[str, Any], int, dict[str, str]]:
        return error.to_dict(), error.status, error.headers

    return app


def decode(token: str) -> dict[str, Any]:
    """Return the claims of a token, verified by the library itself."""
    return jwt.decode(token, SECRET, algorithms=["HS256"], audience=["pets", "cats"])


def test_a_new_token(config: PymConfig) -> None:
    """A token carries the five claims, and those that are given."""
    before = int(time.time())
    claims = decode(generate_token("bob", data={"role": "admin"}))
    assert before <= claims["iat"] <= int(time.time())
    assert claims["exp"] == claims["iat"] + config.jwt_token_timeout
    del claims["iat"], claims["exp"]
    assert claims == {"iss": "pets.test", "sub": "bob", "aud": "pets", "role": "admin"}


def test_arguments_of_a_new_token() -> None:
    """Life time, issuer, audience and time of issue can be chosen."""
    now = time.time()
    claims = decode(generate_token("bob", expire_in=60, issuer="other.test", iat=now - 10.5, audience="cats"))
    assert claims == {
        "iss": "other.test",
        "sub": "bob",
        "aud": "cats",
        "iat": int(now - 10.5),
        "exp": int(now - 10.5) + 60,
    }


def test_claims_of_one_token_stay_out_of_the_next() -> None:
    """Data is not changed, does not leak into later tokens, and cannot replace the five claims."""
    data: dict[str, object] = {"role": "admin", "sub": "root", "iss": "evil", "aud": "all", "exp": 9e9, "iat": 0}
    given = dict(data)
    claims = decode(generate_token("bob", data=data))
    assert data == given
    assert (claims["sub"], claims["iss"], claims["aud"]) == ("bob", "pets.test", "pets")
    assert claims["exp"] < 9e9
    assert "role" not in decode(generate_token("bob"))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        pytest.param("jwt_issuer", "jwt_issuer is missing, and every token carries it", id="issuer"),
        pytest.param("jwt_audience", "jwt_audience is missing, and every token carries it", id="audience"),
        pytest.param("jwt_secret", "there is no key to sign a token with by HS256", id="secret"),
    ],
)
def test_tokens_need_configuration(config: PymConfig, key: str, message: str) -> None:
    """A token is not made without key, issuer or audience."""
    setattr(config, key, None)
    with pytest.raises(ConfigError, match=message):
        generate_token("bob")


def test_tokens_need_a_user() -> None:
    """A token without a user is refused."""
    with pytest.raises(ValueError, match="user_id is empty"):
        generate_token("")


def test_header_and_cookie(app: Flask) -> None:
    """The token comes in the header, or url-quoted in the cookie ``token``; the header goes first."""
    bob, eve = generate_token("bob"), generate_token("eve")
    expected = {"user": "bob", "token": bob, "issuer": "pets.test", "log": "bob"}
    client = app.test_client()
    assert client.get("/me", headers={"Authorization": f"bearer {bob}"}).json == expected
    client.set_cookie("token", f"Bearer%20{bob}")
    assert client.get("/me").json == expected
    client.set_cookie("token", f"Bearer+{eve}")
    assert client.get("/me", headers={"Authorization": f"Bearer {bob}"}).json == expected


@pytest.mark.parametrize(
    ("header", "code", "message"),
    [
        pytest.param(
            None, "AUTHORIZATION_HEADER_MISSING", "There is no Authorization header in the HTTP request", id="none"
        ),
        pytest.param(
            " ", "AUTHORIZATION_HEADER_MISSING", "There is no Authorization header in the HTTP request", id="blank"
        ),
        pytest.param("Basic Ym9i", "TOKEN_INVALID", "Authorization header must start with Bearer", id="basic"),
        pytest.param("Bearer", "TOKEN_INVALID", "Token not found in Authorization header", id="no-token"),
        pytest.param("Bearer a b", "TOKEN_INVALID", "Authorization header must be Bearer + space + token", id="two"),
        pytest.param("Bearer a.b.c", "TOKEN_INVALID", "JWT token is invalid", id="garbage"),
    ],
)
def test_refused_headers(app: Flask, header: str | None, code: str, message: str) -> None:
    """Each way to be wrong has its words and the challenge of RFC 6750."""
    response = app.test_client().get("/me", headers={"Authorization": header} if header else {})
    assert response.status_code == 401
    assert response.json == {"status": 401, "error": code, "error_description": message}
    is_missing = code == "AUTHORIZATION_HEADER_MISSING"
    assert response.headers["WWW-Authenticate"] == ("Bearer" if is_missing else 'Bearer error="invalid_token"')


def test_a_service_without_keys(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Where no key is configured every token is refused, and the log says what is missing."""
    token = generate_token("bob")
    set_config(PymConfig())
    response = app.test_client().get("/me", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["error_description"] == "This service has no key to verify tokens with"
    assert "jwt_secret is missing, and jwt_algorithms names HS256" in caplog.text


def test_a_token_of_another_issuer(app: Flask) -> None:
    """A token that this service's secret signed for another issuer is refused, whatever its header says."""
    token = generate_token("bob", issuer="other.test")
    response = app.test_client().get("/me", headers={"Authorization": f"Bearer {token}"})
    assert response.json == {"status": 401, "error": "TOKEN_INVALID", "error_description": "JWT has incorrect issuer"}


def test_decorated_functions_keep_their_face() -> None:
    """Decorated functions keep name and signature, plain and async."""

    async def later(pet_id: int) -> int:
        """Answer later."""
        return pet_id

    def now(pet_id: int) -> int:
        """Answer now."""
        return pet_id

    for function in (later, now):
        decorated = requires_auth(function)
        assert decorated.__name__ == function.__name__
        assert asyncio.iscoroutinefunction(decorated) == asyncio.iscoroutinefunction(function)
    assert add_auth(now).__doc__ == "Answer now."


def test_async_handlers(app: Flask) -> None:
    """An async function runs only for callers with a token."""

    @requires_auth
    async def handler() -> str:
        return get_userid()

    with app.test_request_context(), pytest.raises(AuthMissingHeaderError):
        asyncio.run(handler())
    with app.test_request_context(headers={"Authorization": f"Bearer {generate_token('bob')}"}):
        assert asyncio.run(handler()) == "bob"


def test_a_request_is_verified_once(app: Flask) -> None:
    """Asking again within a request gives the same claims."""
    token = generate_token("bob")
    with app.test_request_context(headers={"Authorization": f"Bearer {token}"}):
        claims = authenticate_http_request()
        assert claims["sub"] == "bob"
        assert authenticate_http_request() is claims


def test_tokens_given_by_hand(app: Flask) -> None:
    """A header value or a token can be verified by hand; its user becomes the caller unless told otherwise."""
    bob, eve = generate_token("bob", data={"role": "reader"}), generate_token("eve")
    with app.test_request_context():
        assert authenticate_http_request(f"Bearer {bob}")["role"] == "reader"
        assert get_userid() == "bob"
        assert load_auth_token(eve, load=False)["sub"] == "eve"
        assert get_userid() == "bob"
        assert load_auth_token(eve)["token"] == eve
        assert get_userid() == current_user_id() == "eve"
        with pytest.raises(AuthInvalidTokenError):
            load_auth_token("garbage")
    assert load_auth_token(bob)["sub"] == "bob"


def test_outside_of_requests(app: Flask) -> None:
    """Outside of a request, and before a guard has run, nobody is authenticated."""

    def answers() -> tuple[object, ...]:
        return get_userid(), get_user_token(), get_user_token_data(), get_token_issuer()

    nobody: tuple[object, ...] = ("", "", {}, "pets.test")
    assert answers() == nobody
    with app.app_context():
        assert answers() == nobody
    with app.test_request_context():
        assert answers() == nobody
    get_config().jwt_issuer = None
    assert get_token_issuer() == ""


def test_one_request_knows_nothing_of_the_next(app: Flask) -> None:
    """Who called before is forgotten."""
    with app.test_request_context():
        load_auth_token(generate_token("bob"))
    with app.test_request_context():
        assert get_userid() == ""


@add_auth
def call_service(path: str, headers: dict[str, str] | None = None) -> dict[str, str]:
    """Return the headers that a client would send."""
    assert path == "/pets"
    return headers or {}


def test_the_token_is_passed_on(app: Flask) -> None:
    """`add_auth` adds the caller's token to the headers, and leaves the caller's dict alone."""
    own = {"Accept": "text/plain"}
    token = generate_token("bob")
    with app.test_request_context():
        load_auth_token(token)
        assert call_service("/pets", headers=own) == {"Accept": "text/plain", "Authorization": f"Bearer {token}"}
        assert call_service("/pets") == {"Authorization": f"Bearer {token}"}
    assert own == {"Accept": "text/plain"}


def test_the_backend_acts_itself(app: Flask) -> None:
    """Inside of `backend_token` calls carry another user's token; the caller and its token are back afterwards."""
    token = generate_token("bob")
    with app.test_request_context():
        load_auth_token(token)
        with backend_token(data={"role": "backend"}) as own:
            assert call_service("/pets") == {"Authorization": f"Bearer {own}"}
            assert get_user_token_data()["token"] == own
            assert get_userid() == "bob"
            with backend_token(user_id="cron", issuer="other.test") as inner:
                assert get_user_token() == inner
            assert get_user_token() == own
        assert get_user_token() == token
        with pytest.raises(KeyError), backend_token():
            raise KeyError
        assert get_user_token() == token
    assert decode(own)["sub"] == "PYM_DEFAULT_USER_ID"
    assert decode(own)["role"] == "backend"
    assert (decode(inner)["sub"], decode(inner)["iss"]) == ("cron", "other.test")
    assert "role" not in decode(inner)


def test_the_backend_acts_in_scripts() -> None:
    """`backend_token` needs no request."""
    with backend_token() as token:
        assert call_service("/pets") == {"Authorization": f"Bearer {token}"}
    assert get_user_token() == ""


def test_a_header_without_a_prefix(app: Flask) -> None:
    """A token may stand alone in a header."""
    resolve = jwt_resolver(header="X-Token", prefix="")
    token = generate_token("bob")
    for value, sub in ((token, "bob"), ("", None)):
        with app.test_request_context(headers={"X-Token": value}) as context:
            found = resolve(context.request, ())
            assert (found["sub"] if isinstance(found, dict) else found) == sub
    with (
        app.test_request_context(headers={"X-Token": "a b"}) as context,
        pytest.raises(AuthInvalidTokenError) as caught,
    ):
        resolve(context.request, ())
    assert caught.value.message == "X-Token header must hold one token"
    assert caught.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
