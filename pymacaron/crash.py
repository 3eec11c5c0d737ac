"""Reports errors that a handler noticed itself, with what is known of the request."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from flask import current_app, has_app_context

from pymacaron.error_report import ReportPlace, emit_error
from pymacaron.service import Service

if TYPE_CHECKING:
    from pymacaron.service import ErrorReporter

_OWN_CALLS = 3  # the function that looks, _report, and report_error or report_warning
_MOST_CALLERS = 20


def report_error(
    title: str,
    data: Mapping[str, object] | None = None,
    caught: BaseException | str | None = None,
    is_fatal: bool = True,  # noqa: FBT001, FBT002 - position kept from pymacaron 2
) -> str:
    """Report an error to whoever listens (log, Sentry, the service's error_reporter) and return its error id.

    data: JSON-like facts of the caller's own; secrets in them are masked. caught: the exception behind it. The report
    adds request_id, user_id, operation_id, method, route, request, trace, error_caught and is_fatal_error.
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
    except ValueError:  # one of C, which does not tell what it takes
        return function
    return function


def _report(
    title: str, data: Mapping[str, object] | None, caught: BaseException | str | None, *, is_fatal: bool
) -> str:
    exception = caught if isinstance(caught, BaseException) else None
    facts = {**(data or {}), "error_caught": _describe(exception) if exception is not None else caught}
    service = current_app.extensions.get("pymacaron") if has_app_context() else None
    return emit_error(
        service if isinstance(service, Service) else None,
        str(title),
        facts,
        exception,
        place=ReportPlace(None if exception is not None else _format_stack(), _find_callers()),
        is_fatal=is_fatal,
    )


def _describe(exception: BaseException) -> str:
    return "".join(traceback.format_exception_only(exception)).strip()


def _format_stack() -> str:
    """Return the way to the line that reports."""
    return "".join(traceback.format_stack()[:-_OWN_CALLS])


def _find_callers() -> tuple[tuple[str, int, str], ...]:
    """Return file, line and function of the line that reports, and of those that led there."""
    calls = islice(traceback.walk_stack(inspect.currentframe()), _OWN_CALLS, _OWN_CALLS + _MOST_CALLERS)
    return tuple((frame.f_code.co_filename, line, frame.f_code.co_qualname) for frame, line in calls)
