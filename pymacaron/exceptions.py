"""What can go wrong, as one tree.

Exception
├── StartupError              the service, document or configuration is at fault: refused at start, exit code 2
│   ├── SpecError             an OpenAPI document breaks a rule
│   ├── ConfigError           pym-config.yaml or the environment
│   ├── HandlerError          a handler is missing or does not fit its operation
│   └── TargetError           a server that should answer does not
└── PyMacaronException        an answer: HTTP status, code, message
    ├── InvalidParameterError         400  INVALID_PARAMETER
    ├── AuthError
    │   ├── AuthMissingHeaderError    401  AUTHORIZATION_HEADER_MISSING
    │   ├── AuthInvalidTokenError     401  TOKEN_INVALID
    │   ├── AuthTokenExpiredError     401  TOKEN_EXPIRED
    │   └── InsufficientScopeError    403  INSUFFICIENT_SCOPE
    ├── RequestTimeout                408  REQUEST_TIMEOUT
    ├── UnsupportedMediaTypeError     415  UNSUPPORTED_MEDIA_TYPE
    ├── BadResponseException          500  BAD_RESPONSE
    ├── InternalValidationError       500  INTERNAL_VALIDATION_ERROR
    └── InternalServerError           500  SERVER_ERROR
        └── UnhandledServerError
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymacaron.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a document, a configuration or a handler.

    where: file with line and JSON pointer, option name, or operation; ``pets.yaml:12#/paths/~1pets/get``.
    found: what stands there. fix: what to do, one imperative sentence.
    """

    where: str
    found: str
    fix: str

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.where}: {self.found}. {self.fix}."


class StartupError(Exception):
    """The service cannot start; ``findings`` holds every reason, ``str()`` gives one line each."""

    def __init__(self, findings: Finding | Sequence[Finding]) -> None:
        """Take one finding or several; at least one."""
        self.findings = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__("\n".join(map(str, self.findings)))


class SpecError(StartupError):
    """An OpenAPI document is broken."""


class ConfigError(StartupError):
    """The configuration is broken."""


class HandlerError(StartupError):
    """A handler is missing or does not fit its operation."""


class TargetError(StartupError):
    """A server that should answer does not."""


class PyMacaronException(Exception):  # noqa: N818 - the name that services of pymacaron 2 raise and catch
    """An error answer. Raise it, or a subclass, in a handler.

    Class attributes: ``code`` (short upper case name), ``status`` (HTTP status).
    Source: RFC 9110, section 15, for the meaning of a status.
    """

    code: str = "SERVER_ERROR"
    status: int = 500

    def __init__(
        self, message: str = "", *, user_message: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        """Take the *message* for developers, a *user_message* to show to people, and extra answer *headers*."""
        super().__init__(message)
        self.message = message
        self.user_message = user_message
        self.headers = headers or {}
        self.error_id: str | None = None
        self.error_caught: str | None = None

    def caught(self, exception: BaseException) -> PyMacaronException:
        """Remember the exception that led to this one; its text is only shown in debug mode."""
        self.error_caught = f"{type(exception).__name__}: {exception}"
        return self

    def to_dict(self) -> JsonObject:
        """Return the error body: ``{status, error, error_description, error_id?, error_caught?, user_message?}``."""
        body: JsonObject = {"status": self.status, "error": self.code, "error_description": self.message}
        for name in ("error_id", "error_caught", "user_message"):
            if getattr(self, name):
                body[name] = getattr(self, name)
        return body


class InvalidParameterError(PyMacaronException):
    """A body or parameter breaks the document, or the handler refuses it; its status is ``validation_status``.

    faults: one text for each thing that is wrong, ``body /name: Field required``; the message holds them all.
    """

    code = "INVALID_PARAMETER"
    status = 400

    def __init__(self, message: str = "", *, faults: Sequence[str] = (), **options: Any) -> None:
        """Take the *message*, by default the *faults* together; options as for PyMacaronException."""
        super().__init__(message or "; ".join(faults), **options)
        self.faults = tuple(faults)


class AuthError(PyMacaronException):
    """The caller is not who it must be; parent of all refusals by the document's ``security``."""

    code = "TOKEN_INVALID"
    status = 401


class AuthMissingHeaderError(AuthError):
    """No credentials came with the request."""

    code = "AUTHORIZATION_HEADER_MISSING"


class AuthInvalidTokenError(AuthError):
    """Credentials came and are wrong."""

    code = "TOKEN_INVALID"


class AuthTokenExpiredError(AuthError):
    """The token was valid once."""

    code = "TOKEN_EXPIRED"


class InsufficientScopeError(AuthError):
    """The token is valid and does not carry a scope that the operation asks for."""

    code = "INSUFFICIENT_SCOPE"
    status = 403


class RequestTimeout(PyMacaronException):
    """The request took too long."""

    code = "REQUEST_TIMEOUT"
    status = 408


class UnsupportedMediaTypeError(PyMacaronException):
    """The body has a media type that the operation does not declare."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415


class HttpError(PyMacaronException):
    """An HTTP status without a class of its own, such as 404 or 405; *code* and *status* are given at creation."""

    def __init__(self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None) -> None:
        """Take the HTTP *status*, the *code* in upper case and the *message* for developers."""
        super().__init__(message, headers=headers)
        self.status = status
        self.code = code


class BadResponseException(PyMacaronException):
    """The handler's answer breaks the document."""

    code = "BAD_RESPONSE"


class InternalValidationError(PyMacaronException):
    """A model was built from wrong values inside the service."""

    code = "INTERNAL_VALIDATION_ERROR"


class InternalServerError(PyMacaronException):
    """Something unexpected; the text never reaches the caller outside debug mode."""

    code = "SERVER_ERROR"


class UnhandledServerError(InternalServerError):
    """An exception that nobody caught."""


def add_error(name: str, code: str, status: int) -> type[PyMacaronException]:
    """Create, register in this module and return a subclass of PyMacaronException called *name*."""
    error = type(
        name, (PyMacaronException,), {"code": code, "status": status, "__doc__": f"{code}, HTTP status {status}."}
    )
    globals()[name] = error
    return error


def is_error(value: object) -> bool:
    """Tell whether *value* is an error answer: an exception of this tree, or a body or model with its fields."""
    if isinstance(value, PyMacaronException):
        return True
    if isinstance(value, dict):
        return {"status", "error", "error_description"} <= value.keys()
    return all(hasattr(value, name) for name in ("status", "error", "error_description"))
