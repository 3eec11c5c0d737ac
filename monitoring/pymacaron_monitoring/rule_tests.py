"""Unit tests of the generated rules, for ``promtool test rules``: each promise of an alert as a scenario."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf

from pymacaron.json_types import JsonObject
from pymacaron.spec import Operation
from pymacaron_monitoring.burn_rate import Severity, find_delay_s, scale_windows
from pymacaron_monitoring.indicators import Indicator
from pymacaron_monitoring.prometheus import METRIC
from pymacaron_monitoring.promql import match, quote, select, write_bound
from pymacaron_monitoring.rules import ABSENT_AFTER_S, INCOMPLETE_AFTER_S, RuleOptions

_BUSY, _IDLE = 6000, 1
_GOOD_MINUTES = 60
_GRACE_MINUTES = 2  # the rules are evaluated once a minute here, and see what was scraped before
_TOO_EARLY = 0.75  # of the delay: a page then would come before it is sure
_LONGEST_MINUTES = 8 * 60
_SLOW_BURN = 4  # more than a ticket's 3, less than a page's 6
_SLOW_MINUTES = 30
_QUIET_MINUTES = (1, 2, 5, 15)
_BURNS = match("alertname", "SloBurnsFast", "SloBurnsSlowly")

_Phases = Sequence[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class _Check:
    """At *minute*, of the *watched* severities just the *firing* ones fire for *indicator*."""

    indicator: Indicator
    minute: int
    firing: frozenset[Severity]
    watched: tuple[Severity, ...] = ("page", "ticket")


@dataclass(frozen=True, slots=True)
class _Scenario:
    """What happens to the first operation of each indicator, and who must be told.

    per_minute: requests. phases: of each indicator, (minutes, bad requests a minute), one after the other.
    """

    name: str
    per_minute: int
    phases: Mapping[str, _Phases]
    checks: Sequence[_Check]

    @property
    def minutes(self) -> int:
        """How long it takes."""
        return max(check.minute for check in self.checks)


def make_rule_tests(indicators: Sequence[Indicator], options: RuleOptions, rule_file: str) -> JsonObject:
    """Return a test file of promtool for the rules of *indicators* that stand, unscaled, in *rule_file*."""
    tests = []
    for kind in ("availability", "latency"):
        chosen = [one for one in indicators if (one.latency is None) == (kind == "availability")]
        scenarios = _find_scenarios(chosen) if chosen else ()
        tests += [_make_test(f"{kind}: {one.name}", one, chosen, options) for one in scenarios]
    tests += [_make_absence_test(options), _make_incomplete_test(indicators, options)]
    return {"rule_files": [rule_file], "evaluation_interval": "1m", "tests": tests}


def _find_scenarios(indicators: Sequence[Indicator]) -> Iterator[_Scenario]:
    """Yield what has to page, to make a ticket, or to let people sleep; what no window can see is left out."""
    yield from _find_outages("a total outage pages", _BUSY, indicators)
    yield from _find_outages("a total outage of little traffic pages", _IDLE, indicators)
    slow = {one.name: round(_SLOW_BURN * one.allowed_share * _BUSY) for one in indicators}
    seen = [one for one in indicators if 6 * one.allowed_share < 0.9 and slow[one.name]]  # noqa: PLR2004
    if seen:
        phases = {one.name: [(inf, slow[one.name])] for one in seen}
        checks = [_Check(one, _SLOW_MINUTES, frozenset({"ticket"})) for one in seen]
        yield _Scenario("a slow burn makes a ticket", _BUSY, phases, checks)
    phases = {one.name: [(float(_GOOD_MINUTES), 0), (1.0, 1), (inf, 0)] for one in indicators}
    minutes = [_GOOD_MINUTES + minute for minute in _QUIET_MINUTES]
    checks = [_Check(one, minute, frozenset()) for one in indicators for minute in minutes]
    yield _Scenario("one bad request at one a minute tells nobody", _IDLE, phases, checks)
    yield _Scenario("no traffic tells nobody", 0, {}, [_Check(one, 10, frozenset()) for one in indicators])


def _find_outages(name: str, per_minute: int, indicators: Sequence[Indicator]) -> Iterator[_Scenario]:
    """Yield the scenario that everything is bad after a good hour, if any page sees that within a working day."""
    minutes = {one.name: _find_page_minutes(one, per_minute) for one in indicators}
    checks = []
    for one in indicators:
        if minutes[one.name] <= _LONGEST_MINUTES:
            early = int(minutes[one.name] * _TOO_EARLY)
            checks.append(_Check(one, _GOOD_MINUTES + early, frozenset(), watched=("page",)))
            end = _GOOD_MINUTES + ceil(minutes[one.name]) + _GRACE_MINUTES
            # A ticket may be there, too: its windows are not full after an hour.
            checks.append(_Check(one, end, frozenset({"page"}), watched=("page",)))
    if checks:
        phases = {one.name: [(float(_GOOD_MINUTES), 0), (inf, per_minute)] for one in indicators}
        yield _Scenario(name, per_minute, phases, checks)


def _find_page_minutes(indicator: Indicator, per_minute: int) -> float:
    pages = [one for one in scale_windows(indicator.period_s) if one.severity == "page"]
    delay_s = find_delay_s(pages, indicator.allowed_share, requests_per_s=per_minute / 60, history_s=60 * _GOOD_MINUTES)
    return delay_s / 60


def _make_test(name: str, scenario: _Scenario, indicators: Sequence[Indicator], options: RuleOptions) -> JsonObject:
    return {
        "name": name,
        "interval": "1m",
        "input_series": list(_make_series(scenario, indicators, options)),
        "promql_expr_test": [_make_check(check) for check in scenario.checks],
    }


def _make_check(check: _Check) -> JsonObject:
    matchers = (match("slo", check.indicator.name), match("severity", *check.watched))
    firing = select("ALERTS", match("alertstate", "firing"), _BURNS, *matchers)
    samples = [{"labels": f"{{severity={quote(one)}}}", "value": 1} for one in sorted(check.firing)]
    return {"expr": f"count by (severity) ({firing})", "eval_time": f"{check.minute}m", "exp_samples": samples}


def _make_series(scenario: _Scenario, indicators: Sequence[Indicator], options: RuleOptions) -> Iterator[JsonObject]:
    """Yield counters by status, and the bucket of each bound, one value a minute."""
    by_operation: dict[str, list[Indicator]] = {}
    for indicator in indicators:
        by_operation.setdefault(indicator.operations[0].operation_id, []).append(indicator)
    good: _Phases = [(inf, 0)]
    for of_operation in by_operation.values():
        labels = _make_labels(of_operation[0].operations[0], options)
        if of_operation[0].latency is None:  # availability: of one indicator only
            phases = scenario.phases.get(of_operation[0].name, good)
            failed = [(minutes, scenario.per_minute - bad) for minutes, bad in phases]
            yield _make_input("count", {**labels, "http_response_status_code": "200"}, failed, scenario)
            yield _make_input("count", {**labels, "http_response_status_code": "500"}, phases, scenario)
            continue
        labels["http_response_status_code"] = "200"
        yield _make_input("count", labels, [(inf, scenario.per_minute)], scenario)
        for indicator in of_operation:
            bound = write_bound(indicator.latency.bound_s) if indicator.latency else ""
            phases = scenario.phases.get(indicator.name, good)
            fast = [(minutes, scenario.per_minute - bad) for minutes, bad in phases]
            yield _make_input("bucket", {**labels, "le": bound}, fast, scenario)


def _make_labels(operation: Operation, options: RuleOptions) -> dict[str, str]:
    return {
        "job": options.job,
        "http_request_method": operation.method.upper(),
        "http_route": operation.path,
        "operation_id": operation.operation_id,
    }


def _make_input(suffix: str, labels: Mapping[str, str], phases: _Phases, scenario: _Scenario) -> JsonObject:
    """Return a counter in promtool's notation. phases: (minutes, growth a minute); the last one goes on to the end."""
    words, value, left = ["0"], 0, float(scenario.minutes)
    for minutes, growth in phases:
        length = int(min(minutes, left))
        if length:
            words.append(f"{value + growth}+{growth}x{length - 1}")
        value += growth * length
        left -= length
    matchers = (f"{name}={quote(text)}" for name, text in labels.items())
    return {"series": select(f"{METRIC}_{suffix}", *matchers), "values": " ".join(words)}


def _make_absence_test(options: RuleOptions) -> JsonObject:
    """Return the test that a service which is no longer scraped pages, and makes no tickets besides."""
    last, minutes = 10, ABSENT_AFTER_S // 60
    firing = {
        ("SloDataAbsent", last + minutes - 1): 0,
        ("SloDataAbsent", last + minutes + _GRACE_MINUTES): 1,
        ("SloDataIncomplete", last + INCOMPLETE_AFTER_S // 60 + _GRACE_MINUTES): 0,
    }
    return _make_presence_test("metrics that stop page", f"0x{last} stale", firing, options)


def _make_incomplete_test(indicators: Sequence[Indicator], options: RuleOptions) -> JsonObject:
    """Return the test that objectives make a ticket each where nothing is counted that they read."""
    minutes = INCOMPLETE_AFTER_S // 60
    end = minutes + _GRACE_MINUTES
    firing = {("SloDataIncomplete", minutes - 1): 0, ("SloDataIncomplete", end): len(indicators)}
    return _make_presence_test("operations that are not counted make tickets", f"0x{end}", firing, options)


def _make_presence_test(
    name: str, values: str, firing: Mapping[tuple[str, int], int], options: RuleOptions
) -> JsonObject:
    """Return a test in which another operation has *values*. firing: alert and minute -> how many fire then."""
    series = select(f"{METRIC}_count", f"job={quote(options.job)}", 'operation_id="any"')
    checks = []
    for (alert, minute), count in firing.items():
        alerts = f"count({select('ALERTS', match('alertstate', 'firing'), match('alertname', alert))})"
        samples = [{"labels": "{}", "value": count}] if count else []
        checks.append({"expr": alerts, "eval_time": f"{minute}m", "exp_samples": samples})
    return {
        "name": f"presence: {name}",
        "interval": "1m",
        "input_series": [{"series": series, "values": values}],
        "promql_expr_test": checks,
    }
