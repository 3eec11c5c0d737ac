"""Things that are not there are answered with 404, and so are paths that lead nowhere."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from pymacaron_testing.checks.examples import find_example
from pymacaron_testing.checks.responses import suspect_answer
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.declared import branches_of, types_of
from pymacaron_testing.wire import Change, name_of

if TYPE_CHECKING:
    from pymacaron.spec import Operation, Parameter
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.suite import Suite

_MISSING = {"404", "410"}
_MIN_NUMBER = 100_000_000
_MAX_NUMBER = 2**31 - 1
_CREATED = "201"
_NOWHERE = "pymacaron-leads-nowhere"


def check_absent(suite: Suite, operation: Operation) -> Outcome:
    """Ask for things that cannot exist, with a request that succeeds for one that does."""
    case = find_example(suite, operation)
    if "{" not in operation.path or case is None or suite.is_mock(operation):
        return Outcome()
    values = invent_path_values(suite, case)
    if values is None:
        return Outcome()
    suspicions = []
    exchange = suite.wire.send(case, values)
    if _is_found(exchange):
        # Another one that nobody knows: the first might have been there after all.
        suspicions = list(_suspect_found(suite, exchange))
    elif exchange.response is not None:
        suspicions = list(suspect_answer(suite, exchange))
    return confirm(suspicions, suite)


def check_nowhere(suite: Suite, operation: Operation) -> Outcome:
    """Ask for a path below one that exists."""
    case = find_example(suite, operation)
    if case is None or operation.method.upper() != "GET" or not operation.path.endswith("}"):
        return Outcome()
    *_, there = suite.send_valid(case)
    beyond = suite.wire.send_changed(there, Change(url=_extend(str(there.request.url))))
    if not there.is_success or not _answers_the_same(there, beyond):
        return Outcome()
    failure = suite.build_failure(
        beyond,
        "path_is_ignored",
        promise=f"a path below {operation.path} that the document does not have is answered with 404",
        pointer=operation.pointer,
    )
    return confirm([Suspicion(beyond, failure, partial(_answers_the_same, there))], suite)


def invent_path_values(suite: Suite, case: Case) -> dict[str, str] | None:
    """Return path values that keep the document and name nothing; None where that cannot be known.

    Only the last parameter is invented: what comes before it exists.
    """
    operation = case.operation
    parameters = [one for one in operation.parameters if one.location == "path"]
    known = suite.choose_path_values(case) or suite.generator.path_values(case)
    last = max(parameters, key=lambda one: operation.path.find("{" + one.name + "}"), default=None)
    if last is None:
        return None
    for text in _candidates(suite, last):
        values = {**known, last.name: text}
        if suite.path_values.fit(operation, values):
            return values
    return None


def _candidates(suite: Suite, parameter: Parameter) -> Iterator[str]:
    branches = list(branches_of(parameter.schema, suite.api.document))
    if any("enum" in branch or "const" in branch for branch in branches):
        return
    if types_of(branches) & {"integer", "number"}:
        most = min((branch["maximum"] for branch in branches if "maximum" in branch), default=_MAX_NUMBER)
        if most >= _MIN_NUMBER:
            yield str(_MIN_NUMBER + secrets.randbelow(int(min(most, _MAX_NUMBER)) - _MIN_NUMBER + 1))
        return
    yield str(uuid.uuid4())
    yield secrets.token_hex(12)
    yield secrets.token_hex(16)


def _is_found(exchange: Exchange) -> bool:
    """Tell whether the answer is a success although the document has one for things that are not there.

    A PUT may create what it names, if the document says so.
    """
    declared = set(exchange.case.operation.statuses)
    may_create = str(exchange.request.method).upper() == "PUT" and _CREATED in declared
    return exchange.is_success and bool(_MISSING & declared) and not may_create


def _suspect_found(suite: Suite, exchange: Exchange) -> Iterator[Suspicion]:
    operation = exchange.case.operation
    values = invent_path_values(suite, exchange.case)
    again = suite.wire.send(exchange.case, values) if values else exchange
    if not _is_found(again):
        return
    status = next(status for status in operation.statuses if status in _MISSING)
    failure = suite.build_failure(
        again,
        "absent_found",
        promise=f"{name_of(operation)} answers {status} for what does not exist",
        pointer=f"{operation.pointer}/responses/{status}",
    )
    yield Suspicion(again, failure, _is_found)


def _extend(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{_NOWHERE}"))


def _answers_the_same(there: Exchange, beyond: Exchange) -> bool:
    """Tell whether two paths get the same JSON, other than nothing."""
    body = there.read_json()
    return beyond.is_success and bool(body) and body == beyond.read_json()
