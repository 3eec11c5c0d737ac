from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient

from pymacaron.config import set_config
from pymacaron.mock import create_mock
from pymacaron.spec import parse_spec

PET = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, "tag": {"type": "string"}},
}
JSON = "application/json"


@pytest.fixture(autouse=True)
def _restore_config() -> Any:
    yield
    set_config(None)


def client_of(tmp_path: Path, *, paths: Any, schemas: Any = None, **options: Any) -> FlaskClient:
    """Return a client of the mock of a document with these paths."""
    components: dict[str, Any] = {"schemas": {"Pet": PET, **(schemas or {})}}
    components["securitySchemes"] = options.pop("schemes", {})
    document = {"openapi": "3.2.0", "info": {"title": "T", "version": "1"}, "paths": paths, "components": components}
    file = tmp_path / "pets.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return create_mock(file, **options).test_client(use_cookies=False)


def answer_of(content: Any = None, **more: Any) -> dict[str, Any]:
    return {"description": "x", **({"content": content} if content else {}), **more}


def get(responses: Any, **more: Any) -> dict[str, Any]:
    return {"/pets/{petId}": {"get": {"parameters": [ID], "responses": responses, **more}}}


ID = {"name": "petId", "in": "path", "required": True, "schema": {"type": "integer"}}
REF = {"$ref": "#/components/schemas/Pet"}


@pytest.mark.parametrize(
    ("media", "expected"),
    [
        pytest.param({"schema": REF, "example": {"id": 1, "name": "Rex"}}, {"id": 7, "name": "Rex"}, id="example"),
        pytest.param(
            {"schema": REF, "examples": {"a": {"value": {"name": 5}}, "b": {"value": {"id": 2, "name": "Tom"}}}},
            {"id": 7, "name": "Tom"},
            id="first-valid-one",
        ),
        pytest.param({"schema": {"type": "array", "items": REF}, "example": []}, [], id="array"),
        pytest.param({"schema": {"const": "x"}, "example": "y"}, "x", id="wrong-example"),
        pytest.param({"example": {"any": 1}}, {"any": 1}, id="without-schema"),
    ],
)
def test_examples_first(tmp_path: Path, media: Any, expected: Any) -> None:
    """A valid example of the document is the answer; the id is the one that was asked for."""
    client = client_of(tmp_path, paths=get({"200": answer_of({JSON: media})}))
    answer = client.get("/pets/7")
    assert (answer.status_code, answer.json) == (200, expected)


EXAMPLES = {
    "200": answer_of({JSON: {"schema": REF, "examples": {"rex": {"value": {"id": 1, "name": "Rex"}}}}}),
    "404": answer_of({JSON: {"schema": {"type": "object", "properties": {"why": {"const": "gone"}}}}}),
    "5XX": answer_of(),
}


@pytest.mark.parametrize(
    ("prefer", "status", "body"),
    [
        pytest.param("code=404", 404, {"why": "gone"}, id="code"),
        pytest.param("example=rex", 200, {"id": 1, "name": "Rex"}, id="example-as-written"),
        pytest.param("respond-async, code=404", 404, {"why": "gone"}, id="among-others"),
        pytest.param("code=503", 503, None, id="range"),
        pytest.param('code="404"', 404, {"why": "gone"}, id="quoted"),
    ],
)
def test_prefer(tmp_path: Path, prefer: str, status: int, body: Any) -> None:
    """The caller chooses status and example."""
    answer = client_of(tmp_path, paths=get(EXAMPLES)).get("/pets/7", headers={"Prefer": prefer})
    assert (answer.status_code, answer.get_json(silent=True)) == (status, body)


def test_prefer_dynamic(tmp_path: Path) -> None:
    """dynamic=true draws values although there are examples."""
    client = client_of(tmp_path, paths=get(EXAMPLES))
    assert client.get("/pets/7", headers={"Prefer": "dynamic=true"}).json != {"id": 7, "name": "Rex"}


@pytest.mark.parametrize(
    ("prefer", "message"),
    [
        pytest.param(
            "code=418",
            "header Prefer: the document declares no status 418 for this operation, but 200, 404, 5XX",
            id="undeclared",
        ),
        pytest.param("code=x", "header Prefer: code is no HTTP status, write code=404", id="no-status"),
        pytest.param("example=tom", "header Prefer: this answer has no example tom; it has rex", id="no-example"),
    ],
)
def test_wrong_preference(tmp_path: Path, prefer: str, message: str) -> None:
    answer = client_of(tmp_path, paths=get(EXAMPLES)).get("/pets/7", headers={"Prefer": prefer})
    assert (answer.status_code, answer.get_json()["error_description"]) == (400, message)


@pytest.mark.parametrize(
    ("responses", "status", "content_type"),
    [
        pytest.param({"404": answer_of(), "201": answer_of(), "200": answer_of()}, 201, None, id="first-2xx"),
        pytest.param({"2XX": answer_of({JSON: {"schema": REF}})}, 200, JSON, id="range"),
        pytest.param({"default": answer_of({JSON: {"schema": REF}})}, 200, JSON, id="default-only"),
        pytest.param({"default": answer_of(), "302": answer_of()}, 302, None, id="redirect"),
        pytest.param({"404": answer_of({JSON: {"schema": REF}})}, 404, JSON, id="errors-only"),
        pytest.param({"204": answer_of()}, 204, None, id="no-content"),
        pytest.param({"304": answer_of()}, 304, None, id="not-modified"),
        pytest.param({}, 204, None, id="none"),
    ],
)
def test_status(tmp_path: Path, responses: Any, status: int, content_type: str | None) -> None:
    """Without a wish the answer is the first success, else what comes next to one."""
    answer = client_of(tmp_path, paths=get(responses)).get("/pets/7")
    assert (answer.status_code, answer.headers.get("Content-Type")) == (status, content_type)
    assert bool(answer.data) == (content_type is not None)


CONTENT = {
    JSON: {"schema": REF},
    "application/xml": {"schema": {**PET, "xml": {"name": "pet"}}},
    "text/plain": {"schema": {"type": "string", "pattern": "^Rex"}},
    "image/png": {"schema": {"type": "string", "format": "binary", "maxLength": 10}},
    "text/csv": {"example": "id,name\n1,Rex\n"},
    "application/x-www-form-urlencoded": {
        "schema": {**PET, "properties": {"id": {"const": 1}, "name": {"const": "é x"}}}
    },
    "application/*": {},
}


@pytest.mark.parametrize(
    ("accept", "content_type", "start"),
    [
        pytest.param("", JSON, b"{", id="anything"),
        pytest.param("*/*", JSON, b"{", id="wildcard"),
        pytest.param("application/xml", "application/xml", b"<pet><id>7</id><name>", id="xml"),
        pytest.param("text/plain", "text/plain", b"Rex", id="text"),
        pytest.param("image/*;q=0.9, x/y", "image/png", b"", id="binary"),
        pytest.param("text/csv", "text/csv", b"id,name\n1,Rex\n", id="example-of-text"),
        pytest.param(
            "application/x-www-form-urlencoded", "application/x-www-form-urlencoded", b"id=1&name=%C3%A9+x", id="form"
        ),
        pytest.param("application/octet-stream", "application/octet-stream", b"", id="concrete-wildcard"),
    ],
)
def test_accept(tmp_path: Path, accept: str, content_type: str, start: bytes) -> None:
    """Accept chooses the media type."""
    headers = {"Accept": accept} if accept else {}
    answer = client_of(tmp_path, paths=get({"200": answer_of(CONTENT)})).get("/pets/7", headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, content_type)
    assert answer.data.startswith(start)
    assert answer.data


def test_nothing_acceptable(tmp_path: Path) -> None:
    answer = client_of(tmp_path, paths=get({"200": answer_of(CONTENT)})).get("/pets/7", headers={"Accept": "video/mp4"})
    assert (answer.status_code, answer.get_json()["error"]) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    ("media_type", "item", "expected"),
    [
        pytest.param(
            "text/event-stream",
            {
                "type": "object",
                "required": ["data", "event"],
                "properties": {"data": {"const": "a\nb"}, "event": {"const": "x"}},
            },
            b"event: x\ndata: a\ndata: b\n\n" * 3,
            id="events",
        ),
        pytest.param("text/event-stream", {"const": {"a": 1}}, b'data: {"a":1}\n\n' * 3, id="plain-data"),
        pytest.param("application/jsonl", {"const": {"a": 1}}, b'{"a":1}\n' * 3, id="lines"),
        pytest.param("application/json-seq", {"const": 1}, b"\x1e1\n" * 3, id="sequence"),
    ],
)
def test_streams(tmp_path: Path, media_type: str, item: Any, expected: bytes) -> None:
    """A stream has three items of its itemSchema."""
    client = client_of(tmp_path, paths=get({"200": answer_of({media_type: {"itemSchema": item}})}))
    answer = client.get("/pets/7")
    assert (answer.mimetype, answer.data) == (media_type, expected)


def test_headers(tmp_path: Path) -> None:
    """Declared headers are there, with their examples or with values that fit."""
    headers = {
        "X-Count": {"schema": {"type": "integer", "minimum": 3, "maximum": 3}},
        "X-Ids": {"schema": {"type": "array", "items": {"const": "a"}, "minItems": 2, "maxItems": 2}},
        "X-Pair": {"schema": {"type": "object", "properties": {"a": {"const": 1}, "b": {"const": "c"}}}},
        "X-Given": {"schema": {"type": "string"}, "example": "given"},
        "X-Json": {"content": {JSON: {"schema": {"const": {"a": [1]}}}}},
        "X-Never": {"schema": {"const": "two\nlines"}},
        "Content-Type": {"schema": {"const": "text/html"}},
    }
    answer = client_of(tmp_path, paths=get({"204": answer_of(headers=headers)})).get("/pets/7")
    found = {name: answer.headers.get(name) for name in headers}
    assert found == {
        "X-Count": "3",
        "X-Ids": "a,a",
        "X-Pair": "a,1,b,c",
        "X-Given": "given",
        "X-Json": '{"a":[1]}',
        "X-Never": None,
        "Content-Type": None,
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"properties": {"petId": {"type": "integer"}}, "required": ["petId"]}, {"petId": 7}, id="name"),
        pytest.param({"properties": {"pet_id": {"type": "integer"}}}, {"pet_id": 7}, id="other-spelling"),
        pytest.param({"properties": {"id": {"type": "integer"}}}, {"id": 7}, id="id"),
        pytest.param(
            {"properties": {"pet": {"properties": {"id": {"type": "integer"}}}}}, {"pet": {"id": 7}}, id="inside"
        ),
        pytest.param({"properties": {"id": {"type": "string", "const": "a"}}}, {"id": "a"}, id="other-type"),
        pytest.param({"properties": {"id": {"type": "integer", "minimum": 8, "maximum": 8}}}, {"id": 8}, id="invalid"),
        pytest.param({"properties": {"limit": {"type": "integer"}}}, {"limit": 5}, id="query"),
    ],
)
def test_echo(tmp_path: Path, schema: Any, expected: Any) -> None:
    """Values of the request come back where the answer has a property of their name and type that may hold them."""
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer"}}
    path = get({"200": answer_of({JSON: {"schema": {"type": "object", **schema}}})}, parameters=[ID, limit])
    assert client_of(tmp_path, paths=path).get("/pets/7?limit=5").json == expected


def test_echo_of_a_body(tmp_path: Path) -> None:
    """What is created is what was sent."""
    post = {
        "requestBody": {"content": {JSON: {"schema": PET}}},
        "responses": {"201": answer_of({JSON: {"schema": REF}})},
    }
    client = client_of(tmp_path, paths={"/pets": {"post": post}})
    answer = client.post("/pets", json={"id": 3, "name": "Rex"})
    assert answer.status_code == 201
    assert {"id": 3, "name": "Rex"}.items() <= answer.get_json().items()


def test_same_request_same_answer(tmp_path: Path) -> None:
    """Answers depend on seed and request, on nothing else; the order of the query does not matter."""
    path = get({"200": answer_of({JSON: {"schema": REF}})})
    first, second = (client_of(tmp_path, paths=path, seed=1) for _ in range(2))
    other = client_of(tmp_path, paths=path, seed=2)
    assert first.get("/pets/7").data == first.get("/pets/7").data == second.get("/pets/7").data
    assert first.get("/pets/7?a=1&b=2").data == second.get("/pets/7?b=2&a=1").data
    assert (
        len(
            {
                first.get("/pets/7").get_json()["name"],
                first.get("/pets/8").get_json()["name"],
                other.get("/pets/7").get_json()["name"],
            }
        )
        > 1
    )


def test_requests_are_checked(tmp_path: Path) -> None:
    """A mock refuses what the service would refuse."""
    client = client_of(tmp_path, paths=get({"200": answer_of({JSON: {"schema": REF}})}))
    answers = [client.get("/pets/x"), client.get("/cats"), client.post("/pets/7")]
    assert [answer.status_code for answer in answers] == [400, 404, 405]
    assert answers[0].get_json()["error_description"] == "path petId: Input should be a valid integer"
    assert client.get("/doc").status_code == 200


@pytest.mark.parametrize(
    ("responses", "status", "body"),
    [
        pytest.param({}, 400, {"error": "INVALID_PARAMETER", "status": 400}, id="undeclared"),
        pytest.param(
            {
                "400": answer_of(
                    {JSON: {"schema": {"type": "object", "required": ["message", "code"], "additionalProperties": False,
                     "properties": {"message": {"type": "string"}, "code": {"type": "integer"}}}}}
                )
            },
            400,
            {"code": 400, "message": "path petId: Input should be a valid integer"},
            id="own-shape",
        ),
        pytest.param({"422": answer_of({JSON: {}})}, 422, {"status": 422}, id="unprocessable"),
        pytest.param({"422": answer_of(), "default": answer_of()}, 422, {"status": 422}, id="before-default"),
        pytest.param({"default": answer_of({JSON: {"schema": {"minProperties": 1}}})}, 400, {"status": 400}, id="d"),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, responses: Any, status: int, body: Any) -> None:
    """Refusals have a status and a body that the document declares for them."""
    answer = client_of(tmp_path, paths=get({"200": answer_of(), **responses})).get("/pets/x")
    assert answer.status_code == status
    assert body.items() <= json.loads(answer.data).items()


def test_refusal_in_html(tmp_path: Path) -> None:
    """An error that the document declares as text is text."""
    responses = {"200": answer_of(), "400": answer_of({"text/html": {"schema": {"const": "<p>no</p>"}}})}
    answer = client_of(tmp_path, paths=get(responses)).get("/pets/x")
    assert (answer.status_code, answer.mimetype, answer.text) == (400, "text/html", "<p>no</p>")


def test_impossible_schema(tmp_path: Path) -> None:
    """A schema that nothing fits is told with its place."""
    content = {JSON: {"schema": {"allOf": [{"type": "string", "minLength": 3}, {"type": "string", "maxLength": 2}]}}}
    answer = client_of(tmp_path, paths=get({"200": answer_of(content)})).get("/pets/7")
    assert (answer.status_code, answer.get_json()["error"]) == (500, "BAD_RESPONSE")
    text = answer.get_json()["error_description"]
    assert text.startswith("No value could be found that fits the schema at ")
    assert "pets.yaml:" in text
    assert text.endswith(
        "/paths/~1pets~1{petId}/get/responses/200/content/application~1json/schema: / breaks minLength"
    )


SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
    "oauth": {"type": "oauth2", "flows": {}},
    "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://example.com"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "query": {"type": "apiKey", "in": "query", "name": "key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "key"},
    "hoba": {"type": "http", "scheme": "hoba"},
    "tls": {"type": "mutualTLS"},
}
RIGHT = {
    "bearer": {"Authorization": "Bearer secret"},
    "basic": {"Authorization": "Basic bW9jazpzZWNyZXQ="},
    "oauth": {"Authorization": "Bearer secret"},
    "oidc": {"Authorization": "bearer secret"},
    "key": {"X-Key": "Token secret"},
    "query": {},
    "cookie": {"Cookie": "key=secret"},
    "hoba": {"Authorization": "HOBA secret"},
}
WRONG = {
    "bearer": {"Authorization": "Bearer other"},
    "basic": {"Authorization": "Basic %"},
    "oauth": {"Authorization": "Basic secret"},
    "oidc": {"Authorization": "Bearer"},
    "key": {"X-Key": "other"},
    "query": {},
    "cookie": {"Cookie": "key=other"},
    "hoba": {"Authorization": "Bearer secret"},
}


@pytest.mark.parametrize("name", RIGHT)
def test_credentials(tmp_path: Path, name: str) -> None:
    """Who sends the token in the document's way is let in; nobody else is."""
    path = get({"204": answer_of()}, security=[{name: []}])
    client = client_of(tmp_path, paths=path, schemes=SCHEMES, token="secret")
    good, bad = ("?key=secret", "?key=other") if name == "query" else ("", "")
    statuses = [
        client.get(f"/pets/7{good}", headers=RIGHT[name]).status_code,
        client.get(f"/pets/7{bad}", headers=WRONG[name]).status_code,
        client.get("/pets/7").status_code,
    ]
    assert statuses == [204, 401, 401]


@pytest.mark.parametrize(
    ("security", "status"),
    [
        pytest.param([{"tls": []}], 204, id="mutual-tls"),
        pytest.param([{"key": []}, {}], 204, id="optional"),
        pytest.param([{"key": [], "bearer": []}], 401, id="both"),
    ],
)
def test_anonymous(tmp_path: Path, security: Any, status: int) -> None:
    path = get({"204": answer_of()}, security=security)
    assert client_of(tmp_path, paths=path, schemes=SCHEMES).get("/pets/7").status_code == status


def test_extensions_of_a_service_are_left_out(tmp_path: Path) -> None:
    """Handlers, decorators and parents lead into code that a mock has not; a decorated operation wants its token."""
    pet = {**PET, "x-parent": "svc.models.Pet", "x-persist": "svc.db.Pet"}
    path = get(
        {"200": answer_of({JSON: {"schema": REF}})},
        **{"x-bind-server": "svc.pets.get_pet", "x-decorate-server": "pymacaron.auth.requires_auth"},
    )
    client = client_of(tmp_path, paths=path, schemas={"Pet": pet})
    assert client.get("/pets/7").status_code == 401
    assert client.get("/pets/7", headers={"Authorization": "Bearer mock-token"}).status_code == 200


def test_nothing_is_written(tmp_path: Path) -> None:
    """Models stay in memory; a loaded document will do as well."""
    client_of(tmp_path, paths=get({"200": answer_of({JSON: {"schema": REF}})}))
    assert [file.name for file in tmp_path.iterdir()] == ["pets.yaml"]
    api = parse_spec((tmp_path / "pets.yaml").read_text(), source="pets.yaml")
    assert create_mock(api).test_client().get("/pets/7").status_code == 200
