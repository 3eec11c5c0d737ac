"""The rules themselves are tried by promtool, with the scenarios that are generated beside them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pymacaron.spec import Api
from pymacaron_monitoring.indicators import Indicator, find_indicators
from pymacaron_monitoring.rule_tests import make_rule_tests
from pymacaron_monitoring.rules import RuleOptions, make_rules
from pymacaron_monitoring.slo import read_objectives

MakeApi = Callable[[str], Api]
RunTests = Callable[..., subprocess.CompletedProcess[str]]
ONE = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
x-slo: %s
paths:
  /pets:
    get:
      operationId: listPets
      summary: Lists pets, {{ braces }} and all.
      responses: {"200": {description: all}}
"""
STRICT = "{availability: 99.9}"
OPTIONS = RuleOptions("pets")


def make_indicators(api: Api) -> list[Indicator]:
    return find_indicators(api, read_objectives(api))


@pytest.fixture
def run_tests(tmp_path: Path, promtool: str, read_api: MakeApi) -> RunTests:
    """Run the tests generated for an x-slo on its rules: ``run_tests("{availability: 99}", only="outage")``.

    spoil: text of the rule file -> another text. only: part of the names of the tests to run.
    """

    def run(slo: str, spoil: tuple[str, str] = ("", ""), only: str = "") -> subprocess.CompletedProcess[str]:
        indicators = make_indicators(read_api(ONE % slo))
        rules = yaml.safe_dump(make_rules(indicators, OPTIONS), width=1000)
        assert re.search(spoil[0], rules)
        (tmp_path / "rules.yaml").write_text(re.sub(*spoil, rules) if spoil[0] else rules)
        tests = make_rule_tests(indicators, OPTIONS, "rules.yaml")
        tests["tests"] = [test for test in tests["tests"] if only in test["name"]]
        assert tests["tests"]
        file = tmp_path / "tests.yaml"
        file.write_text(yaml.safe_dump(tests))
        return subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(
    "slo",
    [
        pytest.param("{latency: {p99.9: 2s}}", id="strict: a page within two minutes"),
        pytest.param("{availability: 90, window: 7d}", id="loose, over a week: the threshold is capped"),
    ],
)
def test_the_rules_keep_what_they_promise(run_tests: RunTests, slo: str) -> None:
    """Outages page in time, slow burns make tickets, and single failures let people sleep."""
    done = run_tests(slo)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("availability", "spoil", "only"),
    [
        pytest.param("99.9", (r"> 0\.0(144|06)", "> 0.9"), "outage pages", id="threshold too high"),
        pytest.param("99.9", (r'"5\.\."', '"4.."'), "outage pages", id="wrong statuses"),
        pytest.param("99", (r"> 0\.(144|06)", "> 0.03"), "outage pages", id="threshold too low"),
        pytest.param("99.9", (r"> 0\.00[13]\b", "> 0.03"), "a slow burn", id="no ticket"),
        pytest.param("99.9", (r"> 0\.006", "> 0.003"), "a slow burn", id="a page in place of a ticket"),
        pytest.param("99.9", (r">= 3", ">= 1"), "one bad request", id="one failure is enough"),
        pytest.param("99", (r"lower_bound\{", "ratio{"), "little traffic", id="no bound of what is certain"),
        pytest.param("99", (r"for: 5m", "for: 20m"), "metrics that stop", id="absence told too late"),
        pytest.param("99", (r"< 1 unless", "< 0 unless"), "not counted", id="missing operations are not told"),
        pytest.param("99", (r"unless on \(\)", "unless"), "metrics that stop", id="absence makes tickets, too"),
    ],
)
def test_spoilt_rules_are_found_out(run_tests: RunTests, availability: str, spoil: tuple[str, str], only: str) -> None:
    """The generated tests fail where the rules do not keep the promise."""
    done = run_tests(f"{{availability: {availability}}}", spoil, only)
    assert done.returncode == 1
    assert "FAILED" in done.stderr
    assert "exp:" in done.stderr


def test_promtool_likes_the_rules(read_api: MakeApi, pets_text: str, promtool: str, tmp_path: Path) -> None:
    """No error, and none of its warnings."""
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(make_rules(make_indicators(read_api(pets_text)), OPTIONS)))
    command = [promtool, "check", "rules", "--lint=all", "--lint-fatal", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def find_alerts(api: Api, options: RuleOptions = OPTIONS) -> list[dict[str, Any]]:
    groups = make_rules(make_indicators(api), options)["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_each_subject_has_a_page_and_a_ticket(read_api: MakeApi, pets_text: str) -> None:
    """Pooled operations one of each, others each their own; and whether all is counted."""
    alerts = find_alerts(read_api(pets_text))
    burns = [(one["labels"]["slo"], one["labels"].get("operation_id")) for one in alerts if "Burns" in one["alert"]]
    expected = [
        ("pets/availability", None),
        ("pets/availability-90", "deletePet"),
        ("pets/p95-200ms", "listPets"),
        ("pets/p95-200ms", "deletePet"),
        ("pets/p95-300ms", "getPet"),
        ("pets/p99-1.5s", "getPet"),
    ]
    assert sorted(burns, key=str) == sorted(expected * 2, key=str)
    assert [one["alert"] for one in alerts].count("SloDataIncomplete") == 5
    assert alerts[-1]["alert"] == "SloDataAbsent"


def test_the_document_says_what_to_do(read_api: MakeApi) -> None:
    """The runbook names the operation in the document's words, safe from Prometheus' templates."""
    page = find_alerts(read_api(ONE % "{latency: {p95: 100ms}}"))[0]
    assert page["annotations"] == {
        "summary": "pets: GET /pets: {{ $value | humanizePercentage }} of requests are over 100 ms",
        "description": "{{ $value | humanizePercentage }} of requests are over 100 ms. "
        "Promised: 95 % of requests take at most 100 ms. The budget burns fast.",
        "runbook": 'GET /pets is listPets. Lists pets, {{ "{{" }} braces }} and all.\n'
        "Compare its sections and what it calls in the dashboard; see whether in-flight requests or CPU are full.\n"
        "If it began with a release, roll that back first and look for the reason afterwards.",
        "dashboard": "/d/pymacaron-pets",
    }


def test_a_rehearsal_is_shorter_in_every_duration(read_api: MakeApi) -> None:
    """A sixtieth of the time: hours become minutes, minutes seconds."""
    groups = make_rules(make_indicators(read_api(ONE % STRICT)), RuleOptions("pets", 1 / 60))["groups"]
    text = yaml.safe_dump(groups)
    windows = {rule["labels"]["window"] for group in groups for rule in group["rules"] if "window" in rule["labels"]}
    assert windows == {"5s", "1m", "30s", "6m", "2m", "24m", "1h12m", "12h"}
    assert [group["interval"] for group in groups] == ["1s", "2s", "1s"]
    assert "for: 5s" in text
    assert "for: 15s" in text
