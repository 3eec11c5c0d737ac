"""Times a block of a handler: a database call, a call to another service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app, has_app_context

from pymacaron.events import SectionTimed
from pymacaron.log import current_trace
from pymacaron.service import Service
from pymacaron.trace_context import TraceContext


@contextmanager
def monitor(kind: str = "Unknown", method: str = "Unknown") -> Iterator[TraceContext | None]:
    """Emit a SectionTimed event when the block ends, also by an exception.

    ``with monitor(kind="sql", method="load_pet"): …``
    kind, method: become labels of a metric, so keep them few: names of calls, never ids or values. Outside of a service
    nothing happens. It is a decorator too. Where the service records spans the block is one, and gets it.
    """
    started_s = time.perf_counter()
    trace = current_trace()
    span = trace.open_child() if trace is not None and trace.is_recorded else None
    fault: BaseException | None = None
    try:
        yield span
    except BaseException as error:
        fault = error
        raise
    finally:
        service = current_app.extensions.get("pymacaron") if has_app_context() else None
        if isinstance(service, Service):
            service.bus.emit(SectionTimed(kind, method, time.perf_counter() - started_s, span, fault))
