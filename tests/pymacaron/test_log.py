"""Logs are one JSON object a line and know the request."""

from __future__ import annotations

import json
import logging

import pytest

from pymacaron.log import (
    LogContext,
    capture_context,
    current_request_id,
    current_trace,
    current_user_id,
    log_context_var,
    note_user,
    pymlogger,
    restored_context,
    set_level,
    setup_logging,
)
from pymacaron.trace_context import Sampler, TraceContext

TRACE = TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1, "a=b")


def test_json_lines_carry_request_and_user(capsys: pytest.CaptureFixture[str]) -> None:
    """Within a request each line has its id and user."""
    setup_logging(log_format="json")
    token = log_context_var.set(LogContext("r-1"))
    note_user("alice")
    try:
        pymlogger("svc").warning("low on %s", "tea", extra={"cups": 2})
    finally:
        log_context_var.reset(token)
    line = json.loads(capsys.readouterr().err)
    assert {key: line[key] for key in ("level", "logger", "message", "request_id", "user_id", "cups")} == {
        "level": "WARNING",
        "logger": "svc",
        "message": "low on tea",
        "request_id": "r-1",
        "user_id": "alice",
        "cups": 2,
    }
    assert line["time"]


def test_text_lines_end_with_the_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    """For people the id stands at the end, and only inside a request."""
    setup_logging(log_format="text")
    pymlogger("svc").warning("outside")
    token = log_context_var.set(LogContext("r-2"))
    try:
        pymlogger("svc").warning("inside")
    finally:
        log_context_var.reset(token)
    outside, inside = capsys.readouterr().err.splitlines()
    assert outside.endswith("WARNING svc: outside")
    assert inside.endswith("WARNING svc: inside [r-2]")


def test_setting_up_twice_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """The second call replaces the first."""
    setup_logging(log_format="json")
    setup_logging(log_format="json")
    set_level(logging.ERROR)
    pymlogger("svc").warning("not shown")
    pymlogger("svc").error("shown")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_lines_within_a_trace_carry_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of one they say nothing of traces."""
    setup_logging(log_format="json")
    with restored_context({"request_id": "r-3", "traceparent": TRACE.traceparent}):
        note_user("bob")
        pymlogger("svc").warning("inside")
    pymlogger("svc").warning("outside")
    inside, outside = map(json.loads, capsys.readouterr().err.splitlines())
    assert (inside["request_id"], inside["user_id"], inside["trace_id"]) == ("r-3", "bob", TRACE.trace_id)
    assert "trace_id" not in outside


def test_the_context_of_a_request_goes_with_work_that_is_done_later() -> None:
    """It survives JSON; afterwards nothing of it is left."""
    token = log_context_var.set(LogContext("r-4", "alice", TRACE))
    try:
        captured = capture_context()
    finally:
        log_context_var.reset(token)
    assert captured == {
        "request_id": "r-4",
        "user_id": "alice",
        "traceparent": TRACE.traceparent,
        "tracestate": "a=b",
    }
    assert capture_context() == {}
    with restored_context(json.loads(json.dumps(captured))) as context:
        assert (current_request_id(), current_user_id(), current_trace()) == ("r-4", "alice", TRACE)
        assert context is log_context_var.get()
    assert (current_request_id(), current_user_id(), current_trace()) == (None, None, None)


def test_work_of_a_service_that_records_spans_is_one() -> None:
    """It is part of the span that asked for it, or the root of a new trace."""
    with restored_context({"traceparent": TRACE.traceparent}, Sampler()):
        span = current_trace()
        assert span is not None
        assert (span.trace_id, span.parent_id, span.is_recorded) == (TRACE.trace_id, TRACE.span_id, True)
    with restored_context({}, Sampler()):
        root = current_trace()
        assert root is not None
        assert root.parent_id is None
    with restored_context({"traceparent": "nonsense"}):
        assert current_trace() is None
