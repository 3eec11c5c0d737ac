"""Which distributed trace a request or task belongs to, as the header ``traceparent`` says it to other services.

Source: W3C Trace Context, level 2 (https://www.w3.org/TR/trace-context-2/).
"""

from __future__ import annotations

import os
import re
from random import Random
from typing import NamedTuple

_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_SAMPLED = 1
_KNOWN_FLAGS = 3  # sampled, and random: the others are not passed on
_MOST_STATE_BYTES = 512
_RATIO_BITS = 64  # of the trace id, as OpenTelemetry's TraceIdRatioBased takes them

# Own source of random bits: see `pymacaron.request_record`.
_random = Random()  # noqa: S311 - ids need to be different, not secret
os.register_at_fork(after_in_child=_random.seed)
_draw_bits = _random.getrandbits


class TraceContext(NamedTuple):
    """One span of a trace: what is done now, and what it is a part of.

    trace_id: 32 hex digits. span_id: 16 hex digits; where this service records no spans it is the caller's, passed on
    as it came. flags: bits of ``traceparent``. state: ``tracestate`` as it came. parent_id: span that this one is a
    part of, None at the root. is_recorded: whether this service exports the span.
    """

    trace_id: str
    span_id: str
    flags: int = 0
    state: str = ""
    parent_id: str | None = None
    is_recorded: bool = False

    @property
    def traceparent(self) -> str:
        """The header's value for whoever is called now."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    def to_headers(self) -> dict[str, str]:
        """Return the headers that pass the trace on: ``traceparent``, and ``tracestate`` if there is one."""
        headers = {"traceparent": self.traceparent}
        if self.state:
            headers["tracestate"] = self.state
        return headers

    def open_child(self) -> TraceContext:
        """Return a new span that is a part of this one."""
        return self._replace(span_id=f"{_draw_bits(64):016x}", parent_id=self.span_id)


def parse_traceparent(traceparent: str, tracestate: str | None = None) -> TraceContext | None:
    """Return what the headers of a caller say, None if that is not valid.

    Source: section 3.2, and 4.3 on versions that are not known yet.
    """
    match = _HEADER.match(traceparent.strip())
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    state = tracestate.strip() if tracestate else ""
    if len(state) > _MOST_STATE_BYTES or not state.isprintable() or not state.isascii():
        state = ""
    return TraceContext(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS, state)


class Sampler:
    """Opens the spans of a service that records them: of all traces that their callers record, and of a share of new.

    Source: OpenTelemetry, ParentBased(TraceIdRatioBased), whose services come to the same decision.
    """

    def __init__(self, ratio: float = 1.0) -> None:
        """Take the share of new traces that are recorded, 0 to 1."""
        self._bound = round(ratio * (1 << _RATIO_BITS))

    def open_span(self, caller: TraceContext | None, trace_id: str | None = None) -> TraceContext:
        """Return a span that is a part of the *caller*'s, or the root of a new trace, by default with a random id."""
        if caller is not None:
            return caller.open_child()._replace(is_recorded=bool(caller.flags & _SAMPLED))
        trace_id = trace_id or f"{_draw_bits(128):032x}"
        is_recorded = int(trace_id, 16) & ((1 << _RATIO_BITS) - 1) < self._bound
        span_id = f"{_draw_bits(64):016x}"
        return TraceContext(trace_id, span_id, _SAMPLED if is_recorded else 0, is_recorded=is_recorded)
