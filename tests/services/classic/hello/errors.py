"""Errors of this service."""

from pymacaron.exceptions import PyMacaronException, add_error

NobodyError = add_error("NobodyError", "NO_SUCH_PERSON", 404)


class OutOfCoffeeError(PyMacaronException):
    """There is none left."""

    code = "OUT_OF_COFFEE"
    status = 418
