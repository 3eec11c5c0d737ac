"""A request goes through an operation: parameters, body, handler, answer, errors."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from pymacaron.events import ContractViolated, ErrorReported, RequestFinished, RequestStarted
from pymacaron.service import service_of

MakeService = Callable[..., Flask]


def body_of(answer: TestResponse) -> Any:
    """Return the JSON of *answer*; there must be some."""
    assert answer.json is not None, answer.text
    return answer.json


JSON = {"Content-Type": "application/json"}


def test_parameters_reach_the_handler_typed(make_service: MakeService) -> None:
    """Query, header and cookie values arrive as keywords, with the types of the document."""
    client = make_service().test_client()
    client.set_cookie("session", "3")
    answer = client.get("/pets?limit=5&tag=a&tag=b", headers={"X-Tenant": "t1"})
    assert body_of(answer) == [{"id": 1, "name": "limit=5 tag=['a', 'b'] x_tenant='t1' session=3", "born": None}]


def test_absent_parameters_take_the_defaults(make_service: MakeService) -> None:
    """The document's default goes first, then the function's own."""
    answer = make_service().test_client().get("/pets")
    assert body_of(answer) == [{"id": 1, "name": "limit=20 tag=None x_tenant=None session=None", "born": None}]


def test_a_body_arrives_as_model_and_leaves_as_json(make_service: MakeService) -> None:
    """Bodies are model objects in and out; absent properties stay absent, nulls stay null."""
    client = make_service().test_client()
    answer = client.post("/pets", json={"name": "Rex", "born": None})
    assert (answer.status_code, body_of(answer)) == (201, {"id": 7, "name": "Rex", "born": None})


@pytest.mark.parametrize(
    ("number", "status"),
    [
        pytest.param("1", 200, id="integer"),
        pytest.param("1.0", 200, id="whole number"),
        pytest.param("1e2", 200, id="exponent"),
        pytest.param("1.5", 400, id="fraction"),
        pytest.param('"1"', 400, id="text"),
        pytest.param("true", 400, id="boolean"),
    ],
)
def test_integers_are_those_of_json_schema(make_service: MakeService, number: str, status: int) -> None:
    """A number without a fraction is an integer, however it is written."""
    schema = "{type: object, properties: {n: {type: array, items: {type: integer}}}}"
    document = FORMS.replace("{schema: {}}", f"{{schema: {schema}}}", 1)
    handlers = FORM_HANDLERS.replace('{"got": body}', '{"got": body.n}')
    client = make_service(document=document, handlers=handlers).test_client()
    answer = client.post("/any", data=f'{{"n": [{number}]}}', headers=JSON)
    assert answer.status_code == status, answer.text
    if status == 200:
        assert isinstance(body_of(answer)["got"][0], int)


@pytest.mark.parametrize(
    ("schema", "number", "status"),
    [
        pytest.param("{type: integer, format: int32}", 2**31 - 1, 200, id="largest int32"),
        pytest.param("{type: integer, format: int32}", 2**31, 400, id="beyond int32"),
        pytest.param("{type: [integer, 'null'], format: int64}", -(2**63), 200, id="smallest int64"),
        pytest.param("{type: [integer, 'null'], format: int64}", -(2**63) - 1, 400, id="beyond int64"),
        pytest.param("{type: integer, format: int64, maximum: 5}", 6, 400, id="own bound"),
    ],
)
def test_formats_of_integers_are_bounds(make_service: MakeService, schema: str, number: int, status: int) -> None:
    """A number outside of its format is refused."""
    document = FORMS.replace("{schema: {}}", f"{{schema: {{type: object, properties: {{n: {schema}}}}}}}", 1)
    handlers = FORM_HANDLERS.replace('{"got": body}', '{"got": body.n}')
    client = make_service(document=document, handlers=handlers).test_client()
    assert client.post("/any", json={"n": number}).status_code == status


def test_a_handler_that_returns_none_answers_204(make_service: MakeService) -> None:
    """No content means no content type either."""
    answer = make_service().test_client().delete("/pets/3")
    assert (answer.status_code, answer.data, answer.headers.get("Content-Type")) == (204, b"", None)


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "error", "description"),
    [
        pytest.param("GET", "/nothing", {}, 404, "NOT_FOUND", None, id="unknown path"),
        pytest.param("PUT", "/pets", {}, 405, "METHOD_NOT_ALLOWED", None, id="undeclared method"),
        pytest.param(
            "GET", "/pets/x", {}, 400, "INVALID_PARAMETER", "path petId: Input should be a valid integer", id="path"
        ),
        pytest.param(
            "GET",
            "/pets?limit=0",
            {"headers": {"X-Tenant": "too long"}},
            400,
            "INVALID_PARAMETER",
            "query limit: Input should be greater than or equal to 1; "
            "header X-Tenant: String should have at most 5 characters",
            id="all faults in one answer",
        ),
        pytest.param(
            "GET",
            "/pets?limit=1&limit=2",
            {},
            400,
            "INVALID_PARAMETER",
            "query limit: given more than once",
            id="twice",
        ),
        pytest.param(
            "POST",
            "/pets",
            {"json": {"name": 3}},
            400,
            "INVALID_PARAMETER",
            "body /name: Input should be a valid string",
            id="strict",
        ),
        pytest.param(
            "POST",
            "/pets",
            {"json": {"name": "x", "legs": 4}},
            400,
            "INVALID_PARAMETER",
            "body /legs: Extra inputs are not permitted",
            id="additional property",
        ),
        pytest.param(
            "POST",
            "/pets",
            {"json": {"name": "x", "tag": None}},
            400,
            "INVALID_PARAMETER",
            "body /tag: Input should be a valid string",
            id="null where there is none",
        ),
        pytest.param(
            "POST",
            "/pets",
            {"data": b"{", "headers": JSON},
            400,
            "INVALID_PARAMETER",
            "body /: Invalid JSON: EOF while parsing an object at line 1 column 1",
            id="broken JSON",
        ),
        pytest.param("POST", "/pets", {"headers": JSON}, 400, "INVALID_PARAMETER", "body: it is missing", id="no body"),
        pytest.param(
            "POST",
            "/pets",
            {"data": b"a=1", "headers": {"Content-Type": "text/csv"}},
            415,
            "UNSUPPORTED_MEDIA_TYPE",
            "The body is text/csv, this operation takes application/json",
            id="media type",
        ),
    ],
)
def test_wrong_requests(
    make_service: MakeService,
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
    error: str,
    description: str | None,
) -> None:
    """Every refusal has the one error body."""
    answer = make_service().test_client().open(path, method=method, **options)
    assert (answer.status_code, body_of(answer)["status"], body_of(answer)["error"]) == (status, status, error)
    if description is not None:
        assert body_of(answer)["error_description"] == description


def test_405_names_the_allowed_methods(make_service: MakeService) -> None:
    """RFC 9110 demands Allow with a 405."""
    answer = make_service().test_client().put("/pets/3")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "DELETE", "OPTIONS"}


def test_a_body_that_is_too_large_is_refused(make_service: MakeService) -> None:
    """max_body_bytes bounds what is read."""
    app = make_service(config="name: x\nmax_body_bytes: 10\n")
    answer = app.test_client().post("/pets", json={"name": "a long name"})
    assert (answer.status_code, body_of(answer)["error"]) == (413, "REQUEST_ENTITY_TOO_LARGE")


def test_the_status_for_invalid_requests_is_configurable(make_service: MakeService) -> None:
    """validation_status: 422 changes status, not code."""
    handlers = """
    from pymacaron.exceptions import InvalidParameterError
    def list_pets(**keywords): raise InvalidParameterError(faults=["limit: too many", "tag: unknown"])
    def create_pet(body): return None
    def get_pet(pet_id): return None
    def delete_pet(pet_id): return None
    """
    client = make_service(config="name: x\nvalidation_status: 422\n", handlers=handlers).test_client()
    by_framework, by_handler = client.get("/pets?limit=0"), client.get("/pets")
    for answer in (by_framework, by_handler):
        assert (answer.status_code, body_of(answer)["status"], body_of(answer)["error"]) == (
            422,
            422,
            "INVALID_PARAMETER",
        )
    assert body_of(by_handler)["error_description"] == "limit: too many; tag: unknown"


WRONG = """
def list_pets(limit, tag, x_tenant, session):
    return [{"id": "one", "name": "Rex"}]
def create_pet(body):
    return {"id": 1, "name": "Rex"}, 202
def get_pet(pet_id):
    raise ValueError("the password is 1234")
def delete_pet(pet_id):
    return {"id": 1}, 204
"""


def test_enforce_answers_500_with_the_reason(make_service: MakeService) -> None:
    """In development a wrong answer never leaves the service."""
    client = make_service(handlers=WRONG).test_client()
    assert body_of(client.get("/pets"))["error_description"] == (
        "listPets, response 200: /0/id: Input should be a valid integer"
    )
    undeclared = client.post("/pets", json={"name": "x"})
    assert (undeclared.status_code, body_of(undeclared)["error_description"]) == (
        500,
        "createPet, response 202: the document declares no status 202 for this operation",
    )
    assert body_of(client.delete("/pets/1"))["error_description"] == (
        "deletePet, response 204: status 204 has no body, the handler returned one"
    )


def test_observe_sends_the_answer_and_tells(make_service: MakeService) -> None:
    """In production a wrong answer is sent as it is, and heard of."""
    app = make_service(handlers=WRONG, config="name: x\nresponse_validation: observe\n")
    violations: list[ContractViolated] = []
    service_of(app).bus.subscribe(ContractViolated, violations.append)
    answer = app.test_client().get("/pets")
    assert (answer.status_code, body_of(answer)) == (200, [{"id": "one", "name": "Rex"}])
    assert violations == [
        ContractViolated(
            "listPets", "response 200 /0/id", "Input should be a valid integer", pointer="/0/id", place="body"
        )
    ]


def test_off_checks_nothing(make_service: MakeService, pets_document: str) -> None:
    """An operation can switch its own check off."""
    document_line = "      operationId: listPets\n"
    document = pets_document.replace(document_line, document_line + "      x-response-validation: 'off'\n")
    app = make_service(document=document, handlers=WRONG)
    violations: list[ContractViolated] = []
    service_of(app).bus.subscribe(ContractViolated, violations.append)
    assert app.test_client().get("/pets").status_code == 200
    assert violations == []


def test_an_unexpected_exception_tells_the_caller_nothing(make_service: MakeService) -> None:
    """Outside debug mode only the error_id connects the answer with the report."""
    app = make_service(handlers=WRONG, debug=False)
    reports: list[ErrorReported] = []
    service_of(app).bus.subscribe(ErrorReported, reports.append)
    answer = app.test_client().get("/pets/3")
    assert (answer.status_code, body_of(answer)["error"]) == (500, "SERVER_ERROR")
    assert "password" not in answer.text
    assert (reports[0].error_id, reports[0].fatal, reports[0].data["operation_id"]) == (
        body_of(answer)["error_id"],
        True,
        "getPet",
    )
    assert isinstance(reports[0].exception, ValueError)


def test_debug_mode_shows_what_was_caught(make_service: MakeService) -> None:
    """In debug mode the text helps the developer."""
    answer = make_service(handlers=WRONG).test_client().get("/pets/3")
    assert body_of(answer)["error_caught"] == "ValueError: the password is 1234"


def test_events_of_a_request(make_service: MakeService) -> None:
    """Each request starts and finishes once, known by route and operation."""
    app = make_service()
    started: list[RequestStarted] = []
    finished: list[RequestFinished] = []
    service_of(app).bus.subscribe(RequestStarted, started.append)
    service_of(app).bus.subscribe(RequestFinished, finished.append)
    app.test_client().get("/pets/3", headers={"X-Request-Id": "abc-1"})
    app.test_client().get("/nothing")
    assert [(event.request_id, event.route, event.operation_id) for event in started[:1]] == [
        ("abc-1", "/pets/{petId}", "getPet")
    ]
    one, nothing = finished
    assert (one.method, one.route, one.operation_id, one.status) == ("GET", "/pets/{petId}", "getPet", 200)
    assert one.response_bytes == len(b'{"name":"Rex","born":null,"id":3}')
    assert 0 < one.duration_s < 5
    assert (nothing.route, nothing.operation_id, nothing.status) == (None, None, 404)


def test_watching_changes_nothing(make_service: MakeService) -> None:
    """Requests to /metrics emit no events, or each scrape would count itself."""
    app = make_service()
    events: list[object] = []
    service_of(app).bus.subscribe(RequestStarted, events.append)
    service_of(app).bus.subscribe(RequestFinished, events.append)
    assert app.test_client().get("/metrics").status_code == 200
    assert events == []


def test_auth_version_refuses_everyone_where_there_are_no_keys(make_service: MakeService) -> None:
    """A service without tokens still has /auth/version."""
    client = make_service(config="name: x\n").test_client()
    missing, given = client.get("/auth/version"), client.get("/auth/version", headers={"Authorization": "Bearer abc"})
    assert (missing.status_code, body_of(missing)["error"]) == (401, "AUTHORIZATION_HEADER_MISSING")
    assert (given.status_code, body_of(given)["error_description"]) == (
        401,
        "This service has no key to verify tokens with",
    )


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        pytest.param("abc-1", True, id="sane"),
        pytest.param("a b", False, id="space"),
        pytest.param("x" * 200, False, id="long"),
    ],
)
def test_request_ids(make_service: MakeService, given: str, is_kept: bool) -> None:
    """Every answer carries a request id; one that came with the request is kept if it is sane."""
    answer = make_service().test_client().get("/nothing", headers={"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is is_kept
    assert answer.headers["X-Request-Id"]


FORMS = """\
openapi: 3.1.0
info: {title: Forms, version: "1"}
paths:
  /upload:
    post:
      operationId: upload
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema:
              type: object
              required: [count, file]
              properties:
                count: {type: integer}
                file: {type: string, format: binary}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: integer}}}}}
  /files:
    post:
      operationId: files
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema: {type: object, properties: {docs: {type: array, items: {type: string, format: binary}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: integer}}}}}
  /text:
    post:
      operationId: text
      requestBody: {required: true, content: {text/plain: {}}}
      responses: {"200": {description: ok, content: {text/plain: {}}}}
  /bytes:
    post:
      operationId: raw
      requestBody: {required: true, content: {application/octet-stream: {}}}
      responses: {"200": {description: ok, content: {application/octet-stream: {}}}}
  /stream:
    get:
      operationId: stream
      responses: {"200": {description: ok, content: {text/plain: {}}}}
  /any:
    post:
      operationId: anything
      requestBody: {content: {application/json: {schema: {}}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {}}}}}
"""
FORM_HANDLERS = """
def upload(count, file):
    return count + len(file.read())
def files(docs):
    return sum(len(doc.read()) for doc in docs)
def text(body):
    return body.upper()
def raw(body):
    return body[::-1]
def stream():
    yield "a"
    yield "b"
def anything(body):
    return {"got": body}, {"X-Own": "1"}
"""


def test_optional_form(make_service: MakeService) -> None:
    """Where no form need come, its required fields are only asked for when one comes."""
    document = FORMS.replace(
        """        required: true
        content:
          multipart/form-data:
            schema:
""",
        """        content:
          multipart/form-data:
            schema:
""",
    )
    handlers = FORM_HANDLERS.replace("return count + len(file.read())", "return -1 if count is None else count")
    client = make_service(document=document, handlers=handlers).test_client()
    assert body_of(client.post("/upload")) == -1
    assert body_of(client.post("/upload", data={"count": "2", "file": (io.BytesIO(b"abc"), "a.txt")})) == 2
    refused = client.post("/upload", data={}, content_type="multipart/form-data")
    assert refused.status_code == 400
    assert body_of(refused)["error_description"] == "form count: Field required; form file: a file is required"


MIXED = """\
openapi: 3.1.0
info: {title: Mixed, version: "1"}
paths:
  /mixed:
    post:
      operationId: mixed
      requestBody:
        required: true
        content:
          multipart/mixed:
            schema: {type: object, required: [count], properties: {count: {type: integer}, more: {type: object}}}
            encoding: {more: {contentType: application/json; charset=utf-8}}
      responses: {"200": {description: ok, content: {application/json: {schema: {}}}}}
  /text:
    post:
      operationId: text
      requestBody: {required: true, content: {text/plain: {schema: {type: string, maxLength: 3}}, image/png: {}}}
      responses: {"200": {description: ok, content: {application/json: {schema: {type: integer}}}}}
"""
MIXED_HANDLERS = """
def mixed(body):
    return body
def text(body):
    return len(body)
"""


def test_named_parts(make_service: MakeService) -> None:
    """Parts of multipart/mixed are properties where the schema is an object, and held to it."""
    client = make_service(document=MIXED, handlers=MIXED_HANDLERS).test_client()

    def send(count: str) -> TestResponse:
        part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n{}\r\n{}\r\n'
        more = part.format("more", "Content-Type: application/json\r\n", '{"a": 1}')
        data = part.format("count", "", count) + more + "--x--\r\n"
        return client.post("/mixed", data=data, content_type="multipart/mixed; boundary=x")

    assert body_of(send("2")) == {"count": 2, "more": {"a": 1}}
    refused = send("two")
    assert refused.status_code == 400
    assert "count" in body_of(refused)["error_description"]


def test_empty_bodies(make_service: MakeService) -> None:
    """A text or a file of no bytes is one if the request says so; without a media type nothing came."""
    client = make_service(document=MIXED, handlers=MIXED_HANDLERS).test_client()
    assert body_of(client.post("/text", data="", content_type="text/plain")) == 0
    assert body_of(client.post("/text", data=b"", content_type="image/png")) == 0
    assert client.post("/text").status_code == 400


def test_other_bodies(make_service: MakeService) -> None:
    """Forms arrive as keywords, text as str, anything else as bytes; answers likewise."""
    client = make_service(document=FORMS, handlers=FORM_HANDLERS).test_client()
    uploaded = client.post("/upload", data={"count": "2", "file": (io.BytesIO(b"abc"), "a.txt")})
    assert body_of(uploaded) == 5
    assert body_of(client.post("/upload", data={"count": "x"}, content_type="multipart/form-data"))[
        "error_description"
    ] == ("form file: a file is required; form count: Input should be a valid integer")
    wrong = client.post("/upload", json={"count": 2})
    assert (wrong.status_code, body_of(wrong)["error_description"]) == (
        415,
        "The body is application/json, this operation takes multipart/form-data",
    )
    several = {"docs": [(io.BytesIO(b"abc"), "a.txt"), (io.BytesIO(b"de"), "b.txt")]}
    assert body_of(client.post("/files", data=several)) == 5
    assert client.post("/text", data="abc", headers={"Content-Type": "text/plain"}).text == "ABC"
    answer = client.post("/bytes", data=b"abc", headers={"Content-Type": "application/octet-stream"})
    assert (answer.data, answer.content_type) == (b"cba", "application/octet-stream")


def test_streams_finish_when_they_are_closed(make_service: MakeService) -> None:
    """An iterator is streamed; its bytes are counted when the body closes."""
    app = make_service(document=FORMS, handlers=FORM_HANDLERS)
    finished: list[RequestFinished] = []
    service_of(app).bus.subscribe(RequestFinished, finished.append)
    answer = app.test_client().get("/stream", buffered=True)
    assert (answer.text, answer.content_type) == ("ab", "text/plain; charset=utf-8")
    assert [event.response_bytes for event in finished] == [2]


def test_a_body_without_schema_is_passed_as_it_is(make_service: MakeService) -> None:
    """`{}` allows any JSON; a handler may add headers without naming a status."""
    client = make_service(document=FORMS, handlers=FORM_HANDLERS).test_client()
    answer = client.post("/any", json=[1, None])
    assert (body_of(answer), answer.headers["X-Own"]) == ({"got": [1, None]}, "1")
    assert body_of(client.post("/any")) == {"got": None}
    assert client.post("/any", data="{", headers=JSON).status_code == 400


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param('{"a": NaN}', 400, id="NaN"),
        pytest.param('{"a": [-Infinity]}', 400, id="Infinity"),
        pytest.param('{"a": "NaN"}', 200, id="a text"),
    ],
)
def test_what_is_no_json_is_refused_where_anything_goes(make_service: MakeService, text: str, status: int) -> None:
    """RFC 8259 knows no NaN and no Infinity, also where the schema says nothing."""
    document = FORMS.replace("{schema: {}}", "{schema: {type: object}}", 1)
    handlers = FORM_HANDLERS.replace('{"got": body}', '{"got": 1}')
    client = make_service(document=document, handlers=handlers).test_client()
    assert client.post("/any", data=text, headers=JSON).status_code == status
