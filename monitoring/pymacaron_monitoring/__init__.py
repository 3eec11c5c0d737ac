"""Watches a pymacaron service, and judges it: metrics, error reports, objectives, the gate."""

from pymacaron_monitoring.errors import flush_reports
from pymacaron_monitoring.gate import judge
from pymacaron_monitoring.observer import init_app
from pymacaron_monitoring.report import ReportError
from pymacaron_monitoring.slo import Latency, Objectives, Slo, read_objectives
from pymacaron_monitoring.tracing import flush_spans
from pymacaron_monitoring.verdict import Reason, Verdict, render_verdict

__all__ = [
    "Latency",
    "Objectives",
    "Reason",
    "ReportError",
    "Slo",
    "Verdict",
    "flush_reports",
    "flush_spans",
    "init_app",
    "judge",
    "read_objectives",
    "render_verdict",
]
