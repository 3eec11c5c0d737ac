"""How a run ends: what its exit code says, and what stops it early."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from pymacaron_testing.report import ItemResult

COULD_NOT_TEST = 2
_PASSED = 0
_NOTHING_COLLECTED = 5
_JUDGED = {"passed", "failed", "error"}


def judge_ending(exit_code: int, items: Iterable[ItemResult], *, is_selected: bool = False) -> tuple[int, str]:
    """Return the exit code of a run, and why it is another one than pytest's *exit_code*; empty if it is not.

    A run in which nothing of the document could be judged has not passed. is_selected: the tester chose items, by -k
    or -m, so that none may be what was asked for.
    """
    contract = [item for item in items if item.kind == "contract"]
    if exit_code == _PASSED and contract and not any(item.outcome in _JUDGED for item in contract):
        reasons = Counter(item.reason for item in contract if item.reason)
        shown = "; ".join(f"{reason} ({count} items)" for reason, count in reasons.most_common(3))
        return COULD_NOT_TEST, f"could not test: no contract item could be judged: {shown}"
    if exit_code == _NOTHING_COLLECTED and not is_selected:
        return COULD_NOT_TEST, "could not test: there is nothing to test"
    return exit_code, ""


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, with a report; outside of the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
