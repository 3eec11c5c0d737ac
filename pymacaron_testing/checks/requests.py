"""Invalid requests are refused, valid ones are accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.as_sent import is_right_as_sent
from pymacaron_testing.checks.responses import is_from_router
from pymacaron_testing.confirm import Outcome, Suspicion, confirm, merge_causes
from pymacaron_testing.experiment import CONTENT_REFUSALS, Path, find_special_values, try_value
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

# Headers that HTTP clients set on their own, or that OpenAPI 3 says are no parameters.
_CLIENT_HEADERS = {
    "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "user-agent",
}  # fmt: skip
_MAX_EXPERIMENTS = 5
_SEGMENT = re.compile(r"\{[^{}]+\}")


def check_requests(suite: Suite, operation: Operation) -> Outcome:
    """Look for invalid requests that were let in, and for valid ones that were refused for their content."""
    exchanges = suite.exercise(operation)
    if not exchanges:
        return Outcome(not_run="no request could be generated")
    accepted = confirm(merge_causes(_prefer_simple(list(_suspect_accepted(suite, exchanges)))), suite)
    refused = tuple(_find_refused(suite, operation, exchanges))
    return Outcome((*accepted.failures, *refused), accepted.flaky)


# --- invalid ones --------------------------------------------------------------------------------------------------


def _suspect_accepted(suite: Suite, exchanges: list[Exchange]) -> Iterator[Suspicion]:
    for exchange in exchanges:
        if _is_let_in(suite, exchange):
            yield Suspicion(exchange, _describe_accepted(suite, exchange), partial(_is_let_in, suite))


def _is_let_in(suite: Suite, exchange: Exchange) -> bool:
    case = exchange.case
    if case.is_valid or case.is_probe or exchange.response is None or is_from_router(exchange):
        return False
    if case.location == "header" and case.subject.lower() in _CLIENT_HEADERS:
        return False
    if case.location in {"path", ""} and _reaches_other_path(suite, exchange):
        return False
    return suite.generator.is_wrongly_accepted(exchange) and not is_right_as_sent(suite.api, exchange)


def _reaches_other_path(suite: Suite, exchange: Exchange) -> bool:
    """Tell whether the URL that was sent also belongs to another path, or to none."""
    template = exchange.case.operation.path
    values = exchange.path_values or {}
    if any(not value or "/" in value or value in {".", ".."} for value in values.values()):
        return True
    url = _SEGMENT.sub(lambda match: values.get(match.group()[1:-1], ""), template)
    return any(
        other.path != template and re.fullmatch(_SEGMENT.sub("[^/]+", other.path), url)
        for other in suite.api.operations
    )


def _describe_accepted(suite: Suite, exchange: Exchange) -> Failure:
    case = exchange.case
    where = " ".join(part for part in (case.location or "request", case.subject) if part)
    what = case.description.removeprefix(f"{case.subject}: ")
    return suite.build_failure(
        exchange,
        "invalid_accepted",
        promise=f"{name_of(case.operation)} refuses invalid requests with 4xx. {where}: {what}",
        pointer=_point_at(case),
        cause=(case.location, case.subject),
    )


def _point_at(case: Case) -> str:
    """Return the pointer of the parameter or body that *case* breaks."""
    operation = case.operation
    for parameter in operation.parameters:
        if parameter.location == case.location and parameter.name.lower() == case.subject.lower():
            return parameter.pointer
    if case.location == "body" and operation.body is not None:
        return operation.body.pointer
    return operation.pointer


def _prefer_simple(group: list[Suspicion]) -> list[Suspicion]:
    """Leave out requests that break several rules where others break one."""
    simple = [item for item in group if item.exchange.case.description.count("violates") <= 1]
    locations = {item.exchange.case.location for item in simple}
    return [*simple, *(item for item in group if item not in simple and item.exchange.case.location not in locations)]


# --- valid ones ----------------------------------------------------------------------------------------------------


def _find_refused(suite: Suite, operation: Operation, exchanges: list[Exchange]) -> Iterator[Failure]:
    """Yield a failure for each value that is refused while ordinary valid requests are accepted."""
    if not any(exchange.is_success for exchange in exchanges):
        return
    seen: set[Path] = set()
    experiments = 0
    for exchange in exchanges:
        if not _is_refused(exchange):
            continue
        for path, value in find_special_values(suite, exchanges, exchange):
            if path in seen or experiments >= _MAX_EXPERIMENTS:
                continue
            experiments += 1
            refused = try_value(suite, operation, path, value)
            if refused is not None:
                seen.add(path)
                yield describe_refused(suite, refused, path)


def _is_refused(exchange: Exchange) -> bool:
    case = exchange.case
    is_fair = case.is_valid and not case.is_probe and not is_from_router(exchange)
    return is_fair and exchange.status in CONTENT_REFUSALS


def describe_refused(suite: Suite, exchange: Exchange, path: Path) -> Failure:
    """Return the failure that a value is refused which the document allows. path: where the value stands."""
    operation = exchange.case.operation
    what = f"{path[0]} {'.'.join(path[1:])}"
    pointer = next(
        (item.pointer for item in operation.parameters if (item.location, item.name) == (path[0], path[1])),
        operation.body.pointer if operation.body and path[0] == "body" else operation.pointer,
    )
    return suite.build_failure(
        exchange,
        "valid_refused",
        promise=f"{name_of(operation)} accepts what its schema allows; this value of {what} is allowed",
        pointer=pointer,
        cause=path,
    )
