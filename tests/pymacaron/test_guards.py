"""The document's ``security`` is enforced before a handler runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from flask import Flask, Request, jsonify, stream_with_context
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.wrappers import Response

from pymacaron.auth import (
    authenticate_http_request,
    generate_token,
    get_user_token,
    get_user_token_data,
    get_userid,
    jwt_resolver,
    load_auth_token,
    requires_auth,
)
from pymacaron.call import current_call
from pymacaron.config import PymConfig, get_config
from pymacaron.exceptions import (
    AuthError,
    AuthInvalidTokenError,
    AuthMissingHeaderError,
    ConfigError,
    InsufficientScopeError,
)
from pymacaron.guards import Guard, build_guard
from pymacaron.log import current_user_id, note_user
from pymacaron.service import RevocationCheck, SecurityResolver, Service
from pymacaron.spec.model import Api, Operation, SecurityScheme

JWT: dict[str, Any] = {
    "jwt_secret": "0123456789abcdef0123456789abcdef",
    "jwt_issuer": "pets.test",
    "jwt_audience": "pets",
}
SCHEMES = {
    "bearer": SecurityScheme("bearer", "http", scheme="bearer"),
    "basic": SecurityScheme("basic", "http", scheme="basic"),
    "oauth": SecurityScheme("oauth", "oauth2"),
    "oidc": SecurityScheme("oidc", "openIdConnect"),
    "key": SecurityScheme("key", "apiKey", location="header", key="X-Api-Key"),
    "strange": SecurityScheme("strange", "mutualTLS"),
}
Security = tuple[Mapping[str, tuple[str, ...]], ...]


@pytest.fixture(autouse=True)
def _forget_user() -> Iterator[None]:
    """Leave no user in the logs: guards run here without the layer that takes care of it."""
    yield
    note_user(None)


def key_resolver(request: Request, scopes: tuple[str, ...]) -> Any:
    """Know one user by key; say "" for nobody, as a lookup of users may."""
    key = request.headers.get("X-Api-Key")
    if key == "wrong":
        raise AuthInvalidTokenError(f"Nobody has this key, wanted for {scopes}")
    return {"anna's": "anna", "dict": {"sub": "dina", "tenant": 7}, "number": 7, "empty": ""}.get(key or "")


def build_bare(
    *security: Mapping[str, tuple[str, ...]],
    config: Mapping[str, Any] = JWT,
    extensions: Mapping[str, Any] | None = None,
    is_token_revoked: RevocationCheck | None = None,
    **resolvers: SecurityResolver,
) -> tuple[Flask, Guard]:
    """Return an app and the guard of an operation that asks for *security*; one that does nothing if it has none."""
    app = Flask("pets")
    app.testing = True
    service = Service(
        app,
        PymConfig(**config),
        security_resolvers={"key": key_resolver, **resolvers},
        is_token_revoked=is_token_revoked,
    )
    app.extensions["pymacaron"] = service
    operation = Operation(
        operation_id="listPets",
        method="GET",
        path="/pets",
        pointer="/paths/~1pets/get",
        handler=None,
        parameters=(),
        body=None,
        responses=(),
        security=security,
        extensions=extensions or {},
    )
    api = Api(
        name="pets",
        source="apis/pets.yaml",
        text="",
        sha256="",
        document={},
        title="",
        version="",
        base_path="",
        operations=(operation,),
        schemas={},
        security_schemes=SCHEMES,
    )
    return app, build_guard(service, api, operation) or (lambda _call: None)


def build(
    *security: Mapping[str, tuple[str, ...]],
    config: Mapping[str, Any] = JWT,
    extensions: Mapping[str, Any] | None = None,
    is_token_revoked: RevocationCheck | None = None,
) -> FlaskClient:
    """Return a client of an app with one operation, /pets, that asks for *security* and tells who calls."""
    app, guard = build_bare(*security, config=config, extensions=extensions, is_token_revoked=is_token_revoked)
    handler = requires_auth(whoami) if extensions else whoami

    @app.get("/pets")
    def pets() -> Response:
        guard(current_call())
        return handler()

    @app.errorhandler(AuthError)
    def answer(error: AuthError) -> tuple[dict[str, Any], int, dict[str, str]]:
        return error.to_dict(), error.status, error.headers

    return app.test_client()


def whoami() -> Response:
    data = get_user_token_data()
    data.pop("token", None)
    return jsonify({"user": get_userid(), "tenant": data.get("tenant")})


def bearer(client: FlaskClient, **options: Any) -> dict[str, str]:
    """Return the header of a good token for bob; options as for `generate_token`."""
    with client.application.app_context():
        return {"Authorization": f"Bearer {generate_token('bob', **options)}"}


def test_no_security() -> None:
    """Where nothing is asked, or only ``{}``, there is no guard and nobody is known."""
    for client in (build(), build({})):
        assert client.get("/pets").json == {"user": "", "tenant": None}


@pytest.mark.parametrize("scheme", ["bearer", "oauth", "oidc"])
def test_a_token_is_demanded(scheme: str) -> None:
    """Without a token the answer is 401 with a challenge, with one the handler knows the caller."""
    client = build({scheme: ()})
    refused = client.get("/pets")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert refused.json == {
        "status": 401,
        "error": "AUTHORIZATION_HEADER_MISSING",
        "error_description": "There is no Authorization header in the HTTP request",
    }
    accepted = client.get("/pets", headers=bearer(client, data={"tenant": 3}))
    assert accepted.json == {"user": "bob", "tenant": 3}


def test_a_wrong_token() -> None:
    """A wrong token is told by RFC 6750's challenge."""
    refused = build({"bearer": ()}).get("/pets", headers={"Authorization": "Bearer garbage"})
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert refused.json == {"status": 401, "error": "TOKEN_INVALID", "error_description": "JWT token is invalid"}


def test_an_expired_token() -> None:
    """A token whose time is over has a code of its own."""
    client = build({"bearer": ()})
    refused = client.get("/pets", headers=bearer(client, expire_in=-60))
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert refused.json == {"status": 401, "error": "TOKEN_EXPIRED", "error_description": "JWT token has expired"}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"scope": "pets:read pets:write"}, id="scope"),
        pytest.param({"scopes": ["pets:read", "pets:write"]}, id="scopes"),
        pytest.param({"permissions": ["pets:write", 7], "scope": "pets:read"}, id="permissions"),
    ],
)
def test_scopes(data: dict[str, object]) -> None:
    """A token passes when its claims together carry every scope that is asked for."""
    client = build({"oauth": ("pets:read", "pets:write")})
    assert client.get("/pets", headers=bearer(client, data=data)).status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="none"),
        pytest.param({"scope": "pets:readers"}, id="longer-word"),
        pytest.param({"scope": 7, "scopes": {"pets:read": 1}}, id="other-types"),
    ],
)
def test_missing_scopes(data: dict[str, object]) -> None:
    """A good token without the scope is 403, not 401."""
    client = build({"bearer": ("pets:read",)})
    refused = client.get("/pets", headers=bearer(client, data=data))
    assert refused.status_code == 403
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="pets:read"'
    assert refused.json == {
        "status": 403,
        "error": "INSUFFICIENT_SCOPE",
        "error_description": "The token lacks the scope pets:read",
    }


@pytest.mark.parametrize("anonymous_first", [True, False])
def test_optional_security(*, anonymous_first: bool) -> None:
    """With ``{}`` among the alternatives nobody may come, a good token counts, a wrong one is refused."""
    security: Security = ({"bearer": ()}, {})
    client = build(*(security[::-1] if anonymous_first else security))
    assert client.get("/pets").json == {"user": "", "tenant": None}
    assert client.get("/pets", headers=bearer(client)).json == {"user": "bob", "tenant": None}
    assert client.get("/pets", headers={"Authorization": "Bearer x"}).status_code == 401


@pytest.mark.parametrize(
    ("key", "status", "answer"),
    [
        pytest.param("anna's", 200, {"user": "anna", "tenant": None}, id="id"),
        pytest.param("dict", 200, {"user": "dina", "tenant": 7}, id="data"),
        pytest.param("empty", 401, None, id="falsy-is-nobody"),
        pytest.param("other", 401, None, id="none-is-nobody"),
        pytest.param("wrong", 401, None, id="refused"),
    ],
)
def test_resolvers(key: str, status: int, answer: object) -> None:
    """Other schemes ask the service's own function, which gives an id, token data, or nobody."""
    client = build({"key": ("read",)})
    response = client.get("/pets", headers={"X-Api-Key": key})
    assert response.status_code == status
    if answer:
        assert response.json == answer
    else:
        assert response.headers["WWW-Authenticate"] == 'ApiKey in="header", name="X-Api-Key"'


def test_missing_api_key() -> None:
    """A missing API key is not called a missing Authorization header."""
    body = build({"key": ()}).get("/pets").json
    assert body is not None
    assert body["error_description"] == "There is no API key in the HTTP request"


def test_a_resolver_that_returns_something_else() -> None:
    """A resolver's mistake is named, and lets nobody in."""
    client = build({"key": ()})
    with pytest.raises(TypeError, match=r"^The resolver of key returned a int\. Return the user's id, a dict"):
        client.get("/pets", headers={"X-Api-Key": "number"})


def test_alternatives() -> None:
    """One of several alternatives is enough; the challenge names them all, the first refusal is told."""
    client = build({"bearer": ()}, {"key": ()})
    assert client.get("/pets", headers={"X-Api-Key": "anna's"}).json == {"user": "anna", "tenant": None}
    assert client.get("/pets", headers=bearer(client)).json == {"user": "bob", "tenant": None}
    both = client.get("/pets", headers={"Authorization": "Bearer x", "X-Api-Key": "anna's"})
    assert both.json == {"user": "anna", "tenant": None}
    assert client.get("/pets").headers["WWW-Authenticate"] == 'Bearer, ApiKey in="header", name="X-Api-Key"'
    assert client.get("/pets", headers={"Authorization": "Bearer x"}).status_code == 401


def test_two_schemes_together() -> None:
    """Schemes of one alternative must all hold; the first one names the caller."""
    client = build({"bearer": (), "key": ()})
    token = bearer(client)
    assert client.get("/pets", headers=token).status_code == 401
    assert client.get("/pets", headers={"X-Api-Key": "dict"}).status_code == 401
    assert client.get("/pets", headers={**token, "X-Api-Key": "wrong"}).status_code == 401
    assert client.get("/pets", headers={**token, "X-Api-Key": "dict"}).json == {"user": "bob", "tenant": 7}


def test_a_resolver_for_a_bearer_scheme() -> None:
    """A resolver goes before the JWT check, so that tokens may be of any kind and jwt_* may be absent."""
    app, guard = build_bare({"bearer": ()}, config={}, bearer=lambda _request, _scopes: "opaque")
    with app.test_request_context():
        guard(current_call())
        assert get_userid() == "opaque"


@pytest.mark.parametrize(
    ("security", "config", "expected"),
    [
        pytest.param(
            {"basic": ()},
            JWT,
            "there is no resolver for basic (http basic). Pass create_app(…, security_resolvers={'basic': function}).",
            id="basic",
        ),
        pytest.param(
            {"strange": ()},
            JWT,
            "there is no resolver for strange (mutualTLS). "
            "Pass create_app(…, security_resolvers={'strange': function}).",
            id="mutual-tls",
        ),
        pytest.param(
            {"forgotten": ()},
            JWT,
            "the security scheme forgotten is not declared. Declare it, or correct its name.",
            id="undeclared",
        ),
        pytest.param(
            {"bearer": ()},
            {},
            "bearer asks for a JWT, and there is no key to verify one. "
            "Set jwt_secret, jwt_public_key or jwt_jwks_url in pym-config.yaml, or pass a security resolver.",
            id="no-jwt",
        ),
    ],
)
def test_refused_at_start(security: Mapping[str, tuple[str, ...]], config: Mapping[str, Any], expected: str) -> None:
    """What cannot be enforced stops the start."""
    with pytest.raises(ConfigError) as caught:
        build(security, config=config)
    assert str(caught.value) == f"apis/pets.yaml#/paths/~1pets/get/security: {expected}"


def test_all_refusals_together() -> None:
    """All schemes of an operation are looked at before it is refused."""
    with pytest.raises(ConfigError) as caught:
        build({"basic": ()}, {"strange": ()})
    assert len(caught.value.findings) == 2


def test_half_of_the_jwt_keys() -> None:
    """A secret without issuer and audience stops the start, by security and by x-decorate-server."""
    half = {"jwt_secret": JWT["jwt_secret"]}
    for security, extensions in ((({"bearer": ()},), {}), ((), DECORATED)):
        with pytest.raises(ConfigError, match="jwt_issuer is missing"):
            build(*security, config=half, extensions=extensions)


DECORATED = {"x-decorate-server": "pymacaron.auth.requires_auth"}


@pytest.mark.parametrize(
    "decorators",
    [
        pytest.param("pymacaron.auth.requires_auth", id="one"),
        pytest.param(["svc.counted", "pymacaron.auth.requires_auth"], id="several"),
    ],
)
def test_a_decorator_without_jwt_keys(decorators: object) -> None:
    """x-decorate-server: pymacaron.auth.requires_auth needs jwt_* keys at start."""
    with pytest.raises(ConfigError, match="jwt_issuer is missing"):
        build(config={}, extensions={"x-decorate-server": decorators})


def test_guard_and_decorator() -> None:
    """An operation guarded by both verifies its token once."""
    app, guard = build_bare({"bearer": ()})
    with app.app_context():
        token = generate_token("bob")
    with app.test_request_context(headers={"Authorization": f"Bearer {token}"}):
        guard(current_call())
        get_config().jwt_secret = SecretStr("with this secret the token would not verify again")
        assert requires_auth(get_userid)() == "bob"


def test_a_decorator_wants_a_token() -> None:
    """The decorator of pymacaron 2 means a JWT: an API key alone is not enough, nor is an anonymous caller."""
    client = build({"key": ()}, {}, extensions=DECORATED)
    assert client.get("/pets").status_code == 401
    assert client.get("/pets", headers={"X-Api-Key": "anna's"}).status_code == 401
    assert client.get("/pets", headers=bearer(client)).status_code == 200


def test_another_prefix() -> None:
    """`jwt_resolver` reads ``Authorization: Token <jwt>``, or a header or cookie of any name."""
    app, guard = build_bare({"bearer": ("read",)}, bearer=jwt_resolver(cookie="session"))
    with app.app_context():
        good, poor = generate_token("bob", data={"scope": "read"}), generate_token("bob")
    for headers in ({"Authorization": f"token {good}"}, {"Cookie": f"session=Token%20{good}"}):
        with app.test_request_context(headers=headers):
            guard(current_call())
            assert get_userid() == "bob"
    for header, challenge in (
        (f"Bearer {good}", 'Token error="invalid_token"'),
        ("Token x", 'Token error="invalid_token"'),
        (f"Token {poor}", 'Token error="insufficient_scope", scope="read"'),
    ):
        with app.test_request_context(headers={"Authorization": header}), pytest.raises(AuthError) as caught:
            guard(current_call())
        assert caught.value.headers["WWW-Authenticate"] == challenge


def test_tokens_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whether good or refused, no token stands in a log."""
    client = build({"bearer": ()})
    with caplog.at_level(logging.DEBUG):
        token = bearer(client)["Authorization"].split()[1]
        for value in (token, token[:-4], f"{token}.x"):
            client.get("/pets", headers={"Authorization": f"Bearer {value}"})
    assert token[:20] not in caplog.text


class HeadersOnly:
    """A call whose request object nobody may ask for."""

    path_values: Mapping[str, str] = {}
    has_request = False

    def __init__(self, **environ: str) -> None:
        """Take what the server says of the request."""
        self.environ = environ

    @property
    def request(self) -> Request:
        """Fail: tokens are found without it."""
        raise AssertionError("the guard asked for the request object")


def test_tokens_are_found_without_a_request_object() -> None:
    """For a token, a missing one and the cookie, the guard reads what the server says and nothing else."""
    app, guard = build_bare({"bearer": ("read",)})
    with app.app_context():
        token = generate_token("bob", data={"scope": "read"})
    for environ in (
        {"HTTP_AUTHORIZATION": f"Bearer {token}"},
        {"HTTP_AUTHORIZATION": f"bearer  {token} "},
        {"HTTP_COOKIE": f"a=b; token=Bearer%20{token}"},
    ):
        for _ in range(2):
            with app.test_request_context():
                guard(HeadersOnly(**environ))
                assert (get_userid(), current_user_id(), get_user_token()) == ("bob", "bob", token)
    for environ in ({}, {"HTTP_AUTHORIZATION": " "}, {"HTTP_COOKIE": "a=b"}, {"HTTP_COOKIE": "my_token=x"}):
        with app.test_request_context(), pytest.raises(AuthMissingHeaderError):
            guard(HeadersOnly(**environ))


def test_known_tokens_need_their_scopes() -> None:
    """A token that is known from an operation that asks for little is still too poor for another one."""
    app, modest = build_bare({"bearer": ()})
    _, demanding = build_bare({"bearer": ("admin",)})
    with app.app_context():
        header = f"Bearer {generate_token('bob')}"
    for _ in range(2):
        with app.test_request_context():
            modest(HeadersOnly(HTTP_AUTHORIZATION=header))
        with app.test_request_context(), pytest.raises(InsufficientScopeError):
            demanding(HeadersOnly(HTTP_AUTHORIZATION=header))


def test_known_tokens_need_their_word() -> None:
    """A token that is known after one word is refused after another one."""
    app, bearer_guard = build_bare({"bearer": ()})
    _, token_guard = build_bare({"bearer": ()}, bearer=jwt_resolver())
    with app.app_context():
        token = generate_token("bob")
    for _ in range(2):
        with app.test_request_context():
            bearer_guard(HeadersOnly(HTTP_AUTHORIZATION=f"Bearer {token}"))
            token_guard(HeadersOnly(HTTP_AUTHORIZATION=f"Token {token}"))
        for guard, word in ((bearer_guard, "Token"), (token_guard, "Bearer")):
            with app.test_request_context(), pytest.raises(AuthInvalidTokenError):
                guard(HeadersOnly(HTTP_AUTHORIZATION=f"{word} {token}"))


def test_settings_that_change_at_run_time() -> None:
    """A known token is refused as soon as the service has another secret, and good again when it is back."""
    client = build({"bearer": ()})
    config = client.application.extensions["pymacaron"].config
    headers = bearer(client)
    secret = config.jwt_secret
    for value, status in ((secret, 200), (SecretStr("another-secret-of-32-bytes-or-more"), 401), (secret, 200)):
        config.jwt_secret = value
        for _ in range(2):
            assert client.get("/pets", headers=headers).status_code == status


def test_a_caller_changes_nothing_for_the_next() -> None:
    """Whatever a request does to its claims, the next one with the same token sees them as they are."""
    app, guard = build_bare({"bearer": ()})
    with app.app_context():
        token = generate_token("bob", data={"roles": ["reader"]})
    for _ in range(3):
        with app.test_request_context():
            guard(HeadersOnly(HTTP_AUTHORIZATION=f"Bearer {token}"))
            claims = authenticate_http_request()
            assert claims["roles"] == get_user_token_data()["roles"] == ["reader"]
            assert authenticate_http_request() is claims
            claims["roles"].append("admin")
            claims["sub"] = "eve"
            get_user_token_data()["roles"].append("root")


def test_requests_inside_of_requests() -> None:
    """A request that is handled while another one is has its own caller, or none; the outer one keeps its own."""
    app, guard = build_bare({"bearer": ()})
    with app.app_context():
        bob, eve = (f"Bearer {generate_token(name)}" for name in ("bob", "eve"))
    with app.test_request_context():
        guard(HeadersOnly(HTTP_AUTHORIZATION=bob))
        with app.test_request_context():
            assert (get_userid(), get_user_token_data()) == ("", {})
            with pytest.raises(AuthMissingHeaderError):
                authenticate_http_request()
            guard(HeadersOnly(HTTP_AUTHORIZATION=eve))
            assert get_userid() == "eve"
        with app.app_context():
            assert get_userid() == "bob"
        assert get_userid() == "bob"


def test_streams_know_their_caller() -> None:
    """What `stream_with_context` wraps asks who called after the request is over."""
    app, guard = build_bare({"bearer": ()})

    @app.get("/pets")
    def pets() -> Response:
        guard(current_call())

        def names() -> Iterator[str]:
            for _ in range(2):
                yield get_userid()

        return Response(stream_with_context(names()))

    with app.app_context():
        token = generate_token("bob")
    answer = app.test_client().get("/pets", headers={"Authorization": f"Bearer {token}"})
    assert answer.text == "bobbob"


def test_threads() -> None:
    """Of eight threads that mix good, poor and forged tokens each request gets its own answer."""
    client = build({"bearer": ("read",)})
    app = client.application
    expected: dict[str, tuple[int, str]] = {}
    for index in range(5):
        name = f"user{index}"
        with app.app_context():
            good, poor = generate_token(name, data={"scope": "read"}), generate_token(name)
        expected |= {good: (200, name), poor: (403, ""), f"{good[:-9]}{good[-9:][::-1]}": (401, "")}
    wrong: list[object] = []

    def work() -> None:
        for token in list(expected) * 10:
            answer = app.test_client().get("/pets", headers={"Authorization": f"Bearer {token}"})
            found = answer.status_code, (answer.json or {}).get("user", "")
            if found != expected[token]:
                wrong.append((found, expected[token]))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_revoked_tokens() -> None:
    """The service's function is asked at each request, whether or not the token is known, and after it is verified."""
    asked: list[Any] = []
    revoked: set[str] = set()

    def is_token_revoked(claims: Mapping[str, Any]) -> bool:
        asked.append(claims)
        return claims["sub"] in revoked

    client = build({"bearer": ("read",)}, is_token_revoked=is_token_revoked)
    good = bearer(client, data={"scope": "read"})
    for _ in range(2):
        assert client.get("/pets", headers=good).json == {"user": "bob", "tenant": None}
    assert [claims["token"] for claims in asked] == [good["Authorization"].split()[1]] * 2
    assert client.get("/pets", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.get("/pets").status_code == 401
    assert len(asked) == 2
    revoked.add("bob")
    for headers in (good, bearer(client)):
        refused = client.get("/pets", headers=headers)
        assert refused.status_code == 401
        assert refused.json == {"status": 401, "error": "TOKEN_INVALID", "error_description": "JWT token was revoked"}
        assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("security", [(), ({"bearer": ()}, {}), ({"key": ()}, {"bearer": ()})])
def test_every_way_asks_for_revocation(security: Security) -> None:
    """The decorator, optional security and alternatives refuse a revoked token too; so do tokens given by hand."""
    client = build(*security, extensions=DECORATED, is_token_revoked=lambda _claims: True)
    headers = bearer(client)
    assert client.get("/pets", headers=headers).status_code == 401
    with client.application.test_request_context():
        for verify in (authenticate_http_request, lambda value: load_auth_token(value.split()[1])):
            with pytest.raises(AuthInvalidTokenError, match="JWT token was revoked"):
                verify(headers["Authorization"])
        assert get_userid() == ""


def test_claims_that_the_revocation_check_changes() -> None:
    """The function gets claims of its own for each request."""
    client = build({"bearer": ()}, is_token_revoked=lambda claims: claims.pop("tenant") != 3)
    headers = bearer(client, data={"tenant": 3})
    for _ in range(3):
        assert client.get("/pets", headers=headers).status_code == 200


def test_a_revocation_check_that_fails() -> None:
    """Where the function cannot tell nobody comes in: its error is the request's."""

    def fail(_claims: object) -> bool:
        raise ConnectionError("the list of revoked tokens is away")

    client = build({"bearer": ()}, {}, is_token_revoked=fail)
    with pytest.raises(ConnectionError):
        client.get("/pets", headers=bearer(client))


def test_a_revocation_check_that_refuses() -> None:
    """The function may raise an error of its own, which gets the challenge of the scheme."""

    def refuse(_claims: object) -> bool:
        raise AuthInvalidTokenError("Bob has logged out")

    client = build({"bearer": ()}, is_token_revoked=refuse)
    refused = client.get("/pets", headers=bearer(client))
    assert (refused.json or {})["error_description"] == "Bob has logged out"
    assert refused.headers["WWW-Authenticate"] == "Bearer"
