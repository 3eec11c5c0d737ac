"""Methods that the document does not declare for a path are refused: 405 with Allow, or 404."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NOT_ALLOWED = 405
_REFUSALS = {401, 403, 404, 405, 501}


def applies_methods(api: Api, operation: Operation) -> bool:
    """Tell whether *operation* is the first of its path: one item a path is enough."""
    return next(other for other in api.operations if other.path == operation.path) is operation


def check_methods(suite: Suite, operation: Operation) -> Outcome:
    """Send a valid request of *operation* with every undeclared method."""
    declared = {other.method.upper() for other in suite.api.operations if other.path == operation.path}
    elsewhere = {other.method.upper() for other in suite.api.operations if _covers(other.path, operation.path)}
    undeclared = [method for method in _METHODS if method not in declared | elsewhere]
    known = [exchange for exchange in suite.exercise(operation) if exchange.case.is_valid]
    if not known or not undeclared:
        return Outcome(not_run="the path declares every method" if known else "no valid request could be generated")
    example = next((exchange for exchange in known if exchange.is_success), known[0])
    suspicions = []
    for method in undeclared:
        exchange = suite.wire.send_as(example, method)
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
    if exchange.status not in _REFUSALS:
        promise = f"{operation.path} has the methods {methods}; {method} is refused with 405"
        return suite.build_failure(exchange, "undeclared_method", promise=promise, pointer=pointer, cause=(method,))
    if exchange.status == _NOT_ALLOWED and not exchange.response.headers.get("Allow"):
        promise = f"a 405 of {name_of(operation)} names the allowed methods in Allow (RFC 9110, section 15.5.6)"
        return suite.build_failure(exchange, "allow_header", promise=promise, pointer=pointer)
    return None
