"""Conduit's errors and the body that all errors have."""

from __future__ import annotations

from pymacaron.exceptions import InvalidParameterError, PyMacaronException
from pymacaron.json_types import JsonObject


class WrongCredentialsError(PyMacaronException):
    """Nobody has this email and password."""

    code = "WRONG_CREDENTIALS"
    status = 401


class ForbiddenError(PyMacaronException):
    """It belongs to somebody else."""

    code = "FORBIDDEN"
    status = 403


class NotFoundError(PyMacaronException):
    """There is no such user, article or comment."""

    code = "NOT_FOUND"
    status = 404


class TakenError(PyMacaronException):
    """Another user has this username or email."""

    code = "TAKEN"
    status = 422


def answer_error(error: Exception) -> JsonObject:
    """Return Conduit's error body: ``{"errors": {"body": ["what went wrong", …]}}``."""
    faults = error.faults if isinstance(error, InvalidParameterError) else [str(error)]
    return {"errors": {"body": [fault for fault in faults if fault] or [type(error).__name__]}}
