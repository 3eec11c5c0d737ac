"""Nothing counts that does not happen again: every suspicion is sent once more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pymacaron_testing.exchange import Case, Exchange
    from pymacaron_testing.failure import Failure
    from pymacaron_testing.rounds import Rounds

_MAX_TRIES = 3
_MAX_CAUSES = 3
_UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
_SPENT_STATUSES = {404, 409, 410, 412}


@dataclass(frozen=True, slots=True)
class Suspicion:
    """An exchange that seems to break a promise. shows: tells whether another exchange breaks it in the same way."""

    exchange: Exchange
    failure: Failure
    shows: Callable[[Exchange], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check group found in one operation.

    failures: confirmed, one per cause. flaky: seen once and not again, sentences. not_run: why nothing could be
    judged; empty where something was. gaps: what could not be checked while the rest was, sentences "what: why".
    rounds: how long the same requests took here and at another release; None where none were sent.
    """

    failures: tuple[Failure, ...] = ()
    flaky: tuple[str, ...] = ()
    not_run: str = ""
    gaps: tuple[str, ...] = ()
    rounds: Rounds | None = None


def merge_outcomes(*outcomes: Outcome) -> Outcome:
    """Return what several checks of one group found; what one of them could not judge at all becomes a gap."""
    reasons = dict.fromkeys(outcome.not_run for outcome in outcomes if outcome.not_run)
    is_judged = any(not outcome.not_run for outcome in outcomes)
    gaps = [gap for outcome in outcomes for gap in outcome.gaps]
    return Outcome(
        failures=tuple(failure for outcome in outcomes for failure in outcome.failures),
        flaky=tuple(sentence for outcome in outcomes for sentence in outcome.flaky),
        not_run="" if is_judged else "; ".join(reasons),
        gaps=tuple(dict.fromkeys([*gaps, *(reasons if is_judged else ())])),
        rounds=next((outcome.rounds for outcome in outcomes if outcome.rounds is not None), None),
    )


class Sender(Protocol):
    """Sends a request again."""

    def repeat(self, exchange: Exchange) -> Exchange:
        """Send the same bytes."""
        ...

    def send_anew(self, case: Case) -> Exchange:
        """Send the case with other values and to another thing, where it is not about those."""
        ...


def confirm(
    suspicions: Iterable[Suspicion], sender: Sender, *, simplify: Callable[[Suspicion], Failure] | None = None
) -> Outcome:
    """Send each cause's requests again until one shows it again; return one failure per confirmed cause.

    A cause that only different requests showed counts too: some requests, a DELETE say, cannot be repeated. The
    smallest valid request stands for all. simplify: gives the failure of a still smaller one.

    Raises: TargetLostError.
    """
    by_cause: dict[tuple[str, ...], list[Suspicion]] = {}
    for suspicion in suspicions:
        by_cause.setdefault(suspicion.failure.cause, []).append(suspicion)
    failures: list[Failure] = []
    flaky: list[str] = []
    for group in by_cause.values():
        if _happens_again(group, sender) or len(group) > 1:
            smallest = min(group, key=_size_of)
            failure = smallest.failure if simplify is None else simplify(smallest)
            failures.append(failure.times(len(group)))
        else:
            flaky.append(f"{group[0].failure.check} did not happen again: {group[0].failure.answer}")
    return Outcome(tuple(failures), tuple(flaky))


def merge_causes(suspicions: Iterable[Suspicion]) -> list[Suspicion]:
    """Make one cause of many that agree in their first two words: where nothing is right, one failure says so."""
    merged: list[Suspicion] = []
    by_kind: dict[tuple[str, ...], list[Suspicion]] = {}
    for suspicion in suspicions:
        by_kind.setdefault(suspicion.failure.cause[:2], []).append(suspicion)
    for group in by_kind.values():
        if len({suspicion.failure.cause for suspicion in group}) > _MAX_CAUSES:
            merged += [replace(suspicion, failure=group[0].failure) for suspicion in group]
        else:
            merged += group
    return merged


def _size_of(suspicion: Suspicion) -> tuple[bool, int]:
    request = suspicion.exchange.request
    body = request.body if isinstance(request.body, bytes | str) else ""
    return not suspicion.exchange.case.is_valid, len(str(request.url)) + len(body)


def _happens_again(group: list[Suspicion], sender: Sender) -> bool:
    return any(_is_shown_again(suspicion, sender) for suspicion in group[:_MAX_TRIES])


def _is_shown_again(suspicion: Suspicion, sender: Sender) -> bool:
    first = suspicion.exchange
    again = sender.repeat(first)
    if suspicion.shows(again):
        return True
    if str(first.request.method).upper() not in _UNSAFE or again.status not in _SPENT_STATUSES:
        return False
    # The first request did its work, so that the second finds the thing gone, or there already.
    return first.is_success or suspicion.shows(sender.send_anew(first.case))
