from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pymacaron.exceptions import Finding
from pymacaron_monitoring.report import ReportError, read_report

RERUN = "Run the tests again with this version of pymacaron"
OTHER_VERSION = "This gate reads version 2: run the tests again with this version of pymacaron"


def test_a_report_is_read(make_report: Any) -> None:
    """What the gate needs is there, what it does not know is left alone."""
    report = read_report({**make_report(), "colour": "blue"})
    assert report.target == "http://127.0.0.1:8000"
    assert [item.outcome for item in report.items] == ["passed", "passed"]
    assert report.documents[0].name == "pets"


def test_a_report_knows_its_age(make_report: Any) -> None:
    """Counted from the end of the tests."""
    report = read_report(make_report(started_at="2026-11-23T19:00:00Z", duration_s=60))
    assert report.get_age_s(datetime(2026, 11, 23, 20, 1, tzinfo=UTC)) == 3600


@pytest.mark.parametrize(
    ("changes", "findings"),
    [
        pytest.param({"version": 1}, [Finding("report#/version", "version 1 is unknown", OTHER_VERSION)], id="version"),
        pytest.param(
            {"items": [{"nodeid": "a", "kind": "contract", "outcome": "great"}], "exit_code": "x"},
            [
                Finding(
                    "report#/items/0/outcome",
                    "Input should be 'passed', 'failed', 'error', 'skipped' or 'not_run'",
                    RERUN,
                ),
                Finding(
                    "report#/exit_code", "Input should be a valid integer, unable to parse string as an integer", RERUN
                ),
            ],
            id="all findings",
        ),
        pytest.param(
            {"started_at": "2026-11-23T19:00:00"},
            [Finding("report#/started_at", "Input should have timezone info", RERUN)],
            id="no time zone",
        ),
    ],
)
def test_other_reports_are_refused(make_report: Any, changes: dict[str, Any], findings: list[Finding]) -> None:
    """Everything in it that is not as it should be is told."""
    with pytest.raises(ReportError) as refused:
        read_report(make_report(**changes))
    assert refused.value.findings == tuple(findings)


def test_a_report_without_version_is_refused() -> None:
    """Some other JSON is no report."""
    with pytest.raises(ReportError) as refused:
        read_report({})
    assert refused.value.findings == (Finding("report#/version", "it names no version", OTHER_VERSION),)
