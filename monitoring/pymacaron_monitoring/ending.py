"""What is done before a process ends, however the server that runs it ends its processes."""

from __future__ import annotations

import atexit
import sys
import weakref
from collections.abc import Callable
from typing import Any

FLUSH_AT_EXIT_S = 2.0


def call_at_exit(method: Callable[[], object]) -> None:
    """Call *method*, which belongs to an object, before the process ends, if that object still lives."""
    reference = weakref.WeakMethod(method)

    def close(**_: Any) -> None:
        alive = reference()
        if alive is not None:
            alive()

    atexit.register(close)
    signals: Any = sys.modules.get("celery.signals")
    if signals is not None:  # its processes end by os._exit
        signals.worker_process_shutdown.connect(close, weak=False)
