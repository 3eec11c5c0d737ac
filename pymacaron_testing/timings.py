"""How long answers took, and whether this machine itself stood still meanwhile."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymacaron_testing.exchange import Exchange

SLOW_S = 0.3
_BEAT_S = 0.01
_STALL_S = 0.08
_KEPT_STALLS = 200
_BUSY_LOAD = 4
_MAX_SLOW = 20
_CONFIDENCE_Z = 1.96


class Pulse:
    """A thread that notices when this process got no time to run."""

    def __init__(self) -> None:
        """Be ready; the thread starts when first needed."""
        self._stalls: deque[tuple[float, float]] = deque(maxlen=_KEPT_STALLS)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch; a second call does nothing."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="pymacaron-pulse", daemon=True)
                self._thread.start()

    def was_stalled(self, start: float, end: float) -> bool:
        """Tell whether the process stood still at some time between two readings of the monotonic clock."""
        return any(begun < end and ended > start for begun, ended in list(self._stalls))

    def _beat(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(_BEAT_S)
            now = time.monotonic()
            if now - last > _STALL_S:
                self._stalls.append((last, now))
            last = now


PULSE = Pulse()


@dataclass(slots=True)
class Timing:
    """Durations of the answers of one operation. slow: those above SLOW_S, a few of them."""

    durations_s: list[float] = field(default_factory=list)
    slow: list[Exchange] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        """The middle duration; 0 without any."""
        return sorted(self.durations_s)[len(self.durations_s) // 2] if self.durations_s else 0.0


class Timings:
    """Durations by operation id. Answers during which the machine stood still do not count, nor do failures."""

    def __init__(self) -> None:
        """Know nothing, and begin to watch the machine."""
        self._by_operation: dict[str, Timing] = {}
        PULSE.start()

    def find(self, operation_id: str) -> Timing:
        """Return what is known of an operation."""
        return self._by_operation.setdefault(operation_id, Timing())

    def record(self, exchange: Exchange, started: float) -> None:
        """Take in an answer. started: reading of the monotonic clock before the request was sent."""
        if exchange.response is None or exchange.status >= 500 or PULSE.was_stalled(started, time.monotonic()):  # noqa: PLR2004
            return
        timing = self.find(exchange.case.operation.operation_id)
        duration_s = duration_of(exchange)
        timing.durations_s.append(duration_s)
        if duration_s > SLOW_S and len(timing.slow) < _MAX_SLOW:
            timing.slow.append(exchange)


def find_busyness() -> str:
    """Return why rare delays of a target tell nothing: so much runs on this machine; empty where it does not."""
    load, processors = os.getloadavg()[0], os.cpu_count() or 1
    is_busy = load > _BUSY_LOAD * processors
    return f"this machine is too busy to tell, {load:.0f} programs want its {processors} processors" if is_busy else ""


def duration_of(exchange: Exchange) -> float:
    """Return the seconds until the answer's head was there; 0 without an answer."""
    return exchange.response.elapsed.total_seconds() if exchange.response is not None else 0.0


def find_lowest_share(count: int, total: int) -> float:
    """Return the share, 0 to 1, that *count* of *total* shows at least, with 97.5 % confidence.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    if not total:
        return 0.0
    z2 = _CONFIDENCE_Z**2
    share = count / total
    centre = share + z2 / (2 * total)
    spread = _CONFIDENCE_Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, (centre - spread) / (1 + z2 / total))
