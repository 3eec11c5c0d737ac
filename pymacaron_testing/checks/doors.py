"""Valid requests that wait for a caller: whoever is let in finds data that nobody used before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.suite import Suite


@dataclass(slots=True)
class Door:
    """One valid request of an operation, sent by different callers.

    is_varied: the texts of its body are other ones each time that it is opened.
    """

    suite: Suite
    example: Case
    is_varied: bool = True
    _case: Case = field(init=False)
    _path_values: dict[str, str] | None = None

    def __post_init__(self) -> None:
        """Begin with the example itself."""
        self._case = self.example

    def open(self) -> None:
        """Choose new data: texts that were never sent, and a thing that exists, a new one if it is to be deleted."""
        if self.example.operation.method.upper() == "DELETE":
            self.suite.create_for(self.example.operation)
        self._path_values = self.suite.choose_path_values(self.example)
        self._case = self.suite.make_distinct(self.example) if self.is_varied else self.example

    def knock(self, headers: Mapping[str, str] | None) -> Exchange:
        """Send the request. headers: the caller's credentials, None for those of the run's user."""
        exchange = self.suite.wire.send(self._case, self._path_values, headers=headers)
        operation = self.example.operation
        if exchange.is_success and operation.method.upper() == "DELETE":
            self.suite.resources.forget(operation.path, self._path_values or {})
        return exchange


def find_doors(suite: Suite, operation: Operation) -> list[Door]:
    """Return requests of *operation* that should succeed, likeliest first; none where no valid one can be generated."""
    valid = [exchange for exchange in suite.sample(operation) if exchange.case.is_valid]
    succeeded = [exchange for exchange in valid if exchange.is_success and not exchange.case.keeps_path]
    example = next((exchange.case for exchange in [*succeeded, *valid]), None)
    if example is None:
        return []
    return [Door(suite, example), Door(suite, example, is_varied=False)]
