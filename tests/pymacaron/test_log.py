"""Logs are one JSON object a line and know the request."""

from __future__ import annotations

import json
import logging

import pytest

from pymacaron.log import LogContext, log_context_var, note_user, pymlogger, set_level, setup_logging


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
