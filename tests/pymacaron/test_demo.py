from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from pymacaron.demo import FAULTS, NAME, Fault, plant, start_service
from pymacaron.exceptions import TargetError
from pymacaron.scaffold import write_service

pytestmark = pytest.mark.unmeasured

DEMO = [sys.executable, "-m", "pymacaron.cli", "demo"]
TIMEOUT_S = 180


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Temporary folders of the demo lie in tmp_path, and settings around it are hostile."""
    return {**os.environ, "TMPDIR": str(tmp_path), "PYM_ENV": "prod", "PORT": "1", "PYTEST_ADDOPTS": "--no-such-option"}


def find_folders(tmp_path: Path) -> list[str]:
    return [folder.name for folder in tmp_path.iterdir() if folder.name.startswith("pymacaron-demo-")]


def test_whole_way(environment: dict[str, str]) -> None:
    """The demo ends with verdict pass; with --keep the service goes on, and its folder stays."""
    done = subprocess.run(
        [*DEMO, "--keep"], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    output = done.stdout + done.stderr
    kept = re.search(r"Still running at (\S+)\n  folder   (\S+)\n  stop it  kill (\d+)\n", done.stdout)
    assert kept, output
    url, folder, process = kept[1], Path(kept[2]), int(kept[3])
    try:
        assert requests.get(f"{url}/version", timeout=10).json()["name"] == NAME
        assert (folder / "server.py").is_file()
    finally:
        os.kill(process, signal.SIGTERM)
        shutil.rmtree(folder.parent)
    assert done.returncode == 0, output
    assert f"docs     {url}/doc" in output
    assert f"metrics  {url}/metrics" in output
    assert "http_server_request_duration_seconds_count{" in output
    assert "Verdict: pass" in output
    wait_until_silent(url)


@pytest.mark.parametrize(
    ("fault", "planted", "reason"),
    [
        pytest.param("latency", "+        time.sleep(0.4)", "requests over 300 ms, allowed 5 %", id="latency"),
        pytest.param("contract", "+    status = 410", "410", id="contract"),
    ],
)
def test_planted_fault(tmp_path: Path, environment: dict[str, str], fault: str, planted: str, reason: str) -> None:
    """With a fault the gate closes, the output says what was planted and why, and nothing is left behind."""
    done = subprocess.run(
        [*DEMO, "--break", fault], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert planted in done.stdout
    assert "Verdict: fail" in done.stdout
    assert reason in done.stdout.partition("Verdict: fail")[2]
    assert find_folders(tmp_path) == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupt(tmp_path: Path, environment: dict[str, str], stop: signal.Signals) -> None:
    """Ctrl-C stops the service, removes the folder and ends with 130."""
    with subprocess.Popen(
        DEMO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        url = ""
        for line in process.stdout:
            if "metrics  http" in line:
                url = line.split()[-1].removesuffix("/metrics")
            if line.startswith("Testing"):
                break
        process.send_signal(stop)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "Interrupted; the service is stopped and its folder removed." in output
    assert "Traceback" not in output
    assert find_folders(tmp_path) == []
    wait_until_silent(url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / NAME
    write_service(NAME, folder)
    return folder


def test_two_demos_at_once(tmp_path: Path, folder: Path) -> None:
    """Each service takes a port of its own and answers under its own name."""
    with ExitStack() as stack:
        services = [start_service(folder, tmp_path / f"{number}.log", stack) for number in range(2)]
        assert len({service.url for service in services}) == 2
    for service in services:
        wait_until_silent(service.url)


def test_service_that_does_not_start(tmp_path: Path, folder: Path) -> None:
    """What the service said last becomes the error."""
    (folder / "server.py").write_text("raise RuntimeError('no luck')\n")
    with ExitStack() as stack, pytest.raises(TargetError, match=r"(?s)does not start: .*RuntimeError: no luck"):
        start_service(folder, tmp_path / "server.log", stack)


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_plant(folder: Path, name: str) -> None:
    """The edit is shown line by line, and the service still imports."""
    fault = FAULTS[name]
    before = (folder / fault.file).read_text()
    first, *changes = plant(fault, folder)
    after = (folder / fault.file).read_text()
    assert first == fault.file
    assert changes
    assert all(line[1:] in (before if line.startswith("-") else after).splitlines() for line in changes)
    compile(after, fault.file, "exec")


def test_plant_where_nothing_fits(folder: Path) -> None:
    """A fault that fits no line is an error, not a silent success."""
    fault = Fault("", "server.py", (("no such text", ""),))
    with pytest.raises(ValueError, match=r"server\.py holds no 'no such text' to put the fault in"):
        plant(fault, folder)


def wait_until_silent(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            requests.get(f"{url}/ping", timeout=2)
        except requests.RequestException:
            return
        time.sleep(0.1)
    pytest.fail(f"{url} still answers")
