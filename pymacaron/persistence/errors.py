"""What a store answers when it cannot do what was asked.

PyMacaronException
├── NotFoundError             404  NOT_FOUND             nothing is stored under the key
├── AlreadyExistsError        409  ALREADY_EXISTS        something is stored under the key already
├── ConflictError             409  CONFLICT              somebody else changed or removed it meanwhile
├── UnstorableError           400  VALUE_NOT_STORABLE    a value that no store, or this one, can keep
├── InvalidCursorError        400  INVALID_CURSOR        a cursor that did not come from this query
├── StoreUnavailableError     503  STORE_UNAVAILABLE     the store is down, full or locked; with Retry-After
└── StoredDataError           500  STORED_DATA           an object fits its document, or a table its class, no more
StartupError
└── PersistenceError          a class says something about its storage that cannot be
"""

from __future__ import annotations

import math

from pymacaron.exceptions import PyMacaronException, StartupError


class NotFoundError(PyMacaronException):
    """Nothing is stored under this key."""

    code = "NOT_FOUND"
    status = 404


class AlreadyExistsError(PyMacaronException):
    """Something is stored under this key already."""

    code = "ALREADY_EXISTS"
    status = 409


class ConflictError(PyMacaronException):
    """Somebody else changed or removed the object since it was loaded. Load it again and repeat the change."""

    code = "CONFLICT"
    status = 409


class UnstorableError(PyMacaronException):
    """A value cannot be stored: too large, or of a kind that the store does not know."""

    code = "VALUE_NOT_STORABLE"
    status = 400


class InvalidCursorError(PyMacaronException):
    """A cursor did not come from this query."""

    code = "INVALID_CURSOR"
    status = 400


class StoreUnavailableError(PyMacaronException):
    """The store is down, full, locked or too slow; the answer says when to try again.

    A write that ends so was done as a whole or not at all; which of both is not known if the connection broke.
    """

    code = "STORE_UNAVAILABLE"
    status = 503

    def __init__(self, message: str, *, retry_after_s: float = 5) -> None:
        """Take the *message*, which tells nothing secret, and the seconds after which another try makes sense."""
        super().__init__(message, headers={"Retry-After": str(max(1, math.ceil(retry_after_s)))})


class StoredDataError(PyMacaronException):
    """What is stored does not fit: an object breaks its document, or a table lacks a column."""

    code = "STORED_DATA"
    status = 500


class PersistenceError(StartupError):
    """A class says something about its storage that cannot be."""
