"""Clients inside and outside of a service: names, tokens, options, answers of every kind."""

from __future__ import annotations

import base64
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from pymacaron import (
    CallArgumentsError,
    CallTimeoutError,
    Client,
    RemoteError,
    SpecError,
    UnexpectedAnswerError,
    service_of,
)
from pymacaron.auth import authenticate_http_request, generate_token
from pymacaron.client import HttpRequest, HttpResponse, Patience, ReceivedEvent, Stream
from pymacaron.events import SectionTimed
from pymacaron.exceptions import Call
from pymacaron.log import restored_context
from pymacaron.spec import parse_spec
from pymacaron.trace_context import Sampler

DOCUMENT = """\
openapi: 3.2.0
info: {title: All, version: "1"}
servers: [{url: "https://{stage}.all.test/v1/", variables: {stage: {default: live}}}]
paths:
  /open: {get: {operationId: openOne, responses: {"200": {description: ok, content: {application/json: {}}}}}}
  /bearer:
    get: {operationId: bearerOne, security: [{bearer: []}], responses: {"200": {description: ok}}}
  /oauth: {get: {operationId: oauthOne, security: [{oauth: [read]}], responses: {"200": {description: ok}}}}
  /basic: {get: {operationId: basicOne, security: [{basic: []}], responses: {"200": {description: ok}}}}
  /query: {get: {operationId: queryOne, security: [{query: []}], responses: {"200": {description: ok}}}}
  /cookie: {get: {operationId: cookieOne, security: [{cookie: []}], responses: {"200": {description: ok}}}}
  /either:
    get:
      operationId: eitherOne
      security: [{basic: [], query: []}, {query: []}, {}]
      responses: {"200": {description: ok}}
  /classic: {get: {operationId: classicOne, security: [{classic: []}], responses: {"200": {description: ok}}}}
  /answers:
    post:
      operationId: answerMe
      x-bind-client: ask.me
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Question"}}}}
      responses:
        "200":
          description: ok
          content:
            application/json: {schema: {$ref: "#/components/schemas/Thing"}}
            application/vnd.all+json: {schema: {type: array, items: {$ref: "#/components/schemas/Thing"}}}
            text/*: {schema: {type: string}}
            application/xml: {schema: {type: string}}
            image/png: {}
            text/event-stream: {}
            application/jsonl: {itemSchema: {$ref: "#/components/schemas/Thing"}}
            application/json-seq: {itemSchema: {$ref: "#/components/schemas/Thing"}}
        "204": {description: nothing}
        4XX: {description: wrong, content: {application/problem+json: {schema: {$ref: "#/components/schemas/Problem"}}}}
        default: {description: other, content: {text/plain: {}}}
  /events:
    get:
      operationId: watch
      responses:
        "200": {description: ok, content: {text/event-stream: {itemSchema: {$ref: "#/components/schemas/Event"}}}}
  /list: {get: {operationId: list, responses: {"200": {description: ok}}}}
components:
  securitySchemes:
    bearer: {type: http, scheme: Bearer}
    oauth: {type: oauth2, flows: {}}
    basic: {type: http, scheme: basic}
    query: {type: apiKey, in: query, name: k}
    cookie: {type: apiKey, in: cookie, name: c}
    classic: {type: apiKey, in: header, name: Authorization}
  schemas:
    Question: {type: object, required: [text], properties: {text: {type: string}, hint: {type: [string, "null"]}}}
    Thing: {type: object, required: [name], properties: {name: {type: string}}}
    Problem: {type: object, properties: {code: {type: string}, detail: {type: string}}}
    Event: {type: object, required: [data], properties: {data: {type: string}, event: {type: string}}}
"""


class Fake:
    """A transport that remembers requests and gives one answer in pieces."""

    def __init__(self, status: int = 200, content_type: str = "", *pieces: bytes) -> None:
        """Take the answer."""
        self.seen: list[HttpRequest] = []
        self.closed = 0
        self._answer = (status, content_type, pieces)

    def send(self, request: HttpRequest, patience: Patience, call: Call) -> HttpResponse:  # noqa: ARG002 - the protocol's
        """Answer."""
        self.seen.append(request)
        status, content_type, pieces = self._answer
        headers = {"Content-Type": content_type} if content_type else {}
        return HttpResponse(status, headers, iter(pieces), self._close)

    def _close(self) -> None:
        self.closed += 1


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., Client]:
    """Return a client of the document above whose transport is a fake."""
    document = tmp_path / "all.yaml"
    document.write_text(DOCUMENT)

    def make(fake: Fake, **options: Any) -> Client:
        return Client(document, transport=fake, **options)

    return make


def test_names_of_operations(connect: Callable[..., Client]) -> None:
    """An operation is called by its id, by that in snake_case, by x-bind-client, and through `call`."""
    fake = Fake()
    client = connect(fake)
    client.answer_me({"text": "?"})
    client.answerMe({"text": "?"})
    client.me({"text": "?"})
    client.call("answerMe", {"text": "?"})
    client.list()
    client.list_()
    assert [request.method for request in fake.seen] == ["POST"] * 4 + ["GET"] * 2
    assert "answer_me" in dir(client)
    with pytest.raises(AttributeError) as caught:
        client.answer_you()
    assert str(caught.value) == "all has no operation answer_you, did you mean answer_me"
    with pytest.raises(CallArgumentsError) as wrong:
        client.call("answer_me")
    assert str(wrong.value) == "answer_me: all has no such operation, did you mean answerMe"


@pytest.mark.parametrize(
    ("operation", "options", "expected"),
    [
        pytest.param("openOne", {"token": "t"}, {}, id="nothing is asked"),
        pytest.param("bearerOne", {"token": "t"}, {"Authorization": "Bearer t"}, id="bearer"),
        pytest.param("bearerOne", {"token": lambda: "f"}, {"Authorization": "Bearer f"}, id="function"),
        pytest.param("bearerOne", {"token": lambda: None}, {}, id="function that has none"),
        pytest.param("bearerOne", {}, {}, id="nobody's request"),
        pytest.param("oauthOne", {"token": "t"}, {"Authorization": "Bearer t"}, id="oauth2"),
        pytest.param("classicOne", {"token": "t"}, {"Authorization": "Bearer t"}, id="Swagger 2.0"),
        pytest.param("classicOne", {"credentials": {"classic": "Token t"}}, {"Authorization": "Token t"}, id="key"),
        pytest.param(
            "basicOne",
            {"credentials": {"basic": "me:ü"}},
            {"Authorization": "Basic " + base64.b64encode("me:ü".encode()).decode()},
            id="basic",
        ),
        pytest.param("cookieOne", {"credentials": {"cookie": "x"}}, {"Cookie": "c=x"}, id="cookie"),
        pytest.param("eitherOne", {"credentials": {"basic": "me:x"}}, {}, id="half of an alternative"),
        pytest.param("bearerOne", {"headers": {"authorization": "own"}}, {"authorization": "own"}, id="header"),
    ],
)
def test_credentials(
    connect: Callable[..., Client], operation: str, options: dict[str, Any], expected: dict[str, str]
) -> None:
    """What a security scheme asks for stands where it says; what an operation does not ask for is not sent."""
    fake = Fake()
    connect(fake, **options).call(operation)
    (request,) = fake.seen
    assert {
        name: value for name, value in request.headers.items() if name.lower() in {"authorization", "cookie"}
    } == expected


def test_keys_in_the_query(connect: Callable[..., Client]) -> None:
    """A key in the query is part of the URL, and not of what errors and `repr` say."""
    fake = Fake(500, "text/plain", b"no")
    client = connect(fake, credentials={"query": "s e&cret"})
    with pytest.raises(RemoteError) as caught:
        client.call("eitherOne")
    assert fake.seen[0].url == "http://localhost/either?k=s%20e%26cret"
    assert "cret" not in str(caught.value)
    assert "cret" not in repr(client)


NO_TIME = "times must be above 0, retries and retry_budget_s 0 or above, and all of them finite"
NO_SCHEME = "all has no security scheme nope; it has bearer, oauth, basic, query, cookie, classic"
NO_MODE = "response_validation is 'x'. Write enforce, observe, off or sample:0.01"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"credentials": {"nope": "x"}}, NO_SCHEME, id="scheme"),
        pytest.param({"timeout_s": 0}, NO_TIME, id="no time"),
        pytest.param({"timeout_s": (1, float("inf"))}, NO_TIME, id="for ever"),
        pytest.param({"total_s": 0}, NO_TIME, id="no time in all"),
        pytest.param({"retries": -1}, NO_TIME, id="less than nothing"),
        pytest.param({"response_validation": "x"}, NO_MODE, id="mode"),
    ],
)
def test_wrong_options(connect: Callable[..., Client], options: dict[str, Any], message: str) -> None:
    """They are refused when they are given, by `with_options` too."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        connect(Fake(), **options)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        connect(Fake()).with_options(**options)


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        pytest.param([], {"x": 1}, "answerMe: it has no parameter x, it takes none", id="no parameters"),
        pytest.param([{"text": 1}], {}, "answerMe: body /text: Input should be a valid string", id="body"),
        pytest.param([{"text": object()}], {}, "answerMe: body: a dict cannot be sent", id="no JSON"),
        pytest.param([1, 2], {}, "answerMe: 2 arguments came without a keyword, it takes one body", id="two bodies"),
    ],
)
def test_wrong_arguments(
    connect: Callable[..., Client], arguments: list[Any], keywords: dict[str, Any], message: str
) -> None:
    """They are told before anything is sent, as a TypeError that names the operation."""
    fake = Fake()
    with pytest.raises(CallArgumentsError) as caught:
        connect(fake).answer_me(*arguments, **keywords)
    assert str(caught.value) == message
    assert isinstance(caught.value, TypeError)
    assert fake.seen == []


def test_models_are_sent_as_they_were_set(connect: Callable[..., Client]) -> None:
    """What was not set in a model is not sent, what was set to null is."""
    fake = Fake()
    client = connect(fake)
    question = client._models["Question"]
    client.answer_me(question(text="?"))
    client.answer_me(question(text="?", hint=None))
    assert [request.content for request in fake.seen] == [b'{"text":"?"}', b'{"text":"?","hint":null}']
    assert fake.seen[0].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        pytest.param("application/jsonl", b'{"name":"a"}\n{"name":"b"}\n', id="lines"),
        pytest.param("application/json-seq", b'\x1e{"name":"a"}\n\x1e{"name":"b"}\n', id="sequence"),
    ],
)
def test_bodies_of_many_items(media_type: str, expected: bytes) -> None:
    """A list is sent item by item where the operation takes a sequence; each item is held to its schema."""
    item = "{type: object, required: [name], properties: {name: {type: string}}}"
    text = (
        "openapi: 3.2.0\ninfo: {title: A, version: '1'}\n"
        "paths: {/x: {post: {operationId: send, requestBody: {content: {%s: {itemSchema: %s}}}, "
        "responses: {'204': {description: ok}}}}}\n"
    )
    fake = Fake(204)
    client = Client(parse_spec(text % (media_type, item), source="a.yaml", name="a"), transport=fake)
    client.call("send", [{"name": "a"}, {"name": "b"}])
    assert (fake.seen[0].headers["Content-Type"], fake.seen[0].content) == (media_type, expected)
    with pytest.raises(CallArgumentsError, match=r"^send: body /name: Field required$"):
        client.call("send", [{"name": "a"}, {}])


def test_errors_travel_between_processes(connect: Callable[..., Client]) -> None:
    """A worker process may raise them."""
    with pytest.raises(RemoteError) as caught:
        connect(Fake(409, "application/json", b'{"error": "TAKEN"}')).answer_me()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(copy, RemoteError)
    assert (str(copy), copy.call, copy.status, copy.code) == (str(caught.value), caught.value.call, 409, "TAKEN")


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        pytest.param("application/json", b'{"name": "Rex"}', "Thing(name='Rex')", id="model"),
        pytest.param("application/json; charset=utf-8", b'{"name": "Rex"}', "Thing(name='Rex')", id="charset"),
        pytest.param("application/vnd.all+json", b'[{"name": "Rex"}]', "[Thing(name='Rex')]", id="list of models"),
        pytest.param("text/html; charset=latin-1", "ä".encode("latin-1"), "'ä'", id="text"),
        pytest.param("text/html; charset=nonsense", "ä".encode(), "'ä'", id="unknown charset"),
        pytest.param("application/xml", b"<a/>", "'<a/>'", id="text by its schema"),
        pytest.param("image/png", b"\x89PNG", "b'\\x89PNG'", id="bytes"),
        pytest.param("application/json", b"{", "'{'", id="no JSON"),
        pytest.param("application/pdf", b"%PDF", "b'%PDF'", id="undeclared"),
        pytest.param("", b"%PDF", "b'%PDF'", id="nothing said"),
        pytest.param("application/json", b"", "None", id="empty"),
    ],
)
def test_answers_by_media_type(connect: Callable[..., Client], content_type: str, body: bytes, expected: str) -> None:
    """The media type says what an answer becomes."""
    fake = Fake(200, content_type, body)
    assert repr(connect(fake).answer_me()) == expected
    assert fake.closed == 1


def test_accept_names_what_the_document_declares(connect: Callable[..., Client]) -> None:
    """A service may choose among the declared media types of successes."""
    fake = Fake(204)
    assert connect(fake).answer_me() is None
    assert fake.seen[0].headers["Accept"] == (
        "application/json, application/vnd.all+json, text/*, application/xml, image/png, text/event-stream, "
        "application/jsonl, application/json-seq, text/plain"
    )


def test_problem_details(connect: Callable[..., Client]) -> None:
    """Code and message of RFC 9457's body are read too; a range of statuses declares each of them."""
    fake = Fake(409, "application/problem+json", b'{"code": "TAKEN", "detail": "It is taken", "status": 409}')
    with pytest.raises(RemoteError) as caught:
        connect(fake).answer_me()
    error = caught.value
    assert (error.status, error.code, error.message, error.is_declared) == (409, "TAKEN", "It is taken", True)
    assert type(error.body).__name__ == "Problem"


def test_an_undeclared_media_type_is_a_violation(connect: Callable[..., Client]) -> None:
    """With enforce it is an error."""
    client = connect(Fake(200, "application/pdf", b"%PDF"), response_validation="enforce")
    with pytest.raises(UnexpectedAnswerError, match="Content-Type: it is application/pdf, the document declares"):
        client.answer_me()


def test_events(connect: Callable[..., Client]) -> None:
    """A stream of events yields each as it comes, and is closed at its end."""
    fake = Fake(200, "text/event-stream", b"data: a\n", b"data: b\n\nevent: x\ndata: c\n", b"\n")
    stream = connect(fake).answer_me()
    assert isinstance(stream, Stream)
    assert fake.closed == 0
    assert list(stream) == [ReceivedEvent("a\nb"), ReceivedEvent("c", "x")]
    assert fake.closed >= 1


def test_events_of_a_model(connect: Callable[..., Client]) -> None:
    """Where the document has a schema for events they are instances of its model."""
    (event,) = connect(Fake(200, "text/event-stream", b"event: x\ndata: c\n\n")).watch()
    assert (type(event).__name__, event.event, event.data) == ("Event", "x", "c")


@pytest.mark.parametrize(
    ("content_type", "pieces"),
    [
        pytest.param("application/jsonl", [b'{"name": "a"}\n{"na', b'me": "b"}\n', b"\n"], id="lines"),
        pytest.param("application/jsonl", [b'{"name": "a"}\n{"name": "b"}'], id="no last end of line"),
        pytest.param("application/json-seq", [b'\x1e{"name": "a"}\n\x1e', b'{"name": "b"}\n'], id="sequence"),
    ],
)
def test_json_items(connect: Callable[..., Client], content_type: str, pieces: list[bytes]) -> None:
    """Items of a stream of JSON are instances of the declared model."""
    items = list(connect(Fake(200, content_type, *pieces)).answer_me())
    assert [(type(item).__name__, item.name) for item in items] == [("Thing", "a"), ("Thing", "b")]


def test_a_stream_that_is_left_early_is_closed(connect: Callable[..., Client]) -> None:
    """The end of a ``with`` block gives the connection up."""
    fake = Fake(200, "application/jsonl", b'{"name": "a"}\n', b'{"name": "b"}\n')
    with connect(fake).answer_me() as stream:
        assert next(iter(stream)).name == "a"
    assert fake.closed >= 1


def test_a_stream_of_what_is_no_json(connect: Callable[..., Client]) -> None:
    """An item that cannot be read is an error of the answer."""
    with pytest.raises(UnexpectedAnswerError, match="an item of its stream is no JSON"):
        list(connect(Fake(200, "application/jsonl", b"{\n")).answer_me())


@pytest.mark.parametrize(
    ("servers", "base_url", "expected"),
    [
        pytest.param("[{url: 'https://a.test/v1/'}]", None, "https://a.test/v1/x", id="document"),
        pytest.param(
            "[{url: 'https://{s}.test', variables: {s: {default: b}}}]", None, "https://b.test/x", id="variable"
        ),
        pytest.param("[{url: 'https://a.test/v1/'}]", "http://c.test:8000/", "http://c.test:8000/x", id="given"),
    ],
)
def test_base_url(servers: str, base_url: str | None, expected: str) -> None:
    """The service is where it is said to be, else where the document's first server is."""
    fake = Fake()
    text = "openapi: 3.1.0\ninfo: {title: A, version: '1'}\nservers: %s\npaths: {/x: {get: {operationId: getX, responses: {'200': {description: ok}}}}}\n"  # noqa: E501
    api = parse_spec(text % servers, source="a.yaml", name="a")
    Client(api, base_url).with_options(transport=fake).get_x()
    assert fake.seen[0].url == expected


@pytest.mark.parametrize("url", ["", "/v1", "ftp://a.test", "https://a.test?x=1"])
def test_no_address(url: str) -> None:
    """A document whose server is no address needs one."""
    text = f"openapi: 3.1.0\ninfo: {{title: A, version: '1'}}\nservers: [{{url: '{url}'}}]\npaths: {{}}\n"
    with pytest.raises(SpecError, match=r"no address of a service\. Give base_url"):
        Client(parse_spec(text, source="a.yaml", name="a"))


def test_headers_of_ones_own(connect: Callable[..., Client]) -> None:
    """They may be made anew for each call, as a tracer does; what cannot be a header is refused."""
    traces = iter(["00-1", "00-2"])
    fake = Fake()
    client = connect(fake, headers=lambda: {"traceparent": next(traces)})
    client.open_one()
    client.open_one()
    assert [request.headers["traceparent"] for request in fake.seen] == ["00-1", "00-2"]
    with pytest.raises(CallArgumentsError, match="openOne: header X: a header cannot hold control characters"):
        client.with_options(headers={"X": "a\r\nb: c"}).open_one()


HANDLERS = """\
from pymacaron import Client
from pymacaron.client import HttpResponse

client = None

def list_pets(limit, tag=None, x_tenant=None, session=None):
    return client.call("bearerOne")

def create_pet(body):
    return client.call("bearerOne")

def get_pet(pet_id):
    try:
        return client.call("bearerOne")
    except Exception as error:
        raise error.as_answer() from error

def delete_pet(pet_id):
    return client.call("bearerOne")
"""


@pytest.fixture
def calling(make_service: Any, connect: Callable[..., Client]) -> Callable[[Any], Flask]:
    """Return a service whose handlers call another one: ``calling(transport)``."""

    def make(transport: Any) -> Flask:
        app: Flask = make_service(handlers=HANDLERS, debug=False)
        view = next(view for name, view in app.view_functions.items() if name == "pets:listPets")
        vars(view)["_call"].__globals__["client"] = connect(transport)
        return app

    return make


def test_the_users_token_and_the_request_id_go_on(calling: Callable[[Any], Flask]) -> None:
    """Inside of a request the other service gets the token of its user, and its id; the call is timed."""
    fake = Fake(200, "application/json", b"[]")
    app = calling(fake)
    token = generate_token("alice")
    headers = {"Authorization": f"Bearer {token}", "X-Request-Id": "r-1"}
    with restored_context({}), app.test_request_context(headers=headers):
        authenticate_http_request()
        vars(app.view_functions["pets:listPets"])["_call"].__globals__["client"].call("bearerOne")
    assert fake.seen[0].headers["Authorization"] == f"Bearer {token}"
    times: list[tuple[str, str]] = []
    service_of(app).bus.subscribe(SectionTimed, lambda event: times.append((event.kind, event.method)))
    app.test_client().get("/pets", headers=headers)
    assert times == [("call", "all.bearerOne")]
    assert fake.seen[1].headers["X-Request-Id"] == "r-1"


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_the_trace_goes_on(calling: Callable[[Any], Flask]) -> None:
    """A service that records no spans passes the caller's on as it came, and sends none of its own accord."""
    fake = Fake(200, "application/json", b"[]")
    client = calling(fake).test_client()
    client.get("/pets", headers={"traceparent": TRACEPARENT, "tracestate": "a=b"})
    client.get("/pets")
    seen = [(request.headers.get("traceparent"), request.headers.get("tracestate")) for request in fake.seen]
    assert seen == [(TRACEPARENT, "a=b"), (None, None)]


def test_a_call_is_a_span_of_its_own(calling: Callable[[Any], Flask]) -> None:
    """Where spans are recorded the called service becomes a part of the call, which is one of the request."""
    fake = Fake(200, "application/json", b"[]")
    app = calling(fake)
    app.wsgi_app._watch._sampler = Sampler()  # type: ignore[attr-defined]
    spans: list[SectionTimed] = []
    service_of(app).bus.subscribe(SectionTimed, spans.append)
    app.test_client().get("/pets", headers={"traceparent": TRACEPARENT})
    (event,) = spans
    assert event.span is not None
    assert event.span.trace_id in TRACEPARENT
    assert event.span.parent_id
    assert event.span.parent_id not in TRACEPARENT
    assert fake.seen[0].headers["traceparent"] == event.span.traceparent


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        pytest.param("GET", "/pets", 502, "BAD_GATEWAY", id="not caught"),
        pytest.param("GET", "/pets/1", 409, "TAKEN", id="passed on"),
    ],
)
def test_another_ones_error_in_a_service(
    calling: Callable[[Any], Flask], method: str, path: str, status: int, error: str
) -> None:
    """An error that nobody catches becomes a 502 without a word of the other one's body; `as_answer` passes it on."""
    body = json.dumps({"error": "TAKEN", "error_description": "Alice has it"}).encode()
    answer = calling(Fake(409, "application/json", body)).test_client().open(path, method=method)
    assert answer.status_code == status
    assert answer.get_json()["error"] == error
    assert ("Alice" in answer.text) == (error == "TAKEN")
    assert ("error_id" in answer.get_json()) == (status >= 500)


def test_another_ones_silence_in_a_service(calling: Callable[[Any], Flask]) -> None:
    """A time-out becomes a 504."""

    class Silent:
        def send(self, request: HttpRequest, patience: Patience, call: Call) -> HttpResponse:  # noqa: ARG002
            raise CallTimeoutError(call, "it did not answer", "Wait")

    answer = calling(Silent()).test_client().get("/pets")
    assert (answer.status_code, answer.get_json()["error"]) == (504, "GATEWAY_TIMEOUT")
    assert "all.test" not in answer.text
