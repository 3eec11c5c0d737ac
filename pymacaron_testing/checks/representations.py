"""Callers get the representation that they ask for in Accept, of those that the document declares, or 406."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.examples import find_example
from pymacaron_testing.checks.responses import suspect_error
from pymacaron_testing.confirm import Outcome, Suspicion, confirm
from pymacaron_testing.resources import normalise
from pymacaron_testing.wire import Change, name_of

if TYPE_CHECKING:
    from pymacaron.spec import Operation, Response
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_NOT_ACCEPTABLE = "406"
_UNKNOWN_TYPE = "application/x-pymacaron-unknown"
_HABITUAL = re.compile(r"xml|html|^text/plain|javascript|x-www-form-urlencoded", re.IGNORECASE)
_CHOOSERS = {"format", "type", "accept", "mediatype", "contenttype", "as", "output"}


def check_representations(suite: Suite, operation: Operation) -> Outcome:
    """Ask for each declared media type alone, and for one that nobody has."""
    case = find_example(suite, operation)
    if case is None or operation.method.upper() != "GET":
        return Outcome()
    *_, example = suite.send_valid(case)
    if not example.is_success:
        return Outcome()
    suspicions: list[Suspicion] = []
    response = operation.find_response(example.status)
    choices = {
        media_type: suite.wire.send_changed(example, Change(headers={"Accept": media_type}))
        for media_type in _choices(operation, response)
    }
    others = {media_type: asked for media_type, asked in choices.items() if _is_other(media_type, asked)}
    # Documents list XML and HTML out of habit; where no type but one ever comes, these are no promise.
    is_choice = len(choices) - len(others) > 1
    for media_type, asked in others.items():
        if is_choice or not _HABITUAL.search(media_type):
            suspicions.append(_describe_other(suite, asked, media_type))
    asked = suite.wire.send_changed(example, Change(headers={"Accept": _UNKNOWN_TYPE}))
    if asked.is_success and _NOT_ACCEPTABLE in operation.statuses:
        failure = suite.build_failure(
            asked,
            "not_acceptable",
            promise=f"{name_of(operation)} answers 406 to a caller that accepts none of its media types",
            pointer=f"{operation.pointer}/responses/406",
        )
        suspicions.append(Suspicion(asked, failure, lambda again: again.is_success))
    elif not asked.is_success:
        suspicions += suspect_error(suite, asked)
    return confirm(suspicions, suite)


def _choices(operation: Operation, response: Response | None) -> list[str]:
    """Return the media types between which the header decides: none where there is one, or a parameter decides."""
    types = [media.media_type for media in response.media] if response else []
    names = {normalise(one.name) for one in operation.parameters}
    is_chosen_by_header = not names & (_CHOOSERS - {"accept"})
    return types if len(types) > 1 and is_chosen_by_header and not any("*" in one for one in types) else []


def _is_other(media_type: str, exchange: Exchange) -> bool:
    if exchange.response is None or not exchange.is_success:
        return False
    answered = exchange.response.headers.get("Content-Type", "")
    return _plain(answered) != _plain(media_type)


def _plain(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _describe_other(suite: Suite, exchange: Exchange, media_type: str) -> Suspicion:
    operation = exchange.case.operation
    failure = suite.build_failure(
        exchange,
        "other_representation",
        promise=f"{name_of(operation)} has the representation {media_type} for a caller that accepts only that",
        pointer=f"{operation.pointer}/responses/{exchange.status}",
        cause=(media_type,),
    )
    return Suspicion(exchange, failure, partial(_is_other, media_type))
