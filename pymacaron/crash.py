"""Reports errors that a handler noticed itself, with what is known of the request."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from uuid import uuid4

from flask import current_app, has_app_context

from pymacaron.config import get_config
from pymacaron.events import ErrorReported
from pymacaron.log import current_request_id, current_user_id
from pymacaron.redaction import redact
from pymacaron.request_events import current_record
from pymacaron.service import Service

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron.service import ErrorReporter

log = logging.getLogger(__name__)


def report_error(
    title: str,
    data: Mapping[str, object] | None = None,
    caught: BaseException | str | None = None,
    is_fatal: bool = True,  # noqa: FBT001, FBT002 - position kept from pymacaron 2
) -> str:
    """Report an error to whoever listens (log, Sentry, the service's error_reporter) and return its error id.

    data: JSON-like facts of the caller's own; secrets in them are masked. caught: the exception behind it. The report
    adds request_id, user_id, operation_id, method, route, trace, error_caught and is_fatal_error.
    """
    return _report(title, data, caught, is_fatal=is_fatal)


def report_warning(
    title: str, data: Mapping[str, object] | None = None, exception: BaseException | str | None = None
) -> str:
    """Report something that its owners should know and that did not fail the request; return its error id."""
    return _report(title, data, exception, is_fatal=False)


def fit_reporter(function: Callable[..., object]) -> ErrorReporter:
    """Return *function* as an error reporter, also if it takes title and data only, as pymacaron 2 passed them."""
    try:
        inspect.signature(function).bind("title", {}, None)
    except TypeError:
        return lambda title, data, _exception: function(title, data)
    return function


def _report(
    title: str, data: Mapping[str, object] | None, caught: BaseException | str | None, *, is_fatal: bool
) -> str:
    error_id = uuid4().hex
    exception = caught if isinstance(caught, BaseException) else None
    facts = {
        **_describe_request(),
        **(data or {}),
        "trace": _format_trace(exception),
        "error_caught": f"{type(caught).__name__}: {caught}" if exception else caught,
        "is_fatal_error": is_fatal,
    }
    facts = redact(facts, get_config().find_secrets())
    service = current_app.extensions.get("pymacaron") if has_app_context() else None
    if isinstance(service, Service) and service.bus.is_heard(ErrorReported):
        service.bus.emit(ErrorReported(title, facts, exception, error_id, fatal=is_fatal))
    else:
        level = logging.ERROR if is_fatal else logging.WARNING
        log.log(level, "%s (error_id %s)", title, error_id, extra={"error_id": error_id, "data": facts})
    return error_id


def _describe_request() -> JsonObject:
    record = current_record()
    operation = record.operation if record else None
    return {
        "request_id": current_request_id(),
        "user_id": current_user_id(),
        "operation_id": operation.operation_id if operation else None,
        "method": record.method if record else None,
        "route": operation.path if operation else None,
    }


def _format_trace(exception: BaseException | None) -> str:
    """Return the exception's trace; without one, the way to the line that reports."""
    if exception is not None:
        return "".join(traceback.format_exception(exception))
    own = 3  # this function, _report, and report_error or report_warning
    return "".join(traceback.format_stack()[:-own])
