"""Several requests that together show something: played again before it counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import TYPE_CHECKING, TypeVar

from pymacaron_testing.confirm import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymacaron_testing.failure import Failure

Answer = TypeVar("Answer")

# A list or a cache may lag behind a little.
_PATIENCE_S = 1.0
_FIRST_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Played:
    """What one play of a scenario showed. gap: what could not be looked at and why, empty where all was."""

    failures: tuple[Failure, ...] = ()
    gap: str = ""


class Patience:
    """What a play of a scenario may wait for things to appear or to go: a second in all."""

    def __init__(self) -> None:
        """Start with all of it."""
        self._left_s = _PATIENCE_S

    def wait_until(self, is_fine: Callable[[], bool]) -> bool:
        """Tell whether *is_fine* becomes true while there is time."""
        pause_s = _FIRST_PAUSE_S
        while not is_fine():
            if self._left_s <= 0:
                return False
            time.sleep(pause_s)
            self._left_s -= pause_s
            pause_s *= 2
        return True


def play(scenario: Callable[[Patience], Played], *, tries: int = 1) -> Outcome:
    """Play *scenario*, and once more where it shows a failure: what it shows twice counts.

    tries: how often it is played again for a failure that shows only sometimes, requests at the same time for one.

    Raises: TargetLostError.
    """
    first = scenario(Patience())
    if not first.failures:
        return Outcome(not_run=first.gap)
    left = {failure.cause: failure for failure in first.failures}
    confirmed: list[Failure] = []
    for _ in range(tries):
        if not left:
            break
        again = {failure.cause: failure for failure in scenario(Patience()).failures}
        confirmed += [left.pop(cause).times(2) for cause in again if cause in left]
    flaky = tuple(f"{failure.check} did not happen again: {failure.answer}" for failure in left.values())
    return Outcome(tuple(confirmed), flaky, gaps=(first.gap,) if first.gap else ())


def do_at_once(actions: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Do all *actions* at the same time, each in its own thread; return what they return, in their order."""
    barrier = Barrier(len(actions))

    def start(action: Callable[[], Answer]) -> Answer:
        barrier.wait(timeout=30)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(start, actions))
