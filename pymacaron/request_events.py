"""The outermost layer of the app: gives each request an id, its log context and its two events."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from flask import request, request_finished, request_started

from pymacaron.events import Bus, RequestFinished, RequestStarted
from pymacaron.log import request_id_var, user_id_var

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask
    from werkzeug import Response

    from pymacaron.service import Service
    from pymacaron.spec import Operation

access_log = logging.getLogger("pymacaron.access")

_KEY = "pymacaron.record"
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
UNCOUNTED_PATHS = frozenset({"/metrics"})


@dataclass(slots=True)
class RequestRecord:
    """What is known of the request so far; filled in while it is handled."""

    request_id: str
    method: str
    path: str
    started_s: float = field(default_factory=time.perf_counter)
    operation: Operation | None = None
    status: int = 500
    is_streamed: bool = False
    response_bytes: int = 0
    request_bytes: int = 0
    user_id: str | None = None
    exception: BaseException | None = None


def current_record() -> RequestRecord | None:
    """Return the record of the request that is being handled, None if the app is called without this layer."""
    return request.environ.get(_KEY) if request else None


class RequestEvents:
    """WSGI middleware of one app.

    A request id comes from ``X-Request-Id`` if it is 1 to 128 letters, digits or ``._:-``, else it is made here; every
    answer carries it. Requests to /metrics are not counted, so that watching changes nothing.
    """

    def __init__(self, wsgi_app: WSGIApplication, bus: Bus) -> None:
        """Wrap *wsgi_app*; events go to *bus*."""
        self._wsgi_app = wsgi_app
        self._bus = bus

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        given_id = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = given_id if _SANE_ID.match(given_id) else uuid4().hex
        record = RequestRecord(request_id, environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
        environ[_KEY] = record
        content_length = environ.get("CONTENT_LENGTH") or "0"
        record.request_bytes = int(content_length) if content_length.isdecimal() else 0

        def start(status, headers, exc_info=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - WSGI's signature
            record.status = int(status[:3])
            headers.append(("X-Request-Id", request_id))
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        with _log_context(record):
            try:
                body = self._wsgi_app(environ, start)
            except BaseException as error:
                record.exception = error
                record.status = 500
                self._finish(record)
                raise
            if record.is_streamed:
                return _WatchedBody(body, record, self)
            self._finish(record)
            return body

    def _finish(self, record: RequestRecord) -> None:
        if record.path in UNCOUNTED_PATHS:
            return
        duration_s = time.perf_counter() - record.started_s
        operation = record.operation
        access_log.info(
            "%s %s %d %.1f ms",
            record.method,
            record.path,
            record.status,
            duration_s * 1000,
            extra={"status": record.status},
        )
        self._bus.emit(
            RequestFinished(
                request_id=record.request_id,
                method=record.method,
                route=operation.path if operation else None,
                operation_id=operation.operation_id if operation else None,
                status=record.status,
                duration_s=duration_s,
                request_bytes=record.request_bytes,
                response_bytes=record.response_bytes,
                user_id=record.user_id,
                exception=record.exception,
            )
        )


class _WatchedBody:
    """A streamed body; the request is finished when it is closed.

    Its id stands in the logs while a piece is made, not in between: the thread may do other things then.
    """

    def __init__(self, body: Iterable[bytes], record: RequestRecord, events: RequestEvents) -> None:
        self._body = body
        self._pieces = iter(body)
        self._record = record
        self._events = events
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        with _log_context(self._record):
            try:
                chunk = next(self._pieces)
            except StopIteration:
                raise
            except Exception as error:
                self._record.exception = error
                raise
        self._record.response_bytes += len(chunk)
        return chunk

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        with _log_context(self._record):
            try:
                close = getattr(self._body, "close", None)
                if close:
                    close()
            finally:
                self._events._finish(self._record)  # noqa: SLF001 - one layer, two classes


@contextmanager
def _log_context(record: RequestRecord) -> Iterator[None]:
    request_token = request_id_var.set(record.request_id)
    user_token = user_id_var.set(record.user_id)
    try:
        yield
    finally:
        record.user_id = user_id_var.get() or record.user_id
        request_id_var.reset(request_token)
        user_id_var.reset(user_token)


def watch_requests(service: Service) -> None:
    """Put the layer around *service*'s app and follow each request through Flask's own signals."""
    app = service.app

    def on_started(sender: Flask, **_: object) -> None:
        record = current_record()
        if record is None or record.path in UNCOUNTED_PATHS:
            return
        view = sender.view_functions.get(request.endpoint or "")
        record.operation = getattr(view, "operation", None)
        if service.bus.is_heard(RequestStarted):
            operation = record.operation
            route = operation.path if operation else None
            operation_id = operation.operation_id if operation else None
            service.bus.emit(RequestStarted(record.request_id, record.method, route, operation_id))

    def on_finished(sender: Flask, response: Response, **_: object) -> None:  # noqa: ARG001 - the signal's signature
        record = current_record()
        if record is not None:
            record.is_streamed = response.is_streamed
            record.response_bytes = 0 if response.is_streamed else response.calculate_content_length() or 0
            record.user_id = user_id_var.get()

    request_started.connect(on_started, app, weak=False)
    request_finished.connect(on_finished, app, weak=False)
    app.wsgi_app = RequestEvents(app.wsgi_app, service.bus)  # type: ignore[method-assign]
