"""A collector of OpenTelemetry on a free port of this machine: takes spans over HTTP, in protobuf, as real ones do."""

from __future__ import annotations

import gzip
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Received:
    """A span that came. Ids are hex, times nanoseconds; resource and attributes have plain values."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    start_ns: int
    end_ns: int
    status: int
    attributes: dict[str, Any]
    resource: dict[str, Any]


class FakeCollector:
    """Listens until `stop`. spans: those that came, oldest first. headers: of each request. status: of its answers."""

    def __init__(self, status: int = 200, delay_s: float = 0.0) -> None:
        """Start."""
        self.spans: list[Received] = []
        self.headers: list[dict[str, str]] = []
        self.status, self.delay_s = status, delay_s
        self._stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[Received]:
        """Return the spans as soon as there are so many, or after that time."""
        end = time.monotonic() + timeout_s
        while len(self.spans) < count and time.monotonic() < end:
            time.sleep(0.005)
        return self.spans

    def stop(self) -> None:
        """Stop listening, and waiting before answers."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, content_type: str | None, body: bytes) -> int:
        """Take what was posted and return the status to answer with."""
        if self.delay_s:
            self._stopping.wait(self.delay_s)
        if self.status != 200:
            return self.status
        if path != "/v1/traces" or content_type != "application/x-protobuf":
            return 404
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for resource_spans in request.resource_spans:
            resource = _plain(resource_spans.resource.attributes)
            for scope in resource_spans.scope_spans:
                self.spans += [_read(span, resource) for span in scope.spans]
        return 200


def _read(span: Any, resource: dict[str, Any]) -> Received:
    return Received(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=span.status.code,
        attributes=_plain(span.attributes),
        resource=resource,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}


def _make_handler(collector: FakeCollector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(collector.take(self.path, self.headers.get("Content-Type"), body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    return Handler
