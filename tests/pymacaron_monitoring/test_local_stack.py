"""``make monitor`` as it is run, in a ninetieth of the time: the demo, real Prometheus and real Alertmanager."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from pymacaron_monitoring.burn_rate import find_delay_s, scale_windows
from pymacaron_monitoring.slo import DEFAULT_WINDOW_S

ROOT = Path(__file__).parents[2]
STACK = ROOT / "monitoring" / "stack"
SCALE = 1 / 90
SCRAPE_S = 1
WARM_UP_S = 12
# What comes on top of a rule's own delay: the scrape, the rule's evaluation, Alertmanager's wait for others of the
# group, and sending, on two busy cores.
SENDING_S = SCRAPE_S + 1 + 1 + 4
SUBSTITUTES = {"$__rate_interval": "8s", "$operation": ".*", "$job": ".*", "${datasource}": "prometheus"}
# Panels that show nothing in a service that is well, was just started, or has no such thing; each with the reason.
QUIET = {
    "Alerts": "nothing fires",
    "Broken promises": "the demo breaks none",
    "Section duration": "the demo times none",
    "Section rate": "the demo times none",
    "Section time": "the demo times none",
    "Queued messages": "the demo has no tasks",
    "Oldest message": "the demo has no tasks",
    "Runs": "the demo has no tasks",
    "Wait": "the demo has no tasks",
    "Run time": "the demo has no tasks",
    "Running": "the demo has no tasks",
}
QUIET_COLUMNS = {"offset 1w": "nobody served a week ago"}


@dataclass(frozen=True, slots=True)
class Watched:
    """What runs: URLs, the folder of dashboards, the file of messages, the file that breaks the service."""

    prometheus: str
    dashboards: Path
    alerts: Path
    fault: Path
    started_at: float

    def ask(self, expr: str) -> list[Any]:
        """Return the samples of a query. Raises AssertionError with Prometheus' words if it is none."""
        for name, text in SUBSTITUTES.items():
            expr = expr.replace(name, text)
        answer = requests.post(f"{self.prometheus}/api/v1/query", data={"query": expr}, timeout=10).json()
        assert answer["status"] == "success", f"{expr}: {answer.get('error')}"
        return list(answer["data"]["result"])

    def read_messages(self) -> list[Any]:
        """Return what Alertmanager sent so far."""
        return [json.loads(line) for line in self.alerts.read_text().splitlines()]

    def wait_for(self, is_wanted: Callable[[Any, Any], bool], timeout_s: float) -> float:
        """Return when a message came that holds a wanted alert, in seconds since the epoch."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for message in self.read_messages():
                if any(is_wanted(message, alert) for alert in message["alerts"]):
                    return float(message["received_at"])
            time.sleep(0.1)
        raise AssertionError(f"no such message within {timeout_s:.1f} s; there are {self.read_messages()}")


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """Start it all, wait until rates are known, and stop it at the end."""
    missing = [name for name in ("prometheus", "prometheus-alertmanager") if shutil.which(name) is None]
    if missing:
        reason = f"{', '.join(missing)} missing: apt-get install prometheus prometheus-alertmanager"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
    command = [sys.executable, str(STACK / "local_stack.py"), "--scale", str(SCALE), "--scrape", str(SCRAPE_S)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            words = _read_places(process)
            yield _describe(words)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _describe(words: dict[str, str]) -> Watched:
    started_at = time.time()
    watched = Watched(
        words["Prometheus"].removesuffix("/alerts"),
        Path(words["Dashboards"]),
        Path(words["Alerts"]),
        Path(words["Break it"].removeprefix("touch ")),
        started_at,
    )
    time.sleep(WARM_UP_S)
    return watched


def _read_places(process: subprocess.Popen[str]) -> dict[str, str]:
    """Return what the program says about where things are, name -> place; goes on reading, so that it never blocks."""
    lines: queue.Queue[str] = queue.Queue()
    assert process.stdout

    def read(output: Any) -> None:
        for line in output:
            lines.put(line)

    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    words: dict[str, str] = {}
    deadline = time.monotonic() + 150
    while "Repair it" not in words:
        line = lines.get(timeout=max(0.1, deadline - time.monotonic()))
        words[line[:13].strip()] = line[13:].strip()
    return words


def _find_panels(dashboard: Any) -> Iterator[Any]:
    for panel in dashboard["panels"]:
        yield from panel.get("panels", ())
        if panel["type"] != "row":
            yield panel


@pytest.mark.parametrize("name", ["shop.json", "fleet.json"])
def test_every_panel_shows_what_happens(watched: Watched, name: str) -> None:
    """Each query is understood, and each panel has data but for those that cannot have any here."""
    dashboard = json.loads((watched.dashboards / name).read_text())
    empty = {}
    for panel in _find_panels(dashboard):
        for target in panel["targets"]:
            samples = watched.ask(target["expr"])
            is_quiet = panel["title"] in QUIET or any(part in target["expr"] for part in QUIET_COLUMNS)
            if not samples and not is_quiet:
                empty[panel["title"]] = target["expr"]
    assert empty == {}
    for annotation in dashboard["annotations"]["list"]:
        watched.ask(annotation["expr"])


def test_every_variable_has_values(watched: Watched) -> None:
    """What Grafana offers to choose from is there."""
    values = requests.get(f"{watched.prometheus}/api/v1/label/operation_id/values", timeout=10).json()["data"]
    assert {"list_items", "get_item", "create_item", "replace_item", "delete_item"} <= set(values)


def test_every_rule_is_healthy(watched: Watched) -> None:
    """Prometheus loaded and evaluated all of them without an error, and each record has a series."""
    groups = requests.get(f"{watched.prometheus}/api/v1/rules", timeout=10).json()["data"]["groups"]
    expected = yaml.safe_load((watched.dashboards / "shop.rules.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in expected)
    assert [rule for rule in rules if rule["health"] != "ok"] == []
    records = {rule["name"] for rule in rules if rule["type"] == "recording"}
    assert [name for name in sorted(records) if not watched.ask(name)] == []


def test_budgets_are_those_of_the_service(watched: Watched) -> None:
    """While all is well nothing of the availability's budget is spent, and nobody was told anything."""
    (sample,) = watched.ask('slo:budget_left:ratio{slo="shop/availability"}')
    assert float(sample["value"][1]) == 1.0
    assert watched.read_messages() == []


def test_the_report_asks_prometheus(watched: Watched) -> None:
    """It tells what Prometheus saw over the window."""
    document = watched.fault.parent / "apis" / "shop.yaml"
    command = [sys.executable, "-m", "pymacaron.cli", "slo", "report", str(document), "--job", "shop", "--json"]
    asked = 'sum(increase(http_server_request_duration_seconds_count{operation_id=~".*_items?"}[30d]))'
    (before,) = watched.ask(asked)
    done = subprocess.run(
        [*command, "--prometheus", watched.prometheus], capture_output=True, text=True, check=True, timeout=60
    )
    found = {(one["slo"], one["operation_id"]): one for one in json.loads(done.stdout)}
    availability = found["shop/availability", None]
    assert (availability["state"], availability["bad"], availability["budget_left"]) == ("kept", 0, 1)
    (after,) = watched.ask(asked)
    # Prometheus guesses what happened since the last scrape, so the sum may go back by that much.
    assert 0.9 * float(before["value"][1]) <= availability["requests"] <= 1.1 * float(after["value"][1])
    assert availability["requests"] > 100
    assert found["shop/p95-300ms", "list_items"]["state"] == "kept"


def test_a_fault_pages_as_soon_as_is_promised(watched: Watched) -> None:
    """Two of three requests fail: Alertmanager's webhook has the page within the delay of the rules, and its end."""
    pages = [one for one in scale_windows(DEFAULT_WINDOW_S, SCALE) if one.severity == "page"]
    (rate,) = watched.ask('sum(rate(http_server_request_duration_seconds_count{operation_id!=""}[8s]))')
    history_s = time.time() - watched.started_at
    promise_s = find_delay_s(pages, 0.01, requests_per_s=float(rate["value"][1]), bad_share=4 / 6, history_s=history_s)
    assert promise_s < 20
    broken_at = time.time()
    watched.fault.touch()
    paged_at = watched.wait_for(
        lambda message, alert: message["receiver"] == "page" and alert["status"] == "firing", promise_s + SENDING_S
    )
    assert paged_at - broken_at <= promise_s + SENDING_S
    watched.fault.unlink()
    (alert,) = next(one for one in watched.read_messages() if one["receiver"] == "page")["alerts"]
    assert alert["labels"] == {
        "alertname": "SloBurnsFast",
        "severity": "page",
        "job": "shop",
        "api": "shop",
        "slo": "shop/availability",
    }
    assert alert["annotations"]["summary"].startswith("shop: shop, all operations together: ")
    assert "99 % of requests are not answered 5xx" in alert["annotations"]["description"]
    longest_s = max(one.short_s for one in pages)
    watched.wait_for(
        lambda message, alert: message["receiver"] == "page" and alert["status"] == "resolved",
        longest_s + SENDING_S + 10,
    )


def test_the_stack_of_docker_is_the_one_that_is_tried() -> None:
    """Files that compose.yml mounts are there; rules and dashboards are looked for in the folder that is generated."""
    compose = yaml.safe_load((STACK / "compose.yml").read_text())
    mounts = [mount.split(":")[0] for service in compose["services"].values() for mount in service["volumes"]]
    assert [mount for mount in mounts if mount.startswith(".") and not (STACK / mount).exists()] == []
    assert (STACK / "../../dashboards/shop.rules.yaml").exists()


def test_alertmanager_takes_its_configuration() -> None:
    """As it is mounted by Docker, checked by Alertmanager's own tool."""
    amtool = shutil.which("amtool")
    if amtool is None:
        reason = "amtool is missing: apt-get install prometheus-alertmanager"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
    command = [amtool, "check-config", str(STACK / "alertmanager.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
