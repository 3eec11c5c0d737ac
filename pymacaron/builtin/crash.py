"""Handlers of crash.yaml: each fails in a way of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Response, jsonify

from pymacaron.crash import report_error
from pymacaron.exceptions import PyMacaronException
from pymacaron.pool import apipool

if TYPE_CHECKING:
    from pydantic import BaseModel

    from pymacaron.json_types import JsonObject

SLOW_CALL_S = 2.0


class MyFatalCustomError(PyMacaronException):
    """An error that is the server's fault."""

    code = "FATAL_CUSTOM_ERROR"
    status = 543


class MyNonFatalCustomError(PyMacaronException):
    """An error that is the caller's fault."""

    code = "NON_FATAL_CUSTOM_ERROR"
    status = 401


def do_crash_internal_exception() -> JsonObject:
    """Raise an exception that nobody expected."""
    raise RuntimeError("Raising an internal exception")


def do_crash_pymacaron_exception() -> JsonObject:
    """Raise an error answer below 500."""
    raise MyNonFatalCustomError("Raising a non-fatal custom error")


def do_crash_report_error() -> JsonObject:
    """Report an error and answer all the same."""
    report_error("called crash/reporterror to test error reporting")
    return {}


def do_crash_slow_call() -> JsonObject:
    """Answer after SLOW_CALL_S seconds."""
    time.sleep(SLOW_CALL_S)
    return {}


def do_crash_return_error_instance() -> PyMacaronException:
    """Return an error answer instead of raising it."""
    return MyFatalCustomError("endpoint returns an Error instance")


def do_crash_return_fatal_error_response() -> Response:
    """Return a Flask response of 500 or more."""
    return _respond(MyFatalCustomError("endpoint returns an Error response"))


def do_crash_return_non_fatal_error_response() -> Response:
    """Return a Flask response between 400 and 499."""
    return _respond(MyNonFatalCustomError("endpoint returns a non-fatal Error response"))


def do_crash_return_error_model() -> BaseModel:
    """Return an Error model, which says its own status."""
    model: type[BaseModel] = apipool.crash.Error
    return model(status=543, error="ANOTHER_CUSTOM_ERROR", error_description="Testing error model")


def _respond(error: PyMacaronException) -> Response:
    response = jsonify(error.to_dict())
    response.status_code = error.status
    return response
