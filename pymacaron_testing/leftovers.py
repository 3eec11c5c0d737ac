"""Deletes at the end what a run created, where the document says how."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import requests

from pymacaron_testing.things import Thing, plain_case, read_made
from pymacaron_testing.wire import SAFE_METHODS

if TYPE_CHECKING:
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_GONE = {404, 410}
_USER = "user "


def clean_up(suite: Suite, limit_s: float) -> int:
    """Delete what the exchanges in ``suite.created`` made, the newest first; return how many things may be left.

    limit_s: no request is sent after so many seconds. What cannot be deleted because the document has no way is not
    counted. A target that does not answer any more ends it.
    """
    deadline = time.monotonic() + limit_s
    left = 0
    is_lost = False
    while suite.created:
        exchange, caller = suite.created.pop()
        thing = _find_thing(suite, exchange, caller)
        if thing is None:
            continue
        if is_lost or time.monotonic() > deadline:
            left += 1
            continue
        try:
            left += not _delete(suite, thing)
        except requests.RequestException:
            is_lost = True
            left += 1
    return left


def _find_thing(suite: Suite, exchange: Exchange, caller: str) -> Thing | None:
    """Return what *exchange* made, None where the document has no way to delete it."""
    operation = exchange.case.operation
    kind = next((one for one in suite.kinds if one.creator == operation and one.deleter and one.key), None)
    if kind is None or operation.method.upper() in SAFE_METHODS:
        return None
    user = int(caller.removeprefix(_USER)) - 1 if caller.startswith(_USER) else 0
    thing = read_made(suite, kind, exchange, exchange.path_values or {}, user=user)
    return thing if isinstance(thing, Thing) else None


def _delete(suite: Suite, thing: Thing) -> bool:
    """Delete *thing* as who made it, past the limits of time that checks have; tell whether it is gone."""
    deleter = thing.kind.deleter
    case = plain_case(suite, deleter) if deleter is not None else None
    if case is None or deleter is None:
        return False
    headers = suite.wire.headers_for(deleter, thing.user)
    request = suite.generator.build_request(case, headers, thing.path_values)
    status = suite.wire.session.exchange(request).status_code
    return status in _GONE or 200 <= status < 300  # noqa: PLR2004 - RFC 9110, section 15.3
