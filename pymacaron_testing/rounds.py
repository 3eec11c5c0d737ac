"""The same reading requests to two releases by turns: how long each takes, for the gate to compare."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import requests

from pymacaron_testing.session import TargetSession

if TYPE_CHECKING:
    from pymacaron.json_types import JsonObject
    from pymacaron_testing.clock import Clock

ROUNDS = 20
"""Into so many rounds the requests are divided: what disturbs one of them disturbs both releases in it."""

MAX_TIME_S = 6.0
"""Seconds that the rounds of one operation take at most, where each request to it does not take much longer."""

_WARM_UPS = 2
_DIGITS = 6
_SUCCESSES = range(200, 300)


@dataclass(slots=True)
class Rounds:
    """Seconds that successful answers of two releases took, by round, and the number of other answers."""

    candidate: list[list[float]] = field(default_factory=list)
    baseline: list[list[float]] = field(default_factory=list)
    candidate_errors: int = 0
    baseline_errors: int = 0

    @property
    def pairs(self) -> list[tuple[float, float]]:
        """What each release took for the same request, where both rounds are whole."""
        whole = [
            pair for pair in zip(self.candidate, self.baseline, strict=True) if pair[0] and len(pair[0]) == len(pair[1])
        ]
        return [pair for ours, theirs in whole for pair in zip(ours, theirs, strict=True)]

    def add(self, ours: list[float], theirs: list[float]) -> None:
        """Take in a round: seconds, negative where the answer was no success."""
        good = [[round(one, _DIGITS) for one in times if one > 0] for times in (ours, theirs)]
        self.candidate.append(good[0])
        self.baseline.append(good[1])
        self.candidate_errors += len(ours) - len(good[0])
        self.baseline_errors += len(theirs) - len(good[1])

    def to_dict(self) -> JsonObject:
        """Return the form of the report."""
        return {
            "candidate": self.candidate,
            "baseline": self.baseline,
            "candidate_errors": self.candidate_errors,
            "baseline_errors": self.baseline_errors,
        }


@dataclass(frozen=True, slots=True)
class Twin:
    """A request that succeeded at both releases, as each of them got it."""

    ours: requests.PreparedRequest
    theirs: requests.PreparedRequest

    @property
    def both(self) -> tuple[requests.PreparedRequest, requests.PreparedRequest]:
        """The target's and the other release's."""
        return self.ours, self.theirs


def send_rounds(
    twins: Sequence[Twin],
    urls: tuple[str, str],
    *,
    count: int,
    may_go_on: Callable[[], bool],
    clock: Clock | None = None,
    max_time_s: float = MAX_TIME_S,
) -> Rounds:
    """Send *count* requests to each release, alternating among *twins*, which of the releases is first by lot.

    Each round opens connections of its own, so that it reaches whichever worker processes the releases have. A slow
    operation gets fewer requests, so that all of them take about *max_time_s*, but `ROUNDS` of one each in any case.
    Nothing is sent any more once *may_go_on* says no; a round that is not whole is left out.

    urls: of both releases. clock: whose end shortens the wait for an answer.
    """
    rounds, order = Rounds(), random.Random(0)  # noqa: S311 - no secret
    size, sent = 1, 0
    for number in range(min(ROUNDS, count)):
        with ExitStack() as stack:
            sessions = [stack.enter_context(TargetSession(url, clock=clock)) for url in urls]
            warm_s = [_time(*pair) for pair in zip(sessions, twins[0].both, strict=True) for _ in range(_WARM_UPS)]
            if number == 0:
                usual_s = sorted(map(abs, warm_s))[len(warm_s) // 2]
                size = max(1, min(count // ROUNDS, int(max_time_s / (2 * ROUNDS * max(usual_s, 1e-6)))))
            taken: tuple[list[float], list[float]] = ([], [])
            for _ in range(size):
                if not may_go_on():
                    return rounds
                twin = twins[sent % len(twins)]
                sent += 1
                for side in order.sample((0, 1), 2):
                    taken[side].append(_time(sessions[side], twin.both[side]))
        rounds.add(*taken)
    return rounds


def _time(session: TargetSession, request: requests.PreparedRequest) -> float:
    """Return the seconds until the whole answer was there, negative if it is no success."""
    started = time.perf_counter()
    try:
        status = session.exchange(request).status_code
    except requests.RequestException:
        status = 0
    seconds = time.perf_counter() - started
    return seconds if status in _SUCCESSES else -seconds
