"""Every kind of answer leaves as the document says, or the violation is told."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from pymacaron.call import PlainAnswer, current_call
from pymacaron.endpoint import Endpoint
from pymacaron.events import ContractViolated, ErrorReported
from pymacaron.log import current_request_id
from pymacaron.service import service_of

MakeService = Callable[..., Flask]
PETS_TYPES = "application/json, application/vnd.note+json, text/csv, image/*"


@pytest.fixture
def client(bodies_app: Flask) -> FlaskClient:
    """Return a client of the service with every kind of answer."""
    return bodies_app.test_client()


@pytest.mark.parametrize(
    ("kind", "accept", "content_type"),
    [
        pytest.param("model", None, "application/json", id="no Accept"),
        pytest.param("model", "*/*", "application/json", id="anything"),
        pytest.param("model", "application/vnd.note+json", "application/vnd.note+json", id="exact"),
        pytest.param("model", "application/json;q=0.5, application/vnd.note+json", "application/vnd.note+json", id="q"),
        pytest.param("model", "application/json;q=0, application/*", "application/vnd.note+json", id="q=0"),
        pytest.param("model", "application/*;q=0.2, application/vnd.note+json;q=0.1", "application/json", id="range"),
        pytest.param("model", "application/json; charset=utf-8", "application/json", id="charset does not count"),
        pytest.param("model", "application/json;indent=2", "application/json", id="a parameter of the client's own"),
        pytest.param("model", "gibberish", "application/json", id="no media range at all"),
        pytest.param("text", "*/*", "text/csv; charset=utf-8", id="text"),
        pytest.param("text", "text/*, application/json;q=0.1", "text/csv; charset=utf-8", id="text by range"),
        pytest.param("bytes", "image/png", "image/png", id="named by the handler"),
        pytest.param("named", "application/json", "application/vnd.note+json", id="the handler's name goes first"),
    ],
)
def test_the_representation_that_is_asked_for(
    client: FlaskClient, kind: str, accept: str | None, content_type: str
) -> None:
    """Of the declared types that fit the value the one with the best quality is sent."""
    answer = client.get(f"/pets?kind={kind}", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.content_type) == (200, content_type)
    assert answer.vary.find("accept") >= 0 if kind in ("model", "text") else answer.vary.find("accept") < 0


@pytest.mark.parametrize(
    ("path", "accept", "description"),
    [
        pytest.param("/pets", "audio/ogg", f"This operation answers {PETS_TYPES}, the request accepts none", id="none"),
        pytest.param("/pets", "audio/*, */*;q=0", f"This operation answers {PETS_TYPES}", id="all forbidden"),
        pytest.param(
            "/pets?kind=model", "text/csv", "This operation answers application/json,", id="not of this value"
        ),
        pytest.param("/file", "application/json", "This operation answers text/plain", id="file"),
    ],
)
def test_nothing_acceptable(client: FlaskClient, path: str, accept: str, description: str) -> None:
    """406 has the service's error body."""
    answer = client.get(path, headers={"Accept": accept})
    body = answer.get_json()
    assert (answer.status_code, body["error"]) == (406, "NOT_ACCEPTABLE")
    assert body["error_description"].startswith(description)


def test_errors_are_json_whatever_is_accepted(client: FlaskClient) -> None:
    """An error says what is wrong even to those who only accept text."""
    answer = client.get("/ticks?count=0", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.content_type) == (400, "application/json")


def test_declared_headers_are_written_by_their_schemas(client: FlaskClient) -> None:
    """Lists, booleans, dates and objects have the form that OpenAPI gives them."""
    headers = client.get("/headers").headers
    assert {name: value for name, value in headers if name.startswith("X-") and name != "X-Request-Id"} == {
        "X-Ids": "1,2",
        "X-Flag": "true",
        "X-Until": "2026-01-31",
        "X-Point": "x=1,y=2",
        "X-Json": '{"x":1,"y":2}',
    }


@pytest.mark.parametrize(
    ("accept", "content_type", "data"),
    [
        pytest.param(None, "application/x-ndjson", b'{"name":"a"}\n{"name":"b"}\n', id="lines"),
        pytest.param("application/json-seq", "application/json-seq", b'\x1e{"name":"a"}\n\x1e{"name":"b"}\n', id="seq"),
        pytest.param("application/json", "application/json", b'[{"name":"a"},{"name":"b"}]', id="array"),
    ],
)
def test_streams_of_items(client: FlaskClient, accept: str | None, content_type: str, data: bytes) -> None:
    """What the handler yields is written the way that was asked for."""
    answer = client.get("/notes", headers={"Accept": accept} if accept else {})
    assert (answer.content_type, answer.data) == (content_type, data)


def test_server_sent_events(client: FlaskClient) -> None:
    """Comments, names and ids stand where browsers look for them; nobody may cache."""
    answer = client.get("/ticks?count=1")
    assert answer.data == b': hello\n\nevent: tick\nid: 0\ndata: {"n":0}\n\nevent: tick\ndata: {"n":-1}\n\n'
    assert (answer.content_type, answer.headers["Cache-Control"]) == ("text/event-stream", "no-cache")


def test_asynchronous_generators_are_streamed(client: FlaskClient) -> None:
    """They need no event loop around the service."""
    assert client.get("/later").text == "one two"


@pytest.mark.parametrize(
    ("headers", "status", "data"),
    [
        pytest.param({}, 200, b"Hello, range!\n", id="whole"),
        pytest.param({"Range": "bytes=7-11"}, 206, b"range", id="range"),
        pytest.param({"Range": "bytes=99-"}, 416, None, id="beyond"),
    ],
)
def test_files(client: FlaskClient, headers: dict[str, str], status: int, data: bytes | None) -> None:
    """A path becomes the file's content, or the part that was asked for."""
    answer = client.get("/file", headers=headers, buffered=True)
    assert answer.status_code == status
    if data is None:
        assert answer.get_json()["error"] == "REQUESTED_RANGE_NOT_SATISFIABLE"
    else:
        assert (answer.data, answer.content_type) == (data, "text/plain; charset=utf-8")
        again = client.get("/file", headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


def test_the_name_of_a_file_says_its_type(client: FlaskClient) -> None:
    """Where the document declares a range."""
    assert client.get("/picture", buffered=True).content_type == "image/png"


@pytest.mark.parametrize("path", ["/pets", "/file", "/notes", "/ticks", "/headers"])
def test_head_has_the_headers_of_get(client: FlaskClient, path: str) -> None:
    """And no body."""
    head, get = client.head(path), client.get(path, buffered=True)
    assert (head.status_code, head.data, head.content_type) == (200, b"", get.content_type)


def test_205_has_no_body(client: FlaskClient) -> None:
    """Nor a type of one."""
    answer = client.post("/reset")
    assert (answer.status_code, answer.data, answer.headers.get("Content-Type")) == (205, b"", None)


DOCUMENT = """\
openapi: 3.2.0
info: {title: Wrong, version: "1"}
paths:
  /wrong:
    get:
      operationId: wrong
      parameters: [{name: case, in: query, required: true, schema: {type: string}}]
      responses:
        "200":
          description: ok
          headers: {X-Count: {required: true, schema: {type: integer, minimum: 1}}}
          content:
            application/json: {schema: {$ref: "#/components/schemas/Pet"}}
            text/plain: {schema: {type: string, maxLength: 3}}
        "202": {description: text, content: {text/csv: {}}}
        "204": {description: none}
        "201": {description: no body}
        "203": {description: items, content: {application/x-ndjson: {itemSchema: {$ref: "#/components/schemas/Pet"}}}}
        "208": {description: events, content: {text/event-stream: {itemSchema: {$ref: "#/components/schemas/Event"}}}}
components:
  schemas:
    Pet:
      type: object
      required: [id]
      properties:
        id: {type: integer}
        read: {type: boolean}
        tags: {type: array, uniqueItems: true, items: {type: string}}
    Event:
      oneOf:
        - {type: object, required: [data], properties: {event: {const: raw}, data: {maxLength: 3}}}
        - type: object
          required: [data, event]
          properties:
            event: {const: pet}
            data: {contentMediaType: application/json, contentSchema: {$ref: "#/components/schemas/Pet"}}
"""
HANDLERS = """
from flask import Response
from pymacaron import ServerSentEvent
from pymacaron.pool import apipool

CASES = {
    "fine": lambda: (apipool.pets.Pet(id=1, read=True), {"X-Count": 1, "X-None": None}),
    "unique": lambda: (apipool.pets.Pet(id=1, tags=["a", "a"]), {"X-Count": 1}),
    "type": lambda: ({"id": "x"}, {"X-Count": 1}),
    "no header": lambda: apipool.pets.Pet(id=1),
    "header": lambda: (apipool.pets.Pet(id=1), {"X-Count": 0}),
    "header text": lambda: (apipool.pets.Pet(id=1), {"X-Count": "many"}),
    "media type": lambda: ("<p>", {"X-Count": 1, "Content-Type": "text/html"}),
    "text": lambda: ("long", {"X-Count": 1}),
    "status": lambda: (None, 299),
    "no body": lambda: (None, 202),
    "body": lambda: ({"id": 1}, 201),
    "no content": lambda: ({"id": 1}, 204),
    "no csv": lambda: ({"id": 1}, 202),
    "response type": lambda: Response("{}", content_type="text/html", headers={"X-Count": "1"}),
    "response json": lambda: Response('{"id": "x"}', content_type="application/json", headers={"X-Count": "1"}),
    "response text": lambda: Response("long", content_type="text/plain", headers={"X-Count": "1"}),
    "response empty": lambda: Response(status=202),
    "response body": lambda: Response("x", status=201),
    "response status": lambda: Response("x", status=299),
    "response header": lambda: Response('{"id": 1}', content_type="application/json"),
    "response with status": lambda: (Response('{"id": 1}', content_type="application/json"), 299, {"X-Count": [1]}),
    "item": lambda: (iter([{"id": 1}, {"id": "x"}]), 203),
    "line": lambda: (iter([b'{"id": 1}\\n{"id"', b': "x"}']), 203),
    "event": lambda: (iter(["abc", "long"]), 208),
    "event content": lambda: (iter([("pet", {"id": 1}), ("pet", {"id": "x"})]), 208),
    "events": lambda: (iter(["abc", ServerSentEvent(comment="x"), ("raw", "d"), ("pet", {"id": 1})]), 208),
}

def wrong(case):
    return CASES[case]()
"""
VIOLATIONS = [
    pytest.param("fine", [], id="fine"),
    pytest.param("unique", [("body", "/tags", "breaks uniqueItems")], id="an instance, beyond its model"),
    pytest.param("type", [("body", "/id", "breaks type")], id="a dict"),
    pytest.param("no header", [("header", "", "header X-Count: it is missing")], id="a header that is missing"),
    pytest.param("header", [("header", "", "header X-Count: breaks minimum")], id="a header out of bounds"),
    pytest.param("header text", [("header", "", "header X-Count: breaks type")], id="a header of a wrong type"),
    pytest.param(
        "media type", [("media type", "", "the document does not declare the media type text/html")], id="media type"
    ),
    pytest.param("text", [("body", "/", "breaks maxLength")], id="text"),
    pytest.param(
        "status", [("status", "", "the document declares no status 299 for this operation")], id="undeclared status"
    ),
    pytest.param("no body", [("body", "", "the document declares a body, the handler returned none")], id="no body"),
    pytest.param("body", [("body", "", "the document declares no body, the handler returned one")], id="a body"),
    pytest.param("no content", [("body", "", "status 204 has no body, the handler returned one")], id="204"),
    pytest.param(
        "no csv", [("media type", "", "the document does not declare the media type application/json")], id="no JSON"
    ),
    pytest.param(
        "response type", [("media type", "", "the document does not declare the media type text/html")], id="Response"
    ),
    pytest.param("response json", [("body", "/id", "breaks type")], id="Response of JSON"),
    pytest.param("response text", [("body", "/", "breaks maxLength")], id="Response of text"),
    pytest.param(
        "response empty", [("body", "", "the document declares a body, the handler returned none")], id="empty Response"
    ),
    pytest.param(
        "response body", [("body", "", "the document declares no body, the handler returned one")], id="full Response"
    ),
    pytest.param(
        "response status", [("status", "", "the document declares no status 299 for this operation")], id="its status"
    ),
    pytest.param("response header", [("header", "", "header X-Count: it is missing")], id="its header"),
    pytest.param(
        "response with status",
        [("status", "", "the document declares no status 299 for this operation")],
        id="a status beside it",
    ),
    pytest.param("item", [("item", "/id", "breaks type")], id="an item"),
    pytest.param("line", [("item", "/id", "breaks type")], id="a line in two pieces"),
    pytest.param("event", [("item", "/", "breaks oneOf")], id="an event"),
    pytest.param("event content", [("item", "/data/id", "breaks type")], id="JSON in an event"),
    pytest.param("events", [], id="good events"),
]


class Watched:
    """A service that observes its answers, and what it told of them."""

    def __init__(self, make_service: MakeService, config: str) -> None:
        """Build it with the lines of *config*."""
        self.app = make_service(document=DOCUMENT, handlers=HANDLERS, config=f"name: x\n{config}\n", debug=False)
        self.violations: list[ContractViolated] = []
        self.reports: list[ErrorReported] = []
        service_of(self.app).bus.subscribe(ContractViolated, self.violations.append)
        service_of(self.app).bus.subscribe(ErrorReported, self.reports.append)

    def get(self, case: str) -> Any:
        """Return the answer to *case*, with the violations of that one alone."""
        self.violations.clear()
        return self.app.test_client().get("/wrong", query_string={"case": case})


def test_violations_are_told(make_service: MakeService) -> None:
    """Each has a place, a pointer and a reason; the answer is sent as it is."""
    watched = Watched(make_service, "response_validation: observe")
    for row in VIOLATIONS:
        case, expected = row.values
        answer = watched.get(str(case))
        status = answer.status_code if answer.data is not None else 0
        told = [(one.place, one.pointer, one.detail) for one in watched.violations]
        assert told == expected, case
        where = [f"response {status} {one.pointer}".removesuffix(" /").rstrip() for one in watched.violations]
        assert [one.where for one in watched.violations] == where
        assert 200 <= status < 300


def test_enforce_refuses_and_off_is_silent(make_service: MakeService) -> None:
    """In mode enforce the caller gets a 500 with the reason, in mode off nothing is told."""
    enforced, silent = (Watched(make_service, f"response_validation: '{mode}'") for mode in ("enforce", "off"))
    for row in VIOLATIONS:
        case, expected = row.values
        if case in ("item", "line", "event", "event content"):
            continue
        answer = enforced.get(str(case))
        assert answer.status_code == 500 if expected else answer.status_code < 300, case
        assert not expected or answer.get_json()["error"] == "BAD_RESPONSE"
        answer.close()
        silent.get(str(case)).close()
        assert silent.violations == []


@pytest.mark.parametrize(("case", "sent"), [("item", b'{"id":1}\n'), ("event", b"data: abc\n\n")])
def test_a_stream_ends_where_it_breaks_the_document(make_service: MakeService, case: str, sent: bytes) -> None:
    """Its status is gone already: what was right is sent, the failure is reported, the connection breaks."""
    watched = Watched(make_service, "response_validation: enforce")
    answer = watched.get(case)
    pieces = []
    with pytest.raises(Exception, match=r"wrong, response 20[38]: "):  # noqa: PT012 - pieces come before it
        for piece in answer.iter_encoded():
            pieces.append(piece)  # noqa: PERF402
    assert b"".join(pieces) == sent
    assert [one.place for one in watched.violations] == ["item"]
    assert [report.fatal for report in watched.reports] == [True]


def test_a_sample_is_as_large_as_it_says(make_service: MakeService) -> None:
    """Of 1,000 wrong answers a share of 0.2 is told; five standard deviations are allowed."""
    watched = Watched(make_service, "response_validation: sample:0.2")
    random.seed(3)
    told: list[ContractViolated] = []
    service_of(watched.app).bus.subscribe(ContractViolated, told.append)
    client = watched.app.test_client()
    for _ in range(1000):
        client.get("/wrong?case=type")
    assert abs(len(told) - 200) < 5 * (1000 * 0.2 * 0.8) ** 0.5


STREAMS = """\
openapi: 3.1.0
info: {title: Streams, version: "1"}
paths:
  /text/{when}:
    get:
      operationId: text
      parameters: [{name: when, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: ok, content: {text/plain: {}}}, "404": {description: none}}
  /array/{count}:
    get:
      operationId: array
      parameters: [{name: count, in: path, required: true, schema: {type: integer}}]
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: array, items: {type: integer}}}}}
  /events:
    get:
      operationId: events
      responses: {"200": {description: ok, content: {text/event-stream: {}}}}
"""
STREAM_HANDLERS = """
from flask import request
from pymacaron import PyMacaronException, add_error

class Missing(PyMacaronException):
    status = 404
    code = "MISSING"

closed = []

def text(when):
    try:
        if when == "first":
            raise Missing("nothing there")
        yield request.path
        if when == "later":
            raise ValueError("secret")
        if when == "wrong":
            yield {"a": 1}
    finally:
        closed.append(when)

def array(count):
    return (number for number in range(count))

def events():
    return iter(["a", {"b": 1}])
"""


def test_errors_in_streams(make_service: MakeService) -> None:
    """Before the first piece an error is an answer, after it a report; the request is there all the time."""
    app = make_service(document=STREAMS, handlers=STREAM_HANDLERS, debug=False)
    reports: list[ErrorReported] = []
    service_of(app).bus.subscribe(ErrorReported, reports.append)
    client = app.test_client()
    assert client.get("/text/never").text == "/text/never"
    first = client.get("/text/first")
    assert (first.status_code, first.get_json()["error"], reports) == (404, "MISSING", [])
    for when, error in (("later", ValueError), ("wrong", Exception)):
        with pytest.raises(error):
            _ = client.get(f"/text/{when}").data
    assert [type(report.exception).__name__ for report in reports] == ["ValueError", "BadResponseException"]


def test_iterators_become_what_the_document_says(make_service: MakeService) -> None:
    """An array of JSON, empty or not, or events; any iterator will do."""
    client = make_service(document=STREAMS, handlers=STREAM_HANDLERS, debug=False).test_client()
    assert [client.get(f"/array/{count}").get_json() for count in (0, 2)] == [[], [0, 1]]
    assert client.get("/events").data == b'data: a\n\ndata: {"b":1}\n\n'
    assert client.head("/events").data == b""


def test_a_stream_that_waits_leaves_the_thread_alone(bodies_app: Flask) -> None:
    """The id of its request stands in the logs only while a piece is made."""
    answer = bodies_app.test_client().get("/ticks?count=3")
    assert next(iter(answer.iter_encoded()))
    assert not current_request_id()
    answer.close()
    assert not current_request_id()


def test_a_caller_who_leaves_closes_the_stream(bodies_app: Flask) -> None:
    """The handler's generator is closed with the connection."""
    client = bodies_app.test_client()
    before = client.get("/closed").get_json()
    answer = client.get("/ticks?count=1000")
    pieces = answer.iter_encoded()
    assert next(iter(pieces)) == b": hello\n\n"
    answer.close()
    assert client.get("/closed").get_json() == before + 1


LEAN_DOCUMENT = """\
openapi: 3.1.0
info: {title: Lean, version: "1"}
paths:
  /thing:
    get:
      operationId: getThing
      parameters: [{name: case, in: query, required: true, schema: {type: string}}]
      responses:
        "200": &thing
          description: one
          headers: {X-Note: {schema: {type: string}}}
          content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}
        "201": *thing
        "202":
          description: all
          content: {application/vnd.things+json: {schema: {$ref: "#/components/schemas/Things"}}}
        "204": {description: none}
        "203": {description: counted, headers: {X-Count: {required: true, schema: {}}}}
        "205": {description: none either}
        "409": {description: failed, content: {application/json: {schema: {$ref: "#/components/schemas/Failure"}}}}
  /failure:
    get:
      operationId: getFailure
      responses:
        "200": {description: failed, content: {application/json: {schema: {$ref: "#/components/schemas/Failure"}}}}
        "409": {description: failed, content: {application/json: {schema: {$ref: "#/components/schemas/Failure"}}}}
components:
  schemas:
    Thing: {type: object, required: [id], properties: {id: {type: integer}}, additionalProperties: true}
    Things: {type: array, items: {$ref: "#/components/schemas/Thing"}}
    Failure:
      type: object
      required: [status, error, error_description]
      properties: {status: {type: integer}, error: {type: string}, error_description: {type: string}}
"""
LEAN_HANDLERS = """
from http import HTTPStatus
from pymacaron.pool import apipool

CASES = {
    "model": lambda: apipool.pets.Thing(id=1),
    "status": lambda: (apipool.pets.Thing(id=1), 201),
    "named status": lambda: (apipool.pets.Thing(id=1), HTTPStatus.CREATED),
    "list": lambda: ([apipool.pets.Thing(id=1), apipool.pets.Thing(id=2)], 202),
    "root": lambda: (apipool.pets.Things([apipool.pets.Thing(id=1)]), 202),
    "no items": lambda: ([], 202),
    "nothing": lambda: None,
    "nothing with status": lambda: (None, 205),
    "dict": lambda: {"id": 1},
    "dicts": lambda: ([{"id": 1}], 202),
    "headers": lambda: (apipool.pets.Thing(id=1), 201, {"X-Note": "x"}),
    "own status": lambda: apipool.pets.Thing(id=1, status=409, error="E", error_description="Taken"),
    "extras": lambda: apipool.pets.Thing(id=1, status=409),
    "told status": lambda: (apipool.pets.Thing(id=1, status=409, error="E", error_description="Taken"), 201),
    "no JSON": lambda: apipool.pets.Thing(id=1, extra=object()),
    "count": lambda: (None, 203),
}

def get_thing(case):
    return CASES[case]()

def get_failure():
    return apipool.pets.Failure(status=409, error="E", error_description="Taken")
"""
THINGS_TYPE = "application/vnd.things+json"
LEAN = [
    pytest.param("model", 200, "application/json", b'{"id":1}', True, id="an instance of the model"),
    pytest.param("status", 201, "application/json", b'{"id":1}', True, id="a status beside it"),
    pytest.param("named status", 201, "application/json", b'{"id":1}', True, id="a status by name"),
    pytest.param("list", 202, THINGS_TYPE, b'[{"id":1},{"id":2}]', True, id="a list of instances"),
    pytest.param("root", 202, THINGS_TYPE, b'[{"id":1}]', True, id="an instance of the root model"),
    pytest.param("no items", 202, THINGS_TYPE, b"[]", True, id="an empty list"),
    pytest.param("nothing", 204, None, b"", True, id="None"),
    pytest.param("nothing with status", 205, None, b"", True, id="None with a status"),
    pytest.param("dict", 200, "application/json", b'{"id":1}', False, id="a dict; its headers are checked"),
    pytest.param("dicts", 202, THINGS_TYPE, b'[{"id":1}]', True, id="a list of dicts"),
    pytest.param("headers", 201, "application/json", b'{"id":1}', False, id="headers of the handler"),
    pytest.param("extras", 200, "application/json", b'{"id":1,"status":409}', True, id="extra properties"),
    pytest.param(
        "own status",
        409,
        "application/json",
        b'{"id":1,"status":409,"error":"E","error_description":"Taken"}',
        True,
        id="an error body by extra properties",
    ),
    pytest.param(
        "told status",
        201,
        "application/json",
        b'{"id":1,"status":409,"error":"E","error_description":"Taken"}',
        True,
        id="the handler's status goes first",
    ),
]


@pytest.mark.parametrize(("case", "status", "content_type", "body", "is_plain"), LEAN)
def test_plain_answers(
    make_service: MakeService, case: str, status: int, content_type: str | None, body: bytes, is_plain: bool
) -> None:
    """What needs no response object is not made one, and is the same as if it had been."""
    app = make_service(document=LEAN_DOCUMENT, handlers=LEAN_HANDLERS)
    sent = app.test_client().get("/thing", query_string={"case": case})
    assert (sent.status_code, sent.headers.get("Content-Type"), sent.data) == (status, content_type, body)
    with app.test_request_context("/thing", query_string={"case": case}):
        view = app.view_functions["pets:getThing"]
        assert isinstance(view, Endpoint)
        answer = view.handle(current_call())
    assert isinstance(answer, PlainAnswer) is is_plain
    if isinstance(answer, PlainAnswer):
        assert answer == (status, content_type or "", body)


def test_a_declared_error_body_says_its_own_status(make_service: MakeService) -> None:
    """Also where its class is declared for another status too."""
    answer = make_service(document=LEAN_DOCUMENT, handlers=LEAN_HANDLERS).test_client().get("/failure")
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        pytest.param("no JSON", "getThing returned what JSON cannot say: ", id="no JSON"),
        pytest.param("count", "getThing, response 203: header X-Count: it is missing", id="a header that is demanded"),
    ],
)
def test_plain_answers_are_refused_alike(make_service: MakeService, case: str, reason: str) -> None:
    """An instance of the model may have no JSON, an empty answer lack a header."""
    client = make_service(document=LEAN_DOCUMENT, handlers=LEAN_HANDLERS).test_client()
    answer = client.get("/thing", query_string={"case": case})
    assert answer.status_code == 500
    assert answer.get_json()["error_description"].startswith(reason)


def test_hooks_see_no_content_type_where_there_is_no_body(make_service: MakeService) -> None:
    """A plain answer that becomes a response for a hook stays what it is."""
    app = make_service(document=LEAN_DOCUMENT, handlers=LEAN_HANDLERS)
    seen: list[str | None] = []
    app.after_request(lambda response: seen.append(response.headers.get("Content-Type")) or response)  # type: ignore[func-returns-value]
    answer = app.test_client().get("/thing", query_string={"case": "nothing"})
    assert (answer.status_code, answer.headers.get("Content-Type"), seen) == (204, None, [None])
