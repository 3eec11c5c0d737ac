"""Conditional requests where the document declares them: 304 for what the caller has, 412 for what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.examples import find_example, send_example
from pymacaron_testing.confirm import Outcome, Suspicion, confirm, merge_outcomes
from pymacaron_testing.wire import Change, name_of

if TYPE_CHECKING:
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_STALE = '"pymacaron-stale"'
_NOT_MODIFIED = 304
_CHANGES_TO_TRY = 2
_READS = {"GET", "HEAD"}
_CHANGES = {"PUT", "PATCH", "DELETE"}


def check_conditional(suite: Suite, operation: Operation) -> Outcome:
    """Read again with the answer's own ETag; change with one that nobody ever had."""
    method = operation.method.upper()
    if method in _READS and (find_example(suite, operation) is not None):
        return confirm(_suspect_read(suite, operation), suite)
    if method in _CHANGES:
        return merge_outcomes(
            confirm(_suspect_change(suite, operation), suite), Outcome(tuple(_find_constant_tag(suite, operation)))
        )
    return Outcome()


def _speaks_of(operation: Operation, status: str, header: str) -> bool:
    is_parameter = any(one.location == "header" and one.name.lower() == header.lower() for one in operation.parameters)
    return status in operation.statuses or is_parameter


def _suspect_read(suite: Suite, operation: Operation) -> Iterator[Suspicion]:
    case = find_example(suite, operation)
    if case is None or not _speaks_of(operation, "304", "If-None-Match"):
        return
    *_, example = suite.send_valid(case)
    tag = _tag_of(example)
    if not tag:
        return
    asked = suite.wire.send_changed(example, Change(headers={"If-None-Match": tag}))
    if _is_sent_again(tag, asked):
        yield _describe(
            suite, asked, "not_modified", f"answers 304 where If-None-Match has the ETag it would send: {tag}"
        )
    other = suite.wire.send_changed(example, Change(headers={"If-None-Match": _STALE}))
    if other.status == _NOT_MODIFIED:
        yield _describe(suite, other, "modified", "answers in full where If-None-Match has another ETag than its own")


def _suspect_change(suite: Suite, operation: Operation) -> Iterator[Suspicion]:
    case = find_example(suite, operation)
    if case is None or not _speaks_of(operation, "412", "If-Match"):
        return
    example = send_example(suite, operation) if operation.method.upper() != "DELETE" else None
    if example is None:
        suite.create_for(operation)
        asked = suite.send(case, {**suite.wire.headers_for(operation), "If-Match": _STALE})
    else:
        asked = suite.wire.send_changed(example, Change(headers={"If-Match": _STALE}))
    if asked.is_success:
        yield _describe(
            suite, asked, "precondition", f"answers 412 where If-Match has no ETag of what it changes: {_STALE}"
        )


def _find_constant_tag(suite: Suite, operation: Operation) -> Iterator[Failure]:
    """Change a thing twice; yield a failure if it is another one each time with the ETag that it had before.

    Source: RFC 9110, section 8.8.1.
    """
    case = find_example(suite, operation)
    readers = [one for one in suite.api.operations if one.path == operation.path and one.method.upper() == "GET"]
    reader = find_example(suite, readers[0]) if readers else None
    if case is None or reader is None or operation.method.upper() == "DELETE":
        return
    *_, before = suite.send_valid(reader)
    for _ in range(_CHANGES_TO_TRY):
        suite.wire.send(suite.freshen(case), before.path_values)
        after = suite.repeat(before)
        if not (_tag_of(before) and after.is_success and _tag_of(after) == _tag_of(before)):
            return
        if after.read_json() == before.read_json():
            return
        before = after
    yield suite.build_failure(
        before,
        "etag",
        promise=f"the ETag of {operation.path} is another one after {name_of(operation)} changed it "
        "(RFC 9110, section 8.8.1)",
        pointer=readers[0].pointer,
        detail=f"its ETag is still {_tag_of(before)}",
    )


def _tag_of(exchange: Exchange) -> str:
    return str(exchange.response.headers.get("ETag", "")) if exchange.response is not None else ""


def _is_sent_again(tag: str, exchange: Exchange) -> bool:
    """Tell whether the whole answer came although the caller has it: its ETag is still the same."""
    return exchange.is_success and _tag_of(exchange) == tag


def _describe(suite: Suite, exchange: Exchange, check: str, words: str) -> Suspicion:
    operation = exchange.case.operation
    status = {"not_modified": "304", "modified": "200", "precondition": "412"}[check]
    pointer = f"{operation.pointer}/responses"
    failure = suite.build_failure(
        exchange,
        check,
        promise=f"{name_of(operation)} {words} (RFC 9110, section 13)",
        pointer=f"{pointer}/{status}" if status in operation.statuses else pointer,
    )
    tag = _tag_of(exchange)
    shows: dict[str, Callable[[Exchange], bool]] = {
        "not_modified": partial(_is_sent_again, tag),
        "modified": lambda again: again.status == _NOT_MODIFIED,
        "precondition": lambda again: again.is_success,
    }
    return Suspicion(exchange, failure, shows[check])
