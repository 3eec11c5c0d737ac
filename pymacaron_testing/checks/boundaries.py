"""Values at the edges of each field: kept where the document allows them, refused where not, survived in any case.

One request carries an edge value in as many fields as possible; only where that goes wrong each goes by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from pymacaron_testing.checks.echo import suspect_echoes
from pymacaron_testing.checks.examples import NO_EXAMPLE, find_example
from pymacaron_testing.checks.requests import describe_refused
from pymacaron_testing.checks.responses import suspect_answer
from pymacaron_testing.confirm import Outcome, Suspicion, confirm, merge_causes
from pymacaron_testing.edge_values import Edge, Expectation, find_careless, list_edges
from pymacaron_testing.experiment import CONTENT_REFUSALS, try_value
from pymacaron_testing.generation import NOT_SENT
from pymacaron_testing.request_fields import Field, list_fields
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_MAX_SINGLES = 24
_MAX_BAD = 3
_KEEPING = {Expectation.ACCEPTED, Expectation.KEPT}
_MAX_EXPERIMENTS = 6
_INNER = 2  # words of a path: the body and its property
_TIME_RAN_OUT = "edge values of the fields: time ran out"

Choice = tuple[tuple[Field, Edge], ...]


def check_boundaries(suite: Suite, operation: Operation) -> Outcome:
    """Send edge values in the fields of a request that succeeds."""
    case = find_example(suite, operation)
    if operation.method.upper() == "DELETE" or not _has_fields(operation):
        return Outcome()
    if case is None:
        return Outcome(gaps=(f"edge values of the fields: {NO_EXAMPLE}",))
    trial = _Trial(suite, operation, case)
    is_complete = trial.run()
    outcome = confirm(merge_causes(trial.suspicions), suite)
    gaps = () if is_complete else (_TIME_RAN_OUT,)
    return Outcome((*outcome.failures, *trial.failures), outcome.flaky, gaps=gaps)


def _has_fields(operation: Operation) -> bool:
    return operation.body is not None or any(one.location == "query" for one in operation.parameters)


@dataclass(slots=True)
class _Trial:
    """The requests with edge values of one operation, and what came of them."""

    suite: Suite
    operation: Operation
    case: Case
    suspicions: list[Suspicion] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    singles: int = 0
    experiments: int = 0

    def run(self) -> bool:
        """Send everything; return whether there was time for it."""
        body = self.suite.generator.values_of(self.case).get("body")
        fields = list_fields(self.suite.api, self.operation, body)
        plans = {item: plan_edges(self.suite, item) for item in fields}
        for choice in [*_rows(plans, _KEEPING), *_rows(plans, {Expectation.SURVIVED}), *_singles(plans)]:
            if not self.suite.may_go_on(self.operation):
                return False
            self._try(choice)
        for item, edges in plans.items():
            for edge in [*edges, *self._careless(item), *self._as_text(item), *self._absent(item)]:
                if edge.expectation is Expectation.REFUSED:
                    if not self.suite.may_go_on(self.operation):
                        return False
                    self._try_refused(item, edge)
        for item in fields:
            if not self.suite.may_go_on(self.operation):
                return False
            self._try_null(item)
        return True

    def _try_null(self, item: Field) -> None:
        """Find out whether null is refused where the document allows it, and where nothing at all would do.

        What changes a thing leaves what is left out as it is: that says nothing of null.
        """
        is_mend = self.operation.method.upper() == "PATCH"
        if item.path[0] != "body" or item.is_required or item.is_in_list or is_mend or not item.allows(None):
            return
        refused = try_value(self.suite, self.operation, item.path, None, self.case)
        if refused is None or any(failure.cause == item.path for failure in self.failures):
            return
        without = self.suite.generator.with_value(self.suite.make_distinct(self.case), item.path, NOT_SENT)
        if self.suite.send(without).is_success:
            self.failures.append(describe_refused(self.suite, refused, item.path))

    def _try(self, choice: Choice) -> None:
        """Send all values of *choice* in one request; each by itself if that does not succeed."""
        exchange = self._send(choice)
        if exchange is None or not self._is_fine(exchange, choice):
            for single in choice if len(choice) > 1 else ():
                if self.singles < _MAX_SINGLES:
                    self.singles += 1
                    alone = self._send((single,))
                    if alone is not None:
                        self._judge(alone, single)
            if len(choice) == 1 and exchange is not None:
                self._judge(exchange, choice[0])
        if exchange is not None:
            self._look(exchange)

    def _is_fine(self, exchange: Exchange, choice: Choice) -> bool:
        is_refusable = all(edge.expectation is not Expectation.ACCEPTED for _, edge in choice)
        if exchange.response is None or exchange.status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6
            return False
        return exchange.is_success or is_refusable or exchange.status not in CONTENT_REFUSALS

    def _judge(self, exchange: Exchange, single: tuple[Field, Edge]) -> None:
        """Find out whether a value by itself is refused although it is allowed."""
        item, edge = single
        self._look(exchange)
        is_refused = exchange.status in CONTENT_REFUSALS and edge.expectation is Expectation.ACCEPTED
        if not is_refused or item.path[0] != "body" or self.experiments >= _MAX_EXPERIMENTS:
            return
        self.experiments += 1
        example = self.case if item.is_in_list else None
        refused = try_value(self.suite, self.operation, item.path, edge.value, example)
        if refused is not None and all(failure.cause != item.path for failure in self.failures):
            self.failures.append(describe_refused(self.suite, refused, item.path))

    def _look(self, exchange: Exchange) -> None:
        """Hold the answer to the document, and to what was sent."""
        self.suspicions += suspect_answer(self.suite, exchange)
        self.suspicions += suspect_echoes(self.suite, [exchange])

    def _send(self, choice: Choice) -> Exchange | None:
        """Send a request with the values of *choice*; None where the document does not allow them together."""
        is_probe = any(edge.expectation is Expectation.SURVIVED for _, edge in choice)
        case = self.suite.make_distinct(self.case)
        for item, edge in choice:
            case = self.suite.generator.with_value(case, item.path, edge.value)
        is_odd = any(edge.expectation is Expectation.NOT_ANSWERED for _, edge in choice)
        if not is_probe and not is_odd and not self.suite.generator.fits_body(case):
            return None
        (first, edge), *others = choice
        case = replace(
            case,
            is_valid=not is_probe and not is_odd,
            is_probe=is_probe,
            location=first.path[0],
            subject="" if others else ".".join(first.path[1:]),
            description=edge.words,
        )
        *_, last = self.suite.send_valid(case)
        return last

    def _careless(self, item: Field) -> Iterator[Edge]:
        """Yield texts that break the pattern of *item* only before its beginning, after its end, or by their case."""
        value = dict(_leaves(self.suite.generator.values_of(self.case))).get(item.path)
        pattern = item.schema.get("pattern")
        if isinstance(pattern, str) and isinstance(value, str):
            for words, text in find_careless(pattern, value):
                if not item.allows(text):
                    yield Edge(words, text, Expectation.REFUSED)

    def _as_text(self, item: Field) -> Iterator[Edge]:
        """Yield the number or boolean of *item* as text, which in JSON is something else."""
        value = dict(_leaves(self.suite.generator.values_of(self.case))).get(item.path)
        media_type = self.case.generated.media_type or ""
        if item.path[0] == "body" and "json" in media_type and isinstance(value, int | float):
            text = json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)
            if not item.allows(text):
                yield Edge(f"{text} as text", text, Expectation.REFUSED)

    def _absent(self, item: Field) -> Iterator[Edge]:
        """Yield nothing for a required property of an inner object; generated requests leave out those of the body."""
        if item.path[0] != "body" or not item.is_required or len(item.path) <= _INNER:
            return
        if not self.suite.generator.fits_body(self.suite.generator.with_value(self.case, item.path, NOT_SENT)):
            yield Edge("left out", NOT_SENT, Expectation.REFUSED)

    def _try_refused(self, item: Field, edge: Edge) -> None:
        case = self.suite.generator.with_value(self.suite.make_distinct(self.case), item.path, edge.value)
        subject = ".".join(item.path[1:])
        case = replace(case, is_valid=False, location=item.path[0], subject=subject, description=edge.words)
        exchange = self.suite.send(case)
        self.suspicions += suspect_answer(self.suite, exchange)
        if exchange.is_success:
            failure = self.suite.build_failure(
                exchange,
                "invalid_accepted",
                promise=f"{name_of(self.operation)} refuses invalid requests with 4xx. {item.path[0]} {subject}: "
                f"{edge.words}",
                pointer=self.operation.body.pointer if self.operation.body else self.operation.pointer,
                cause=item.path,
            )
            self.suspicions.append(Suspicion(exchange, failure, lambda again: again.is_success))


def plan_edges(suite: Suite, item: Field) -> list[Edge]:
    """Return the edge values of *item* with what must become of them, by its schema.

    A value in the query is only to be survived, or refused: nobody answers it back. Part of a list, such as a line of
    an order, a number without a declared maximum may be more than there is.
    """
    suffix = f"{suite.run_salt % 10**6:06d}"
    planned: list[Edge] = []
    for edge in list_edges(item.schema, item.name, suite.api.document, suffix):
        is_allowed = item.allows(edge.value)
        if edge.expectation is Expectation.REFUSED:
            planned += [] if is_allowed else [edge]
        elif edge.expectation is Expectation.NOT_ANSWERED and item.path[0] == "body":
            planned.append(edge)
        elif edge.expectation is Expectation.SURVIVED or item.path[0] == "query":
            planned.append(replace(edge, expectation=Expectation.SURVIVED))
        elif is_allowed and edge.value not in [other.value for other in planned]:
            is_open = item.is_in_list and isinstance(edge.value, int | float) and "maximum" not in item.schema
            planned.append(replace(edge, expectation=Expectation.KEPT) if is_open else edge)
    return planned


def _rows(plans: Mapping[Field, list[Edge]], expectations: AbstractSet[Expectation]) -> Iterator[Choice]:
    """Yield the allowed values of these expectations, one of each field at a time."""
    columns = [
        [(item, edge) for edge in edges if edge.expectation in expectations and item.allows(edge.value)]
        for item, edges in plans.items()
    ]
    for row in zip_longest(*columns):
        yield tuple(choice for choice in row if choice is not None)


def _singles(plans: Mapping[Field, list[Edge]]) -> Iterator[Choice]:
    """Yield a few values that the document does not allow, each by itself: where one is refused, no other is read."""
    for item, edges in plans.items():
        bad = [edge for edge in edges if edge.expectation is Expectation.SURVIVED and not item.allows(edge.value)]
        few = bad[:: max(1, len(bad) // _MAX_BAD)][:_MAX_BAD]
        for edge in [*few, *(one for one in edges if one.expectation is Expectation.NOT_ANSWERED)]:
            yield ((item, edge),)


def _leaves(parts: JsonObject, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    for name, value in parts.items():
        yield (*path, name), value
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from _leaves(value[0], (*path, name, "0"))
