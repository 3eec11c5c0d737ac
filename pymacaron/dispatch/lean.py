"""The WSGI callable that takes requests to operations past what of Flask nobody asked for.

A request goes this way if it is for an operation of a document and the app does not change how Flask dispatches. Hooks,
signals, error handlers and the session are looked up at each request, as Flask does, and run as Flask runs them; what
is not there costs the look. Every other request goes the ordinary way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from importlib.metadata import version
from types import FunctionType
from typing import TYPE_CHECKING, Any

from flask import Flask, Response
from flask.signals import request_finished, request_started
from werkzeug.http import HTTP_STATUS_CODES

from pymacaron.call import PlainAnswer
from pymacaron.dispatch.contexts import PRESERVE, LeanContext
from pymacaron.dispatch.table import LeanRoute, RouteTable
from pymacaron.endpoint import Endpoint
from pymacaron.request_events import watch_requests

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask_compress import Compress
    from werkzeug.routing import Rule

    from pymacaron.dispatch.table import Found
    from pymacaron.request_events import RequestWatch
    from pymacaron.request_record import RequestRecord

_STATUS_LINES = {status: f"{status} {phrase.upper()}" for status, phrase in HTTP_STATUS_CODES.items()}
_NO_LENGTH = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
# Methods of Flask that the lean way leaves out, or whose place it takes.
_REPLACED = (
    "wsgi_app",
    "full_dispatch_request",
    "dispatch_request",
    "preprocess_request",
    "finalize_request",
    "make_response",
    "process_response",
    "do_teardown_request",
    "do_teardown_appcontext",
    "request_context",
    "app_context",
    "create_url_adapter",
)
_HOST_DECIDES = tuple(map(int, version("flask").split(".")[:2])) < (3, 1)  # it did, with SERVER_NAME set


class LeanDispatch:
    """WSGI application of one app."""

    def __init__(
        self, app: Flask, watch: RequestWatch, ordinary: WSGIApplication, compress: Compress | None = None
    ) -> None:
        """Take the *ordinary* way, which watches its requests itself, and what compresses the app's answers."""
        self._app = app
        self._watch = watch
        self.ordinary = ordinary
        self._table: RouteTable | None = None
        # Those that compress, the objects themselves: to compare two that are equal takes longer.
        hooks = app.after_request_funcs.get(None, []) if compress is not None else []
        self._own_hooks = {None: [hook for hook in hooks if hook == compress.after_request]} if compress else {}
        self._is_compressing = compress is not None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request. Source: PEP 3333."""
        found = self.find(environ)
        if found is None:
            return self.ordinary(environ, start_response)
        route, values = found
        watch = self._watch
        record = watch.begin(environ)
        record.operation = route.operation
        try:
            body = self._serve(LeanContext(self._app, environ, route, values), record, start_response)
        except BaseException as error:
            record.exception = error
            record.status = HTTPStatus.INTERNAL_SERVER_ERROR
            watch.finish(record)
            raise
        if record.is_streamed:
            return watch.watch_body(record, body)
        watch.finish(record)
        return body

    def find(self, environ: WSGIEnvironment) -> Found | None:
        """Return the operation that the request goes to, None if it goes Flask's ordinary way."""
        table = self._table
        if table is None:
            table = self._table = self._compile()
        raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
        if raw and "%2" in raw and ("%2F" in raw or "%2f" in raw):  # see `pymacaron.raw_path`
            return None
        found = table.find(environ["REQUEST_METHOD"], environ.get("PATH_INFO") or "/")
        if found is not None:
            route = found[0]
            if self._app.view_functions.get(route.rule.endpoint) is not route.view:
                return None  # somebody has wrapped the view function since
        return found

    def _compile(self) -> RouteTable:
        app = self._app

        def make_route(rule: Rule, names: tuple[str, ...]) -> LeanRoute | None:
            view = app.view_functions.get(rule.endpoint)
            if not isinstance(view, Endpoint) or not is_usual:
                return None
            return LeanRoute(rule, view.handle, view.operation, names, view)

        is_usual = can_be_lean(app)
        return RouteTable(app, make_route)

    def _serve(self, context: LeanContext, record: RequestRecord, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request inside of its contexts; the same steps as in ``Flask.wsgi_app``."""
        app = self._app
        error: BaseException | None = None
        try:
            try:
                context.push()
                answer = self._dispatch(context, record)
            except Exception as caught:  # noqa: BLE001 - Flask's own rule
                error = caught
                answer = app.handle_exception(caught)
            except BaseException:
                error = sys.exc_info()[1]
                raise
            if type(answer) is PlainAnswer:
                return _write(answer, record, start_response, is_compressing=self._is_compressing)
            return _write_response(answer, context.environ, record, start_response)
        finally:
            if PRESERVE in context.environ:
                context.preserve()
            if error is not None and app.should_ignore_error(error):
                error = None
            context.pop(error)

    def _dispatch(self, context: LeanContext, record: RequestRecord) -> Any:
        """Return the answer; the same steps as in ``Flask.full_dispatch_request``."""
        app = self._app
        app._got_first_request = True  # noqa: SLF001 - from now on Flask refuses new rules and hooks
        self._watch.started(record)
        answer: Any = None
        try:
            if request_started.receivers:
                request_started.send(app, _async_wrapper=app.ensure_sync)
            if app.before_request_funcs or app.url_value_preprocessors:
                answer = app.preprocess_request()
            if answer is None:
                answer = context.route.handle(context)
        except Exception as error:  # noqa: BLE001 - Flask's own rule
            answer = app.handle_user_exception(error)
        if type(answer) is PlainAnswer:
            if self._is_unwatched(context, answer):
                return answer
            answer = answer.to_response()
        return app.finalize_request(answer)

    def _is_unwatched(self, context: LeanContext, answer: PlainAnswer) -> bool:
        """Tell whether nobody wants to see a response object before it is sent."""
        app = self._app
        if request_finished.receivers or context.changes_answer:
            return False
        if app.after_request_funcs:
            if app.after_request_funcs != self._own_hooks:
                return False
            if "HTTP_ACCEPT_ENCODING" in context.environ and len(answer.body) >= app.config["COMPRESS_MIN_SIZE"]:
                return False
        return app.response_class is Response


def can_be_lean(app: Flask) -> bool:
    """Tell whether *app* dispatches as Flask does, whatever the host of a request."""
    if app.subdomain_matching or app.url_map.host_matching or app.config.get("TRUSTED_HOSTS"):
        return False
    if _HOST_DECIDES and app.config.get("SERVER_NAME"):
        return False
    return all(_is_own(app, name) for name in _REPLACED)


def _is_own(app: Flask, name: str) -> bool:
    """Tell whether a method is Flask's own: in no subclass, and not wrapped by what watches Flask from outside."""
    function = getattr(type(app), name)
    is_flasks = isinstance(function, FunctionType) and function.__module__.startswith("flask.")
    is_plain = is_flasks and not hasattr(function, "__wrapped__")
    own = vars(app).get(name)  # the app's middleware stands around this; `watch_requests` put in the others
    return is_plain and (own is None or name == "wsgi_app" or own.__module__ == watch_requests.__module__)


def _write(
    answer: PlainAnswer, record: RequestRecord, start_response: StartResponse, *, is_compressing: bool
) -> Iterable[bytes]:
    status, content_type, body = answer
    size = len(body)
    request_id = ("X-Request-Id", record.request_id)
    if size:
        headers = [request_id, ("Content-Type", content_type), ("Content-Length", str(size))]
    else:
        headers = [request_id, ("Content-Type", content_type)] if content_type else [request_id]
        if status not in _NO_LENGTH:
            headers.append(("Content-Length", "0"))
    if is_compressing:
        headers.append(("Vary", "Accept-Encoding"))
    record.status = status
    record.response_bytes = size
    start_response(_STATUS_LINES.get(status) or f"{status} UNKNOWN", headers)
    return [body] if size and record.method != "HEAD" else []


def _write_response(
    response: Response, environ: WSGIEnvironment, record: RequestRecord, start_response: StartResponse
) -> Iterable[bytes]:
    record.status = response.status_code

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        headers.append(("X-Request-Id", record.request_id))
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

    return response(environ, start)
