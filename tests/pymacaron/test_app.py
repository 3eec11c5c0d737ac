"""API and create_app wire the parts; everything that stands in the way is told at once."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Request, g, request

from pymacaron.app import API, create_app, letsgo
from pymacaron.auth import generate_token
from pymacaron.config import set_config
from pymacaron.events import ErrorReported
from pymacaron.exceptions import AuthInvalidTokenError, PyMacaronException, SpecError, StartupError
from pymacaron.pool import apipool
from pymacaron.service import service_of

MakeService = Callable[..., Flask]


def test_cors_names_no_origin_by_default(make_service: MakeService) -> None:
    """No origin is allowed unless it is named."""
    answer = make_service().test_client().get("/pets", headers={"Origin": "https://a.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        pytest.param("https://a.example", "https://a.example", id="named"),
        pytest.param("https://b.example", None, id="another"),
    ],
)
def test_cors_answers_the_named_origins(make_service: MakeService, origin: str, expected: str | None) -> None:
    """cors_origins lists who may call from a browser; preflights are answered too."""
    client = make_service(config="cors_origins: ['https://a.example']\n").test_client()
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert client.get("/pets", headers=headers).headers.get("Access-Control-Allow-Origin") == expected
    assert client.options("/pets", headers=headers).headers.get("Access-Control-Allow-Origin") == expected


@pytest.mark.parametrize(
    ("config", "encoding"),
    [pytest.param("compress: true\n", "gzip", id="on"), pytest.param("compress: false\n", None, id="off")],
)
def test_compression_is_configurable(make_service: MakeService, config: str, encoding: str | None) -> None:
    """Answers of some size are compressed for callers that accept it."""
    handlers = """
    from pymacaron.pool import apipool
    def list_pets(**keywords): return [apipool.pets.Pet(id=n, name="Rex") for n in range(200)]
    def create_pet(body): return None
    def get_pet(pet_id): return None
    def delete_pet(pet_id): return None
    """
    client = make_service(config=config, handlers=handlers).test_client()
    answer = client.get("/pets", headers={"Accept-Encoding": "gzip"})
    assert answer.headers.get("Content-Encoding") == encoding
    text = gzip.decompress(answer.data) if encoding else answer.data
    assert text.startswith(b'[{"name":"Rex"')


@pytest.mark.parametrize(
    ("error_format", "content_type", "body"),
    [
        pytest.param(
            "pymacaron",
            "application/json",
            {"status": 418, "error": "TEAPOT", "error_description": "short", "user_message": "Sorry"},
            id="pymacaron",
        ),
        pytest.param(
            "problem",
            "application/problem+json",
            {
                "type": "about:blank",
                "title": "I'm a Teapot",
                "status": 418,
                "detail": "short",
                "code": "TEAPOT",
                "user_message": "Sorry",
            },
            id="problem",
        ),
    ],
)
def test_error_formats(make_service: MakeService, error_format: str, content_type: str, body: dict[str, Any]) -> None:
    """One exception, two shapes."""

    class Teapot(PyMacaronException):
        code, status = "TEAPOT", 418

    app = make_service(config=f"error_format: {error_format}\n")

    @app.get("/tea")
    def tea() -> str:
        raise Teapot("short", user_message="Sorry", headers={"Retry-After": "3"})

    answer = app.test_client().get("/tea")
    assert (answer.status_code, answer.content_type, answer.headers["Retry-After"]) == (418, content_type, "3")
    assert answer.json == body


def test_error_callback_makes_the_body(make_service: MakeService) -> None:
    """A service may answer errors in a shape of its own, for 404 and broken requests too."""
    app = make_service(
        error_callback=lambda error: {"errors": {"body": list(getattr(error, "faults", [])) or [str(error)]}}
    )
    client = app.test_client()
    assert client.get("/pets?limit=0").json == {
        "errors": {"body": ["query limit: Input should be greater than or equal to 1"]}
    }
    assert list(client.get("/nothing").json or {}) == ["errors"]


def test_an_error_callback_that_fails_leaves_the_default_body(make_service: MakeService) -> None:
    """A fault in the callback hides no error."""

    def fail(error: Exception) -> object:
        raise ValueError("broken") from error

    answer = make_service(error_callback=fail).test_client().get("/nothing")
    assert (answer.status_code, (answer.json or {})["error"]) == (404, "NOT_FOUND")


def test_security_resolvers_serve_other_schemes(make_service: MakeService, pets_document: str) -> None:
    """A scheme that is no JWT bearer is resolved by a function; what it returns is the caller."""
    scheme = "components:\n  securitySchemes: {Key: {type: apiKey, in: header, name: X-Key}}\n"
    document = pets_document.replace("components:\n", scheme).replace(
        "operationId: getPet", "operationId: getPet\n      security: [{Key: []}]"
    )

    def resolve(request: Request, _scopes: tuple[str, ...]) -> str | None:
        key = request.headers.get("X-Key")
        if key not in {None, "good"}:
            raise AuthInvalidTokenError("This key is unknown")
        return "alice" if key else None

    handlers = """
    from pymacaron.auth import get_userid
    from pymacaron.pool import apipool
    def list_pets(**keywords): return []
    def create_pet(body): return None
    def get_pet(pet_id): return apipool.pets.Pet(id=1, name=get_userid())
    def delete_pet(pet_id): return None
    """
    client = make_service(document=document, handlers=handlers, security_resolvers={"Key": resolve}).test_client()
    assert (client.get("/pets/1", headers={"X-Key": "good"}).json or {})["name"] == "alice"
    assert client.get("/pets/1", headers={"X-Key": "bad"}).status_code == 401
    assert client.get("/pets/1").status_code == 401
    assert client.get("/pets").status_code == 200


def make_async(function: Callable[[Any], bool]) -> Callable[[Any], Awaitable[bool]]:
    """Return *function* as a coroutine function."""
    pytest.importorskip("asgiref", reason="Flask calls async functions with asgiref, its extra async")

    async def call(claims: Any) -> bool:
        return function(claims)

    return call


@pytest.mark.parametrize("wrap", [pytest.param(None, id="plain"), pytest.param(make_async, id="async")])
def test_revoked_tokens(make_service: MakeService, pets_document: str, wrap: Any) -> None:
    """The function of the service refuses tokens; where it fails the request fails and is reported, nothing runs."""
    scheme = "components:\n  securitySchemes: {JWT: {type: http, scheme: bearer}}\n"
    document = pets_document.replace("components:\n", scheme).replace("paths:\n", "security: [{JWT: []}]\npaths:\n", 1)
    reports: list[BaseException | None] = []

    def is_token_revoked(claims: Mapping[str, Any]) -> bool:
        if claims["sub"] == "unknown":
            raise ConnectionError("the list of revoked tokens is away")
        return bool(claims["sub"] == "eve")

    app = make_service(
        document=document,
        is_token_revoked=wrap(is_token_revoked) if wrap else is_token_revoked,
    )
    service_of(app).bus.subscribe(ErrorReported, lambda event: reports.append(event.exception))
    for user, status in (("bob", 200), ("eve", 401), ("unknown", 500), ("bob", 200)):
        with app.app_context():
            headers = {"Authorization": f"Bearer {generate_token(user)}"}
        for _ in range(2):
            assert app.test_client().get("/pets", headers=headers).status_code == status
    assert [type(exception) for exception in reports] == [ConnectionError, ConnectionError]


def test_a_scheme_without_a_resolver_stops_the_start(make_service: MakeService, pets_document: str) -> None:
    """Nothing is left unprotected because of a missing function."""
    scheme = "components:\n  securitySchemes: {Key: {type: apiKey, in: header, name: X-Key}}\n"
    document = pets_document.replace("components:\n", scheme).replace("paths:\n", "security: [{Key: []}]\npaths:\n", 1)
    with pytest.raises(StartupError) as caught:
        make_service(document=document)
    assert {finding.found for finding in caught.value.findings} == {"there is no resolver for Key (apiKey)"}
    assert len(caught.value.findings) == 4


def test_flask_stays_flask(make_service: MakeService) -> None:
    """Hooks, g, and routes of one's own work beside the document's."""
    app = make_service()
    seen: list[str] = []

    @app.before_request
    def note() -> None:
        g.noted = request.path

    @app.after_request
    def keep(response: Any) -> Any:
        seen.append(g.noted)
        return response

    @app.get("/own")
    def own() -> str:
        return "own"

    client = app.test_client()
    assert (client.get("/own").text, client.get("/pets").status_code) == ("own", 200)
    assert seen == ["/own", "/pets"]


def make_folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        file = tmp_path / name.replace("__", "/").replace("_yaml", ".yaml")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_findings_of_all_documents_come_together(tmp_path: Path) -> None:
    """Two broken documents are told in one error."""
    folder = make_folder(
        tmp_path, apis__a_yaml="openapi: 3.1.0\npaths: {}\n", apis__b_yaml="openapi: 3.1.0\npaths: {}\n"
    )
    with pytest.raises(SpecError) as caught:
        API(Flask("svc", root_path=str(folder))).load_apis()
    assert {Path(finding.where.split("#")[0].split(":")[0]).name for finding in caught.value.findings} == {
        "a.yaml",
        "b.yaml",
    }


@pytest.mark.parametrize(
    ("has_folder", "found"),
    [
        pytest.param(False, "there is no such folder", id="folder"),
        pytest.param(True, "there is no document in it", id="empty"),
    ],
)
def test_a_service_without_documents(tmp_path: Path, has_folder: bool, found: str) -> None:
    """A missing or empty folder of documents is told."""
    if has_folder:
        (tmp_path / "apis").mkdir()
    with pytest.raises(SpecError) as caught:
        API(Flask("svc", root_path=str(tmp_path))).load_apis()
    assert [finding.found for finding in caught.value.findings] == [found]


def test_documents_are_ignored_or_only_modelled_by_name(make_service: MakeService, pets_document: str) -> None:
    """A document can be left out; only_models loads its classes without routes; load_clients likewise."""
    folder = Path(make_service().root_path)
    for name in ("other", "model"):
        (folder / "apis" / f"{name}.yaml").write_text(pets_document)
    app = Flask("svc2", root_path=str(folder))
    handlers = next(folder.glob("handlers_*.py")).stem
    api = API(app, handlers=handlers, debug=True).load_apis(ignore=["other"], only_models=["model"])
    api.load_clients("apis", ["other"]).start()
    assert set(service_of(app).apis) == {"pets", "model", "other", "ping"}
    assert {rule.endpoint.partition(":")[0] for rule in app.url_map.iter_rules()} & {"pets", "model", "other"} == {
        "pets"
    }
    assert apipool.model.Pet(id=1, name="x").get_model_api() == "model"


def test_json_encoders_replace_pydantics_way(make_service: MakeService) -> None:
    """As in pymacaron 2, a type can be written in a way of the service's own."""
    handlers = """
    from datetime import datetime, UTC
    from pymacaron.pool import apipool
    def list_pets(**keywords): return []
    def create_pet(body): return None
    def get_pet(pet_id): return apipool.pets.Pet(id=1, name="x", born=datetime(2020, 1, 2, tzinfo=UTC))
    def delete_pet(pet_id): return None
    """
    app = make_service(
        handlers=handlers,
        json_encoders={datetime: lambda value: f"in {value.year}"},
        config="response_validation: observe\n",
    )
    assert (app.test_client().get("/pets/1").json or {})["born"] == "in 2020"


def test_base_path_is_opt_in(make_service: MakeService, pets_document: str) -> None:
    """The path of the first server is a prefix only where the configuration says so, and never of /ping."""
    document = pets_document.replace("paths:\n", "servers: [{url: https://a.example/v1}]\npaths:\n", 1)
    without = make_service(document=document).test_client()
    with_prefix = make_service(document=document, config="use_base_path: true\n").test_client()
    assert (without.get("/pets").status_code, without.get("/v1/pets").status_code) == (200, 404)
    assert (with_prefix.get("/pets").status_code, with_prefix.get("/v1/pets").status_code) == (404, 200)
    assert with_prefix.get("/ping").status_code == 200


def test_x_response_validation_is_checked(make_service: MakeService, pets_document: str) -> None:
    """A mode that does not exist stops the start."""
    document = pets_document.replace("operationId: getPet", "operationId: getPet\n      x-response-validation: maybe")
    with pytest.raises(StartupError) as caught:
        make_service(document=document)
    assert [(finding.found, finding.fix) for finding in caught.value.findings] == [
        ("'maybe' is no mode", "Write enforce, observe, off or sample:0.01")
    ]


def test_create_app_reads_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pets_document: str) -> None:
    """PYM_DEBUG switches debug mode on where the call does not say."""
    make_folder(tmp_path, apis__pets_yaml=pets_document)
    (tmp_path / "all_pets_handlers.py").write_text(
        "\n".join(
            f"def {name}(*args, **keywords): ..." for name in ("list_pets", "create_pet", "get_pet", "delete_pet")
        )
    )
    (tmp_path / "all_pets_server.py").write_text(
        "from pymacaron import create_app\napp = create_app(__name__, handlers='all_pets_handlers')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYM_DEBUG", "1")
    try:
        app = __import__("all_pets_server").app
    finally:
        set_config(None)
        for name in ("all_pets_server", "all_pets_handlers"):
            sys.modules.pop(name, None)
    assert service_of(app).is_debug
    assert service_of(app).config.name == tmp_path.name
    assert callable(create_app)


def test_letsgo_calls_back_when_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A WSGI server imports the module: the callback builds the app and nothing is served."""
    calls: list[tuple[object, ...]] = []
    monkeypatch.setenv("PORT", "8001")
    monkeypatch.setenv("PYM_DEBUG", "no")
    try:
        letsgo(__name__, callback=lambda *arguments: calls.append(arguments))
    finally:
        set_config(None)
    assert calls == [(8001, False)]
