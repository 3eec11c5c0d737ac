"""Real errors look as the document says: those of JSON that is none, missing bodies, taken names, nobody's requests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pymacaron_testing.checks.examples import find_example, send_example
from pymacaron_testing.checks.leaks import describe_leak, find_leaks
from pymacaron_testing.checks.responses import suspect_error
from pymacaron_testing.confirm import Outcome, Suspicion, confirm, merge_causes
from pymacaron_testing.wire import Change, name_of, requires_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_BROKEN = {
    "JSON that ends too early": b'{"name": "pymacaron',
    "text that is no JSON": b"pymacaron",
    "JSON with a trailing comma": b'{"name": "pymacaron",}',
    "nothing": b"",
}


def check_error_bodies(suite: Suite, operation: Operation) -> Outcome:
    """Provoke errors of which any service has a few, and hold the answers to the document."""
    suspicions: list[Suspicion] = []
    for provoke in (_ask_anonymously, _send_broken, _send_again):
        for exchange in provoke(suite, operation):
            suspicions += suspect_refusal(suite, exchange)
    return confirm(merge_causes(suspicions), suite)


def suspect_refusal(suite: Suite, exchange: Exchange) -> Iterator[Suspicion]:
    """Yield what is wrong with the answer to a request that is rightly refused, whatever its status."""
    yield from suspect_error(suite, exchange)
    yield from (describe_leak(suite, exchange, what, found) for what, found in find_leaks(suite, exchange))


def check_broken_bodies(suite: Suite, operation: Operation) -> Outcome:
    """Send bodies that cannot be read where the document requires one: they are refused."""
    suspicions = []
    for exchange in _send_broken(suite, operation):
        if exchange.is_success:
            failure = suite.build_failure(
                exchange,
                "invalid_accepted",
                promise=f"{name_of(operation)} refuses invalid requests with 4xx. body: {exchange.case.description}",
                pointer=operation.body.pointer if operation.body else operation.pointer,
                cause=("body", exchange.case.description),
            )
            suspicions.append(Suspicion(exchange, failure, lambda again: again.is_success))
    return confirm(suspicions, suite)


def _ask_anonymously(suite: Suite, operation: Operation) -> Iterator[Exchange]:
    case = find_example(suite, operation)
    if case is not None and requires_credentials(operation):
        yield suite.wire.send(case, suite.choose_path_values(case), headers={})


def _send_again(suite: Suite, operation: Operation) -> Iterator[Exchange]:
    """Make the same thing twice: where names are unique, that is refused."""
    if operation.method.upper() == "POST" and operation.body is not None:
        made = send_example(suite, operation)
        again = suite.repeat(made) if made is not None else None
        if again is not None and not again.is_success:
            yield again


def _send_broken(suite: Suite, operation: Operation) -> Iterator[Exchange]:
    """Send what is no JSON where JSON is required."""
    body = operation.body
    if body is None or not body.is_required or not body.media or not all(media.is_json for media in body.media):
        return
    example = send_example(suite, operation)
    if example is None or not example.request.body:
        return
    if suite.generator.fits_body(suite.generator.with_part(example.case, "body", {})):
        return  # what cannot be read may count as an empty object, which would be right here
    for words, data in _BROKEN.items():
        case = replace(example.case, is_valid=False, location="body", subject="", description=words, is_probe=False)
        yield suite.wire.send_changed(example, Change(body=data), case)
