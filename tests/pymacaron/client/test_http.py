"""Calls over real connections: time-outs, repetitions, redirects, and services that fail."""

from __future__ import annotations

import gzip
import io
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymacaron import CallConnectionError, CallError, CallTimeoutError, Client, RemoteError, UnexpectedAnswerError

DOCUMENT = """\
openapi: 3.1.0
info: {title: Things, version: "1"}
security: [{key: []}]
paths:
  /things/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      operationId: getThing
      responses:
        "200": {description: one, content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}
        "404": {description: none, content: {application/json: {schema: {$ref: "#/components/schemas/Fault"}}}}
    put:
      operationId: putThing
      requestBody: {content: {application/octet-stream: {}}}
      responses: {"200": {description: done, content: {application/json: {}}}}
    patch: {operationId: patchThing, responses: {"200": {description: done, content: {application/json: {}}}}}
    delete: {operationId: deleteThing, responses: {"204": {description: gone}}}
    post: {operationId: postThing, responses: {"200": {description: done, content: {application/json: {}}}}}
  /events: {get: {operationId: watch, responses: {"200": {description: events, content: {text/event-stream: {}}}}}}
  /moved:
    get: {operationId: getMoved, responses: {"302": {description: elsewhere}}}
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}
  schemas:
    Thing: {type: object, required: [name], properties: {name: {type: string}}}
    Fault: {type: object, required: [error], properties: {error: {type: string}, error_description: {type: string}}}
"""
THING = b'{"name": "Rex"}'


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., Client]:
    """Return a client of the document above: ``connect(url, **options)``."""
    document = tmp_path / "things.yaml"
    document.write_text(DOCUMENT)

    def make(url: str, **options: Any) -> Client:
        return Client(document, url, **options)

    return make


def failing(serve: Any, reply: Any, times: int, then: Any) -> Any:
    """Start a server that gives *reply* a few times, then *then*."""
    left = [reply] * times
    return serve(lambda _seen: left.pop() if left else then)


@pytest.mark.parametrize(
    ("operation", "headers", "repeats"),
    [
        pytest.param("getThing", {}, True, id="GET"),
        pytest.param("putThing", {}, True, id="PUT"),
        pytest.param("deleteThing", {}, True, id="DELETE"),
        pytest.param("postThing", {}, False, id="POST"),
        pytest.param("patchThing", {}, False, id="PATCH"),
        pytest.param("postThing", {"Idempotency-Key": "7"}, True, id="POST with a key"),
    ],
)
@pytest.mark.parametrize("failure", ["503", "429", "hangs up"])
def test_what_may_be_repeated_is(
    serve: Any, reply: Any, connect: Any, operation: str, headers: dict[str, str], repeats: bool, failure: str
) -> None:
    """A call that fails twice succeeds the third time if doing it again does no harm; others are sent once."""
    first = reply(is_hang_up=True) if failure == "hangs up" else reply(int(failure))
    server = failing(serve, first, 2, reply(200, THING))
    client = connect(server.url, headers=headers)
    if repeats:
        client.call(operation, id="1")
        assert len(server.seen) == 3
        return
    with pytest.raises(CallError) as caught:
        client.call(operation, id="1")
    assert len(server.seen) == 1
    assert isinstance(caught.value, CallConnectionError if failure == "hangs up" else RemoteError)


def test_a_file_is_sent_from_its_start_each_time(serve: Any, reply: Any, connect: Any) -> None:
    """A repetition sends the whole file again; one that cannot be read twice is sent once."""
    server = failing(serve, reply(503), 2, reply(200, b"{}"))
    connect(server.url).put_thing(io.BytesIO(b"content"), id="1")
    assert [seen.body for seen in server.seen] == [b"content"] * 3

    class Once(io.BytesIO):
        def seekable(self) -> bool:
            return False

    server = serve(lambda _seen: reply(503))
    with pytest.raises(RemoteError):
        connect(server.url).put_thing(Once(b"content"), id="1")
    assert [seen.body for seen in server.seen] == [b"content"]


def test_repetitions_end(serve: Any, reply: Any, connect: Any) -> None:
    """After the last repetition the answer counts, whatever it is."""
    server = serve(lambda _seen: reply(503, b'{"error": "DOWN"}'))
    with pytest.raises(RemoteError) as caught:
        connect(server.url, retries=2).get_thing(id="1")
    assert (caught.value.status, caught.value.code, len(server.seen)) == (503, "DOWN", 3)


def test_no_retries(serve: Any, reply: Any, connect: Any) -> None:
    """Zero repetitions means that one request is sent."""
    server = serve(lambda _seen: reply(503))
    with pytest.raises(RemoteError):
        connect(server.url, retries=0).get_thing(id="1")
    assert len(server.seen) == 1


def test_an_error_that_stays_is_not_repeated(serve: Any, reply: Any, connect: Any) -> None:
    """A 500 or a 404 would come again."""
    server = serve(lambda seen: reply(500 if seen.target.endswith("1") else 404))
    for name in ("1", "2"):
        with pytest.raises(RemoteError):
            connect(server.url).get_thing(id=name)
    assert len(server.seen) == 2


def test_retry_after_is_respected(serve: Any, reply: Any, connect: Any) -> None:
    """A service that names a pause gets it."""
    server = failing(serve, reply(503, headers={"Retry-After": "1"}), 1, reply(200, THING))
    started_s = time.monotonic()
    assert connect(server.url).get_thing(id="1").name == "Rex"
    assert 1 <= time.monotonic() - started_s < 8


def test_a_long_pause_ends_the_call_at_once(serve: Any, reply: Any, connect: Any) -> None:
    """A pause that is longer than the time for repetitions is not waited for; the answer counts."""
    server = serve(lambda _seen: reply(503, headers={"Retry-After": "60"}))
    started_s = time.monotonic()
    with pytest.raises(RemoteError) as caught:
        connect(server.url, retry_budget_s=5).get_thing(id="1")
    assert time.monotonic() - started_s < 5
    assert caught.value.headers["retry-after"] == "60"
    assert len(server.seen) == 1


def test_the_budget_bounds_many_failures(serve: Any, reply: Any, connect: Any) -> None:
    """Connections that break again and again are given up when the time is over."""
    server = serve(lambda _seen: reply(is_hang_up=True))
    started_s = time.monotonic()
    with pytest.raises(CallConnectionError):
        connect(server.url, retries=1000, retry_budget_s=1).get_thing(id="1")
    assert time.monotonic() - started_s < 8
    assert 2 <= len(server.seen) < 20


@pytest.mark.parametrize("operation", ["getThing", "postThing"])
def test_a_slow_service_times_out(serve: Any, reply: Any, connect: Any, operation: str) -> None:
    """An answer that does not come in time is an error of its own, without the values that were sent."""
    server = serve(lambda _seen: reply(delay_s=5))
    client = connect(f"{server.url.replace('http://', 'http://me:secret@')}", timeout_s=(1, 0.2), retries=1)
    with pytest.raises(CallTimeoutError) as caught:
        client.call(operation, id="private")
    method = operation[:-5].upper()
    assert str(caught.value) == (
        f"things.{operation} ({method} {server.url}/things/{{id}}): it did not answer within 0.2 s. "
        "See why the service is slow, or raise timeout_s."
    )


def test_one_call_may_have_its_own_time(serve: Any, reply: Any, connect: Any) -> None:
    """`with_options` changes the time for some calls and nothing else."""
    server = serve(lambda _seen: reply(200, THING, delay_s=0.4))
    client = connect(server.url, timeout_s=0.1, retries=0)
    assert client.with_options(timeout_s=(1.0, 5.0)).get_thing(id="1").name == "Rex"
    with pytest.raises(CallTimeoutError):
        client.get_thing(id="1")


def test_nobody_listens(connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A port without a service is a failed connection; no log has the values that were to be sent."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(CallConnectionError) as caught:
        connect(url, retries=1).get_thing(id="private")
    assert "Connection refused" in caplog.text
    assert "private" not in caplog.text
    assert str(caught.value) == (
        f"things.getThing (GET {url}/things/{{id}}): the connection failed: Connection refused. "
        "Check that the service runs there, and base_url."
    )


def test_an_answer_that_is_cut_off(serve: Any, reply: Any, connect: Any) -> None:
    """A connection that ends inside an answer is a failed connection, not a short answer."""
    server = serve(lambda _seen: reply(200, THING, is_cut=True))
    with pytest.raises(CallConnectionError):
        connect(server.url).get_thing(id="1")


def test_html_from_something_in_between(serve: Any, reply: Any, connect: Any) -> None:
    """What a proxy says in HTML is the text of an undeclared error; it is not in the message."""
    server = serve(lambda _seen: reply(502, b"<h1>Bad Gateway of nginx</h1>", "text/html"))
    with pytest.raises(RemoteError) as caught:
        connect(server.url, retries=0).get_thing(id="1")
    error = caught.value
    assert (error.status, error.code, error.message, error.is_declared) == (502, "", "", False)
    assert error.body == "<h1>Bad Gateway of nginx</h1>"
    assert str(error) == (
        f"things.getThing (GET {server.url}/things/{{id}}): it answered 502, which its document does not declare. "
        "Read message and body of this exception."
    )


def test_a_declared_error_has_its_model(serve: Any, reply: Any, connect: Any) -> None:
    """The body of a declared error is an instance of its model; code and message are read from it."""
    server = serve(lambda _seen: reply(404, b'{"error": "NO_THING", "error_description": "There is no thing 1"}'))
    client = connect(server.url)
    with pytest.raises(RemoteError) as caught:
        client.get_thing(id="1")
    error = caught.value
    assert (error.status, error.code, error.message, error.is_declared) == (
        404,
        "NO_THING",
        "There is no thing 1",
        True,
    )
    assert type(error.body).__name__ == "Fault"
    assert error.call.operation_id == "getThing"
    assert "no thing" not in str(error)


def test_secrets_stay_with_their_host(serve: Any, reply: Any, connect: Any) -> None:
    """After a redirect to another host nothing that proves who calls is sent, and no header of the caller's."""
    other = serve(lambda _seen: reply(200, THING))
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    server = serve(lambda _seen: reply(302, headers={"Location": f"{elsewhere}/there"}))
    client = connect(server.url, credentials={"key": "secret"}, headers={"X-Mine": "1", "Authorization": "Bearer me"})
    assert client.get_thing(id="1").name == "Rex"
    assert server.seen[0].headers["x-key"] == "secret"
    assert server.seen[0].headers["authorization"] == "Bearer me"
    assert set(other.seen[0].headers) <= {"host", "user-agent", "accept", "accept-encoding", "connection"}


def test_a_redirect_on_the_same_host(serve: Any, reply: Any, connect: Any) -> None:
    """There a redirect takes everything along; one of a POST is an error and not followed."""
    server = serve(
        lambda seen: reply(200, THING) if seen.target == "/new" else reply(307, headers={"Location": "/new"})
    )
    client = connect(server.url, credentials={"key": "secret"})
    assert client.get_thing(id="1").name == "Rex"
    assert [seen.headers["x-key"] for seen in server.seen] == ["secret", "secret"]
    with pytest.raises(RemoteError) as caught:
        client.post_thing(id="1")
    assert caught.value.status == 307
    assert len(server.seen) == 3


def test_a_declared_redirect_is_an_answer(serve: Any, reply: Any, connect: Any) -> None:
    """An operation that redirects by its document is not followed."""
    server = serve(lambda _seen: reply(302, headers={"Location": "/new"}))
    answer = connect(server.url).send("getMoved")
    assert (answer.status, answer.headers["location"], len(server.seen)) == (302, "/new", 1)


@pytest.mark.parametrize("location", ["/again", "file:///etc/passwd"])
def test_redirects_end(serve: Any, reply: Any, connect: Any, location: str) -> None:
    """A circle of redirects, or one that leaves the web, is an error."""
    server = serve(lambda _seen: reply(302, headers={"Location": location}))
    with pytest.raises(CallConnectionError, match=r"it redirects more than 5 times, or to what is no web page"):
        connect(server.url).get_thing(id="1")


def test_cookies_are_not_kept(serve: Any, reply: Any, connect: Any) -> None:
    """A cookie that came with one user's answer is not sent with the next one's request."""
    server = serve(lambda _seen: reply(200, THING, headers={"Set-Cookie": "session=alice; Path=/"}))
    client = connect(server.url)
    client.get_thing(id="1")
    client.get_thing(id="1")
    assert "cookie" not in server.seen[1].headers


def test_netrc_is_not_read(
    serve: Any, reply: Any, connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password in ~/.netrc does not replace the token that the client was given."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve(lambda _seen: reply(200, THING))
    connect(server.url, headers={"Authorization": "Bearer mine"}).get_thing(id="1")
    assert server.seen[0].headers["authorization"] == "Bearer mine"


def test_undeclared_success(serve: Any, reply: Any, connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A success that the document does not declare is logged, or an error where that is asked for."""
    server = serve(lambda _seen: reply(202, b'{"queued": true}'))
    client = connect(server.url)
    assert client.get_thing(id="1") == {"queued": True}
    assert "status 202: the document declares no such status for this operation" in caplog.text
    with pytest.raises(UnexpectedAnswerError, match="status 202"):
        client.with_options(response_validation="enforce").get_thing(id="1")


def test_a_success_that_breaks_its_model(
    serve: Any, reply: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Content that does not fit comes as it is and is logged without its values; with enforce it is an error."""
    server = serve(lambda _seen: reply(200, b'{"name": 4711}'))
    client = connect(server.url)
    assert client.get_thing(id="1") == {"name": 4711}
    assert "things.getThing" in caplog.text
    assert "/name: Input should be a valid string" in caplog.text
    assert "4711" not in caplog.text
    with pytest.raises(UnexpectedAnswerError, match="body: /name: Input should be a valid string"):
        client.with_options(response_validation="enforce").get_thing(id="1")


def test_many_threads_share_a_client(serve: Any, reply: Any, connect: Any) -> None:
    """Each thread gets the answer to its own question."""

    def answer(seen: Any) -> Any:
        return reply(200, json.dumps({"name": seen.target.rpartition("/")[2]}).encode())

    server = serve(answer)
    wrong: list[str] = []
    with connect(server.url) as client:

        def ask(number: int) -> None:
            wrong.extend(
                name for name in (f"{number}-{turn}" for turn in range(10)) if client.get_thing(id=name).name != name
            )

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert len(server.seen) == 80


def test_connections_are_kept_and_closed(serve: Any, reply: Any, connect: Any) -> None:
    """Calls one after the other share a connection; after `close` the next call opens a new one."""
    ports: list[int] = []
    server = serve(lambda _seen: reply(200, THING))
    original = server._server.RequestHandlerClass.setup

    def setup(self: Any) -> None:
        ports.append(self.client_address[1])
        original(self)

    server._server.RequestHandlerClass.setup = setup
    client = connect(server.url)
    for _ in range(3):
        client.get_thing(id="1")
    client.close()
    client.get_thing(id="1")
    assert len(ports) == 2


@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunks", "until the connection ends"])
def test_events_come_as_they_are_sent(serve: Any, reply: Any, connect: Any, is_chunked: bool) -> None:
    """An item of a stream is there before the next one is sent."""
    may_send = threading.Event()
    pieces = [(may_send, b"data: 2\n\n")]
    server = serve(lambda _seen: reply(200, b"data: 1\n\n", "text/event-stream", pieces=pieces, is_chunked=is_chunked))
    events = iter(connect(server.url).watch())
    assert next(events).data == "1"
    may_send.set()
    assert [event.data for event in events] == ["2"]


def test_a_stream_that_stops_is_an_error(serve: Any, reply: Any, connect: Any) -> None:
    """A service that goes silent inside of a stream is one that does not answer in time."""
    never = threading.Event()
    server = serve(lambda _seen: reply(200, b"data: 1\n\n", "text/event-stream", pieces=[(never, b"")]))
    events = iter(connect(server.url, timeout_s=(1, 0.2)).watch())
    assert next(events).data == "1"
    with pytest.raises(CallTimeoutError):
        next(events)
    never.set()


def test_compressed_answers(serve: Any, reply: Any, connect: Any) -> None:
    """Content that comes compressed is unpacked."""
    packed = gzip.compress(json.dumps({"name": "x" * 100_000}).encode())
    server = serve(lambda _seen: reply(200, packed, headers={"Content-Encoding": "gzip"}))
    assert len(connect(server.url).get_thing(id="1").name) == 100_000


def test_a_document_from_the_service_itself(serve: Any, reply: Any) -> None:
    """A document read from a URL may name its server relative to that."""
    text = DOCUMENT.replace("security: [{key: []}]", "servers: [{url: ../v1}]")

    def answer(seen: Any) -> Any:
        return reply(200, text.encode(), "application/yaml") if seen.target.endswith(".yaml") else reply(200, THING)

    server = serve(answer)
    client = Client(f"{server.url}/docs/things.yaml")
    assert client.get_thing(id="1").name == "Rex"
    assert server.seen[-1].target == "/v1/things/1"


def test_an_answer_that_drips(serve: Any, reply: Any, connect: Any) -> None:
    """Content that comes byte by byte, each in time, must be complete in time all the same; streams need not."""
    pause = threading.Event()

    class Slow(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - a pause of its own
            return pause.wait(0.1)

    drops = [(Slow(), b" ") for _ in range(50)]
    server = serve(lambda _seen: reply(200, THING, pieces=drops))
    started_s = time.monotonic()
    with pytest.raises(CallTimeoutError, match=r"its answer was not complete within 0\.3 s\. See why"):
        connect(server.url, total_s=0.3).get_thing(id="1")
    assert time.monotonic() - started_s < 5
    pause.set()
