"""Exceptions become answers of one shape: the design's error body, problem+json, or the service's own."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import uuid4

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response as BaseResponse

from pymacaron.error_report import emit_error
from pymacaron.exceptions import (
    BadGatewayError,
    CallError,
    CallTimeoutError,
    GatewayTimeoutError,
    HttpError,
    PyMacaronException,
    UnhandledServerError,
)
from pymacaron.request_events import current_record

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.service import Service

log = logging.getLogger(__name__)

_FIRST_REDIRECT = 300
_FIRST_ERROR = 400
_FIRST_FATAL = 500
_ANSWERS = (HTTPException, PyMacaronException)


def answer_errors(service: Service) -> None:
    """Answer every exception that reaches Flask with the service's error body; unexpected ones are reported.

    Flask hears of an unexpected one first: its teardown functions and the signal got_request_exception get it. It is
    re-raised if PROPAGATE_EXCEPTIONS says so; without that it is answered, also where TESTING or DEBUG is set. The same
    holds for TRAP_HTTP_EXCEPTIONS and TRAP_BAD_REQUEST_ERRORS, which make unexpected ones of others.
    """
    app = service.app
    _set_defaults(app)

    def handle(error: Exception) -> BaseResponse:
        if isinstance(error, InternalServerError) and isinstance(error.original_exception, Exception):
            error.__cause__ = error.original_exception
            if not isinstance(error.original_exception, _ANSWERS):  # such a one came too late, from a hook
                error = error.original_exception
        elif not isinstance(error, _ANSWERS) or (isinstance(error, HTTPException) and app.trap_http_exception(error)):
            raise error  # to Flask's handle_exception, which comes back with it in an InternalServerError
        if isinstance(error, HTTPException):
            if error.response is not None:
                return error.response  # type: ignore[return-value]  # sansio type, always a real response here
            if error.code is None or error.code < _FIRST_ERROR:
                return error.get_response()
        return build_error_response(service, error)

    app.register_error_handler(Exception, handle)


def _set_defaults(app: Flask) -> None:
    for setting in ("PROPAGATE_EXCEPTIONS", "TRAP_BAD_REQUEST_ERRORS"):
        if app.config[setting] is None:
            app.config[setting] = False
    if type(app).log_exception is Flask.log_exception:
        # The report is the line for the log: it has an id, and no secrets in its trace.
        app.log_exception = lambda exc_info: None  # type: ignore[method-assign]  # noqa: ARG005 - Flask's signature


def to_answer(error: Exception, *, is_debug: bool) -> PyMacaronException:
    """Return *error* as an answer. The text of an unexpected exception only appears when *is_debug*."""
    if isinstance(error, PyMacaronException):
        return error
    if isinstance(error, HTTPException):
        status = error.code or 500
        code = HTTPStatus(status).name if status in HTTPStatus._value2member_map_ else "HTTP_ERROR"
        skipped = {"content-type", "content-length"}
        headers = {name: value for name, value in error.get_headers() if name.lower() not in skipped}
        return HttpError(status, code, error.description or error.name, headers=headers)
    answer: PyMacaronException
    if isinstance(error, CallError):
        # What the other service said is not for this one's callers: it may be about somebody else's data.
        kind = GatewayTimeoutError if isinstance(error, CallTimeoutError) else BadGatewayError
        answer = kind("A service that this one depends on failed. The error_id finds the details in the logs")
    else:
        answer = UnhandledServerError(
            "The server failed in an unexpected way. The error_id finds the details in its logs"
        )
    answer.__cause__ = error
    return answer.caught(error) if is_debug else answer


def build_error_response(service: Service, error: Exception) -> BaseResponse:
    """Build the answer to *error*, reporting it first if it is the server's fault (status 500 and above)."""
    answer = to_answer(error, is_debug=service.is_debug)
    answer.status = service.status_of(answer)
    if answer.status >= _FIRST_FATAL:
        _report(service, answer, error)
    response = _build_body(service, answer)
    for name, value in answer.headers.items():
        response.headers[name] = value
    return response


def report_failure(service: Service, error: Exception) -> None:
    """Report *error*, which came too late to be answered: the answer is on its way already."""
    answer = to_answer(error, is_debug=service.is_debug)
    log.error("The answer ends early: %s", type(error).__name__)
    _report(service, answer, error)


def _build_body(service: Service, answer: PyMacaronException) -> BaseResponse:
    if service.error_callback:
        try:
            own = service.error_callback(answer)
            if isinstance(own, BaseResponse):
                return own
            body, status = own if isinstance(own, tuple) else (own, answer.status)
            to_json = getattr(body, "to_json", None)
            return Response(json.dumps(to_json() if to_json else body), status=status, mimetype="application/json")
        except Exception:
            log.exception("error_callback failed; the answer has the default body")
    if service.config.error_format == "problem":
        return Response(json.dumps(_to_problem(answer)), answer.status, mimetype="application/problem+json")
    return Response(json.dumps(answer.to_dict()), status=answer.status, mimetype="application/json")


def _to_problem(answer: PyMacaronException) -> JsonObject:
    """Source: RFC 9457, section 3."""
    is_known = answer.status in HTTPStatus._value2member_map_
    title = HTTPStatus(answer.status).phrase if is_known else answer.code
    problem: JsonObject = {"type": "about:blank", "title": title, "status": answer.status, "detail": answer.message}
    extras = answer.to_dict()
    extras["code"] = extras.pop("error")
    del extras["error_description"]
    return problem | extras


def _report(service: Service, answer: PyMacaronException, error: Exception) -> None:
    answer.error_id = answer.error_id or uuid4().hex
    record = current_record()
    if record is not None:
        record.exception = error
    operation = record.operation if record else None
    title = f"{answer.code}: {type(error).__name__} in {operation.operation_id if operation else 'no operation'}"
    emit_error(service, title, {"status": answer.status, "error": answer.code}, error, error_id=answer.error_id)
