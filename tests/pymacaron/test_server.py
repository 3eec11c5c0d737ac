"""A service is served by granian after it has been checked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from pymacaron.config import PymConfig
from pymacaron.exceptions import ConfigError
from pymacaron.server import ServerOptions, _announce, find_port, find_settings
from pymacaron.serving.settings import choose_workers

SERVER = "from pymacaron import create_app\napp = create_app(__name__, handlers='svc')\n"
DOCUMENT = """\
openapi: 3.1.0
info: {title: Pids, version: "1"}
paths:
  /pid:
    get:
      operationId: getPid
      responses: {"200": {description: ok, content: {application/json: {schema: {type: integer}}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a small service."""
    (tmp_path / "apis").mkdir()
    (tmp_path / "apis" / "pids.yaml").write_text(DOCUMENT)
    (tmp_path / "svc.py").write_text("import os\n\ndef get_pid():\n    return os.getpid()\n")
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path


def start(folder: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """Start `pymacaron run` and return it with its base URL."""
    command = [sys.executable, "-m", "pymacaron.cli", "run", "--port", "0", *options]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    url = line.split()[3]
    for _ in range(200):
        try:
            requests.get(f"{url}/ping", timeout=1)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return process, url
    process.kill()
    raise AssertionError(f"no answer: {line}")


def stop(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGTERM)
    code = process.wait(20)
    assert process.stdout is not None
    process.stdout.close()
    return code


@pytest.mark.parametrize(
    ("host", "env", "workers"),
    [
        pytest.param("127.0.0.1", None, 1, id="tried out"),
        pytest.param("localhost", "test", 1, id="test"),
        pytest.param("127.0.0.1", "prod", choose_workers(), id="behind a proxy"),
        pytest.param("0.0.0.0", None, choose_workers(), id="for others"),
    ],
)
def test_who_is_served_by_how_many(host: str, env: str | None, workers: int) -> None:
    """Where somebody tries a service out, its memory is one worker's: nothing that was stored seems lost."""
    options = ServerOptions(folder=Path(), host=host, config=PymConfig(env=env))
    assert find_settings(options).workers == workers


@pytest.mark.parametrize(
    ("config", "where"),
    [
        pytest.param({}, "/metrics", id="as usual"),
        pytest.param({"metrics_path": "/counts"}, "/counts", id="another path"),
        pytest.param({"metrics_port": 9100}, "port 9100, /metrics", id="a port of their own"),
    ],
)
def test_the_start_says_where_metrics_are(
    capsys: pytest.CaptureFixture[str], config: dict[str, object], where: str
) -> None:
    """As the configuration of the service has it."""
    options = ServerOptions(Path("shop"), workers=1, threads=2, config=PymConfig.model_validate(config))
    _announce(options, 8000, find_settings(options))
    told = f"Serving shop on http://127.0.0.1:8000 (1 worker of 2 threads; docs at /doc, metrics at {where})\n"
    assert capsys.readouterr().out == told


def test_run_serves_with_several_workers(folder: Path) -> None:
    """worker_count of the configuration is the default; all workers answer, and a signal ends them with code 0."""
    (folder / "pym-config.yaml").write_text("worker_count: 2\n")
    process, url = start(folder)
    try:
        pids: set[int] = set()
        deadline = time.monotonic() + 30
        while len(pids) < 2 and time.monotonic() < deadline:  # the second may still be starting
            pids.add(requests.get(f"{url}/pid", timeout=5).json())
    finally:
        code = stop(process)
    assert len(pids) == 2
    assert code == 0


def test_reload_serves_what_was_written(folder: Path) -> None:
    """With --reload a changed file is served without a restart by hand."""
    process, url = start(folder, "--reload")
    try:
        time.sleep(1)
        (folder / "svc.py").write_text("def get_pid():\n    return 42\n")
        deadline = time.monotonic() + 20
        value = None
        while value != 42 and time.monotonic() < deadline:
            try:
                value = requests.get(f"{url}/pid", timeout=2).json()
            except requests.ConnectionError:
                time.sleep(0.1)
    finally:
        stop(process)
    assert value == 42


def run_cli(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pymacaron.cli", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_in_use_is_one_message(folder: Path) -> None:
    """Nothing is started when the port is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_cli(folder, "run", "--port", str(port))
    assert (done.returncode, done.stdout) == (2, "")
    found = "cannot listen there: Address already in use"
    assert done.stderr == f"127.0.0.1:{port}: {found}. Choose another with --port, or stop what uses it.\n"


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        pytest.param(
            "server.py", "1 / 0\n", "{folder}/server.py:1: ZeroDivisionError: division by zero. ", id="server.py raises"
        ),
        pytest.param(
            "server.py", "raise SystemExit(3)\n", "server:app: the app ends the process that imports it. ", id="exits"
        ),
        pytest.param("server.py", "application = 1\n", "{folder}/server.py: app is no Flask app. ", id="no app"),
        pytest.param(
            "svc.py",
            "",
            "{folder}/apis/pids.yaml:5#/paths/~1pid/get (GET /pid): svc has no function get_pid. ",
            id="handler",
        ),
        pytest.param("apis/pids.yaml", "openapi: [", "{folder}/apis/pids.yaml:", id="broken YAML"),
        pytest.param(
            "pym-config.yaml", "name: [", "pym-config.yaml:2: this is no valid YAML: ", id="broken configuration"
        ),
        pytest.param(
            "pym-config.yaml",
            "jwt_secret: NO_SUCH_SECRET\nenv_secrets: [NO_SUCH_SECRET]\n",
            "pym-config.yaml:2: the environment variable NO_SUCH_SECRET is not set. ",
            id="missing secret",
        ),
    ],
)
def test_a_service_that_cannot_start_says_why(folder: Path, file: str, text: str, message: str) -> None:
    """Exit code 2, one line for each reason, no traceback."""
    (folder / file).write_text(text)
    done = run_cli(folder, "run", "--port", "0")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(message.format(folder=folder)), done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_a_service(tmp_path: Path) -> None:
    """Where there is no server.py, the message says where to run the command."""
    done = run_cli(tmp_path, "run", "--port", "0")
    fix = "Run this in the service's folder, or name it: --folder DIR --app module:app"
    assert (done.returncode, done.stderr) == (2, f"{tmp_path}/server.py: there is no such file. {fix}.\n")
    assert run_cli(tmp_path, "run", "--folder", "nowhere").returncode == 2


def test_a_script_serves_itself(folder: Path) -> None:
    """`python server.py` serves, as `pymacaron run` does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "server.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert f":{port} " in process.stdout.readline()
        for _ in range(100):
            try:
                answer = requests.get(f"http://127.0.0.1:{port}/ping", timeout=1)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        assert answer.json() == {}
    finally:
        stop(process)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, 80, id="default"),
        pytest.param({"PYM_SERVER_PORT": "81"}, 81, id="PYM_SERVER_PORT"),
        pytest.param({"PORT": "82", "PYM_SERVER_PORT": "81"}, 82, id="PORT goes first"),
    ],
)
def test_the_port_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: int
) -> None:
    """As containers and platforms name it."""
    for name in ("PORT", "PYM_SERVER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_port() == expected


def test_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong port is told with its variable."""
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(ConfigError, match=r"^PORT: 'http' is no port\. Set it to a number up to 65535\.$"):
        find_port()
