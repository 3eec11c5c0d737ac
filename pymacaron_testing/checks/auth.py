"""Callers without credentials, or with wrong ones, are refused where the document asks for credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.credentials import spoil
from pymacaron_testing.wire import name_of, requires_credentials, takes_credentials

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_UNAUTHORISED = 401
_REFUSALS = {401, 403}


def applies_auth(_api: Api, operation: Operation) -> bool:
    """Tell whether the document speaks of credentials for *operation*."""
    return takes_credentials(operation)


def check_auth(suite: Suite, operation: Operation) -> Outcome:
    """Ask anonymously and with spoilt credentials; where they are optional, ask anonymously only."""
    example = _choose_case(suite, operation)
    if example is None:
        return Outcome(not_run="no valid request could be generated")
    if not requires_credentials(operation):
        return confirm(_ask_optional(suite, example), suite)
    failures: list[Failure] = []
    flaky: list[str] = []
    is_refused_everywhere = True
    for words, headers in _wrong(suite, operation):
        asked = suite.send_anew(example, headers)
        is_refused_everywhere &= asked.status in _REFUSALS
        if not _is_let_in(asked):
            continue
        failure = _describe(suite, asked, words)
        if _is_let_in(suite.send_anew(example, headers)):
            failures.append(failure.times(2))
        else:
            flaky.append(f"a caller with {words} was let in once and not again")
    if not failures and not is_refused_everywhere and not suite.send_anew(example).is_success:
        return Outcome(flaky=tuple(flaky), not_run="neither right nor wrong credentials were let in")
    return Outcome(tuple(failures), tuple(flaky))


def _choose_case(suite: Suite, operation: Operation) -> Case | None:
    """Return the case of a request that succeeded, else any valid one."""
    valid = [exchange for exchange in suite.exercise(operation) if exchange.case.is_valid]
    succeeded = [exchange for exchange in valid if exchange.is_success and not exchange.case.keeps_path]
    return next((exchange.case for exchange in [*succeeded, *valid]), None)


def _wrong(suite: Suite, operation: Operation) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield what is wrong with the caller, and the headers that it sends."""
    yield "no credentials", {}
    credentials = suite.wire.credentials_for(operation)
    if credentials:
        first, *others = credentials
        kept = {other.name: other.value for other in others}
        for words, value in spoil(first).items():
            yield words, {**kept, first.name: value}
    else:
        yield "garbage instead of a token", {"Authorization": "Bearer pymacaron-garbage"}


def _describe(suite: Suite, exchange: Exchange, words: str) -> Failure:
    operation = exchange.case.operation
    schemes = " or ".join(dict.fromkeys(name for need in operation.security for name in need)) or "a token"
    return suite.build_failure(
        exchange,
        "ignored_auth",
        promise=f"{name_of(operation)} asks for {schemes}: a caller with {words} is refused with 401",
        pointer=f"{operation.pointer}/security",
        cause=(words,),
    )


def _is_let_in(exchange: Exchange) -> bool:
    """Tell whether the operation went about its work: it succeeded, or failed inside."""
    return exchange.is_success or exchange.status >= 500  # noqa: PLR2004 - RFC 9110, section 15.6


def _ask_optional(suite: Suite, case: Case) -> Iterator[Suspicion]:
    exchange = suite.send_anew(case, {})
    if exchange.status == _UNAUTHORISED:
        failure = suite.build_failure(
            exchange,
            "optional_auth",
            promise=f"{name_of(case.operation)} may be called without credentials",
            pointer=f"{case.operation.pointer}/security",
        )
        yield Suspicion(exchange, failure, lambda again: again.status == _UNAUTHORISED)
