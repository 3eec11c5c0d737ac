from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests
from click.testing import CliRunner, Result

from pymacaron.cli import main
from pymacaron.json_types import JsonObject
from pymacaron.spec import load_spec
from pymacaron_monitoring.gate import Server, judge
from pymacaron_monitoring.prometheus import METRIC

MakePage = Callable[..., str]
Gate = Callable[..., Result]
AFTER = {"listPets_200": (305, 0), "getPet_200": (300, 0), "deletePet_204": (300, 0)}


class Answer(BaseHTTPRequestHandler):
    """Answers /metrics with the server's page to who has its token, a document, and anything else with 404."""

    server: Target

    def do_GET(self) -> None:
        """Answer."""
        texts = {self.server.metrics_path: self.server.page, "/doc/pets.yaml": self.server.document}
        text = texts.get(self.path)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        is_refused = self.path == self.server.metrics_path and token != self.server.token
        self.send_response(401 if is_refused else 404 if text is None else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        if text is not None and not is_refused:
            self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Target(ThreadingHTTPServer):
    """A service of which only /metrics matters here."""

    daemon_threads = True
    page: str | None = None
    document: str | None = None
    metrics_path = "/metrics"
    token = ""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def target(make_page: MakePage) -> Iterator[Target]:
    """Serve a page of metrics on a free port."""
    yield from serve(make_page)


@pytest.fixture
def running(make_page: MakePage, pets_text: str) -> Iterator[Target]:
    """Serve the running release, which publishes its document."""
    for server in serve(make_page):
        server.document = pets_text
        yield server


def serve(make_page: MakePage) -> Iterator[Target]:
    with Target(("127.0.0.1", 0), Answer) as server:
        server.page = make_page(**AFTER)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def report(make_report: Callable[..., JsonObject], target: Target) -> JsonObject:
    """Return the report of a good service that was tested just now."""
    return make_report(target=target.url, started_at=datetime.now(UTC).isoformat())


@pytest.fixture
def gate(tmp_path: Path, target: Target, report: JsonObject) -> Gate:
    """Run ``pymacaron gate`` on the report: ``gate("--json", file, report={…})``."""
    file = tmp_path / "pymacaron-report.json"

    def run(*arguments: str | Path, url: str = target.url, report: Any = report) -> Result:
        file.write_text(report if isinstance(report, str) else json.dumps(report))
        return CliRunner().invoke(main, ["gate", "--target", url, "--report", str(file), *map(str, arguments)])

    return run


def test_the_verdict_is_printed_and_is_the_exit_code(gate: Gate) -> None:
    """A good service: pass, its reasons, 0."""
    result = gate()
    lines = result.stdout.splitlines()
    assert (result.exit_code, lines[0]) == (0, "Verdict: pass")
    assert lines[1] == "  pass       Contract: 1 of 1 items passed, 900 requests sent"
    assert len(lines) == 8


@pytest.mark.parametrize(
    ("after", "exit_code", "outcome"),
    [
        pytest.param({"getPet_200": (300, 100)}, 1, "fail", id="slow"),
        pytest.param({"getPet_200": (200, 0)}, 2, "undecided", id="too few"),
    ],
)
def test_bad_news_have_their_exit_code(
    gate: Gate,
    target: Target,
    report: JsonObject,
    make_page: MakePage,
    after: dict[str, tuple[int, int]],
    exit_code: int,
    outcome: str,
) -> None:
    """1 for fail, 2 for undecided."""
    target.page = report["metrics"]["after"] = make_page(**{**AFTER, **after})
    report["requests_sent"] = 700
    result = gate()
    assert (result.exit_code, result.stdout.splitlines()[0]) == (exit_code, f"Verdict: {outcome}")


def test_the_verdict_is_written_as_json(gate: Gate, tmp_path: Path) -> None:
    """--json FILE holds what is printed."""
    file = tmp_path / "verdict.json"
    assert gate("--json", file).exit_code == 0
    verdict = json.loads(file.read_text())
    assert (verdict["outcome"], len(verdict["reasons"])) == ("pass", 7)


def test_objectives_may_come_from_another_document(gate: Gate, tmp_path: Path, pets_text: str) -> None:
    """--spec FILE names the document whose x-slo counts."""
    file = tmp_path / "strict.yaml"
    file.write_text(pets_text.replace("p95: 300ms, p99: 1.5s", "p99: 200ms"))
    result = gate("--spec", file)
    assert "GET /pets/{petId}: 0 of 300 requests over 200 ms, allowed 1 % (p99)" in result.stdout


def test_a_target_without_metrics_is_judged_by_its_report(gate: Gate, target: Target) -> None:
    """Any answer shows that the target lives."""
    target.page = None
    assert gate().exit_code == 0


def test_a_target_that_was_restarted_is_undecided(gate: Gate, target: Target, make_page: MakePage) -> None:
    """The counters of now are compared with those in the report."""
    target.page = make_page(listPets_200=(1, 0))
    result = gate()
    assert (result.exit_code, result.stdout) == (
        2,
        "Verdict: undecided\n  undecided  The target was restarted after the tests: run them again\n",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"report": "{"}, "{file}: it is no JSON: ", id="broken report"),
        pytest.param({"report": "[]"}, "{file}: it is no JSON object. Run the tests again.", id="some other JSON"),
        pytest.param(
            {"url": "http://127.0.0.1:1"},
            "http://127.0.0.1:1/metrics: it does not answer (ConnectionError). Start the service, or correct the URL.",
            id="nobody answers",
        ),
        pytest.param(
            {"url": "nonsense"},
            "nonsense/metrics: it does not answer (MissingSchema). Start the service, or correct the URL.",
            id="no URL",
        ),
    ],
)
def test_bad_input_is_one_message(gate: Gate, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """Where, what and what to do, exit code 2, no traceback."""
    result = gate(**options)
    assert result.exit_code == 2
    assert result.stderr.startswith(message.format(file=tmp_path / "pymacaron-report.json"))
    assert result.stderr.count("\n") == 1


def test_a_missing_report_is_told(target: Target, tmp_path: Path) -> None:
    """The message says how to get one."""
    file = tmp_path / "none.json"
    result = CliRunner().invoke(main, ["gate", "--target", target.url, "--report", str(file)])
    fix = "Run 'pymacaron test --target URL' first, or name its report with --report"
    expected = f"{file}: it cannot be read: No such file or directory. {fix}.\n"
    assert (result.exit_code, result.stderr) == (2, expected)


def test_a_verdict_that_cannot_be_written_is_told(gate: Gate, tmp_path: Path) -> None:
    """It is printed all the same."""
    file = tmp_path / "nowhere" / "verdict.json"
    result = gate("--json", file)
    assert (result.exit_code, result.stderr) == (
        2,
        f"{file}: it cannot be written: No such file or directory. Name another file with --json.\n",
    )
    assert result.stdout.startswith("Verdict: pass")


def test_the_verdict_is_written_for_other_programs(
    gate: Gate, target: Target, report: JsonObject, tmp_path: Path
) -> None:
    """JUnit's XML for a CI, a page for people; the same reasons in both."""
    target.page = report["metrics"]["after"] = make_slow(report)
    junit, page = tmp_path / "gate.xml", tmp_path / "gate.html"
    assert gate("--junit", junit, "--html", page).exit_code == 1
    suite = ET.fromstring(junit.read_text())[0]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "7",
        "failures": "2",
        "errors": "0",
        "skipped": "0",
    }
    text = "GET /pets/{petId}: 100 of 300 requests over 300 ms, allowed 5 % (p95)"
    failure = suite[0][0]
    assert (suite[0].get("classname"), failure.tag, failure.get("message")) == (
        "gate.GET /pets/{petId}",
        "failure",
        text,
    )
    html = page.read_text()
    assert f'<th scope="row" class="fail">fail</th><td>{text}</td>' in html
    assert '<h1 class="fail">Fail</h1>' in html
    assert "http" not in html.replace(target.url, "").replace("http-equiv", "")  # nothing is loaded


def make_slow(report: JsonObject) -> str:
    """Return the page after the tests with a hundred slow requests."""
    page: str = report["metrics"]["after"]
    lines = []
    for line in page.splitlines():
        is_bound = "_bucket" in line and "getPet" in line and 'le="+Inf"' not in line
        name, _, value = line.rpartition(" ")
        lines.append(f"{name} {float(value) - 100}" if is_bound and float(value) else line)
    return "\n".join(lines) + "\n"


def test_a_document_must_not_break_the_clients_of_the_running_release(
    gate: Gate, running: Target, pets_text: str, tmp_path: Path
) -> None:
    """What that publishes, or the file that is named, is compared with what was tested."""
    assert gate("--baseline", running.url).exit_code == 0
    old = pets_text.replace("get:\n      operationId: listPets", "get:\n      operationId: listAll")
    running.document = old
    result = gate("--baseline", running.url)
    assert (result.exit_code, "fail       GET /pets: operationId" in result.stdout) == (1, True)
    assert gate("--baseline", running.url, "--allow-breaking").exit_code == 0
    running.document = None
    result = gate("--baseline", running.url)
    assert result.exit_code == 2
    assert (
        f"undecided  Documents: of the running release, GET {running.url}/doc/pets.yaml is answered 404, so whether "
        "clients of pets break is unknown; name its document with --baseline-spec" in result.stdout
    )
    (tmp_path / "old.yaml").write_text(old)
    assert gate("--baseline", running.url, "--baseline-spec", tmp_path / "old.yaml").exit_code == 1


def test_live_requests_are_watched(
    target: Target, running: Target, make_page: MakePage, pets_text: str, tmp_path: Path
) -> None:
    """Without any report: what both releases count within a while, one of them with more errors."""
    spec = tmp_path / "pets.yaml"
    spec.write_text(pets_text)
    counts = {name: (total + 700, slow) for name, (total, slow) in AFTER.items()}
    pages = {target: make_page(**counts, getPet_503=(40, 0)), running: make_page(**counts)}

    def serve_requests() -> None:
        for server, page in pages.items():
            server.page = page

    timer = threading.Timer(0.5, serve_requests)
    timer.start()
    arguments = ["--target", target.url, "--baseline", running.url, "--spec", str(spec), "--watch", "1s"]
    result = CliRunner().invoke(main, ["gate", *arguments, "--report", str(tmp_path / "none.json")])
    timer.join()
    assert result.exit_code == 1
    assert "GET /pets/{petId}: 40 of 740 requests answered 5xx; running release 0 of 700 (p " in result.stdout


@pytest.mark.parametrize(
    ("token", "exit_code", "text"),
    [
        pytest.param("right", 0, "Verdict: pass", id="right"),
        pytest.param("wrong", 2, "its /metrics refuses the token", id="wrong"),
        pytest.param("", 2, "--metrics-token-env: the environment variable TOKEN is not set", id="none"),
    ],
)
def test_metrics_may_ask_for_a_token(
    gate: Gate, target: Target, monkeypatch: pytest.MonkeyPatch, token: str, exit_code: int, text: str
) -> None:
    """It comes from an environment variable, so that no list of processes shows it."""
    target.token = "right"
    monkeypatch.setenv("TOKEN", token)
    result = gate("--metrics-token-env", "TOKEN")
    assert (result.exit_code, text in result.output) == (exit_code, True)


def test_metrics_may_be_elsewhere(gate: Gate, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for where the service has its `metrics_path`."""
    target.metrics_path, target.token = "/counts", "right"
    monkeypatch.setenv("PYMACARON_METRICS_TOKEN", "wrong")
    assert "its /counts refuses the token" in gate("--metrics-path", "/counts").output
    monkeypatch.setenv("PYMACARON_METRICS_TOKEN", "right")
    assert gate("--metrics-path", "/counts").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "Name the service with --target URL, or --prometheus URL", id="nothing"),
        pytest.param(
            ["--target", "http://127.0.0.1:1", "--prometheus", "http://127.0.0.1:1"],
            "--prometheus and --select belong together.",
            id="no selector",
        ),
        pytest.param(
            ["--target", "http://127.0.0.1:1", "--watch", "1s"],
            "Without a report, name the document whose x-slo counts with --spec.",
            id="no document",
        ),
        pytest.param(["--target", "x", "--watch", "soon"], "'soon' is no duration; write 45s or 10m", id="no duration"),
    ],
)
def test_options_that_make_no_sense(arguments: list[str], message: str, tmp_path: Path) -> None:
    """They are told before anything is asked."""
    result = CliRunner().invoke(main, ["gate", "--report", str(tmp_path / "none.json"), *arguments])
    assert (result.exit_code, message in result.stderr) == (2, True)


@pytest.fixture
def prometheus(tmp_path: Path, target: Target, running: Target) -> Iterator[str]:
    """Run Debian's Prometheus, which scrapes both releases five times a second."""
    program = shutil.which("prometheus")
    if program is None:
        reason = "prometheus is missing: apt-get install prometheus"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)
    jobs = [
        f"  - {{job_name: {name}, static_configs: [{{targets: ['127.0.0.1:{server.server_port}']}}]}}\n"
        for name, server in (("new", target), ("old", running))
    ]
    (tmp_path / "prometheus.yml").write_text(f"global: {{scrape_interval: 200ms}}\nscrape_configs:\n{''.join(jobs)}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [program, f"--config.file={tmp_path / 'prometheus.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--storage.tsdb.path={tmp_path / 'data'}"], stdout=log, stderr=log)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        process.wait(30)


def wait_for_samples(url: str, server: Target, page: str, job: str) -> float:
    """Serve *page* until Prometheus has it, and return when it had."""
    server.page = page
    count = sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"{METRIC}_count"))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException, LookupError):
            query = {"query": f'sum({METRIC}_count{{job="{job}"}})'}
            found = requests.get(f"{url}/api/v1/query", params=query, timeout=5).json()["data"]["result"]
            if float(found[0]["value"][1]) == count:
                return time.time()
        time.sleep(0.1)
    raise AssertionError(f"Prometheus has not {count} requests of {job}")


def test_a_prometheus_may_have_seen_the_requests(
    prometheus: str, target: Target, running: Target, make_page: MakePage, pets_text: str, tmp_path: Path
) -> None:
    """Series of a release that just came up count from zero: what rate() does not see."""
    spec = tmp_path / "pets.yaml"
    spec.write_text(pets_text)
    target.page = "# nothing yet\n"
    began = wait_for_samples(prometheus, running, make_page(listPets_200=(900, 100)), "old")
    time.sleep(2)  # a busy machine may take as long until the gate asks, and its window begins so much later
    wait_for_samples(prometheus, target, make_page(**AFTER, getPet_503=(40, 0)), "new")
    wait_for_samples(prometheus, running, make_page(listPets_200=(1800, 100), getPet_200=(700, 0)), "old")
    window = f"{time.time() - began:.2f}s"
    arguments = [
        "--prometheus",
        prometheus,
        "--select",
        'job="new"',
        "--baseline-select",
        'job="old"',
        "--spec",
        str(spec),
    ]
    report = ["--report", str(tmp_path / "none.json")]
    result = CliRunner().invoke(main, ["gate", *arguments, *report, "--last", window])
    assert "GET /pets/{petId}: 40 of 340 requests answered 5xx; running release 0 of 700 (p " in result.stdout, result
    assert "GET /pets: 0 of 305 requests over 200 ms, allowed 5 % (p95); running release 0 of 900" in result.stdout
    assert result.exit_code == 1
    server = Server(url=prometheus, select='job="new"', baseline='job="old"', since_s=began)
    pages = (target.page, target.page)  # on which nothing happened in between
    told = judge(
        None, apis=[load_spec(str(spec))], candidate=pages, baseline=(running.page, running.page), prometheus=server
    )
    text = "GET /pets/{petId}: 40 of 340 requests answered 5xx; running release 0 of 700 (p "
    assert [one.level for one in told.reasons if one.text.startswith(text)] == ["fail"]
    server["select"] = 'job="none"'
    unknown = judge(None, apis=[load_spec(str(spec))], candidate=pages, prometheus=server)
    assert unknown.outcome == "undecided"
    assert f"Live traffic: {prometheus}: it has no {METRIC}_bucket{{job=" in unknown.sentence
    arguments[3] = 'job="other"'
    result = CliRunner().invoke(main, ["gate", *arguments, *report])
    assert (result.exit_code, f'it has no {METRIC}_bucket{{job="other"}}' in result.stderr) == (2, True)
