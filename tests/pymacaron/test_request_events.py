"""Each request is followed from its arrival until its answer is out, whoever else works in the thread."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, request, request_finished, request_started
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import EnvironBuilder, run_wsgi_app

from pymacaron.config import PymConfig
from pymacaron.events import Bus, RequestFinished, RequestStarted
from pymacaron.log import current_request_id, current_user_id, note_user
from pymacaron.request_events import RequestWatch, current_record, watch_requests
from pymacaron.request_record import RequestRecord
from pymacaron.service import Service, service_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MakeService = Callable[..., Flask]


def environ_of(path: str = "/pets", **more: str) -> WSGIEnvironment:
    return EnvironBuilder(path=path).get_environ() | more


def logged_as() -> tuple[str | None, str | None]:
    return current_request_id(), current_user_id()


@pytest.fixture
def bus() -> Bus:
    """Return a bus."""
    return Bus()


@pytest.fixture
def finished(bus: Bus) -> list[RequestFinished]:
    """Return the list of what was finished."""
    heard: list[RequestFinished] = []
    bus.subscribe(RequestFinished, heard.append)
    return heard


def build_app(name: str, view: Callable[[], Any], **config: Any) -> Flask:
    """Build a watched app that answers every path with what *view* returns."""
    app = Flask(name)
    service = app.extensions["pymacaron"] = Service(app=app, config=PymConfig(**config))
    app.add_url_rule("/", view_func=view, endpoint="root")
    app.add_url_rule("/<path:_>", view_func=lambda _: view(), endpoint="any")
    watch_requests(service)
    return app


def hear(app: Flask) -> list[RequestFinished]:
    heard: list[RequestFinished] = []
    service_of(app).bus.subscribe(RequestFinished, heard.append)
    return heard


def test_a_request_is_followed_without_flask(bus: Bus, finished: list[RequestFinished]) -> None:
    """Whoever answers a request himself begins and finishes it; between them the logs know it."""
    started: list[RequestStarted] = []
    bus.subscribe(RequestStarted, started.append)
    watch = RequestWatch(bus)
    environ = environ_of("/pets", HTTP_X_REQUEST_ID="abc-1", CONTENT_LENGTH="7")
    record = watch.begin(environ)
    watch.started(record)
    inside = logged_as()
    note_user("alice")
    record.status, record.response_bytes = 201, 12
    watch.finish(record)
    assert (inside, logged_as()) == (("abc-1", None), (None, None))
    assert started == [RequestStarted("abc-1", "GET", None, None)]
    assert finished == [
        RequestFinished("abc-1", "GET", None, None, 201, finished[0].duration_s, 7, 12, "alice", exception=None)
    ]


def test_a_follower_that_raises_is_logged_and_changes_nothing(
    bus: Bus, finished: list[RequestFinished], caplog: pytest.LogCaptureFixture
) -> None:
    """The next one and the listeners are told, once each, with the record itself."""
    told: list[object] = []

    def fail(*_: object) -> None:
        raise ValueError("broken")

    bus.follow_requests(fail, fail)
    bus.follow_requests(told.append, lambda record, duration_s: told.append((record, duration_s)))
    watch = RequestWatch(bus, has_access_log=False)
    record = watch.begin(environ_of("/pets"))
    watch.started(record)
    watch.started(record)
    watch.finish(record)
    assert told == [record, (record, finished[0].duration_s)]
    assert caplog.messages == ["A listener of RequestStarted failed", "A listener of RequestFinished failed"]


def test_requests_of_one_thread_do_not_see_each_other(bus: Bus, finished: list[RequestFinished]) -> None:
    """A user is gone with the request, and the next one has none."""
    watch = RequestWatch(bus)
    first = watch.begin(environ_of())
    note_user("alice")
    watch.finish(first)
    second = watch.begin(environ_of())
    assert logged_as() == (second.request_id, None)
    watch.finish(second)
    assert [event.user_id for event in finished] == ["alice", None]
    assert first.request_id != second.request_id


@pytest.mark.parametrize(
    ("length", "size"),
    [
        pytest.param("", 0, id="empty"),
        pytest.param("12", 12, id="number"),
        pytest.param("-1", 0, id="negative"),
        pytest.param("x", 0, id="word"),
        pytest.param("9" * 5000, 0, id="more digits than Python reads"),
    ],
)
def test_the_length_of_a_request(length: str, size: int) -> None:
    """What is no length counts as nothing."""
    assert RequestRecord(environ_of(CONTENT_LENGTH=length)).request_bytes == size


@pytest.mark.parametrize(
    ("config", "paths"),
    [
        pytest.param({}, ["/doc/status.json", "/counts"], id="metrics"),
        pytest.param({"metrics_path": "/counts", "status_page": True}, ["/metrics"], id="another path, status page"),
        pytest.param({"metrics_port": 9100}, ["/metrics", "/doc/status.json", "/counts"], id="metrics elsewhere"),
    ],
)
def test_only_pages_of_metrics_are_not_counted(config: dict[str, object], paths: list[str]) -> None:
    """Those that this port shows; a request to where one could be is one like others."""
    app = build_app("svc", lambda: "ok", **config)
    heard = hear(app)
    for path in ("/metrics", "/doc/status.json", "/counts"):
        before = len(heard)
        app.test_client().get(path)
        assert len(heard) - before == (path in paths), path


@pytest.mark.parametrize(
    ("read", "size"),
    [
        pytest.param(lambda source: source.read(), 11, id="all"),
        pytest.param(lambda source: [source.read(3), source.read(100)], 11, id="pieces"),
        pytest.param(lambda source: source.readline(), 4, id="a line"),
        pytest.param(lambda source: source.readlines(), 11, id="all lines"),
        pytest.param(list, 11, id="line by line"),
        pytest.param(lambda _: None, 0, id="nothing"),
    ],
)
def test_chunks_are_counted_as_they_are_read(
    bus: Bus, finished: list[RequestFinished], read: Callable[[Any], object], size: int
) -> None:
    """A body that comes without its length has as many bytes as the service reads of it, however it does."""
    environ = environ_of(HTTP_TRANSFER_ENCODING="chunked") | {"wsgi.input": io.BytesIO(b"one\ntwo\nend")}
    watch = RequestWatch(bus)
    record = watch.begin(environ)
    read(environ["wsgi.input"])
    watch.finish(record)
    assert [event.request_bytes for event in finished] == [size]
    assert environ["wsgi.input"].seekable()


def test_streams_are_finished_where_they_are_closed(bus: Bus, finished: list[RequestFinished]) -> None:
    """Another thread may read and close; the id stands in its logs while a piece is made."""
    watch = RequestWatch(bus)
    record = watch.begin(environ_of(HTTP_X_REQUEST_ID="s-1"))
    seen: list[tuple[str | None, str | None]] = []

    def pieces() -> Iterator[bytes]:
        for piece in (b"a", b"bc"):
            seen.append(logged_as())
            yield piece
        seen.append(logged_as())

    note_user("alice")
    body = watch.watch_body(record, pieces())
    assert logged_as() == (None, None)

    def read(body: Iterable[bytes]) -> tuple[bytes, object]:
        text = b"".join(body)
        body.close()  # type: ignore[attr-defined]  # as servers do
        body.close()  # type: ignore[attr-defined]
        return text, logged_as()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(read, body).result() == (b"abc", (None, None))
    assert seen == [("s-1", "alice")] * 3
    assert [(event.response_bytes, event.user_id) for event in finished] == [(3, "alice")]


def test_a_stream_that_breaks_is_finished_with_what_broke_it(bus: Bus, finished: list[RequestFinished]) -> None:
    """The exception reaches the server and the event."""
    watch = RequestWatch(bus)

    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise ValueError("broken")

    body: Any = watch.watch_body(watch.begin(environ_of()), pieces())
    with pytest.raises(ValueError, match="broken"):
        list(body)
    body.close()
    assert [type(event.exception) for event in finished] == [ValueError]
    assert logged_as() == (None, None)


def test_an_app_inside_of_an_app_leaves_the_outer_request_as_it_was() -> None:
    """Each has its own record, id and events, and the outer one is back when the inner has answered."""
    seen: list[object] = []

    def answer() -> str:
        seen.append(("inner", logged_as()[0]))
        return "inside"

    def call_inner() -> str:
        before = current_record()
        request.environ["HTTP_X_REQUEST_ID"] = "in-1"
        body, _, _ = run_wsgi_app(inner, request.environ, buffered=True)
        seen.append(("outer", logged_as()[0], current_record() is before is not None))
        return b"".join(body).decode()

    inner, outer = build_app("inner", answer), build_app("outer", call_inner)
    heard = [hear(app) for app in (inner, outer)]
    reply = outer.test_client().get("/x", headers={"X-Request-Id": "out-1"})
    assert (reply.text, reply.headers.getlist("X-Request-Id")) == ("inside", ["out-1"])
    assert seen == [("inner", "in-1"), ("outer", "out-1", True)]
    assert [[event.request_id for event in events] for events in heard] == [["in-1"], ["out-1"]]


def test_apps_side_by_side_are_counted_apart() -> None:
    """Behind Werkzeug's dispatcher each app sees its own requests."""
    one, other = build_app("one", lambda: "one"), build_app("other", lambda: "other")
    heard = [hear(app) for app in (one, other)]
    both = DispatcherMiddleware(one, {"/other": other})
    for path in ("/a", "/other/a"):
        run_wsgi_app(both, environ_of(path), buffered=True)
    assert [[event.response_bytes for event in events] for events in heard] == [[3], [5]]


def test_an_exception_that_nobody_answers_ends_the_request() -> None:
    """It goes on to the server; the request is finished with it."""

    def interrupt() -> str:
        raise KeyboardInterrupt

    app = build_app("svc", interrupt)
    heard = hear(app)

    def start(*_: object) -> Callable[[bytes], object]:
        return print

    start_response: StartResponse = start
    with pytest.raises(KeyboardInterrupt):
        app(environ_of("/"), start_response)
    assert [(event.status, type(event.exception)) for event in heard] == [(500, KeyboardInterrupt)]
    assert logged_as() == (None, None)


def test_flasks_signals_stay_free(make_service: MakeService) -> None:
    """A service that connects nothing has no receivers, so that signals cost nothing."""
    app = make_service()
    assert not request_started.has_receivers_for(app)
    assert not request_finished.has_receivers_for(app)


FORKS = """
import os, random
from pymacaron.request_record import RequestRecord

RequestRecord({"REQUEST_METHOD": "GET"})  # ids are made in advance
for _ in range(3):
    if os.fork() == 0:
        random.seed(1)
        environ = {"REQUEST_METHOD": "GET"}
        os.write(1, b"".join(f"{RequestRecord(environ).request_id}\\n".encode() for _ in range(100)))
        os._exit(0)
    os.wait()
"""


def test_forked_workers_give_different_ids() -> None:
    """Also where the service seeds the common source of random numbers."""
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True)
    ids = done.stdout.split()
    assert (len(ids), len(set(ids))) == (300, 300)
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
