from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pymacaron.cli import main
from pymacaron.json_types import JsonObject

MakePage = Callable[..., str]
Gate = Callable[..., Result]
AFTER = {"listPets_200": (305, 0), "getPet_200": (300, 0), "deletePet_204": (300, 0)}


class Answer(BaseHTTPRequestHandler):
    """Answers /metrics with the server's page, anything else with 404."""

    server: Target

    def do_GET(self) -> None:
        """Answer."""
        is_found = self.path == "/metrics" and self.server.page is not None
        self.send_response(200 if is_found else 404)
        self.end_headers()
        if is_found:
            self.wfile.write((self.server.page or "").encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Target(ThreadingHTTPServer):
    """A service of which only /metrics matters here."""

    daemon_threads = True
    page: str | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def target(make_page: MakePage) -> Iterator[Target]:
    """Serve a page of metrics on a free port."""
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
            "http://127.0.0.1:1: it does not answer (ConnectionError). Start the service, or correct the URL.",
            id="nobody answers",
        ),
        pytest.param(
            {"url": "nonsense"},
            "nonsense: it does not answer (MissingSchema). Start the service, or correct the URL.",
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
