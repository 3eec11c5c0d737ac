"""Bodies of other media types than the declared ones are refused: with 415 where the document says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pymacaron_testing.checks.examples import send_example
from pymacaron_testing.checks.responses import suspect_error
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.things import renew
from pymacaron_testing.wire import Change, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_UNSUPPORTED = "415"
_OTHER_TYPES = ("text/plain", "application/xml", "application/x-www-form-urlencoded", None)


def check_content_types(suite: Suite, operation: Operation) -> Outcome:
    """Send a body that is accepted once more, as something else than what it is."""
    body = operation.body or operation.form
    if body is None or not body.media or not body.is_required:
        return Outcome()
    example = send_example(suite, operation)
    if example is None or not example.request.body:
        return Outcome()
    declared = [media.media_type.lower() for media in body.media]
    suspicions: list[Suspicion] = []
    for media_type in _OTHER_TYPES:
        if not any(_covers(one, media_type or "") for one in declared):
            suspicions += _suspect(suite, _send_as(suite, example, media_type), media_type)
    return confirm(suspicions, suite)


def _send_as(suite: Suite, example: Exchange, media_type: str | None) -> Exchange:
    """Send *example* as *media_type*, with other texts: what it made may be refused for being there, whatever it is."""
    case = suite.renew_key(renew(suite, example.case))
    odd = replace(case, is_valid=False, location="header", subject="Content-Type")
    headers = suite.wire.headers_for(case.operation)
    request = suite.generator.build_request(case, headers, example.path_values)
    fresh = replace(example, case=case, request=request)
    return suite.wire.send_changed(fresh, Change(headers={"Content-Type": media_type}), odd)


def _covers(declared: str, media_type: str) -> bool:
    """Tell whether *media_type* belongs to the media type or range *declared*."""
    main, _, sub = declared.partition(";")[0].strip().partition("/")
    return main == "*" or (media_type.startswith(f"{main}/") and sub in {"*", media_type.partition("/")[2]})


def _suspect(suite: Suite, exchange: Exchange, media_type: str | None) -> Iterator[Suspicion]:
    operation = exchange.case.operation
    words = f"of the media type {media_type}" if media_type else "without Content-Type"
    if exchange.is_success and _UNSUPPORTED in operation.statuses and media_type:
        failure = suite.build_failure(
            exchange,
            "media_type_accepted",
            promise=f"{name_of(operation)} answers 415 to a body {words}",
            pointer=f"{operation.pointer}/responses/415",
        )
        yield Suspicion(exchange, failure, lambda again: again.is_success)
    elif not exchange.is_success:
        yield from suspect_error(suite, exchange)
