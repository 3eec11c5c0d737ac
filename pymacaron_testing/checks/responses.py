"""Answers keep to the document: no 5xx, declared status, media type, headers and body, and a success at all."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.never_succeeded import check_first_success
from pymacaron_testing.confirm import Outcome, Suspicion, confirm, merge_causes
from pymacaron_testing.exchange import Exchange
from pymacaron_testing.experiment import CONTENT_REFUSALS
from pymacaron_testing.generation import Verdict, judge_silence
from pymacaron_testing.smaller import make_smaller
from pymacaron_testing.wire import name_of, takes_credentials

if TYPE_CHECKING:
    import requests

    from pymacaron.spec import Media, Operation
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

# The server in front of the service answers these, the document does not speak of it.
_FRONT_SERVER = {413, 414, 431}
# What routers do to path values with slashes, dots or nothing in them is no matter of the document.
_AWKWARD = ("/", "\\", "%", ";")
_ROUTER_STATUSES = {301, 302, 307, 308, 400, 404, 405}
_REFUSED_CALLERS = {401, 403}


def check_responses(suite: Suite, operation: Operation) -> Outcome:
    """Judge every answer of *operation*, and whether it ever succeeded."""
    exchanges = suite.exercise(operation)
    suspicions = [suspicion for exchange in exchanges for suspicion in suspect_answer(suite, exchange)]
    outcome = confirm(merge_causes(suspicions), suite, simplify=partial(_simplify, suite))
    if not any(exchange.case.is_valid for exchange in exchanges):
        return Outcome(outcome.failures, outcome.flaky, not_run="no valid request could be generated")
    if outcome.failures:
        return outcome
    first = check_first_success(suite, operation, exchanges)
    return Outcome(first.failures, outcome.flaky, not_run=first.not_run)


def judge_answer(suite: Suite, operation: Operation, response: requests.Response) -> list[Failure]:
    """Return what is wrong with an answer to a request that a hand-written test sent."""
    case = suite.generator.blank(operation)
    if case is None:
        return []
    exchange = Exchange(case, response.request, response)
    return [_describe(suite, exchange, verdict) for verdict in _judge(suite, exchange)]


def judge_answers(suite: Suite, exchanges: list[Exchange]) -> Outcome:
    """Judge answers to requests that other checks sent; the list is emptied."""
    suspicions = [suspicion for exchange in exchanges for suspicion in suspect_answer(suite, exchange)]
    exchanges.clear()
    return confirm(merge_causes(suspicions), suite)


def is_from_router(exchange: Exchange) -> bool:
    """Tell whether the answer may come from URL handling in front of the operation."""
    values = (exchange.path_values or {}).values()
    return exchange.status in _ROUTER_STATUSES and any(
        value.strip(".") == "" or value != value.strip() or any(sign in value for sign in _AWKWARD) for value in values
    )


def suspect_answer(suite: Suite, exchange: Exchange) -> Iterator[Suspicion]:
    """Yield what seems wrong with an answer by the document."""
    for verdict in _judge(suite, exchange):
        yield Suspicion(exchange, _describe(suite, exchange, verdict), partial(_shows, suite, verdict))


def suspect_error(suite: Suite, exchange: Exchange) -> Iterator[Suspicion]:
    """Yield what seems wrong with the answer to a request that the document does not know: its status may be any."""
    return (one for one in suspect_answer(suite, exchange) if one.failure.check != "status_code")


def _simplify(suite: Suite, suspicion: Suspicion) -> Failure:
    """Return the failure of the smallest request that shows the same."""
    smaller = make_smaller(suite, suspicion.exchange, suspicion.shows)
    if smaller is suspicion.exchange:
        return suspicion.failure
    found = [other.failure for other in suspect_answer(suite, smaller)]
    kind = suspicion.failure.cause[:2]
    return next((failure for failure in found if failure.cause[:2] == kind), suspicion.failure)


def _shows(suite: Suite, verdict: Verdict, exchange: Exchange) -> bool:
    return any((other.check, other.cause) == (verdict.check, verdict.cause) for other in _judge(suite, exchange))


def _judge(suite: Suite, exchange: Exchange) -> list[Verdict]:
    if exchange.response is None:
        return [judge_silence(exchange)]
    if exchange.status in _FRONT_SERVER or is_from_router(exchange) or _is_declared_error(exchange):
        return []
    verdicts = suite.generator.judge(exchange)
    if exchange.case.is_probe:
        return [verdict for verdict in verdicts if verdict.check == "server_error"]
    return [verdict for verdict in verdicts if verdict.check != "status_code" or not _may_be_undeclared(exchange)]


def _may_be_undeclared(exchange: Exchange) -> bool:
    """Tell whether the document need not list this status for the answer to be right.

    That is so where it lists none, which OpenAPI 3.1 allows; for 401 and 403 where it asks for credentials, which says
    as much; and where an invalid request is refused for its content, of which the document says nothing.
    """
    operation, status = exchange.case.operation, exchange.status
    if not operation.responses or (status in _REFUSED_CALLERS and takes_credentials(operation)):
        return True
    speaks = any(operation.find_response(refusal) is not None for refusal in CONTENT_REFUSALS)
    return status in CONTENT_REFUSALS and not exchange.case.is_valid and not speaks


def _is_declared_error(exchange: Exchange) -> bool:
    """Tell whether the document itself announces this 5xx; a plain 500 stays a fault."""
    return exchange.status > 500 and str(exchange.status) in exchange.case.operation.statuses  # noqa: PLR2004


def _describe(suite: Suite, exchange: Exchange, verdict: Verdict) -> Failure:
    operation = exchange.case.operation
    name, status = name_of(operation), exchange.status
    declared = operation.find_response(status)
    place = declared.pointer if declared else f"{operation.pointer}/responses"
    media = _find_media(exchange)
    if verdict.check == "schema" and media is not None:
        place = f"{media.pointer}/schema"
    promises = {
        "answer": f"{name} answers",
        "server_error": f"{name} answers {', '.join(operation.statuses)}; a server error is no answer",
        "status_code": f"{name} answers only {', '.join(operation.statuses)}",
        "content_type": f"answer {status} of {name} is {_declared_types(operation, status)}",
        "headers": f"answer {status} of {name} carries the headers that the document lists",
        "schema": f"the body of answer {status} of {name} fits {_schema_name(exchange)}",
    }
    return suite.build_failure(
        exchange,
        verdict.check,
        promise=promises[verdict.check],
        pointer=place,
        cause=verdict.cause,
        detail=verdict.detail if verdict.check in {"schema", "headers"} else "",
    )


def _declared_types(operation: Operation, status: int) -> str:
    response = operation.find_response(status)
    types = [media.media_type for media in response.media] if response else []
    return " or ".join(types) or "without a body"


def _media_type(exchange: Exchange) -> str:
    content_type = exchange.response.headers.get("Content-Type", "") if exchange.response is not None else ""
    return content_type.split(";")[0].strip()


def _find_media(exchange: Exchange) -> Media | None:
    """Return the declared representation that the answer has."""
    response = exchange.case.operation.find_response(exchange.status)
    media = response.media if response else ()
    return next((one for one in media if one.media_type.split(";")[0] == _media_type(exchange)), None)


def _schema_name(exchange: Exchange) -> str:
    media = _find_media(exchange)
    return f"its schema {media.model_name}" if media is not None and media.model_name else "its schema"
