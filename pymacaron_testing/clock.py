"""Shares the time of a run among its items: what one does not use goes to the later ones."""

from __future__ import annotations

import time
from collections.abc import Callable

_POOL_SHARE = 0.3
_LENT_SHARE = 0.5


class Clock:
    """The time that a run has, from the making of this object on; without a limit nothing is ever up.

    Most of it is shared among the items by weight. The rest is a pool that items which need more than their share
    borrow from, each at most half of what is left in it: the first items, which cannot profit from what others left,
    are not cut short while there is time to spare, and the last ones still get their share.
    """

    def __init__(self, max_time_s: float | None = None, *, now: Callable[[], float] = time.monotonic) -> None:
        """Start. max_time_s: None for no limit. now: gives seconds from any moment on."""
        self.max_time_s = max_time_s
        self._now = now
        self.started_at = now()
        self._pool_s = _POOL_SHARE * (max_time_s or 0.0)
        self._planned = 0.0
        self._begun_at = self.started_at
        self._share_s = self._allowance_s = max_time_s or 0.0
        self.was_up = False

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._now() - self.started_at

    @property
    def left_s(self) -> float:
        """Seconds until the end of the run, 0 after it; infinite without a limit."""
        return float("inf") if self.max_time_s is None else max(0.0, self.max_time_s - self.elapsed_s)

    @property
    def is_over(self) -> bool:
        """Tell whether the run's whole time is gone."""
        return self.left_s <= 0

    def plan(self, weight: float) -> None:
        """Say how much all items that are to run weigh together."""
        self._planned = weight

    def begin(self, weight: float = 1.0) -> None:
        """Begin an item of some weight."""
        self._begun_at = self._now()
        self.was_up = False
        part = weight / max(weight, self._planned)
        self._planned -= weight
        if self.max_time_s is not None:
            self._pool_s = min(self._pool_s, self.left_s)
            self._share_s = (self.left_s - self._pool_s) * part
            self._allowance_s = self._share_s + self._pool_s * _LENT_SHARE

    def end(self) -> None:
        """End the item: what it used beyond its share is taken from the pool."""
        used_s = self._now() - self._begun_at
        self._pool_s = max(0.0, self._pool_s - max(0.0, used_s - self._share_s))

    def extend(self, seconds: float) -> None:
        """Let the item have so much more, at most a third of what the run has left; the later ones get less."""
        self._allowance_s += min(seconds, self.left_s / 3)

    def is_up(self, share: float = 1.0) -> bool:
        """Tell whether the item has used *share* of its time, from 0 to 1, or the run's is over.

        Once it was up, `was_up` says so until the next item begins.
        """
        if self.max_time_s is None:
            return False
        is_up = self.is_over or self._now() - self._begun_at >= share * self._allowance_s
        self.was_up = self.was_up or is_up
        return is_up
