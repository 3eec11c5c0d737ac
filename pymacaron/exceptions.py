"""What can go wrong, as one tree.

Exception
├── StartupError              the service, document or configuration is at fault: refused at start, exit code 2
│   ├── SpecError             an OpenAPI document breaks a rule
│   │   └── UnreadableSpecError   it cannot be read at all, or is neither YAML nor JSON
│   ├── ConfigError           pym-config.yaml or the environment
│   ├── HandlerError          a handler is missing or does not fit its operation
│   └── TargetError           a server that should answer does not
├── CallError                 a call of another service failed; a service that does not catch it answers 502
│   ├── RemoteError           it answered with an error: status, code, message, body, headers
│   ├── UnexpectedAnswerError it answered with what its document does not say
│   ├── CallConnectionError   it could not be reached, or hung up
│   └── CallTimeoutError      it did not answer in time; a service that does not catch it answers 504
├── CallArgumentsError        a call does not fit its operation; nothing was sent. Also a TypeError
├── TaskArgumentError         a task was given what cannot be carried to a worker; nothing was queued. Also a TypeError
└── PyMacaronException        an answer: HTTP status, code, message
    ├── InvalidParameterError         400  INVALID_PARAMETER
    ├── AuthError
    │   ├── AuthMissingHeaderError    401  AUTHORIZATION_HEADER_MISSING
    │   ├── AuthInvalidTokenError     401  TOKEN_INVALID
    │   ├── AuthTokenExpiredError     401  TOKEN_EXPIRED
    │   └── InsufficientScopeError    403  INSUFFICIENT_SCOPE
    ├── NotAcceptableError            406  NOT_ACCEPTABLE
    ├── RequestTimeout                408  REQUEST_TIMEOUT
    ├── UnsupportedMediaTypeError     415  UNSUPPORTED_MEDIA_TYPE
    ├── BadResponseException          500  BAD_RESPONSE
    ├── InternalValidationError       500  INTERNAL_VALIDATION_ERROR
    ├── InternalServerError           500  SERVER_ERROR
    │   └── UnhandledServerError
    ├── NotImplementedYetError        501  NOT_IMPLEMENTED
    ├── BadGatewayError               502  BAD_GATEWAY
    ├── TaskBrokerError               503  TASK_BROKER_UNAVAILABLE
    └── GatewayTimeoutError           504  GATEWAY_TIMEOUT
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymacaron.json_types import JsonObject

ERROR_FIELDS = frozenset({"status", "error", "error_description"})
_PASSED_ON = frozenset({"retry-after", "www-authenticate"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a document, a configuration or a handler.

    where: file with line and JSON pointer, option name, or operation; ``pets.yaml:12#/paths/~1pets/get``.
    found: what stands there. fix: what to do, one imperative sentence. file, line (from 1), pointer: the parts of
    *where*, if that is a place in a file; else empty and None.
    """

    where: str
    found: str
    fix: str
    file: str = ""
    line: int | None = None
    pointer: str = ""

    @classmethod
    def at(cls, file: str, line: int | None, pointer: str | None, *, found: str, fix: str) -> Finding:
        """Return the finding at a place: ``pets.yaml:12#/paths``; without the line or pointer that is None."""
        where = file if line is None else f"{file}:{line}"
        where = where if pointer is None else f"{where}#{pointer}"
        return cls(where, found, fix, file, line, pointer or "")

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


class UnreadableSpecError(SpecError):
    """What should be an OpenAPI document cannot be read, or is neither YAML nor JSON."""


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


class NotAcceptableError(PyMacaronException):
    """The request accepts none of the media types that the operation answers with."""

    code = "NOT_ACCEPTABLE"
    status = 406


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


class NotImplementedYetError(PyMacaronException):
    """The handler of an operation is still to be written; what generated stubs raise."""

    code = "NOT_IMPLEMENTED"
    status = 501


class BadGatewayError(PyMacaronException):
    """A service that this one called failed; what callers get for a CallError that nobody caught."""

    code = "BAD_GATEWAY"
    status = 502


class TaskBrokerError(PyMacaronException):
    """A task could not be queued: the broker does not answer. Nothing was queued; the caller may try again."""

    code = "TASK_BROKER_UNAVAILABLE"
    status = 503


class GatewayTimeoutError(PyMacaronException):
    """A service that this one called did not answer in time."""

    code = "GATEWAY_TIMEOUT"
    status = 504


@dataclass(frozen=True, slots=True)
class Call:
    """Which call failed. api: name of the document. url: without the values of parameters, and without secrets."""

    api: str
    operation_id: str
    method: str
    url: str

    def __str__(self) -> str:
        """Return the call as ``pets.getPet (GET https://pets.test/pets/{petId})``."""
        return f"{self.api}.{self.operation_id} ({self.method} {self.url})"


class CallError(Exception):
    """A call of another service failed; ``call`` says which.

    The text never holds what was sent, or what came back: it goes to logs and reports.
    """

    def __init__(self, call: Call, found: str, fix: str) -> None:
        """Take what was *found*, and what to do: *fix*, one imperative sentence."""
        super().__init__(f"{call}: {found}. {fix}.")
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it be carried to another process."""
        return _restore, (type(self), self.args), vars(self)


def _restore(kind: type[CallError], arguments: tuple[Any, ...]) -> CallError:
    error = kind.__new__(kind)
    error.args = arguments
    return error


class CallConnectionError(CallError):
    """The service could not be reached, or hung up before its answer was complete."""


class CallTimeoutError(CallError):
    """The service did not answer in time."""


class UnexpectedAnswerError(CallError):
    """An answer is not what the document says, or cannot be read."""


class RemoteError(CallError):
    """The service answered with an error.

    status: HTTP status of the answer. code, message: what its body says in ``error`` and ``error_description``, or in
    problem+json's ``code`` and ``detail``, "" where it does not. body: instance of the declared model where there is
    one and the body fits it, else parsed JSON, text or bytes, None where it is empty. headers: case does not matter.
    is_declared: the document declares the status for this operation.
    """

    def __init__(
        self,
        call: Call,
        status: int,
        *,
        code: str,
        message: str,
        body: Any,
        headers: Mapping[str, str],
        is_declared: bool,
    ) -> None:
        """Take the parts of the answer; see the class."""
        undeclared = "" if is_declared else ", which its document does not declare"
        super().__init__(call, f"it answered {status}{undeclared}", "Read message and body of this exception")
        self.status = status
        self.code = code
        self.message = message
        self.body = body
        self.headers = headers
        self.is_declared = is_declared

    def as_answer(self) -> PyMacaronException:
        """Return the same error as an answer of this service: ``raise error.as_answer() from error``.

        It has the status, code and message of the other one, and its Retry-After and WWW-Authenticate.
        """
        headers = {name: value for name, value in self.headers.items() if name.lower() in _PASSED_ON}
        return HttpError(self.status, self.code or "REMOTE_ERROR", self.message, headers=headers)


class CallArgumentsError(TypeError):
    """The arguments of a call do not fit its operation: nothing was sent. ``faults`` has one text for each reason."""

    def __init__(self, operation_id: str, faults: Sequence[str]) -> None:
        """Take the *faults*, at least one."""
        super().__init__(f"{operation_id}: {'; '.join(faults)}")
        self.operation_id = operation_id
        self.faults = tuple(faults)


class TaskArgumentError(TypeError):
    """An argument of a task cannot be carried to a worker: nothing was queued."""

    def __init__(self, where: str, found: str, fix: str) -> None:
        """Take *where* it is (``resize: argument photo``), what was *found*, and what to do: *fix*."""
        super().__init__(f"{where} {found}. {fix}.")


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
        return value.keys() >= ERROR_FIELDS
    return all(hasattr(value, name) for name in ERROR_FIELDS)
