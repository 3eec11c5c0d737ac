"""The outermost layer of the app: gives each request an id, its log context and its two events."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Self

from flask import request

from pymacaron.access_log import write_line
from pymacaron.events import Bus, RequestFinished, RequestStarted, note_failure
from pymacaron.log import log_context_var
from pymacaron.request_record import RequestRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import InputStream, StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Response

    from pymacaron.service import Service
    from pymacaron.trace_context import Sampler

_KEY = "pymacaron.record"
_new = tuple.__new__
_set_log_context, _reset_log_context = log_context_var.set, log_context_var.reset


def current_record() -> RequestRecord | None:
    """Return the record of the request that is being handled, None if the app is called without this layer."""
    return request.environ.get(_KEY) if request else None


class RequestWatch:
    """Follows the requests of one app, from `begin` to `finish`, or to the close of what `watch_body` returns.

    Requests to *uncounted_paths*, the pages of metrics, are not counted, so that watching changes nothing.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        has_access_log: bool = True,
        sampler: Sampler | None = None,
        uncounted_paths: Iterable[str] = ("/metrics",),
    ) -> None:
        """Send events to *bus*, and a line for each request to the log. sampler: if each request is to be a span."""
        self._uncounted_paths = frozenset(uncounted_paths)
        self._on_started = bus.listeners_of(RequestStarted)
        self._on_finished = bus.listeners_of(RequestFinished)
        self._followers = bus.followers
        self._has_access_log = has_access_log
        self._sampler = sampler

    def begin(self, environ: WSGIEnvironment) -> RequestRecord:
        """Return the record of a request that arrived; from now on `current_record` and the logs know it."""
        record = RequestRecord(environ)
        if "HTTP_TRANSFER_ENCODING" in environ and not record.request_bytes:
            environ["wsgi.input"] = CountedInput(environ["wsgi.input"], record)
        if self._sampler is not None:
            own_id = None if "HTTP_X_REQUEST_ID" in environ else record.request_id
            record.trace = self._sampler.open_span(record.trace, own_id)
        if _KEY in environ:
            record.outer = environ, environ[_KEY]
        environ[_KEY] = record
        record.token = _set_log_context(record)  # as its `enter` does
        return record

    def started(self, record: RequestRecord) -> None:
        """Tell, once, that the operation of *record*, or that it has none, is known."""
        if record.is_started or record.path in self._uncounted_paths:
            return
        record.is_started = True
        for begin, _ in self._followers:
            try:
                begin(record)
            except Exception:  # noqa: BLE001 - it is logged
                note_failure(RequestStarted)
        if self._on_started:
            self._tell_started(record)

    def _tell_started(self, record: RequestRecord) -> None:
        operation = record.operation
        route, operation_id = (None, None) if operation is None else (operation.path, operation.operation_id)
        # As `RequestStarted._make` does, in half the time of a call with so many arguments.
        event = _new(RequestStarted, (record.request_id, record.method, route, operation_id))
        for listener in self._on_started:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - the bus logs it
                note_failure(RequestStarted)

    def finish(self, record: RequestRecord) -> None:
        """Tell that the request was answered, in the thread in which it began.

        operation, status, response_bytes and exception of *record* are set by now.
        """
        duration_s = perf_counter() - record.started_s
        try:
            if record.is_started or record.path not in self._uncounted_paths:
                if not record.is_started:
                    self.started(record)  # it ended before its operation was known
                if self._has_access_log:
                    write_line(record, duration_s)
                for _, finish in self._followers:
                    try:
                        finish(record, duration_s)
                    except Exception:  # noqa: BLE001 - it is logged
                        note_failure(RequestFinished)
                if self._on_finished:
                    self._tell_finished(record, duration_s)
        finally:
            _reset_log_context(record.token)
            if record.outer is not None:
                environ, environ[_KEY] = record.outer
                record.outer = None

    def _tell_finished(self, record: RequestRecord, duration_s: float) -> None:
        operation = record.operation
        route, operation_id = (None, None) if operation is None else (operation.path, operation.operation_id)
        facts = (
            record.request_id,
            record.method,
            route,
            operation_id,
            record.status,
            duration_s,
            record.request_bytes,
            record.response_bytes,
            record.user_id,
            record.exception,
        )
        event = _new(RequestFinished, facts)  # see `_tell_started`
        for listener in self._on_finished:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - the bus logs it
                note_failure(RequestFinished)

    def watch_body(self, record: RequestRecord, body: Iterable[bytes]) -> Iterable[bytes]:
        """Return *body*, a stream, such that the request is finished when it is closed, in whatever thread.

        Its bytes are added to those of *record*. The id stands in the logs while a piece is made, not in between: the
        thread may do other things then.
        """
        record.leave()
        return _WatchedBody(body, record, self)


class CountedInput:
    """The body of a request whose length nobody told: what is read of it is added to the bytes of its record."""

    def __init__(self, source: InputStream, record: RequestRecord) -> None:
        """Read *source*."""
        self._source = source
        self._record = record

    def read(self, *size: int) -> bytes:
        """Return up to *size* bytes, all without it."""
        return self._count(self._source.read(*size))

    def readline(self, *size: int) -> bytes:
        """Return the next line, or *size* bytes of it."""
        return self._count(self._source.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        """Return all lines, or those of about *hint* bytes."""
        return list(map(self._count, self._source.readlines(*hint)))

    def __iter__(self) -> Iterator[bytes]:
        """Yield lines."""
        return map(self._count, self._source)

    def __getattr__(self, name: str) -> object:
        """Return what else *source* can do."""
        return getattr(self._source, name)

    def _count(self, data: bytes) -> bytes:
        self._record.request_bytes += len(data)
        return data


class _WatchedBody:
    """A streamed body; see `RequestWatch.watch_body`."""

    def __init__(self, body: Iterable[bytes], record: RequestRecord, watch: RequestWatch) -> None:
        self._body = body
        self._pieces = iter(body)
        self._record = record
        self._watch = watch
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        self._record.enter()
        try:
            chunk = next(self._pieces)
        except StopIteration:
            raise
        except Exception as error:
            self._record.exception = error
            raise
        finally:
            self._record.leave()
        self._record.response_bytes += len(chunk)
        return chunk

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._record.enter()
        try:
            close = getattr(self._body, "close", None)
            if close:
                close()
        finally:
            self._watch.finish(self._record)


class RequestEvents:
    """WSGI middleware that watches the requests of an app; every answer carries the request id."""

    def __init__(self, wsgi_app: WSGIApplication, watch: RequestWatch) -> None:
        """Wrap *wsgi_app*."""
        self._wsgi_app = wsgi_app
        self._watch = watch

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        record = self._watch.begin(environ)

        def start(status, headers, exc_info=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - WSGI's signature
            record.status = int(status[:3])
            headers.append(("X-Request-Id", record.request_id))
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        try:
            body = self._wsgi_app(environ, start)
        except BaseException as error:
            record.exception = error
            record.status = 500
            self._watch.finish(record)
            raise
        if record.is_streamed:
            return self._watch.watch_body(record, body)
        self._watch.finish(record)
        return body


def find_status_path(service: Service) -> str:
    """Return where the page of ``status_page`` is; its numbers are there, too, with ``.json`` behind."""
    return f"/{str(service.app.extensions.get('pymacaron-doc', 'doc')).strip('/')}/status"


def _find_uncounted(service: Service) -> list[str]:
    """Return the paths at which others ask again and again how the service is."""
    config = service.config
    paths = [config.metrics_path] if config.metrics_port is None else []
    return [*paths, f"{find_status_path(service)}.json"] if config.status_page else paths


def watch_requests(service: Service) -> RequestWatch:
    """Put the layer around *service*'s app, and return what follows its requests.

    Flask's signals are left alone: those that nobody receives cost nothing.
    """
    app = service.app
    watch = RequestWatch(
        service.bus,
        has_access_log=service.config.access_log,
        sampler=service.sampler,
        uncounted_paths=_find_uncounted(service),
    )
    preprocess, process = app.preprocess_request, app.process_response

    def preprocess_request():  # type: ignore[no-untyped-def]  # noqa: ANN202 - Flask's signature
        record = current_record()
        if record is not None and record.operation is None:
            view = app.view_functions.get(request.endpoint or "")
            record.operation = getattr(view, "operation", None)
            watch.started(record)
        return preprocess()

    def process_response(response: Response) -> Response:
        response = process(response)
        record = current_record()
        if record is not None:
            record.note_response(response)
        return response

    app.preprocess_request = preprocess_request  # type: ignore[method-assign]
    app.process_response = process_response  # type: ignore[method-assign]
    app.wsgi_app = RequestEvents(app.wsgi_app, watch)  # type: ignore[method-assign]
    return watch
