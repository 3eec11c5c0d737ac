"""Plugin for the pytest that runs Flask's own tests: another class stands where they find `flask.Flask`.

FLASK_SUITE_APP names the class: ``module:Class``. FLASK_SUITE_REPORT is the JSON file to write at the end:
``{"outcomes": {test: "passed" | "failed" | "skipped"}, "requests": number, "lean_requests": number}``. The numbers are
what the class counted in its dicts ``requests`` and ``lean_requests``, 0 without them.
"""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import flask.app
import pytest

_module, _, _name = os.environ["FLASK_SUITE_APP"].partition(":")
App: type[flask.Flask] = getattr(importlib.import_module(_module), _name)
flask.Flask = flask.app.Flask = App  # type: ignore[misc]
_outcomes: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember the worst outcome of the three phases of a test."""
    if report.outcome != "passed" or report.nodeid not in _outcomes:
        _outcomes[report.nodeid] = report.outcome


def pytest_sessionfinish() -> None:
    """Write the report."""
    counts = {name: sum(getattr(App, name, {}).values()) for name in ("requests", "lean_requests")}
    Path(os.environ["FLASK_SUITE_REPORT"]).write_text(json.dumps({"outcomes": _outcomes, **counts}))
