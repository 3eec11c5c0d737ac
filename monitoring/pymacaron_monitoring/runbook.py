"""What the person who is paged reads: what is promised, what happens, where to look."""

from __future__ import annotations

import re

from pymacaron.spec import Operation
from pymacaron_monitoring.burn_rate import Severity
from pymacaron_monitoring.indicators import Indicator, format_bound

_LONGEST_DESCRIPTION = 300


def describe_burn(indicator: Indicator, subject: Operation | None, severity: Severity, *, job: str) -> dict[str, str]:
    """Return the annotations of a burn-rate alert, the template of its value in them.

    subject: the operation that is judged by itself, None for all of *indicator*.
    """
    what = describe_operation(subject) if subject else f"{indicator.api}, all operations together"
    bad = "answered 5xx" if indicator.latency is None else f"over {format_bound(indicator.latency.bound_s)}"
    speed = "The budget burns fast." if severity == "page" else "The budget burns slowly, but it will not last."
    text = f"{{{{ $value | humanizePercentage }}}} of requests are {bad}. Promised: {indicator.promise}."
    return {
        "summary": f"{_escape(f'{job}: {what}')}: {{{{ $value | humanizePercentage }}}} of requests are {bad}",
        "description": f"{text} {speed}",
        "runbook": _escape(_write_runbook(indicator, subject)),
        "dashboard": f"/d/{dashboard_uid(job)}",
    }


def describe_loss(job: str, duration: str) -> dict[str, str]:
    """Return the annotations of the alert that nothing was scraped for *duration*."""
    return {
        "summary": f"{_escape(job)}: no metrics for {duration}",
        "description": "Nothing that is promised can be judged: the service is down, or is not scraped.",
        "runbook": _escape(
            f'Ask a running copy for /metrics. If it answers, look at the target in Prometheus: job "{job}" must '
            "scrape it. If none answers, roll back the last release or start the service."
        ),
        "dashboard": f"/d/{dashboard_uid(job)}",
    }


def dashboard_uid(job: str) -> str:
    """Return the id of the service's dashboard in Grafana: at most 40 letters, digits, ``-`` and ``_``."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", f"pymacaron-{job}")[:40]


def describe_operation(operation: Operation) -> str:
    """Return ``GET /pets/{id}``."""
    return f"{operation.method.upper()} {operation.path}"


def _write_runbook(indicator: Indicator, subject: Operation | None) -> str:
    lines = []
    if subject is not None:
        words = " ".join(f"{subject.summary} {subject.description}".split())
        lines.append(f"{describe_operation(subject)} is {subject.operation_id}. {_shorten(words)}".strip())
    else:
        lines.append(f"Find the operations that fail most in the dashboard's table: {len(indicator.operations)} count.")
    if indicator.latency is None:
        lines.append("Look for the newest error_id in the log or the error reports: it names the exception.")
    else:
        lines.append(
            "Compare its sections and what it calls in the dashboard; see whether in-flight requests or CPU are full."
        )
    lines.append("If it began with a release, roll that back first and look for the reason afterwards.")
    return "\n".join(lines)


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST_DESCRIPTION else f"{text[: _LONGEST_DESCRIPTION - 1]}…"


def _escape(text: str) -> str:
    """Return *text* so that the templates of Prometheus leave it as it is.

    Source: Go's text/template; ``{{ "{{" }}`` writes two braces.
    """
    return text.replace("{{", '{{ "{{" }}')
