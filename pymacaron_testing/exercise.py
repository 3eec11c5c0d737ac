"""How far the cases of an operation are sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pymacaron_testing.exchange import Case, Exchange

_CLASHES = {400, 409, 422}


@dataclass(slots=True)
class Exercise:
    """The cases of an operation that are still to be sent, and what was answered to the others.

    is_clashing: whether plain cases are refused where fresh ones are not; tries: how often that was tried.
    """

    cases: Iterator[Case]
    exchanges: list[Exchange] = field(default_factory=list)
    is_clashing: bool = False
    tries: int = 0
    is_over: bool = False

    @property
    def successes(self) -> list[Case]:
        """The valid cases that succeeded."""
        return [exchange.case for exchange in self.exchanges if exchange.is_success and exchange.case.is_valid]


def may_clash(exchange: Exchange) -> bool:
    """Tell whether a valid request may have been refused because something of its name exists already."""
    is_body = isinstance(exchange.case.generated.body, dict)
    return exchange.case.is_valid and is_body and exchange.status in _CLASHES
