"""Spans of requests, calls, sections and tasks reach a collector, in the trace of the caller."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_collector import FakeCollector, Received
from flask import Flask
from werkzeug.serving import make_server

from pymacaron.config import set_config
from pymacaron.events import TaskFinished
from pymacaron.exceptions import ConfigError
from pymacaron.log import capture_context, restored_context
from pymacaron.service import service_of
from pymacaron_monitoring import span_outbox
from pymacaron_monitoring.span_outbox import MOST_WAITING, SpanOutbox
from pymacaron_monitoring.tracing import flush_spans

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
DOCUMENT = """\
openapi: 3.1.0
info: {title: Shop, version: "1"}
paths:
  /carts/{token}:
    get:
      operationId: show_cart
      parameters: [{name: token, in: path, required: true, schema: {type: string}}]
      responses: {"200": {description: A cart., content: {application/json: {schema: {type: object}}}}}
  /prices:
    get:
      operationId: list_prices
      responses: {"200": {description: Prices., content: {text/plain: {schema: {type: string}}}}}
  /broken:
    get: {operationId: be_broken, responses: {"200": {description: Never.}}}
"""
SERVER = """\
import logging
from pymacaron import create_app
from pymacaron.client import Client
from pymacaron.monitor import monitor

def show_cart(token):
    with monitor(kind="sql", method="load_cart"):
        logging.getLogger("shop").warning("loading")
    return {"prices": Client("apis/shop.yaml", peer).list_prices()}

def list_prices():
    logging.getLogger("shop").warning("listing")
    yield "1,"
    yield "2"

def be_broken():
    with monitor(kind="sql", method="drop_all"):
        raise LookupError("hunter2")

app = create_app(__name__, handlers=__name__)
"""
OK, ERROR = 0, 2
SERVER_KIND, CLIENT_KIND, INTERNAL_KIND, CONSUMER_KIND = 2, 3, 1, 5

Make = Callable[..., Flask]


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    """Start a collector."""
    collector = FakeCollector()
    yield collector
    collector.stop()


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Build a service: ``make("shop", otlp_endpoint=…, peer=URL of the service that it calls)``."""

    def build(name: str, *, peer: str = "", **config: object) -> Flask:
        folder = tmp_path / name
        (folder / "apis").mkdir(parents=True)
        (folder / "apis" / "shop.yaml").write_text(DOCUMENT)
        (folder / "pym-config.yaml").write_text(json.dumps({"name": name, "version": "7", **config}))
        (folder / "server.py").write_text(f"peer = {peer!r}\n{SERVER}")
        monkeypatch.chdir(folder)
        spec = importlib.util.spec_from_file_location(f"{name}_server", folder / "server.py")
        assert spec is not None
        assert spec.loader is not None
        monkeypatch.setitem(sys.modules, f"{name}_server", module := importlib.util.module_from_spec(spec))
        spec.loader.exec_module(module)
        app: Flask = module.app
        return app

    yield build
    set_config(None)


@pytest.fixture
def serve() -> Iterator[Callable[[Flask], str]]:
    """Serve an app on a free port; returns its URL."""
    servers = []

    def start(app: Flask) -> str:
        servers.append(make_server("127.0.0.1", 0, app, threaded=True))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def named(spans: list[Received]) -> dict[tuple[str, str], Received]:
    return {(span.resource["service.name"], span.name): span for span in spans}


def test_methods_make_no_names(make: Make, collector: FakeCollector) -> None:
    """Whatever a scanner calls its methods, its spans are called HTTP."""
    client = make("shop", otlp_endpoint=collector.url).test_client()
    client.open("/nowhere", method="BREW")
    client.get("/nowhere")
    brewed, asked = sorted(collector.wait_for(2), key=lambda span: span.start_ns)
    assert (brewed.name, asked.name) == ("HTTP", "GET")
    names = ("http.request.method", "http.request.method_original")
    assert [brewed.attributes.get(name) for name in names] == ["_OTHER", "BREW"]
    assert [asked.attributes.get(name) for name in names] == ["GET", None]


def test_one_trace_through_two_services(make: Make, serve: Callable[[Flask], str], collector: FakeCollector) -> None:
    """The caller's trace goes over HTTP from service to service; each span is a part of what caused it."""
    prices = make("prices", otlp_endpoint=collector.url)
    shop = make("shop", otlp_endpoint=f"{collector.url}/v1/traces", peer=serve(prices))
    headers = {"traceparent": f"00-{TRACE_ID}-{CALLER}-01", "tracestate": "congo=t61", "X-Request-Id": "r-1"}
    before_ns = time.time_ns()
    assert shop.test_client().get("/carts/hunter2", headers=headers).json == {"prices": "1,2"}
    assert flush_spans(shop)
    assert flush_spans(prices)
    found = named(collector.wait_for(4))
    assert len(collector.spans) == 4
    cart, sql = found["shop", "GET /carts/{token}"], found["shop", "sql load_cart"]
    call, listing = found["shop", "call shop.list_prices"], found["prices", "GET /prices"]
    assert {span.trace_id for span in collector.spans} == {TRACE_ID}
    assert {span.trace_state for span in collector.spans} == {"congo=t61"}
    assert cart.parent_id == CALLER
    assert sql.parent_id == call.parent_id == cart.span_id
    assert listing.parent_id == call.span_id
    assert [span.kind for span in (cart, sql, call, listing)] == [SERVER_KIND, INTERNAL_KIND, CLIENT_KIND, SERVER_KIND]
    assert before_ns - 10**7 < cart.start_ns <= call.start_ns <= call.end_ns <= cart.end_ns < time.time_ns()
    assert cart.attributes == {
        "http.request.method": "GET",
        "http.route": "/carts/{token}",
        "http.response.status_code": 200,
        "http.request.body.size": 0,
        "http.response.body.size": cart.attributes["http.response.body.size"],
        "pymacaron.operation_id": "show_cart",
        "pymacaron.request_id": "r-1",
    }
    assert listing.attributes["pymacaron.request_id"] == "r-1"
    assert (cart.resource["service.version"], cart.resource["deployment.environment.name"]) == ("7", "production")
    assert "hunter2" not in str(collector.spans)


def test_logs_carry_the_trace(make: Make, collector: FakeCollector, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those of a stream, and of a request whose trace begins here: then it has the request's id."""
    client = make("shop", otlp_endpoint=collector.url, log_format="json").test_client()
    assert client.get("/prices", buffered=True, headers={"traceparent": f"00-{TRACE_ID}-{CALLER}-00"}).text == "1,2"
    assert client.get("/prices", buffered=True).text == "1,2"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    given, own = lines[-4:-2], lines[-2:]
    assert [line["message"].split()[0] for line in (*given, *own)] == ["listing", "GET", "listing", "GET"]
    assert [line["trace_id"] for line in given] == [TRACE_ID, TRACE_ID]
    assert [line["trace_id"] for line in own] == [line["request_id"] for line in own]
    assert own[0]["trace_id"] != TRACE_ID


def test_a_failure_is_an_error_without_its_text(make: Make, collector: FakeCollector) -> None:
    """The span says the type of the exception; and a request that its caller does not record is none."""
    app = make("shop", otlp_endpoint=collector.url)
    app.test_client().get("/broken", headers={"traceparent": f"00-{TRACE_ID}-{CALLER}-00"})
    app.test_client().get("/broken")
    app.test_client().get("/nowhere")
    assert flush_spans(app)
    found = named(collector.wait_for(3))
    assert len(collector.spans) == 3
    broken, sql, nowhere = (found["shop", name] for name in ("GET /broken", "sql drop_all", "GET"))
    assert [span.status for span in (broken, sql, nowhere)] == [ERROR, ERROR, OK]
    assert broken.attributes["error.type"] == sql.attributes["error.type"] == "LookupError"
    assert "hunter2" not in str(collector.spans)
    assert broken.parent_id == nowhere.parent_id == ""


def test_a_task_is_a_part_of_the_request_that_queued_it(make: Make, collector: FakeCollector) -> None:
    """What was captured in the request makes the run of the task one of its spans."""
    app = make("shop", otlp_endpoint=collector.url)
    service = service_of(app)
    with restored_context({"traceparent": f"00-{TRACE_ID}-{CALLER}-01", "request_id": "r-1"}):
        captured = json.loads(json.dumps(capture_context()))
    with restored_context(captured, service.sampler):
        service.bus.emit(TaskFinished("t1", "svc.mail", "default", "failed", 0.25, 0.1, 2, "r-1", "bob", OSError()))
    assert flush_spans(app)
    (span,) = collector.wait_for(1)
    assert (span.name, span.kind, span.status) == ("run svc.mail", CONSUMER_KIND, ERROR)
    assert (span.trace_id, span.parent_id) == (TRACE_ID, CALLER)
    assert span.end_ns - span.start_ns == 250_000_000
    assert span.attributes["error.type"] == "OSError"
    assert (span.attributes["pymacaron.task_state"], span.attributes["user.id"]) == ("failed", "bob")


def test_a_share_of_new_traces(make: Make, collector: FakeCollector) -> None:
    """otlp_sample_ratio decides about traces that begin here; others are recorded as their callers say."""
    app = make("shop", otlp_endpoint=collector.url, otlp_sample_ratio=0)
    assert app.test_client().get("/prices", buffered=True).text == "1,2"
    assert (
        app.test_client().get("/prices", buffered=True, headers={"traceparent": f"00-{TRACE_ID}-{CALLER}-01"}).text
        == "1,2"
    )
    assert flush_spans(app)
    assert [span.trace_id for span in collector.wait_for(1)] == [TRACE_ID]


def test_headers_from_the_environment(make: Make, collector: FakeCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector may ask for a key, which OpenTelemetry's own variable has."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=abc")
    app = make("shop", otlp_endpoint=collector.url)
    assert app.test_client().get("/prices", buffered=True).text == "1,2"
    assert flush_spans(app)
    assert collector.headers[0]["x-key"] == "abc"


@pytest.mark.parametrize("endpoint", ["collector:4318", "grpc://collector:4317", "http://"])
def test_no_url(make: Make, endpoint: str) -> None:
    """It stops the start."""
    with pytest.raises(ConfigError) as caught:
        make("shop", otlp_endpoint=endpoint)
    assert str(caught.value).endswith(
        f"otlp_endpoint: {endpoint.rstrip('/')} is no URL. "
        "Write the collector's URL for OTLP over HTTP, such as http://localhost:4318."
    )


def test_a_collector_that_is_away_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Of too many spans the oldest go; the log says so once, and a new process begins anew."""
    is_free, exported = threading.Event(), []

    def export(spans: object) -> bool:
        is_free.wait(10)
        exported.append(spans)
        return False

    outbox: SpanOutbox[int] = SpanOutbox(export)
    start = time.perf_counter()
    for number in range(3 * MOST_WAITING):
        outbox.add(number)
    assert time.perf_counter() - start < 5
    assert not outbox.flush(0.01)
    is_free.set()
    assert outbox.flush(5)
    kept = [number for spans in exported for number in spans]  # type: ignore[attr-defined]
    assert len(kept) <= MOST_WAITING + 2 * 512
    assert kept[-1] == 3 * MOST_WAITING - 1
    complaints = [record for record in caplog.records if record.name == span_outbox.__name__]  # others may log too
    assert len(complaints) == 1
    assert "otlp_endpoint does not take spans" in complaints[0].getMessage()
