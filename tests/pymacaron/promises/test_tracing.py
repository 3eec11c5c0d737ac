"""sentry-sdk's and OpenTelemetry's integrations of Flask see operations as they see Flask's views."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
import sentry_sdk
from blinker import ANY
from flask import Flask, abort, request
from flask.signals import _signals
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.flask import FlaskIntegration
from sentry_sdk.transport import Transport

SameAsFlask = Callable[..., list[Any]]


def get_item(item_id: int) -> dict[str, int]:
    """Answer, abort with 409 for item 8, fail for item 9."""
    if item_id == 8:
        abort(409)
    if item_id == 9:
        raise KeyError("item")
    return {"id": item_id}


def call_all(app: Flask, log: Any) -> None:
    """Make the requests that are compared."""
    client = app.test_client()
    for path in ("/items/5?q=1", "/items/8", "/items/9", "/page", "/nowhere"):
        log.answer(client.get(path, headers={"X-Own": "1"}))
    log.answer(client.post("/items", json={"id": 3}))


class _Envelopes(Transport):
    """Keeps what would be sent to Sentry."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)


@pytest.fixture(scope="module")
def sentry() -> Iterator[_Envelopes]:
    """Set up Sentry's SDK with a transport that keeps all; undo it for other modules, also what it does to Flask."""
    transport = _Envelopes({})
    call = Flask.__call__
    sentry_sdk.init(
        "https://key@sentry.test/1",
        transport=transport,
        traces_sample_rate=1.0,
        default_integrations=False,
        integrations=[FlaskIntegration()],
    )
    yield transport
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    Flask.__call__ = call  # type: ignore[method-assign]
    for signal in _signals.values():
        for receiver in list(signal.receivers_for(ANY)):
            if receiver.__module__.startswith("sentry_sdk."):
                signal.disconnect(receiver)


def describe_envelope(event: dict[str, Any]) -> tuple[Any, ...]:
    """Return what must not depend on the way of a request."""
    facts = event.get("request", {})
    raised = event.get("exception", {}).get("values", ())
    errors = [(error["type"], error["value"], error["mechanism"]) for error in raised]
    context = event.get("contexts", {}).get("trace", {})
    return (
        event.get("type", "error"),
        event.get("transaction"),
        event.get("transaction_info"),
        {name: facts.get(name) for name in ("url", "method", "query_string", "data")},
        facts.get("headers", {}).get("X-Own"),
        facts.get("env", {}).get("REMOTE_ADDR"),
        errors,
        (context.get("op"), context.get("status"), context.get("origin")),
    )


def test_sentry(log: Any, same_as_flask: SameAsFlask, sentry: _Envelopes) -> None:
    """Sentry gets a transaction for each request, named by its rule, and an event of each unexpected exception."""

    def drive(app: Flask) -> None:
        sentry.envelopes.clear()
        call_all(app, log)
        for envelope in sentry.envelopes:
            for item in envelope.items:
                event = item.get_transaction_event() or item.get_event()
                if event:
                    log(*describe_envelope(dict(event)))

    seen = same_as_flask(lambda _: None, drive, get_item=get_item)
    events = [entry for entry in seen if entry[0] in {"error", "transaction"}]
    assert [(entry[0], entry[1]) for entry in events if entry[0] == "error"] == [("error", "shop:getItem")]
    assert len(events) == 7
    (error,) = [entry for entry in events if entry[0] == "error"]
    assert error[3]["url"] == "http://localhost/items/9"
    assert error[6][0][:2] == ("KeyError", "'item'")


def test_sentry_is_told_of_the_user_by_a_handler(log: Any, same_as_flask: SameAsFlask, sentry: _Envelopes) -> None:
    """Tags that a handler sets stay in its request."""

    def tag(item_id: int) -> dict[str, int]:
        sentry_sdk.set_tag("item", item_id)
        sentry_sdk.capture_message(f"item {item_id}")
        return {"id": item_id}

    def drive(app: Flask) -> None:
        sentry.envelopes.clear()
        client = app.test_client()
        for path in ("/items/5", "/page"):
            log.answer(client.get(path))
        for envelope in sentry.envelopes:
            for item in envelope.items:
                event = item.get_transaction_event() or item.get_event()
                if event:
                    log(event.get("message"), (event.get("tags") or {}).get("item"), event.get("transaction"))

    seen = same_as_flask(lambda _: None, drive, get_item=tag)
    assert ("item 5", 5, "shop:getItem") in seen
    assert (None, None, "shop:getPage") in seen


@pytest.fixture(scope="session")
def spans() -> InMemorySpanExporter:
    """Return where the spans of the process are kept."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer_provider(spans: InMemorySpanExporter) -> TracerProvider:
    """Return a provider of its own: the process-wide one stays as it is."""
    spans.clear()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


def note_spans(spans: InMemorySpanExporter, log: Any) -> None:
    """Note the finished spans."""
    for span in spans.get_finished_spans():
        attributes = dict(span.attributes or {})
        attributes.pop("net.peer.port", None)
        events = [(event.name, (event.attributes or {}).get("exception.type")) for event in span.events]
        parent = span.parent.span_id if span.parent else None
        log(span.name, span.kind.name, span.status.status_code.name, sorted(attributes.items()), events, parent)


def test_opentelemetry_for_one_app(
    log: Any, same_as_flask: SameAsFlask, spans: InMemorySpanExporter, tracer_provider: TracerProvider
) -> None:
    """``instrument_app`` makes a span for each request, named by method and rule."""

    def own_span(item_id: int) -> dict[str, int]:
        current = trace.get_current_span()
        current.set_attribute("item", item_id)
        log("recording", current.is_recording(), request.path)
        return get_item(item_id)

    def drive(app: Flask) -> None:
        spans.clear()
        call_all(app, log)
        note_spans(spans, log)

    def set_up(app: Flask) -> None:
        FlaskInstrumentor().instrument_app(app, tracer_provider=tracer_provider)  # type: ignore[no-untyped-call]

    seen = same_as_flask(set_up, drive, get_item=own_span)
    names = [(entry[0], entry[2]) for entry in seen if len(entry) == 6]
    assert names == [
        ("GET /items/<p0>", "UNSET"),
        ("GET /items/<p0>", "UNSET"),
        ("GET /items/<p0>", "ERROR"),
        ("GET /page", "UNSET"),
        ("GET /nowhere", "UNSET"),
        ("POST /items", "UNSET"),
    ]
    assert ("recording", True, "/items/5") in seen


def test_opentelemetry_for_all_apps(
    log: Any, same_as_flask: SameAsFlask, spans: InMemorySpanExporter, tracer_provider: TracerProvider
) -> None:
    """``instrument`` replaces `flask.Flask`; apps of that class have spans too."""
    FlaskInstrumentor().instrument(tracer_provider=tracer_provider)
    try:

        def drive(app: Flask) -> None:
            spans.clear()
            call_all(app, log)
            note_spans(spans, log)

        seen = same_as_flask(lambda _: None, drive, make_app=flask.Flask, get_item=get_item)
    finally:
        FlaskInstrumentor().uninstrument()
    assert [entry[0] for entry in seen if len(entry) == 6].count("GET /items/<p0>") == 3
