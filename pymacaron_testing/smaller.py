"""The smallest request that still shows a failure: what it need not send is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.suite import Suite

MAX_REQUESTS = 15


def make_smaller(suite: Suite, exchange: Exchange, shows: Callable[[Exchange], bool]) -> Exchange:
    """Return an exchange that *shows* the same with as little in its query, headers and body as possible.

    Only valid requests are made smaller, and stay valid: what an invalid one leaves out may be what was wrong with it.
    At most MAX_REQUESTS are sent; *exchange* itself is returned where none of them shows it.

    Raises: TargetLostError.
    """
    case = exchange.case
    if not case.is_valid or case.is_probe or str(exchange.request.method).upper() == "DELETE":
        return exchange
    tried: set[str] = set()
    for _ in range(MAX_REQUESTS):
        step = next(
            (one for one in _shrink(suite, exchange.case) if repr(suite.generator.values_of(one)) not in tried), None
        )
        if step is None or not suite.may_go_on(case.operation):
            break
        tried.add(repr(suite.generator.values_of(step)))
        # What was created under a name is there now: another one is needed.
        fresh = suite.make_distinct(step) if exchange.is_success and _has_body(step) else step
        answer = suite.send_apart(fresh, exchange.path_values or {})
        if shows(answer):
            exchange = answer
    return exchange


def _has_body(case: Case) -> bool:
    return isinstance(case.generated.body, dict)


def _shrink(suite: Suite, case: Case) -> Iterator[Case]:
    """Yield valid requests that send less than *case*: first without all that is optional, then without each part."""
    parts = suite.generator.values_of(case)
    required = {(one.location, one.name.lower()) for one in case.operation.parameters if one.is_required}
    for location in ("query", "header", "cookie"):
        values = parts.get(location, {})
        optional = [name for name in values if (location, name.lower()) not in required]
        for dropped in ([optional] if len(optional) > 1 else []) + [[name] for name in optional]:
            kept = {name: value for name, value in values.items() if name not in dropped}
            yield suite.generator.with_part(case, location, kept)
    for body in _shrink_body(parts.get("body")):
        smaller = suite.generator.with_part(case, "body", body)
        if suite.generator.fits_body(smaller):
            yield smaller


def _shrink_body(body: Json) -> Iterator[Json]:
    if isinstance(body, list):
        yield from ([], body[: len(body) // 2]) if len(body) > 1 else ()
    if not isinstance(body, dict):
        return
    for name in body:
        yield {other: value for other, value in body.items() if other != name}
    for name, value in body.items():
        if isinstance(value, dict | list):
            for smaller in _shrink_body(value):
                yield {**body, name: smaller}
