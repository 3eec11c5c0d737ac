"""Answers come in time: within the declared objectives, and never many times slower than usual."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pymacaron_testing.checks.examples import NO_EXAMPLE, find_example
from pymacaron_testing.checks.responses import suspect_answer
from pymacaron_testing.confirm import Outcome, Suspicion, confirm, merge_outcomes
from pymacaron_testing.objectives import Objective, find_objectives
from pymacaron_testing.timings import SLOW_S, duration_of, find_busyness, find_lowest_share
from pymacaron_testing.wire import NotSentError, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite
    from pymacaron_testing.timings import Timing

_SAMPLES = 60
_MORE_SAMPLES = 120
_REPEATS = 3
_TIMES_SLOWER = 10
_MIN_SLOW = 3
_ALWAYS_SLOW_S = 1.0
_ALWAYS_TIMES_SLOWER = 20
_RATE_LIMITED = 429
_TIMES_OTHERS = 3
_EXTRA_S = 5.0  # what is slow uses up its time; so much more finds out how often it is
_SAFE = {"GET", "HEAD"}
# Operations that wait because their callers ask them to.
_WAITING = re.compile(r"delay|sleep|wait|timeout|poll|stream|drip|watch|events|subscribe", re.IGNORECASE)


def check_latency(suite: Suite, operation: Operation) -> Outcome:
    """Time what the other groups sent, and many more requests of those that change nothing."""
    case = find_example(suite, operation)
    if case is None:
        return Outcome(not_run=f"latency: {NO_EXAMPLE}")
    batch = _Batch(suite, operation, case)
    gaps = batch.run(_SAMPLES) if batch.is_repeatable else ()
    outcome = confirm(batch.suspicions, suite)
    found = [*_find_broken_objectives(suite, operation), *_find_slowness(suite, batch)]
    busyness = find_busyness()
    gaps = (*gaps, f"latency that is high now and then: {busyness}") if busyness else gaps
    return merge_outcomes(outcome, Outcome(tuple(found), gaps=tuple(gaps)))


def check_slow_values(suite: Suite, operation: Operation) -> Outcome:
    """Ask again for what took long while others of *operation* did not: with some values it may always."""
    try:
        return Outcome(tuple(_find_slow_values(suite, operation)))
    except NotSentError as error:  # the time is over: what was found before is still told
        return Outcome(not_run=f"latency: {error}")


@dataclass(slots=True)
class _Batch:
    """Requests of one operation, sent one after the other as they are."""

    suite: Suite
    operation: Operation
    case: Case
    first: Exchange | None = None
    suspicions: list[Suspicion] = field(default_factory=list)
    slow: list[Exchange] = field(default_factory=list)
    has_extra: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Tell whether the operation changes nothing."""
        return self.operation.method.upper() in _SAFE

    def run(self, count: int) -> tuple[str, ...]:
        """Send *count* requests, judge those that are answered unlike the first; return what kept it from that.

        It ends early when so many were slow that no more are needed.
        """
        limit_s = _find_limit(self._timing)
        known = sum(duration_of(one) > limit_s for one in self._timing.slow) if self.first is None else 0
        enough = max(1, _MIN_SLOW - known)
        for _ in range(count):
            if not self.suite.may_go_on(self.operation) and not self._take_extra(limit_s):
                return ("latency: time ran out",)
            exchange = self._send()
            if exchange.status == _RATE_LIMITED:
                return ("latency: the service limits the rate of requests",)
            if self.first is None:
                self.first = exchange
            elif exchange.response is None or self.first.response is None or self._is_unlike(exchange):
                self.suspicions += suspect_answer(self.suite, exchange)
            if duration_of(exchange) > limit_s:
                self.slow.append(exchange)
            if len(self.slow) >= enough:
                return ()
        return ()

    def _take_extra(self, limit_s: float) -> bool:
        """Take more time, once a run, where something was slow; tell whether there is any."""
        if self.has_extra or not any(duration_of(one) > limit_s for one in self._timing.slow):
            return False
        self.has_extra = True
        self.suite.clock.extend(_EXTRA_S)
        return self.suite.may_go_on(self.operation)

    @property
    def _timing(self) -> Timing:
        return self.suite.wire.timings.find(self.operation.operation_id)

    def _send(self) -> Exchange:
        if self.is_repeatable and self.first is not None:
            return self.suite.repeat(self.first)
        if self.is_repeatable:
            *_, last = self.suite.send_valid(self.case)
            return last
        return self.suite.send_anew(self.case)

    def _is_unlike(self, exchange: Exchange) -> bool:
        assert self.first is not None
        assert self.first.response is not None
        assert exchange.response is not None
        return exchange.status != self.first.status or exchange.response.content != self.first.response.content


def _find_limit(timing: Timing) -> float:
    """Return the seconds above which an answer is many times slower than usual."""
    return max(SLOW_S, _TIMES_SLOWER * timing.median_s)


def _find_slowness(suite: Suite, batch: _Batch) -> list[Failure]:
    """Find answers that are many times slower than usual, again and again; once says nothing."""
    operation = batch.operation
    limit_s = _find_limit(suite.wire.timings.find(operation.operation_id))
    if not _list_slow(suite, operation, limit_s):
        return []
    found = _find_slow_values(suite, operation)
    return found if found or find_busyness() else _find_rare_slowness(suite, batch, limit_s)


def _list_slow(suite: Suite, operation: Operation, limit_s: float) -> list[Exchange]:
    """Return what took longer than *limit_s*; nothing where callers ask to wait."""
    if _WAITING.search(operation.path) or any(_WAITING.search(one.name) for one in operation.parameters):
        return []
    slow = suite.wire.timings.find(operation.operation_id).slow
    return [exchange for exchange in slow if duration_of(exchange) > limit_s]


def _find_slow_values(suite: Suite, operation: Operation) -> list[Failure]:
    """Find a request that is slow each time, while others of its operation are not."""
    timing = suite.wire.timings.find(operation.operation_id)
    slow = _list_slow(suite, operation, _find_limit(timing))[:_REPEATS]
    always = next((exchange for exchange in slow if _is_always_slow(suite, exchange, timing.median_s)), None)
    words = f"answers within a second, as it does for other values: usually it takes {_show(timing.median_s)}"
    return [_describe(suite, always, "slow", words)] if always is not None else []


def _find_rare_slowness(suite: Suite, batch: _Batch, limit_s: float) -> list[Failure]:
    """Send more requests, and find whether some of them are slow, each about as slow as the others."""
    timing = suite.wire.timings.find(batch.operation.operation_id)
    batch.slow.clear()
    batch.has_extra = False
    batch.run(_MORE_SAMPLES if batch.is_repeatable else _SAMPLES)
    seen = [exchange for exchange in timing.slow if duration_of(exchange) > limit_s]
    if not batch.slow or len(seen) < _MIN_SLOW or not _are_of_a_kind(seen):
        return []
    if find_lowest_share(len(seen), len(timing.durations_s)) <= _TIMES_OTHERS * _find_share_of_others(batch, limit_s):
        return []  # whatever it is, it disturbs other operations too
    share = f"{len(seen)} of {len(timing.durations_s)} answers took {_show(min(map(duration_of, seen)))} or more"
    words = f"takes about as long each time; usually it is {_show(timing.median_s)}, but {share}"
    return [_describe(suite, batch.slow[-1], "rarely_slow", words).times(len(seen))]


def _find_share_of_others(batch: _Batch, limit_s: float) -> float:
    """Return the share of slow answers among those of the other operations that change something, or nothing, too."""
    durations = [
        duration_s
        for other in batch.suite.api.operations
        if other is not batch.operation and (other.method.upper() in _SAFE) == batch.is_repeatable
        for duration_s in batch.suite.wire.timings.find(other.operation_id).durations_s
    ]
    return sum(duration_s > limit_s for duration_s in durations) / len(durations) if durations else 0.0


def _is_always_slow(suite: Suite, exchange: Exchange, median_s: float) -> bool:
    """Tell whether the same request, a safe one, is slow each time while others of its operation are not."""
    limit_s = max(_ALWAYS_SLOW_S, _ALWAYS_TIMES_SLOWER * median_s)
    if str(exchange.request.method).upper() != "GET" or duration_of(exchange) < limit_s:
        return False
    return all(duration_of(suite.repeat(exchange)) >= limit_s for _ in range(_REPEATS))


def _are_of_a_kind(slow: Sequence[Exchange]) -> bool:
    """Tell whether most take about the same time: what a program does on purpose does, what disturbs it does not."""
    durations = sorted(map(duration_of, slow))
    middle = durations[len(durations) // 2]
    return sum(0.5 * middle <= one <= 2 * middle for one in durations) * 3 >= 2 * len(durations)


def _find_broken_objectives(suite: Suite, operation: Operation) -> list[Failure]:
    """Find declared objectives that the answers break with confidence."""
    objectives = find_objectives(suite.api, operation)
    if suite.max_latency_ms is not None:
        objectives.append(Objective(95, suite.max_latency_ms / 1000))
    durations = suite.wire.timings.find(operation.operation_id).durations_s
    failures = []
    for objective in objectives:
        late = sum(duration > objective.bound_s for duration in durations)
        if find_lowest_share(late, len(durations)) > objective.allowed_share:
            failures.append(_describe_late(suite, operation, objective, late))
    return failures


def _describe_late(suite: Suite, operation: Operation, objective: Objective, late: int) -> Failure:
    timing = suite.wire.timings.find(operation.operation_id)
    slowest = max(
        (one for one in [*timing.slow, *suite.exercise(operation)] if one.response is not None), key=duration_of
    )
    return suite.build_failure(
        slowest,
        "latency",
        promise=f"{name_of(operation)}: {objective}",
        pointer=objective.pointer or operation.pointer,
        cause=(f"p{objective.percentile:g}",),
        detail=f"{late} of {len(timing.durations_s)} answers took longer",
    ).times(late)


def _describe(suite: Suite, exchange: Exchange, check: str, words: str) -> Failure:
    operation = exchange.case.operation
    return suite.build_failure(
        exchange,
        check,
        promise=f"{name_of(operation)} {words}",
        pointer=operation.pointer,
        detail=f"this answer took {_show(duration_of(exchange))}",
    )


def _show(duration_s: float) -> str:
    return f"{duration_s:.2g} s" if duration_s >= 1 else f"{duration_s * 1000:.2g} ms"
