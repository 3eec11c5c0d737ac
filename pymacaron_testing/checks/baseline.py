"""The target answers as a baseline does: the same requests to both, and what differs that should not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pymacaron_testing.comparison import (
    Shape,
    describe_shapes,
    differing_places,
    hide_keys,
    is_key,
    is_slower,
    mark,
    name_scalars,
    shape_of,
    translate_keys,
)
from pymacaron_testing.confirm import Outcome, Suspicion, confirm, merge_outcomes
from pymacaron_testing.exchange import shorten
from pymacaron_testing.rounds import ROUNDS, Twin, send_rounds
from pymacaron_testing.wire import name_of

if TYPE_CHECKING:
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation
    from pymacaron_testing.exchange import Exchange
    from pymacaron_testing.suite import Suite

_SAFE = {"GET", "HEAD", "OPTIONS"}
_MAX_CASES = 40
_MAX_TWINS = 5
_TRIES = 4
_ALIKE_SHARE, _ALIKE_BYTES = 0.2, 200
_UNLIKE = "latency beside the baseline: the two answer with more or with less, give them the same data"
_OUT_OF_TIME = "latency beside the baseline: time ran out"


@dataclass(slots=True)
class Baseline:
    """The same document against another service, and which of its things stands for which of the target's.

    requests: how many each of the two gets of every reading operation, to compare how long they take.
    twins: value of an id of the target -> that of the same thing of the baseline. noisy: names of properties in which
    the baseline differs from itself, times of creation say, in any operation.
    """

    suite: Suite
    requests: int = 300
    twins: dict[str, str] = field(default_factory=dict)
    noisy: set[str] = field(default_factory=set)

    def ask(self, exchange: Exchange, *, distinct: bool = False) -> Exchange | None:
        """Send the case of *exchange* to the baseline, to the twin of its thing; None where it has none.

        distinct: with the texts of its body made unlike all others.
        """
        case = exchange.case
        for location, part in self.suite.generator.values_of(case).items():
            translated = translate_keys(part, self.twins)
            case = case if translated == part else self.suite.generator.with_part(case, location, translated)
        case = self.suite.make_distinct(case) if distinct else case
        names = exchange.case.operation.path
        values = {
            name: value if exchange.case.keeps_path else self.twins.get(value, "")
            for name, value in (exchange.path_values or {}).items()
            if f"{{{name}}}" in names
        }
        if not all(values.values()):
            return None
        answer = self.suite.wire.send(case, values)
        return None if answer.response is None else answer

    def learn(self, ours: Exchange, theirs: Exchange) -> None:
        """Remember which ids belong together."""
        if not (ours.is_success and theirs.is_success):
            return
        for place, (mine, other) in differing_places(ours.read_json(), theirs.read_json()).items():
            if is_key(_name_of(place)):
                self.twins.setdefault(str(mine), str(other))


@dataclass(frozen=True, slots=True)
class _Pair:
    """Answers of the target, of the baseline, and of the baseline asked again (None: it cannot be)."""

    ours: Exchange
    theirs: Exchange
    again: Exchange | None


def check_baseline(suite: Suite, baseline: Baseline, operation: Operation) -> Outcome:
    """Send the requests that the target had to the baseline, twice, and compare status, shape, values and time."""
    pairs = list(_ask(suite, baseline, operation))
    if not pairs:
        return Outcome(not_run="no request could be sent to both the target and the baseline")
    suspicions = [*_compare_statuses(suite, baseline, pairs), *_compare_bodies(suite, baseline, pairs)]
    return merge_outcomes(confirm(suspicions, suite), _compare_times(suite, baseline, pairs))


def _ask(suite: Suite, baseline: Baseline, operation: Operation) -> Iterator[_Pair]:
    method = operation.method.upper()
    for exchange in suite.exercise(operation)[:_MAX_CASES]:
        if exchange.response is None or exchange.case.is_probe or not suite.may_go_on(operation):
            continue
        theirs = baseline.ask(exchange)
        if theirs is None:
            continue
        baseline.learn(exchange, theirs)
        again = None if method == "DELETE" else baseline.ask(exchange, distinct=method not in _SAFE)
        yield _Pair(exchange, theirs, again)


# --- status --------------------------------------------------------------------------------------------------------


def _compare_statuses(suite: Suite, baseline: Baseline, pairs: list[_Pair]) -> Iterator[Suspicion]:
    for pair in pairs:
        is_steady = pair.again is None or pair.again.status == pair.theirs.status
        if not is_steady or pair.ours.status == pair.theirs.status or _clashes(pair):
            continue
        name = name_of(pair.ours.case.operation)
        failure = suite.build_failure(
            pair.ours,
            "baseline_status",
            promise=f"{name} answers as {baseline.suite.wire.session.base_url} does: {pair.theirs.status}",
            pointer=pair.ours.case.operation.pointer,
            cause=(str(pair.ours.status), str(pair.theirs.status)),
        )
        yield Suspicion(pair.ours, failure, partial(_has_status, pair.ours.status))


def _clashes(pair: _Pair) -> bool:
    """Tell whether the difference may come from what exists here or there: each has its own things."""
    return bool({pair.ours.status, pair.theirs.status} & {404, 409, 410, 412, 429})


def _has_status(status: int, exchange: Exchange) -> bool:
    return exchange.status == status


# --- body ----------------------------------------------------------------------------------------------------------


def _compare_bodies(suite: Suite, baseline: Baseline, pairs: list[_Pair]) -> Iterator[Suspicion]:
    same = [pair for pair in pairs if pair.ours.status == pair.theirs.status]
    yield from _compare_shapes(suite, baseline, same)
    baseline.noisy |= {_name_of(place) for pair in pairs for place in _noise(suite, pair)}
    if suite.profile == "live" or _is_told_by_request(same):
        yield from _compare_values(suite, baseline, same)


def _compare_shapes(suite: Suite, baseline: Baseline, pairs: list[_Pair]) -> Iterator[Suspicion]:
    """Compare all that was seen under one status: a place that only ever one of them has is a difference."""
    ours: dict[int, Shape] = defaultdict(frozenset)
    theirs: dict[int, Shape] = defaultdict(frozenset)
    for pair in pairs:
        ours[pair.ours.status] |= shape_of(pair.ours.read_json())
        for answer in (pair.theirs, pair.again):
            if answer is not None and answer.status == pair.ours.status:
                theirs[pair.ours.status] |= shape_of(answer.read_json())
    for pair in pairs:
        status = pair.ours.status
        mine, other = shape_of(pair.ours.read_json()), shape_of(pair.theirs.read_json())
        missing, added = (other - mine) - ours[status], (mine - other) - theirs[status]
        if missing or added:
            yield _suspect_shape(suite, baseline, pair, (missing, added))


def _suspect_shape(suite: Suite, baseline: Baseline, pair: _Pair, difference: tuple[Shape, Shape]) -> Suspicion:
    missing, added = difference
    failure = suite.build_failure(
        pair.ours,
        "baseline_shape",
        promise=f"{name_of(pair.ours.case.operation)} answers what {baseline.suite.wire.session.base_url} does",
        pointer=pair.ours.case.operation.pointer,
        cause=(str(pair.ours.status), *(place for place, _ in sorted(missing | added))),
        detail=describe_shapes(added, missing),
    )

    def shows(exchange: Exchange) -> bool:
        shape = shape_of(exchange.read_json())
        return exchange.status == pair.ours.status and added <= shape and not missing & shape

    return Suspicion(pair.ours, failure, shows)


def _is_told_by_request(pairs: list[_Pair]) -> bool:
    """Tell whether answers depend on the request and its thing alone, not on whatever else exists."""
    if not pairs:
        return False
    operation = pairs[0].ours.case.operation
    return operation.method.upper() != "GET" or operation.path.endswith("}")


def _noise(suite: Suite, pair: _Pair) -> Iterator[str]:
    """Yield the places where the baseline differs from itself."""
    if pair.again is not None:
        first, second = _comparable(suite, pair.theirs), _comparable(suite, pair.again)
        yield from differing_places(first, second)


def _comparable(suite: Suite, exchange: Exchange) -> Json:
    """Return the body with what was sent, and the ids of things, replaced by names."""
    parts = {**suite.generator.values_of(exchange.case), "path": dict(exchange.path_values or {})}
    return hide_keys(mark(exchange.read_json(), name_scalars(parts)))


def _compare_values(suite: Suite, baseline: Baseline, pairs: list[_Pair]) -> Iterator[Suspicion]:
    for pair in pairs:
        theirs = _comparable(suite, pair.theirs)
        found = differing_places(_comparable(suite, pair.ours), theirs)
        for place, (mine, other) in found.items():
            if _name_of(place) in baseline.noisy:
                continue
            failure = suite.build_failure(
                pair.ours,
                "baseline_value",
                promise=f"{name_of(pair.ours.case.operation)} answers {shorten(repr(other), 80)} at {place}, "
                f"as {baseline.suite.wire.session.base_url} does",
                pointer=pair.ours.case.operation.pointer,
                cause=(str(pair.ours.status), place),
                detail=f"it is {shorten(repr(mine), 80)} at {place}",
            )
            yield Suspicion(pair.ours, failure, partial(_differs, suite, theirs, place))


def _differs(suite: Suite, theirs: Json, place: str, exchange: Exchange) -> bool:
    return place in differing_places(_comparable(suite, exchange), theirs)


def _name_of(place: str) -> str:
    """Return the name of the property at *place*, or its array's."""
    return next((part for part in reversed(place.split("/")) if not part.isdecimal()), "")


# --- time ----------------------------------------------------------------------------------------------------------


def _compare_times(suite: Suite, baseline: Baseline, pairs: list[_Pair]) -> Outcome:
    """Ask both in turn for the same things; only reading requests can be repeated as often."""
    operation = pairs[0].ours.case.operation
    both = [one for one in pairs if one.ours.is_success and one.theirs.is_success]
    if operation.method.upper() not in _SAFE or not both:
        return Outcome()
    twins = list(islice(_find_living(suite, baseline.suite, both), _MAX_TWINS))
    if not twins:
        return Outcome(gaps=(_UNLIKE,))
    rounds = send_rounds(
        twins,
        (suite.wire.session.base_url, baseline.suite.wire.session.base_url),
        count=baseline.requests,
        clock=suite.clock,
        may_go_on=partial(suite.may_go_on, operation),
    )
    gaps = () if len(rounds.candidate) >= min(ROUNDS, baseline.requests) else (_OUT_OF_TIME,)
    timed = rounds.pairs
    if not is_slower(timed):
        return Outcome(gaps=gaps, rounds=rounds)
    ours, theirs = (sorted(times)[len(times) // 2] * 1000 for times in zip(*timed, strict=True))
    failure = suite.build_failure(
        both[0].ours,
        "baseline_latency",
        promise=f"{name_of(operation)} is as fast as {baseline.suite.wire.session.base_url}: {theirs:.0f} ms",
        pointer=operation.pointer,
        detail=f"its median is {ours:.0f} ms, of {len(timed)} requests that were sent by turns",
    )
    return Outcome(failures=(replace(failure, count=len(timed)),), gaps=gaps, rounds=rounds)


def _find_living(suite: Suite, other: Suite, pairs: list[_Pair]) -> Iterator[Twin]:
    """Yield the requests that succeed at both still; where a thing was deleted meanwhile, for another one.

    Answers of another size are left out: a list takes longer where there is more to list.
    """
    for pair in pairs:
        if not suite.may_go_on(pair.ours.case.operation):
            return
        found = [_revive(suite, pair.ours), _revive(other, pair.theirs)]
        if all(one.is_success for one in found) and _are_alike(*(_size_of(one) for one in found)):
            yield Twin(found[0].request, found[1].request)


def _revive(suite: Suite, exchange: Exchange) -> Exchange:
    """Send the request again; if its thing is gone, to others that are known, a few of which may be gone too."""
    again = suite.repeat(exchange)
    for _ in range(_TRIES):
        if again.is_success or exchange.case.keeps_path:
            break
        again = suite.send_anew(exchange.case)
    return again


def _size_of(exchange: Exchange) -> int:
    return len(exchange.response.content) if exchange.response is not None else 0


def _are_alike(ours_bytes: int, theirs_bytes: int) -> bool:
    return abs(ours_bytes - theirs_bytes) <= max(_ALIKE_BYTES, _ALIKE_SHARE * theirs_bytes)
