"""The header traceparent, and which traces are recorded."""

from __future__ import annotations

import pytest

from pymacaron.trace_context import Sampler, TraceContext, parse_traceparent

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(GOOD, (TRACE, SPAN, 1), id="good"),
        pytest.param(f" {GOOD}\t", (TRACE, SPAN, 1), id="white-space-around-it"),
        pytest.param(f"00-{TRACE}-{SPAN}-00", (TRACE, SPAN, 0), id="not-sampled"),
        pytest.param(f"00-{TRACE}-{SPAN}-ff", (TRACE, SPAN, 3), id="unknown-flags-go"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01", (TRACE, SPAN, 1), id="later-version"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01-what-else", (TRACE, SPAN, 1), id="later-version-says-more"),
        pytest.param(f"cc-{TRACE}-{SPAN}-01.what-else", None, id="later-version-without-a-dash"),
        pytest.param(f"{GOOD}-more", None, id="this-version-says-more"),
        pytest.param(f"ff-{TRACE}-{SPAN}-01", None, id="forbidden-version"),
        pytest.param(f"00-{'0' * 32}-{SPAN}-01", None, id="no-trace"),
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", None, id="no-span"),
        pytest.param(GOOD.upper(), None, id="capitals"),
        pytest.param(GOOD[:-1], None, id="too-short"),
        pytest.param(f"{GOOD},{GOOD}", None, id="twice"),
        pytest.param(f"{GOOD}\n", (TRACE, SPAN, 1), id="line-end"),
        pytest.param("", None, id="empty"),
    ],
)
def test_parse(header: str, expected: tuple[str, str, int] | None) -> None:
    """What is not valid counts as nothing; later versions are read as far as they are known."""
    found = parse_traceparent(header)
    assert (found and found[:3]) == expected


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        pytest.param("congo=t61rcWkgMzE,rojo=00f067", "congo=t61rcWkgMzE,rojo=00f067", id="passed-on"),
        pytest.param(None, "", id="none"),
        pytest.param("a=" + "b" * 511, "", id="too-long"),
        pytest.param("a=b\r\nX-Admin: 1", "", id="header-injection"),
    ],
)
def test_state(state: str | None, kept: str) -> None:
    """The state goes on as it came, if it may."""
    found = parse_traceparent(GOOD, state)
    assert found is not None
    assert found.state == kept
    assert found.to_headers() == {"traceparent": GOOD, **({"tracestate": kept} if kept else {})}


def test_the_span_of_a_request_is_part_of_its_callers() -> None:
    """It has the caller's trace and an id of its own, and is recorded if the caller's is."""
    caller = TraceContext(TRACE, SPAN, 1, "a=b")
    span = Sampler(0).open_span(caller)
    assert (span.trace_id, span.parent_id, span.state) == (TRACE, SPAN, "a=b")
    assert span.is_recorded
    assert span.span_id != SPAN
    assert parse_traceparent(span.traceparent) == TraceContext(TRACE, span.span_id, 1)
    assert not Sampler(1).open_span(caller._replace(flags=2)).is_recorded


def test_new_traces_are_sampled_by_their_ids() -> None:
    """As many as asked for are recorded, the same in each service, and say so to whom they call."""
    roots = [Sampler(0.25).open_span(None) for _ in range(2000)]
    recorded = [root for root in roots if root.is_recorded]
    assert 380 < len(recorded) < 620
    assert {root.flags for root in recorded} == {1}
    assert {root.flags for root in roots if not root.is_recorded} == {0}
    assert {root.parent_id for root in roots} == {None}
    assert len({root.trace_id for root in roots}) == len({root.span_id for root in roots}) == 2000
    again = [Sampler(0.25).open_span(None, root.trace_id) for root in roots]
    assert [root.is_recorded for root in again] == [root.is_recorded for root in roots]
    assert all(Sampler(1).open_span(None, trace_id).is_recorded for trace_id in (TRACE, "f" * 32))
