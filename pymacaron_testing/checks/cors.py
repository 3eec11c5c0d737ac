"""Browsers of other origins may call all that the document declares, where the service lets them in at all."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.examples import find_example, send_plain
from pymacaron_testing.checks.methods import is_first_of_path
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.wire import Change, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_ORIGIN = "https://pymacaron.example"
_ALLOW_ORIGIN = "Access-Control-Allow-Origin"
_ALLOW_METHODS = "Access-Control-Allow-Methods"
_ALLOW_HEADERS = "Access-Control-Allow-Headers"
_ALLOW_CREDENTIALS = "Access-Control-Allow-Credentials"
# Methods that browsers send without asking. Source: Fetch standard, "CORS-safelisted method".
_NAMES_METHODS = "cors names methods"
_SIMPLE_METHODS = {"GET", "HEAD", "POST"}
# Headers that browsers set themselves. Source: Fetch standard, "forbidden request-header".
_FORBIDDEN_HEADERS = {"cookie"}


def check_cors(suite: Suite, operation: Operation) -> Outcome:
    """Ask before each declared method of the path of *operation*, as a browser does."""
    if not is_first_of_path(suite.api, operation) or not speaks_cors(suite):
        return Outcome()
    suspicions = []
    for other in suite.api.operations:
        if other.path != operation.path:
            continue
        for asked, find in _questions(suite, other):
            fault = find(asked)
            if not fault:
                continue
            failure = suite.build_failure(
                asked,
                "preflight",
                promise=f"browsers may call {name_of(other)}, as other paths of this service tell them: {fault}",
                pointer=other.pointer,
                cause=(fault.partition(" ")[0],),
            )
            suspicions.append(Suspicion(asked, failure, partial(_shows, find)))
    suspicions += _suspect_answer(suite, operation)
    return confirm(suspicions, suite)


def _questions(suite: Suite, operation: Operation) -> Iterator[tuple[Exchange, Callable[[Exchange], str]]]:
    """Yield the answers to a browser's questions before it sends *operation*, and what finds a fault in them."""
    yield _ask(suite, operation), partial(_find_fault, suite, operation.method)
    names = [name for name in suite.wire.headers_for(operation) if name.isascii() and not name.startswith("?")]
    for name in names:
        yield _ask(suite, operation, name), partial(_find_withheld, name)


def _find_withheld(name: str, exchange: Exchange) -> str:
    return find_withheld_header(name, _headers(exchange))


def _shows(find: Callable[[Exchange], str], exchange: Exchange) -> bool:
    return bool(find(exchange))


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


def find_withheld_header(name: str, headers: Mapping[str, str]) -> str:
    """Return what keeps a browser from sending the header *name*, where the answer lists some; empty if nothing does.

    Source: Fetch standard, "CORS-preflight fetch".
    """
    allowed = headers.get(_ALLOW_HEADERS, "")
    names = {word.strip().lower() for word in allowed.split(",")}
    is_listed = not allowed.strip() or "*" in names or name.lower() in names | _FORBIDDEN_HEADERS
    return "" if is_listed else f"{_ALLOW_HEADERS} lists {name}, which the operation asks for: it is {allowed}"


def _ask(suite: Suite, operation: Operation, name: str = "") -> Exchange:
    """Ask as a browser does before it sends *operation*. name: of a header that it wants to send."""
    headers = {"Origin": _ORIGIN, "Access-Control-Request-Method": operation.method.upper()}
    if name:
        headers["Access-Control-Request-Headers"] = name.lower()
    return send_plain(suite, operation, "OPTIONS", headers)


def _headers(exchange: Exchange) -> Mapping[str, str]:
    return exchange.response.headers if exchange.response is not None else {}


def _find_fault(suite: Suite, method: str, exchange: Exchange) -> str:
    """Return what is wrong with the answer; methods that need no permission are named too where the service does so."""
    fault = find_preflight_fault(method, exchange.status, _headers(exchange))
    if not fault and suite.facts.get(_NAMES_METHODS) and _ALLOW_METHODS not in _headers(exchange):
        return f"{_ALLOW_METHODS} lists {method.upper()}: it is not there, as it is elsewhere"
    return fault


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
