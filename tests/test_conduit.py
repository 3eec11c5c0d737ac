"""RealWorld's Conduit, served by two worker processes, keeps its document."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.unmeasured

CONDUIT = Path(__file__).parent / "services" / "conduit"
ORIGINAL = Path(__file__).parents[2] / "shared" / "specs" / "realworld" / "conduit.yaml"
SERVING = re.compile(r"Serving conduit on (http://\S+)")
COUNTER = re.compile(r"^http_server_request_duration_seconds_count\{.*\} (\S+)$", re.MULTILINE)
START_LIMIT_S = 60
# The document says how to follow a profile, not how one comes to be; who follows nobody has an empty feed.
NOTHING_TO_TELL = {
    "GET /articles/feed[semantics]",
    "POST /profiles/{username}/follow[access]",
    "DELETE /profiles/{username}/follow[access]",
    "DELETE /articles/{slug}/favorite[access]",
    "GET /profiles/{username}[stateful]",
    "POST /profiles/{username}/follow[stateful]",
    "DELETE /profiles/{username}/follow[stateful]",
}


@dataclass(frozen=True)
class Service:
    """A running service and the file with all that it prints."""

    url: str
    log: Path


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the environment of the service and of its tests, which have a database of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PROMETHEUS"))}
    database = tmp_path_factory.mktemp("conduit") / "conduit.db"
    return kept | {"PYM_ENV": "test", "CONDUIT_TEST_DATABASE": f"sqlite:///{database}", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def service(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve Conduit under granian with two workers on a free port."""
    log = tmp_path_factory.mktemp("log") / "conduit.log"
    command = [sys.executable, "-m", "pymacaron.cli", "run", "--workers", "2", "--port", "0"]
    with (
        log.open("w") as file,
        subprocess.Popen(command, cwd=CONDUIT, env=environment, stdout=file, stderr=file) as process,
    ):
        try:
            yield Service(_wait_for_url(process, log), log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _wait_for_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        text = log.read_text()
        match = SERVING.search(text)
        if match and text.count("Started worker-") == 2:
            return match[1]
        time.sleep(0.1)
    pytest.fail(f"Conduit did not start:\n{log.read_text()}")


def _run_tests(service: Service, environment: dict[str, str], report: Path, *options: str) -> tuple[int, str, Any]:
    """Run pytest in the service's folder; return its exit code, what it printed, and its report."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--pymacaron-target={service.url}"]
    command += [f"--pymacaron-report={report}", *options]
    run = subprocess.run(command, cwd=CONDUIT, env=environment, capture_output=True, text=True, check=False)
    assert report.is_file(), run.stdout + run.stderr
    return run.returncode, run.stdout + run.stderr, json.loads(report.read_text())


@pytest.fixture(scope="module")
def own_run(
    service: Service, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, str, Any]:
    """Run Conduit's own tests and the contract of its own document."""
    return _run_tests(service, environment, tmp_path_factory.mktemp("own") / "report.json")


def test_own_document(own_run: tuple[int, str, Any]) -> None:
    """Every test and every promise of the service's own document holds."""
    returncode, output, report = own_run
    assert returncode == 0, output
    kinds = [item["kind"] for item in report["items"]]
    assert kinds.count("contract") > 19
    assert kinds.count("blackbox") > 100
    others = [item for item in report["items"] if item["outcome"] != "passed"]
    assert {item["outcome"] for item in others} <= {"skipped"}
    assert {item["nodeid"].partition("::contract::")[2] for item in others} <= NOTHING_TO_TELL


def test_requests_are_counted(own_run: tuple[int, str, Any]) -> None:
    """The counters of both workers together say exactly how many requests were sent."""
    report = own_run[2]
    before, after = (sum(map(float, COUNTER.findall(report["metrics"][key]))) for key in ("before", "after"))
    assert report["requests_sent"] > 500
    assert after - before == report["requests_sent"]


@pytest.mark.skipif(not ORIGINAL.is_file(), reason="RealWorld's document is not on this machine")
def test_original_document(service: Service, environment: dict[str, str], tmp_path: Path) -> None:
    """What fails against RealWorld's own document is that document's fault, for a reason that is written down."""
    options = ("apis", f"--pymacaron-spec={ORIGINAL}", "--pymacaron-max-examples=2")
    _, output, report = _run_tests(service, environment, tmp_path / "report.json", *options)
    findings = yaml.safe_load((CONDUIT / "original_findings.yaml").read_text())
    failures = [failure for item in report["items"] for failure in item["failures"]]
    assert failures, output
    assert [failure for failure in failures if not any(_explains(finding, failure) for finding in findings)] == []
    assert report["summary"]["error"] == report["summary"]["not_run"] == 0


def _explains(finding: dict[str, str], failure: dict[str, str]) -> bool:
    assert finding["reason"]
    return (
        finding["check"] == failure["check"]
        and re.match(finding.get("operations", ""), failure["operation_id"]) is not None
        and re.search(finding.get("promise", ""), failure["promise"]) is not None
        and re.search(finding.get("answer", ""), failure["answer"]) is not None
    )


@pytest.mark.usefixtures("own_run")
def test_logs(service: Service) -> None:
    """The log of all these requests holds a line for each, no failure, and neither passwords nor tokens."""
    text = service.log.read_text()
    assert '"POST /users 201' in text
    for secret in ("correct horse", "eyJ", "scrypt:", "Authorization", "a-secret-for-tests"):
        assert secret not in text
    for sign in ("Traceback", '"ERROR"', '"WARNING"'):
        assert sign not in text
