"""A request that is known to succeed: what checks change one thing of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests

from pymacaron_testing.exchange import Case, Exchange

if TYPE_CHECKING:
    from pymacaron.spec import Operation
    from pymacaron_testing.suite import Suite

_PARAMETER = re.compile(r"\{([^{}]+)\}")
NO_EXAMPLE = "no valid request succeeded"


def find_example(suite: Suite, operation: Operation) -> Case | None:
    """Return the case of *operation* that says most among those that succeeded; None without one."""
    succeeded = [
        exchange.case
        for exchange in suite.sample(operation)
        if exchange.is_success and exchange.case.is_valid and not exchange.case.is_probe
    ]
    movable = [case for case in succeeded if not case.keeps_path]
    return max(movable or succeeded, key=lambda case: _richness(suite, case), default=None)


def send_example(suite: Suite, operation: Operation) -> Exchange | None:
    """Send a request of *operation* that succeeds now, of new values; None where none does."""
    case = find_example(suite, operation)
    if case is None:
        return None
    exchange = suite.send_anew(case)
    return exchange if exchange.is_success else None


def send_plain(suite: Suite, operation: Operation, method: str, headers: Mapping[str, str]) -> Exchange:
    """Send *method* to the path of *operation* with nothing but *headers*: no body, no query, no credentials."""
    values = suite.resources.find(operation.path) or {}
    path = _PARAMETER.sub(lambda match: quote(values.get(match.group(1), "1"), safe=""), operation.path)
    request = requests.Request(method, suite.generator.base_url.rstrip("/") + path, headers=dict(headers)).prepare()
    blank = suite.generator.blank(operation) or Case(operation, None, is_valid=False)
    return suite.repeat(Exchange(replace(blank, is_probe=True), request, None))


def _richness(suite: Suite, case: Case) -> int:
    """Return how many properties of the body and parameters *case* sends, of well-sized values."""
    parts = suite.generator.values_of(case)
    body = parts.get("body")
    return sum(len(part) for part in parts.values() if isinstance(part, dict)) + (0 if body is None else 1)
