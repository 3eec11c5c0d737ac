"""Recording rules and burn-rate alerts of Prometheus, from the objectives of documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pymacaron.json_types import JsonObject
from pymacaron.spec import Operation
from pymacaron_monitoring.asked_counts import count_requests
from pymacaron_monitoring.burn_rate import LEAST_BAD, BurnWindow, Severity, scale_windows
from pymacaron_monitoring.indicators import Indicator
from pymacaron_monitoring.prometheus import METRIC
from pymacaron_monitoring.promql import format_duration, match, select
from pymacaron_monitoring.runbook import describe_burn, describe_loss
from pymacaron_monitoring.wilson import Z_95

REQUESTS = "slo:requests:increase"
BAD = "slo:bad_requests:increase"
SHARE = "slo:bad_share:ratio"
LOWER_BOUND = "slo:bad_share:lower_bound"
ALLOWED = "slo:allowed_share:ratio"
BUDGET = "slo:budget_left:ratio"

FAST_INTERVAL_S = 30
SLOW_INTERVAL_S = 120
ABSENT_AFTER_S = 300
INCOMPLETE_AFTER_S = 900


@dataclass(frozen=True, slots=True)
class RuleOptions:
    """What rules are written for.

    job: the label ``job`` of the service's series. scale: factor of every duration in them, 1 except for rehearsals.
    """

    job: str
    scale: float = 1.0

    def scale_duration(self, seconds: float) -> str:
        """Return *seconds*, scaled, as Prometheus writes them."""
        return format_duration(max(1, round(seconds * self.scale)))


def make_rules(indicators: Iterable[Indicator], options: RuleOptions) -> JsonObject:
    """Return a rule file of Prometheus, ``{groups: [{name, interval, rules: [{record or alert, expr, …}]}]}``.

    Two groups an indicator, the page's and the ticket's, and one that tells when there is nothing to count.
    """
    groups = []
    for indicator in indicators:
        writer = _Writer(indicator, options)
        groups.append(
            _make_group(f"{options.job} {indicator.name} page", FAST_INTERVAL_S, writer.fast_rules(), options)
        )
        groups.append(
            _make_group(f"{options.job} {indicator.name} ticket", SLOW_INTERVAL_S, writer.slow_rules(), options)
        )
    groups.append(_make_group(f"{options.job} presence", FAST_INTERVAL_S, [_absence_alert(options)], options))
    return {"groups": groups}


def _make_group(name: str, interval_s: int, rules: Sequence[JsonObject], options: RuleOptions) -> JsonObject:
    return {"name": name, "interval": options.scale_duration(interval_s), "rules": list(rules)}


def _absence_alert(options: RuleOptions) -> JsonObject:
    duration = options.scale_duration(ABSENT_AFTER_S)
    return {
        "alert": "SloDataAbsent",
        "expr": f"absent({select(f'{METRIC}_count', match('job', options.job))})",
        "for": duration,
        "labels": {"severity": "page", "job": options.job},
        "annotations": describe_loss(options.job, duration),
    }


class _Writer:
    """Writes the rules of one indicator."""

    def __init__(self, indicator: Indicator, options: RuleOptions) -> None:
        self._indicator = indicator
        self._options = options
        self._labels = {"slo": indicator.name, "api": indicator.api, "job": options.job}
        windows = scale_windows(indicator.period_s, options.scale)
        self._pages = [window for window in windows if window.severity == "page"]
        self._tickets = [window for window in windows if window.severity == "ticket"]

    def fast_rules(self) -> list[JsonObject]:
        """Return what pages, the series that it reads first, and whether they are all there."""
        rules = [self._record(ALLOWED, f"vector({self._indicator.allowed_share:g})", None)]
        rules += self._record_windows(self._pages, set())
        rules += self._burn_alerts("page", self._pages)
        return [*rules, self._incomplete_alert()]

    def slow_rules(self) -> list[JsonObject]:
        """Return what makes tickets, the series that it reads first, and the budget."""
        known = {seconds for window in self._pages for seconds in (window.short_s, window.long_s)}
        rules = self._record_windows(self._tickets, known)
        rules += self._burn_alerts("ticket", self._tickets)
        period = self._options.scale_duration(self._indicator.period_s)
        rules += self._record_counts(period)
        left = f"1 - {self._recorded(BAD, period)} / clamp_min({self._recorded(REQUESTS, period)}, 1) / "
        return [*rules, self._record(BUDGET, f"{left}{self._indicator.allowed_share:g}", period)]

    def _record_windows(self, windows: Iterable[BurnWindow], known: set[float]) -> list[JsonObject]:
        """Return the records of each length of *windows* but the *known* ones, with the lower bound of long ones."""
        rules: list[JsonObject] = []
        for window in windows:
            for seconds in (window.short_s, window.long_s):
                length = format_duration(seconds)
                if seconds not in known:
                    rules += self._record_counts(length)
                    share = f"{self._recorded(BAD, length)} / {self._recorded(REQUESTS, length)}"
                    rules.append(self._record(SHARE, share, length))
                    known.add(seconds)
            rules.append(self._record_lower_bound(format_duration(window.long_s)))
        return rules

    def _record_counts(self, length: str) -> list[JsonObject]:
        counts = count_requests(self._indicator, self._options.job, length)
        return [self._record(REQUESTS, counts.requests, length), self._record(BAD, counts.bad, length)]

    def _record_lower_bound(self, length: str) -> JsonObject:
        """Return the lower limit of the share that is certain of *length*.

        Source: E. B. Wilson, "Probable inference", JASA 22 (1927), one-sided at 95 %, as in `wilson.estimate_share`.
        """
        bad, all_ = self._recorded(BAD, length), self._recorded(REQUESTS, length)
        spread = f"{Z_95:.6g} * sqrt({bad} * ({all_} - {bad}) / {all_} + {Z_95**2 / 4:.6g})"
        return self._record(LOWER_BOUND, f"({bad} + {Z_95**2 / 2:.6g} - {spread}) / ({all_} + {Z_95**2:.6g})", length)

    def _burn_alerts(self, severity: Severity, windows: Sequence[BurnWindow]) -> list[JsonObject]:
        """Return the alert of each subject: a count that matters, surely too many, and still going on."""
        alerts: list[JsonObject] = []
        for subject in self._indicator.subjects:
            conditions = "\nor\n".join(self._burn_condition(window, subject) for window in windows)
            alerts.append(
                {
                    "alert": "SloBurnsFast" if severity == "page" else "SloBurnsSlowly",
                    "expr": f"max without (window) (\n{conditions}\n)\n",
                    "labels": {"severity": severity, "slo": self._indicator.name}
                    | ({"operation_id": subject.operation_id} if subject else {}),
                    "annotations": describe_burn(self._indicator, subject, severity, job=self._options.job),
                }
            )
        return alerts

    def _burn_condition(self, window: BurnWindow, subject: Operation | None) -> str:
        threshold = f"{window.find_threshold(self._indicator.allowed_share):.6g}"
        long, short = format_duration(window.long_s), format_duration(window.short_s)
        ignored = "ignoring(window)"
        return "\n".join(
            (
                f"  {self._recorded(SHARE, long, subject)}",
                f"  and {self._recorded(LOWER_BOUND, long, subject)} > {threshold}",
                f"  and {ignored} {self._recorded(SHARE, short, subject)} > {threshold}",
                f"  and {self._recorded(BAD, long, subject)} >= {LEAST_BAD}",
            )
        )

    def _incomplete_alert(self) -> JsonObject:
        """Return the alert that some of what is judged cannot be counted: an operation, or the bucket of its bound."""
        subjects = len(self._indicator.subjects)
        length = format_duration(self._pages[0].long_s)
        duration = self._options.scale_duration(INCOMPLETE_AFTER_S)
        found = f"(count({self._recorded(BAD, length)}) or vector(0)) < {subjects}"
        absent = f"absent({select(f'{METRIC}_count', match('job', self._options.job))})"
        return {
            "alert": "SloDataIncomplete",
            "expr": f"{found} unless on () {absent}",
            "for": duration,
            "labels": {"severity": "ticket", **self._labels},
            "annotations": {
                "summary": f"{self._options.job}: only {{{{ $value }}}} of {subjects} series of {self._indicator.name} "
                "are counted",
                "runbook": "The objective is not judged where series are missing. The running version has another "
                "document than these rules: deploy it, or run 'pymacaron slo rules' again and load them.",
            },
        }

    def _record(self, name: str, expr: str, length: str | None) -> JsonObject:
        window = {"window": length} if length else {}
        return {"record": name, "expr": expr, "labels": {**self._labels, **window}}

    def _recorded(self, name: str, length: str, subject: Operation | None = None) -> str:
        matchers = [match("job", self._options.job), match("slo", self._indicator.name), match("window", length)]
        if subject is not None:
            matchers.append(match("operation_id", subject.operation_id))
        return select(name, *matchers)
