"""Waits for what a service does a little later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5


def eventually(probe: Callable[[], Value], timeout_s: float = 5.0) -> Value:
    """Call *probe* until it returns something true without raising, and return that.

    Pauses grow from 20 ms to half a second. A probe that only asserts returns True at its end: None is no success, for
    that is what one gets of a thing that is not there yet.

    Raises: AssertionError: *timeout_s* seconds went by; what the last try raised is its cause.
    """
    deadline = time.monotonic() + timeout_s
    pause_s, tries = _FIRST_PAUSE_S, 0
    while True:
        tries += 1
        error: Exception | None = None
        value: Value | None = None
        try:
            value = probe()
            if value:
                return value
        except Exception as raised:  # noqa: BLE001 - whatever it was, the next try may succeed
            error = raised
        if time.monotonic() + pause_s > deadline:
            shown = f"it raised {type(error).__name__}: {error}" if error else f"it returned {value!r}"
            raise AssertionError(f"It did not happen within {timeout_s:g} s ({tries} tries): {shown}") from error
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
