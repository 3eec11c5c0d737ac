"""Invalid requests are refused, valid ones are accepted."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.checks.responses import is_from_router
from pymacaron_testing.confirm import Outcome, Suspicion, confirm, merge_causes
from pymacaron_testing.freshen import vary
from pymacaron_testing.generation import NOT_SENT
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

Path = tuple[str, ...]

# Headers that HTTP clients set on their own, or that OpenAPI 3 says are no parameters.
_CLIENT_HEADERS = {
    "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "user-agent",
}  # fmt: skip
# Refusals that speak of the content; others (401, 403, 404, 409, 412, 429 …) depend on who asks and what exists.
_CONTENT_REFUSALS = {400, 406, 411, 415, 417, 422}
_MAX_EXPERIMENTS = 5
_MAX_PATHS = 3
_TRIES = 3
_KINDS = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
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
    return suite.generator.is_wrongly_accepted(exchange)


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
        for path, value in _special_values(suite, exchanges, exchange):
            if path in seen or experiments >= _MAX_EXPERIMENTS:
                continue
            experiments += 1
            refused = _try_value(suite, operation, path, value)
            if refused is not None and not _is_taken(suite, operation, path, value):
                seen.add(path)
                yield _describe_refused(suite, refused, path)


def _is_refused(exchange: Exchange) -> bool:
    return exchange.case.is_valid and not exchange.case.is_probe and exchange.status in _CONTENT_REFUSALS


def _special_values(suite: Suite, exchanges: list[Exchange], refused: Exchange) -> list[tuple[Path, Json]]:
    """Return the values that set a refused request apart from the accepted one that is most like it."""
    if is_from_router(refused):
        return []
    values = dict(_leaves((), suite.generator.values_of(refused.case)))
    best: list[tuple[Path, Json]] | None = None
    for exchange in exchanges:
        if exchange.is_success and exchange.case.is_valid:
            other = dict(_leaves((), suite.generator.values_of(exchange.case)))
            paths = [
                path
                for path in {**values, **other}
                if values.get(path, NOT_SENT) != other.get(path, NOT_SENT) and not _is_filled(path, values)
            ]
            differing = [
                (path, values.get(path, NOT_SENT)) for path in paths if _is_transmissible(path, values.get(path))
            ]
            if best is None or len(differing) < len(best):
                best = differing
    return sorted(best or [], key=repr)[:_MAX_PATHS]


def _is_filled(path: Path, values: Mapping[Path, Json]) -> bool:
    """Tell whether *path* is an object with something in it: its parts are what sets the request apart."""
    return any(len(other) > len(path) and other[: len(path)] == path for other in values)


def _is_transmissible(path: Path, value: Json) -> bool:
    """Tell whether a server sees the value as it was generated: header and cookie texts may be trimmed or recoded."""
    if path and path[0] in {"header", "cookie"}:
        text = str(value)
        return text.isascii() and text.isprintable() and text == text.strip() and text != ""
    return len(path) > 1


def _try_value(suite: Suite, operation: Operation, path: Path, value: Json) -> Exchange | None:
    """Put *value* into fresh valid requests; return one that was refused if all were, while untouched ones pass."""
    refused: list[Exchange] = []
    for case in suite.draw(operation, _TRIES):
        try:
            changed = suite.generator.with_value(case, path, value)
        except (AttributeError, KeyError, TypeError):
            continue
        exchange = suite.send(changed)
        if exchange.status not in _CONTENT_REFUSALS:
            return None
        refused.append(exchange)
    if any(exchange.status not in _CONTENT_REFUSALS for exchange in _send_siblings(suite, refused, path, value)):
        return None
    controls = [suite.send(case) for case in suite.draw(operation, _TRIES)] if refused else []
    return refused[0] if any(exchange.is_success for exchange in controls) else None


def _is_taken(suite: Suite, operation: Operation, path: Path, value: Json) -> bool:
    """Tell whether a refusal is about this very text, because it must be unique, and not about its form.

    A text that differs in one letter or digit only is accepted then.
    """
    if not isinstance(value, str):
        return False
    neighbours = _neighbours(value, random.Random(suite.run_salt))  # noqa: S311 - no secret
    cases = suite.draw(operation, len(neighbours)) if neighbours else []
    for case, neighbour in zip(cases, neighbours, strict=False):
        try:
            changed = suite.generator.with_value(case, path, neighbour)
        except (AttributeError, KeyError, TypeError):
            continue
        if suite.send(changed).is_success:
            return True
    return False


def _neighbours(text: str, chance: random.Random) -> list[str]:
    """Return a few texts that differ from *text* in one ASCII letter or digit, by another of its kind."""
    places = [place for place, sign in enumerate(text) if sign.isascii() and sign.isalnum()]
    changed = []
    for place in chance.choices(places, k=_TRIES) if places else ():
        kind = next(signs for signs in _KINDS if text[place] in signs)
        other = chance.choice(kind.replace(text[place], ""))
        changed.append(f"{text[:place]}{other}{text[place + 1 :]}")
    return changed


def _send_siblings(suite: Suite, refused: list[Exchange], path: Path, value: Json) -> Iterator[Exchange]:
    """Send texts that are like *value* but cannot have been used before: it may only be taken."""
    if path[0] != "body" or not isinstance(value, str):
        return
    for number, exchange in enumerate(refused):
        changed = suite.generator.with_value(exchange.case, path, vary(value, suite.run_salt + number))
        if suite.generator.fits_body(changed):
            yield suite.send(changed)


def _describe_refused(suite: Suite, exchange: Exchange, path: Path) -> Failure:
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


def _leaves(path: Path, value: Json) -> Iterator[tuple[Path, Json]]:
    """Yield every value below *value* that is no object, with its path."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves((*path, str(key)), item)
    else:
        yield path, value
