"""Exports a span of each request, task and timed section that is recorded, by OpenTelemetry's protocol."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from flask import Flask

from pymacaron.events import RequestFinished, SectionTimed, TaskFinished
from pymacaron.exceptions import ConfigError, Finding
from pymacaron.log import current_trace
from pymacaron.service import Service, service_of
from pymacaron_monitoring.declared import METHODS, OTHER
from pymacaron_monitoring.ending import FLUSH_AT_EXIT_S, call_at_exit
from pymacaron_monitoring.release import find_environment, find_release
from pymacaron_monitoring.span_outbox import SpanOutbox

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

    from pymacaron.config import PymConfig
    from pymacaron.trace_context import TraceContext

_EXTENSION = "pymacaron_monitoring.tracing"
_PATH = "/v1/traces"
_TIMEOUT_S = 5.0
_FIRST_FATAL = 500

Attributes = Mapping[str, str | int | None]


class FinishedSpan(NamedTuple):
    """A span as it waits for its export. kind: a name of OpenTelemetry's SpanKind. end_ns: since the epoch."""

    trace: TraceContext
    name: str
    kind: str
    end_ns: int
    duration_s: float
    attributes: Attributes
    is_error: bool = False


def init_app(app: Flask) -> None:
    """Export the spans of the service in *app* to its ``otlp_endpoint``, if it has one; a second call changes nothing.

    Raises: ConfigError: that is no URL, or OpenTelemetry's exporter is missing.
    """
    service = service_of(app)
    if _EXTENSION in app.extensions or service.config.otlp_endpoint is None:
        return
    exporter = _Exporter(service)
    app.extensions[_EXTENSION] = tracer = Tracer(SpanOutbox(exporter.export))
    service.bus.subscribe(RequestFinished, tracer.note_request)
    service.bus.subscribe(SectionTimed, tracer.note_section)
    service.bus.subscribe(TaskFinished, tracer.note_task)
    call_at_exit(tracer.close)


def flush_spans(app: Flask, timeout_s: float = FLUSH_AT_EXIT_S) -> bool:
    """Wait until the finished spans of the service in *app* are exported; tell whether they were in time."""
    tracer = app.extensions.get(_EXTENSION)
    return not isinstance(tracer, Tracer) or tracer.outbox.flush(timeout_s)


class Tracer:
    """Turns events into spans. Their traces come from the context in which the events happen."""

    def __init__(self, outbox: SpanOutbox[FinishedSpan]) -> None:
        """Take where spans go."""
        self.outbox = outbox

    def close(self) -> None:
        """Export what waits, in the time that a process has at its end."""
        self.outbox.flush(FLUSH_AT_EXIT_S)

    def note_request(self, event: RequestFinished) -> None:
        """Export the span of a request.

        Source: OpenTelemetry semantic conventions, HTTP server; without ``url.path``, which may hold secrets. A method
        that HTTP does not know makes no name of its own.
        """
        trace = current_trace()
        if trace is None or not trace.is_recorded:
            return
        is_known = event.method in METHODS
        attributes: dict[str, str | int | None] = {
            "http.request.method": event.method if is_known else OTHER,
            "http.request.method_original": None if is_known else event.method,
            "http.route": event.route,
            "http.response.status_code": event.status,
            "http.request.body.size": event.request_bytes,
            "http.response.body.size": event.response_bytes,
            "pymacaron.operation_id": event.operation_id,
            "pymacaron.request_id": event.request_id,
            "user.id": event.user_id,
        }
        is_error = event.status >= _FIRST_FATAL
        if is_error:
            attributes["error.type"] = _name(event.exception) or str(event.status)
        method = event.method if is_known else "HTTP"
        name = f"{method} {event.route}" if event.route else method
        self._add(trace, name, "SERVER", event.duration_s, attributes, is_error=is_error)

    def note_section(self, event: SectionTimed) -> None:
        """Export the span of a block under ``monitor``; calls of other services are such, too."""
        if event.span is None:
            return
        attributes = {"pymacaron.kind": event.kind, "error.type": _name(event.exception)}
        kind = "CLIENT" if event.kind == "call" else "INTERNAL"
        name = f"{event.kind} {event.method}"
        self._add(event.span, name, kind, event.duration_s, attributes, is_error=event.exception is not None)

    def note_task(self, event: TaskFinished) -> None:
        """Export the span of one run of a task."""
        trace = current_trace()
        if trace is None or not trace.is_recorded:
            return
        attributes: dict[str, str | int | None] = {
            "messaging.system": "celery",
            "messaging.operation.type": "process",
            "messaging.destination.name": event.queue,
            "messaging.message.id": event.task_id,
            "pymacaron.task_state": event.state,
            "pymacaron.task_retries": event.retries,
            "pymacaron.request_id": event.request_id,
            "user.id": event.user_id,
            "error.type": _name(event.exception),
        }
        is_error = event.exception is not None
        self._add(trace, f"run {event.name}", "CONSUMER", event.duration_s, attributes, is_error=is_error)

    def _add(
        self, trace: TraceContext, name: str, kind: str, duration_s: float, attributes: Attributes, *, is_error: bool
    ) -> None:
        self.outbox.add(FinishedSpan(trace, name, kind, time.time_ns(), duration_s, attributes, is_error))


class _Exporter:
    """Makes OpenTelemetry's spans of finished ones, and posts them."""

    def __init__(self, service: Service) -> None:
        where = f"{service.config.config_path or 'configuration'}: otlp_endpoint"
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
        except ImportError:
            found = "OpenTelemetry's exporter, which it needs, is not installed"
            raise ConfigError(Finding(where, found, "pip install 'pymacaron[otel]'")) from None
        self._open = partial(OTLPSpanExporter, endpoint=find_url(service.config, where), timeout=_TIMEOUT_S)
        self._exporter, self._pid = self._open(), os.getpid()
        self._resource = Resource.create(
            {
                "service.name": service.config.name or service.app.name,
                "service.version": find_release(service).version,
                "deployment.environment.name": find_environment(service.config),
                "host.name": socket.gethostname(),
            }
        )
        self._scope = InstrumentationScope("pymacaron")

    def export(self, spans: Sequence[FinishedSpan]) -> bool:
        """Post *spans*; return False if that did not work."""
        from opentelemetry.sdk.trace.export import SpanExportResult  # noqa: PLC0415 - optional

        if self._pid != os.getpid():  # connections of the process that forked this one are not its own to write into
            self._exporter, self._pid = self._open(), os.getpid()
        return self._exporter.export([self._make(span) for span in spans]) is SpanExportResult.SUCCESS

    def _make(self, span: FinishedSpan) -> ReadableSpan:
        from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415 - optional
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415

        trace = span.trace
        return ReadableSpan(
            name=span.name,
            context=_to_context(trace, trace.span_id, is_remote=False),
            parent=_to_context(trace, trace.parent_id, is_remote=True) if trace.parent_id else None,
            resource=self._resource,
            attributes={name: value for name, value in span.attributes.items() if value is not None},
            kind=SpanKind[span.kind],
            status=Status(StatusCode.ERROR if span.is_error else StatusCode.UNSET),
            start_time=span.end_ns - round(span.duration_s * 1e9),
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )


def find_url(config: PymConfig, where: str) -> str:
    """Return where spans are posted. Raises ConfigError: ``otlp_endpoint`` is no URL of HTTP."""
    endpoint = (config.otlp_endpoint or "").rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        fix = "Write the collector's URL for OTLP over HTTP, such as http://localhost:4318"
        raise ConfigError(Finding(where, f"{endpoint or 'nothing'} is no URL", fix))
    return endpoint if endpoint.endswith(_PATH) else f"{endpoint}{_PATH}"


def _to_context(trace: TraceContext, span_id: str, *, is_remote: bool) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags, TraceState  # noqa: PLC0415 - optional

    state = TraceState.from_header([trace.state]) if trace.state else None
    return SpanContext(int(trace.trace_id, 16), int(span_id, 16), is_remote, TraceFlags(trace.flags), state)


def _name(exception: BaseException | None) -> str | None:
    if exception is None:
        return None
    kind = type(exception)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
