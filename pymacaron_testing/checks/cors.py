"""Browsers of other origins may call all that the document declares, where the service lets them in at all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.examples import find_example, send_plain
from pymacaron_testing.checks.methods import is_first_of_path
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.wire import Change, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_ORIGIN = "https://pymacaron.example"
_ALLOW_ORIGIN = "Access-Control-Allow-Origin"
_ALLOW_METHODS = "Access-Control-Allow-Methods"
_ALLOW_CREDENTIALS = "Access-Control-Allow-Credentials"
# Methods that browsers send without asking. Source: Fetch standard, "CORS-safelisted method".
_NAMES_METHODS = "cors names methods"
_SIMPLE_METHODS = {"GET", "HEAD", "POST"}


def check_cors(suite: Suite, operation: Operation) -> Outcome:
    """Ask before each declared method of the path of *operation*, as a browser does."""
    if not is_first_of_path(suite.api, operation) or not speaks_cors(suite):
        return Outcome()
    suspicions = []
    for other in suite.api.operations:
        if other.path != operation.path:
            continue
        asked = _ask(suite, other)
        fault = _find_fault(suite, other.method, asked)
        if fault:
            failure = suite.build_failure(
                asked,
                "preflight",
                promise=f"browsers may call {name_of(other)}, as other paths of this service tell them: {fault}",
                pointer=other.pointer,
                cause=(fault.partition(" ")[0],),
            )
            suspicions.append(Suspicion(asked, failure, partial(_is_refused, suite, other.method)))
    suspicions += _suspect_answer(suite, operation)
    return confirm(suspicions, suite)


def speaks_cors(suite: Suite) -> bool:
    """Tell whether the service lets browsers of any origin in: on most of its paths, at least."""
    known = suite.facts.get("cors")
    if known is None:
        paths = {operation.path: operation for operation in suite.api.operations}
        asked = [_headers(_ask(suite, operation)) for operation in paths.values()]
        allowed = [headers for headers in asked if _ALLOW_ORIGIN in headers]
        known = suite.facts["cors"] = len(allowed) * 2 > len(asked)
        suite.facts[_NAMES_METHODS] = sum(_ALLOW_METHODS in headers for headers in allowed) * 2 > len(allowed)
    return bool(known)


def find_preflight_fault(method: str, status: int, headers: Mapping[str, str]) -> str:
    """Return what keeps a browser from sending *method* after this answer to its question; empty if nothing does.

    Source: Fetch standard, "CORS-preflight fetch".
    """
    if not 200 <= status < 300:  # noqa: PLR2004 - an "ok status" in the Fetch standard
        return f"the preflight request is answered with 2xx: it was {status}"
    allowed = headers.get(_ALLOW_ORIGIN)
    if allowed not in {"*", _ORIGIN}:
        return f"{_ALLOW_ORIGIN} names the origin or *: it is {allowed or 'not there'}"
    if allowed == "*" and headers.get(_ALLOW_CREDENTIALS, "").lower() == "true":
        return f"{_ALLOW_CREDENTIALS} is not true for all origins: it is, for *"
    methods = {word.strip().upper() for word in headers.get(_ALLOW_METHODS, "").split(",")}
    if method.upper() not in methods | _SIMPLE_METHODS and "*" not in methods:
        return f"{_ALLOW_METHODS} lists {method.upper()}: it is {headers.get(_ALLOW_METHODS) or 'not there'}"
    return ""


def _ask(suite: Suite, operation: Operation) -> Exchange:
    """Ask as a browser does before it sends *operation*."""
    headers = {"Origin": _ORIGIN, "Access-Control-Request-Method": operation.method.upper()}
    return send_plain(suite, operation, "OPTIONS", headers)


def _headers(exchange: Exchange) -> Mapping[str, str]:
    return exchange.response.headers if exchange.response is not None else {}


def _find_fault(suite: Suite, method: str, exchange: Exchange) -> str:
    """Return what is wrong with the answer; methods that need no permission are named too where the service does so."""
    fault = find_preflight_fault(method, exchange.status, _headers(exchange))
    if not fault and suite.facts.get(_NAMES_METHODS) and _ALLOW_METHODS not in _headers(exchange):
        return f"{_ALLOW_METHODS} lists {method.upper()}: it is not there, as it is elsewhere"
    return fault


def _is_refused(suite: Suite, method: str, exchange: Exchange) -> bool:
    return bool(_find_fault(suite, method, exchange))


def _suspect_answer(suite: Suite, operation: Operation) -> list[Suspicion]:
    """Look at the answer itself: a browser withholds it from the page where it names no origin."""
    case = find_example(suite, operation)
    if case is None or operation.method.upper() != "GET":
        return []
    *_, known = suite.send_valid(case)
    asked = suite.wire.send_changed(known, Change(headers={"Origin": _ORIGIN}))
    if not _is_withheld(asked):
        return []
    failure = suite.build_failure(
        asked,
        "cors_answer",
        promise=f"answers of {name_of(operation)} name the origin in {_ALLOW_ORIGIN}, as its preflight answers do",
        pointer=operation.pointer,
    )
    return [Suspicion(asked, failure, _is_withheld)]


def _is_withheld(exchange: Exchange) -> bool:
    return exchange.is_success and _headers(exchange).get(_ALLOW_ORIGIN) not in {"*", _ORIGIN}
