"""Hands finished spans to an exporter, many at once, in a thread of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

MOST_WAITING = 4096
MOST_AT_ONCE = 512
PERIOD_S = 1.0
_COMPLAINT_PERIOD_S = 60.0

SpanT = TypeVar("SpanT")


class SpanOutbox(Generic[SpanT]):
    """Keeps spans until it is time to export them; of too many the oldest are dropped."""

    def __init__(self, export: Callable[[Sequence[SpanT]], bool], *, most_waiting: int = MOST_WAITING) -> None:
        """Take what exports some spans, and says whether that worked."""
        self._export = export
        self._waiting: deque[SpanT] = deque(maxlen=most_waiting)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._is_busy = False
        self._added = self._exported = 0
        self._complained_at = float("-inf")

    def add(self, span: SpanT) -> None:
        """Let *span* be exported soon; takes about a microsecond, whatever becomes of it."""
        if self._thread is None or self._pid != os.getpid():
            self._start()
        self._waiting.append(span)
        self._added += 1
        if len(self._waiting) == MOST_AT_ONCE:
            self._wake.set()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all spans are exported, or *timeout_s* seconds; tell whether they are."""
        end = time.monotonic() + timeout_s
        while self._has_more() and self._pid == os.getpid() and time.monotonic() < end:
            self._wake.set()
            time.sleep(0.005)
        return not self._has_more()

    def _has_more(self) -> bool:
        return bool(self._waiting) or self._is_busy

    def _start(self) -> None:
        with self._lock:
            if self._pid != os.getpid():  # the thread and what waits belong to the process that forked this one
                self._pid = os.getpid()
                self._waiting.clear()
                self._is_busy = False
                self._thread = None
                self._wake = threading.Event()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait(PERIOD_S)
            self._wake.clear()
            while self._waiting:
                self._is_busy = True
                try:
                    self._hand_on()
                finally:
                    self._is_busy = False

    def _hand_on(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
        try:
            is_done = self._export(batch)
        except Exception:
            log.exception("Spans could not be exported")
            is_done = False
        if is_done:
            self._exported += len(batch)
        else:
            self._complain()

    def _complain(self) -> None:
        now = time.monotonic()
        if now >= self._complained_at + _COMPLAINT_PERIOD_S:
            self._complained_at = now
            lost = self._added - self._exported - len(self._waiting)
            log.warning("otlp_endpoint does not take spans; %d are lost so far", lost)
