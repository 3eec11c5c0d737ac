"""Methods that the document does not declare for a path are refused: 405 with Allow, or 404."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.wire import READ_ONLY, Change, name_of

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")
_NOT_ALLOWED = 405
_SERVER_ERROR = 500
_REFUSALS = {400, 401, 403, 404, 405, 501}


def is_first_of_path(api: Api, operation: Operation) -> bool:
    """Tell whether *operation* is the first of its path: to look at a path once is enough."""
    return next(other for other in api.operations if other.path == operation.path) is operation


def check_methods(suite: Suite, operation: Operation) -> Outcome:
    """Send a valid request of *operation* with every undeclared method."""
    if not is_first_of_path(suite.api, operation):
        return Outcome()
    if suite.wire.is_read_only:
        return Outcome(gaps=(f"undeclared methods: {READ_ONLY}",))
    declared = {other.method.upper() for other in suite.api.operations if other.path == operation.path}
    elsewhere = {other.method.upper() for other in suite.api.operations if _covers(other.path, operation.path)}
    undeclared = [method for method in _METHODS if method not in declared | elsewhere]
    valid = [exchange for exchange in suite.sample(operation) if exchange.case.is_valid]
    known = [exchange for exchange in valid if exchange.response is not None]
    if not known:
        return Outcome(not_run=f"no valid request {'was answered' if valid else 'could be generated'}")
    example = next((exchange for exchange in known if exchange.is_success), known[0])
    suspicions = []
    for method in undeclared:
        exchange = suite.wire.send_changed(example, Change(method=method, body=b"" if method == "TRACE" else None))
        failure = _judge(suite, declared, exchange)
        if failure:
            suspicions.append(Suspicion(exchange, failure, partial(_shows, suite, declared)))
    return confirm(suspicions, suite)


def _covers(template: str, path: str) -> bool:
    """Tell whether URLs of *path* may also belong to *template*: ``/pets/{id}`` covers ``/pets/mine``."""
    ours, theirs = template.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(
        mine == other or ("{" in mine) for mine, other in zip(ours, theirs, strict=True)
    )


def _shows(suite: Suite, declared: set[str], exchange: Exchange) -> bool:
    return _judge(suite, declared, exchange) is not None


def _judge(suite: Suite, declared: set[str], exchange: Exchange) -> Failure | None:
    operation, method = exchange.case.operation, str(exchange.request.method)
    if exchange.response is None:
        return None
    methods = ", ".join(sorted(declared))
    pointer = operation.pointer.rpartition("/")[0]
    is_odd_refusal = method == "TRACE" and exchange.status < _SERVER_ERROR and not exchange.is_success
    if exchange.status not in _REFUSALS and not is_odd_refusal:
        promise = f"{operation.path} has the methods {methods}; {method} is refused with 405"
        return suite.build_failure(exchange, "undeclared_method", promise=promise, pointer=pointer, cause=(method,))
    if exchange.status == _NOT_ALLOWED and not _names_others(exchange.response.headers.get("Allow", ""), method):
        promise = f"a 405 of {name_of(operation)} names the allowed methods in Allow (RFC 9110, section 15.5.6)"
        return suite.build_failure(exchange, "allow_header", promise=promise, pointer=pointer)
    return None


def _names_others(allow: str, refused: str) -> bool:
    """Tell whether the header names methods, and not the one that was refused."""
    methods = {word.strip().upper() for word in allow.split(",") if word.strip()}
    return bool(methods) and refused not in methods
