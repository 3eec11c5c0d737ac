"""Finds out which value of a refused request is to blame, and whether the target refuses it for what it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pymacaron_testing.freshen import vary
from pymacaron_testing.generation import NOT_SENT
from pymacaron_testing.resources import normalise

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.suite import Suite

Path = tuple[str, ...]

# Refusals that speak of the content; others (401, 403, 404, 409, 412, 429 …) depend on who asks and what exists.
CONTENT_REFUSALS = frozenset({400, 406, 411, 415, 417, 422})
# Names of such parameters, normalised.
_MARKS = {"after", "before", "continuation", "continuationtoken", "cursor", "marker", "next", "nextcursor"}
_MARKS |= {"nextpagetoken", "nexttoken", "pagecursor", "pagetoken", "startingafter", "endingbefore"}
_MAX_VALUES = 3
_TRIES = 3
_MIN_CONTROLS = 2


def find_special_values(suite: Suite, exchanges: list[Exchange], refused: Exchange) -> list[tuple[Path, Json]]:
    """Return the values that set a refused valid request apart from the accepted one that is most like it.

    A value that the accepted request has and the refused one lacks is NOT_SENT. At most three, in a fixed order.
    """
    parts = suite.generator.values_of(refused.case)
    values = dict(_leaves((), parts))
    best: list[tuple[Path, Json]] | None = None
    for exchange in exchanges:
        if exchange.is_success and exchange.case.is_valid:
            other_parts = suite.generator.values_of(exchange.case)
            if ("body" in parts) != ("body" in other_parts):
                continue
            other = dict(_leaves((), other_parts))
            differing = [
                (path, values.get(path, NOT_SENT))
                for path in {**values, **other}
                if values.get(path, NOT_SENT) != other.get(path, NOT_SENT)
                and not _is_filled(path, values)
                and _is_transmissible(path, values.get(path))
                and not _is_issued(path)
            ]
            if best is None or len(differing) < len(best):
                best = differing
    return sorted(best or [], key=repr)[:_MAX_VALUES]


def try_value(
    suite: Suite, operation: Operation, path: Path, value: Json, example: Case | None = None
) -> Exchange | None:
    """Put *value* into fresh valid requests; return one that was refused if the value is to blame, else None.

    example: what the requests are made of, instead of drawn ones: where those name things that do not exist.

    It is to blame if all requests with it are refused, most of the same requests without it are accepted, and texts
    that differ from it in a few letters are refused as well: otherwise it may only be taken.
    """
    refused: list[Exchange] = []
    controls: list[Exchange] = []
    cases = suite.draw(operation, _TRIES) if example is None else [suite.make_distinct(example) for _ in range(_TRIES)]
    for case in cases:
        changed = _change(suite, case, path, value)
        if changed is None:
            continue
        exchange = suite.send(changed)
        if exchange.status not in CONTENT_REFUSALS:
            return None
        refused.append(exchange)
        controls.append(suite.send(suite.make_distinct(case)))
    accepted = sum(exchange.is_success for exchange in controls)
    if accepted < min(_MIN_CONTROLS, max(len(refused), 1)):
        return None
    if path[0] == "body" and isinstance(value, str) and value and vary(value, suite.run_salt) == value:
        return None
    if any(exchange.status not in CONTENT_REFUSALS for exchange in _send_siblings(suite, refused, path, value)):
        return None
    return refused[0]


def _change(suite: Suite, case: Case, path: Path, value: Json) -> Case | None:
    """Return *case* with *value* at *path*; None where it has no place for it, or would break the document."""
    required = {
        (parameter.location, parameter.name) for parameter in case.operation.parameters if parameter.is_required
    }
    if value is NOT_SENT and path in required:
        return None
    try:
        changed = suite.generator.with_value(case, path, value)
    except (AttributeError, LookupError, TypeError):
        return None
    return changed if path[0] != "body" or suite.generator.fits_body(changed) else None


def _send_siblings(suite: Suite, refused: list[Exchange], path: Path, value: Json) -> Iterator[Exchange]:
    """Send texts of the same form that cannot have been used before."""
    if path[0] != "body" or not isinstance(value, str):
        return
    for number, exchange in enumerate(refused):
        changed = suite.generator.with_value(exchange.case, path, vary(value, suite.run_salt + number))
        if suite.generator.fits_body(changed):
            yield suite.send(changed)


def _is_filled(path: Path, values: Mapping[Path, Json]) -> bool:
    """Tell whether *path* is an object with something in it: its parts are what sets the request apart."""
    return any(len(other) > len(path) and other[: len(path)] == path for other in values)


def _is_transmissible(path: Path, value: Json) -> bool:
    """Tell whether a server sees the value as it was generated: header and cookie texts may be trimmed or recoded."""
    if path and path[0] in {"header", "cookie"}:
        text = str(value)
        return text.isascii() and text.isprintable() and text == text.strip() and text != ""
    return len(path) > 1


def _is_issued(path: Path) -> bool:
    """Tell whether the value marks a place in a list: a target knows only the ones that it gave out itself."""
    return path[0] == "query" and normalise(path[-1]) in _MARKS


def _leaves(path: Path, value: Json) -> Iterator[tuple[Path, Json]]:
    """Yield every value below *value* that is no object, with its path."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves((*path, str(key)), item)
    else:
        yield path, value
