"""HEAD is answered like GET, without a body."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.examples import NO_EXAMPLE, find_example
from pymacaron_testing.confirm import Outcome, Suspicion, confirm

if TYPE_CHECKING:
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_UNSUPPORTED = {404, 405, 501}
_SUPPORT = "head"


def check_head(suite: Suite, operation: Operation) -> Outcome:
    """Send a GET that succeeds as HEAD.

    That HEAD is not supported is a failure only where the service supports it elsewhere, or the document declares it.
    """
    if operation.method.upper() != "GET":
        return Outcome()
    case = find_example(suite, operation)
    if case is None:
        return Outcome(gaps=(f"HEAD like GET: {NO_EXAMPLE}",))
    *_, got = suite.send_valid(case)
    headed = suite.wire.send_as(got, "HEAD")
    fault = find_head_fault(got, headed)
    if fault and headed.status in _UNSUPPORTED and not _is_supported(suite, operation):
        return Outcome(gaps=(f"HEAD like GET: the service answers it with {headed.status}",))
    suite.facts[_SUPPORT] = suite.facts.get(_SUPPORT, False) or headed.is_success
    if not fault:
        return Outcome()
    failure = suite.build_failure(
        headed,
        "head",
        promise=f"HEAD {operation.path} is answered like GET (RFC 9110, section 9.3.2)",
        pointer=operation.pointer,
        detail=fault,
    )
    return confirm([Suspicion(headed, failure, partial(_differs, got))], suite)


def find_head_fault(got: Exchange, headed: Exchange) -> str:
    """Return how the answer to HEAD differs from the one to GET; empty if it does not, or GET did not succeed."""
    if not got.is_success or got.response is None:
        return ""
    if headed.response is None:
        return f"GET is answered with {got.status}, HEAD not at all"
    if headed.status != got.status:
        return f"GET is answered with {got.status}"
    types = [exchange.headers.get("Content-Type", "") for exchange in (got.response, headed.response)]
    if types[1] and types[0] != types[1]:
        return f"GET has the Content-Type {types[0] or 'none'}, HEAD {types[1]}"
    if headed.response.content:
        return "it has a body"
    return ""


def _differs(got: Exchange, headed: Exchange) -> bool:
    return bool(find_head_fault(got, headed))


def _is_supported(suite: Suite, operation: Operation) -> bool:
    """Tell whether HEAD works for another path of the service, or is declared for this one."""
    if any(one.method.upper() == "HEAD" for one in suite.api.operations if one.path == operation.path):
        return True
    if not suite.facts.get(_SUPPORT):
        suite.facts[_SUPPORT] = any(_is_answered(suite, other) for other in suite.api.operations)
    return suite.facts[_SUPPORT]


def _is_answered(suite: Suite, operation: Operation) -> bool:
    """Tell whether a path that needs no values answers HEAD with a success."""
    if operation.method.upper() != "GET" or "{" in operation.path:
        return False
    case = find_example(suite, operation)
    return case is not None and suite.wire.send_as(suite.send(case), "HEAD").is_success
