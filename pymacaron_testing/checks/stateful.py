"""Answers keep to the document also when requests build on each other, in any order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from pymacaron_testing.chain import Playback, Step, drop_step, find_chains, replay
from pymacaron_testing.checks.responses import suspect_answer
from pymacaron_testing.confirm import Outcome, Suspicion
from pymacaron_testing.exchange import describe_request
from pymacaron_testing.hints import HintBook
from pymacaron_testing.kinds import find_kind_of, find_kinds
from pymacaron_testing.things import Thing, read_thing
from pymacaron_testing.walk import Walk
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.spec import Api, Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.suite import Suite

_STEPS = {"full": 300, "quick": 80}
_MAX_REQUESTS = 45
_MAX_SUSPICIONS = 2
_GONE = ("404", "410")


def applies_stateful(api: Api, operation: Operation) -> bool:
    """Tell whether *operation* can be part of a chain: it makes things, or its path names one that something makes."""
    makers = [other for other in api.operations if other.method.upper() in {"POST", "PUT"}]
    is_maker = any(kind.creator is operation and kind.item_path for kind in find_kinds(api, HintBook()))
    return bool(makers) and (is_maker or "{" in operation.path)


def check_stateful(suite: Suite, operation: Operation) -> Outcome:
    """Walk once over all operations of the document; return what was found in *operation*."""
    if suite.wire.is_read_only:
        return Outcome(not_run="the profile live changes nothing")
    findings = suite.remember("stateful", partial(_walk, suite))
    outcome = _confirm(suite, findings.by_operation.get(operation.operation_id, []), findings)
    if operation.operation_id not in findings.visited and not outcome.failures:
        reason = "nothing was there that it could act on" if findings.visited else "no chain of requests could be sent"
        return replace(outcome, not_run="time ran out" if findings.is_cut_short else reason)
    return outcome


@dataclass(slots=True)
class Findings:
    """What a walk showed. visited: ids of the operations that were part of it."""

    steps: list[Step] = field(default_factory=list)
    by_operation: dict[str, list[tuple[Step, Suspicion]]] = field(default_factory=dict)
    visited: set[str] = field(default_factory=set)
    is_cut_short: bool = False


def _walk(suite: Suite) -> Findings:
    findings = Findings()
    operations = [one for one in suite.api.operations if applies_stateful(suite.api, one) and suite.may_send(one)]
    walk = Walk(suite, suite.generator.seed)
    findings.steps = walk.steps
    for step, exchange in walk.go(operations, _STEPS[suite.profile]) if operations else ():
        operation = step.operation
        findings.visited.add(operation.operation_id)
        known = findings.by_operation.setdefault(operation.operation_id, [])
        for suspicion in _suspect(suite, step, exchange, walk.playback):
            cause = suspicion.failure.cause
            seen = sum(other.failure.cause == cause for _, other in known)
            if seen < _MAX_SUSPICIONS and cause not in _known_causes(suite, operation):
                known.append((step, suspicion))
        if suite.clock.is_up(0.7):
            findings.is_cut_short = True
            break
    return findings


def _known_causes(suite: Suite, operation: Operation) -> set[tuple[str, ...]]:
    """Return the causes that single requests of *operation* show already: they need no chain."""

    def find() -> set[tuple[str, ...]]:
        exchanges = suite.exercise(operation)
        return {found.failure.cause for exchange in exchanges for found in suspect_answer(suite, exchange)}

    return suite.remember(f"causes of {operation.operation_id}", find)


def _suspect(suite: Suite, step: Step, exchange: Exchange, playback: Playback) -> Iterator[Suspicion]:
    yield from suspect_answer(suite, exchange)
    if _is_used_after_delete(suite, step, exchange, playback):
        yield Suspicion(exchange, _describe_use(suite, step, exchange), lambda _again: False)


def _is_used_after_delete(suite: Suite, step: Step, exchange: Exchange, playback: Playback) -> bool:
    """Tell whether a deleted thing served once more although it cannot be read.

    Only where the document declares 404 or 410 for that. Whether it can be read is another check's matter, and what a
    second DELETE or a PUT to its own path answers is open.
    """
    if step.ended_by is None or step.owner is None or not exchange.is_success:
        return False
    operation, kind = step.operation, find_kind_of(suite.kinds, step.operation)
    is_part = kind is not None and operation in (kind.creator, kind.lister, kind.reader)
    is_change = kind is not None and operation in kind.updaters and operation.method.upper() == "PATCH"
    owner: Thing | None = playback.things.get(step.owner)
    if owner is None or owner.kind.reader in (None, operation) or not (is_part or is_change):
        return False
    if not any(status in operation.statuses for status in _GONE):
        return False
    read = read_thing(suite, owner)
    return read is not None and str(read.status) in _GONE


def _describe_use(suite: Suite, step: Step, exchange: Exchange) -> Failure:
    operation = step.operation
    gone = " or ".join(status for status in _GONE if status in operation.statuses)
    return suite.build_failure(
        exchange,
        "use_after_delete",
        promise=f"{name_of(operation)} answers {gone} once the thing in its path is deleted",
        pointer=f"{operation.pointer}/responses",
    )


# --- what was seen, seen again -------------------------------------------------------------------------------------


def _confirm(suite: Suite, found: list[tuple[Step, Suspicion]], findings: Findings) -> Outcome:
    failures: dict[tuple[str, ...], Failure] = {}
    flaky: list[str] = []
    gaps: list[str] = []
    for step, suspicion in found:
        cause = suspicion.failure.cause
        if cause in failures:
            failures[cause] = failures[cause].times(failures[cause].count + 1)
            continue
        if not suite.may_go_on(step.operation):
            gaps.append(f"{suspicion.failure.check} after a chain of requests: time ran out before it was seen again")
            continue
        failure = _show_again(suite, step, cause, findings.steps)
        if failure is not None:
            failures[cause] = failure
        else:
            words = f"{suspicion.failure.check} after a chain of requests did not happen again"
            flaky.append(f"{words}: {suspicion.failure.answer}")
    shown = {f"{check} after" for check, *_ in failures}
    return Outcome(
        tuple(failures.values()),
        tuple(line for line in flaky if not line.startswith(tuple(shown))),
        gaps=tuple(dict.fromkeys(gaps)),
    )


def _show_again(suite: Suite, last: Step, cause: tuple[str, ...], steps: list[Step]) -> Failure | None:
    """Send what led to *last* anew; return the failure of the shortest chain that shows *cause*, None if none does."""
    budget = _MAX_REQUESTS
    for chain in find_chains(steps, last):
        budget -= len(chain)
        shown = _play(suite, chain, cause)
        if shown is None:
            if budget < 0:
                return None
            continue
        return _shorten(suite, chain, shown, budget)
    return None


def _shorten(suite: Suite, chain: list[Step], shown: Failure, budget: int) -> Failure:
    """Leave out steps as long as it still shows the cause of *shown*. budget: how many requests may be sent."""
    tried = 0
    while len(chain) - 1 > tried:
        shorter = drop_step(chain, tried)
        budget -= len(shorter)
        if budget < 0:
            break
        again = _play(suite, shorter, shown.cause) if len(shorter) < len(chain) else None
        if again is None:
            tried += 1
        else:
            chain, shown = shorter, again
    return shown


def _play(suite: Suite, chain: list[Step], cause: tuple[str, ...]) -> Failure | None:
    playback = replay(suite, chain)
    exchange = playback.exchanges.get(chain[-1].number)
    if exchange is None:
        return None
    for suspicion in _suspect(suite, chain[-1], exchange, playback):
        if suspicion.failure.cause == cause:
            redaction = suite.wire.redaction
            before = [playback.exchanges[step.number] for step in chain[:-1] if step.number in playback.exchanges]
            lines = tuple(describe_request(one.request, redaction) for one in before)
            return replace(suspicion.failure, before=lines)
    return None
