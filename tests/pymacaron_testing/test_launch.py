"""Commands and images are started on a free port, awaited, and cleared away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from images import require_engine, run_registry, script_image
from pymacaron.exceptions import TargetError
from pymacaron_testing.launch import is_started, start_target

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if self.path == "/" else 204)
        self.end_headers()
http.server.HTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler).serve_forever()
"""
# Stands for the docker command: notes how it was called, and runs the server where the image would.
DOCKER = """#!{python}
import json, os, subprocess, sys
words = sys.argv[1:]
with open("calls", "a") as file:
    file.write(json.dumps(words) + "\\n")
if words[:2] == ["image", "inspect"]:
    if words[-1] == "absent" or (words[-1] == "remote" and not os.path.exists("pulled")):
        sys.exit("no such image")
    print("null" if words[-1] == "plain" else '{{"9000/udp": {{}}, "8081/tcp": {{}}, "9090/tcp": {{}}}}')
elif words[0] == "pull":
    if words[-1] == "absent":
        sys.exit("pull access denied for absent")
    open("pulled", "w").close()
elif words[0] == "run":
    host, outside, inside = words[words.index("-p") + 1].split(":")
    os.environ["PORT"] = outside
    os.execv({python!r}, [{python!r}, "server.py"])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a server in it, whose root is never ready, and a docker command."""
    (tmp_path / "server.py").write_text(SERVER)
    tool = tmp_path / "bin" / "docker"
    tool.parent.mkdir()
    tool.write_text(DOCKER.format(python=sys.executable))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "expected"), [("cmd:x", True), ("docker:x", True), ("http://h", False), ("https://docker:1", False)]
)
def test_is_started(target: str, expected: bool) -> None:
    """What begins with cmd: or docker: is started by the run."""
    assert is_started(target) is expected


@pytest.mark.parametrize("ready", ["/health", "health"])
def test_command(folder: Path, ready: str) -> None:
    """A command gets its port in PORT, is ready once the readiness path is answered, and is stopped."""
    service = start_target(f"cmd:{sys.executable} server.py --port $PORT", folder, ready)
    assert requests.get(f"{service.url}/x", timeout=5).status_code == 204
    service.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(service.url, timeout=5)


def test_command_that_is_never_ready(folder: Path) -> None:
    """A command that answers 5xx only is not ready."""
    with pytest.raises(TargetError) as caught:
        start_target(f"cmd:exec {sys.executable} server.py", folder, "/", limit_s=1.5)
    assert "it did not answer GET / within 1.5 s" in str(caught.value)


def test_command_that_fails(folder: Path) -> None:
    """A command that ends is told with what it printed last."""
    with pytest.raises(TargetError) as caught:
        start_target("cmd:echo no database; exit 3", folder, "/")
    text = str(caught.value)
    assert "echo no database; exit 3: it ended with code 3 before it answered." in text
    assert "the last lines that it printed are:\n    no database" in text


@pytest.mark.parametrize(("image", "inside"), [("known", "8081"), ("remote", "8081"), ("plain", "8080")])
def test_image(folder: Path, image: str, inside: str) -> None:
    """An image is pulled if need be, its first exposed port published on this machine only, and removed at the end."""
    service = start_target(f"docker:{image}", folder, "/ready")
    assert requests.get(f"{service.url}/x", timeout=5).status_code == 204
    service.stop()
    calls = (folder / "calls").read_text()
    assert f"PORT={inside}" in calls
    assert f'127.0.0.1:{service.url.rpartition(":")[2]}:{inside}", "{image}"]' in calls
    assert ('["pull"' in calls) is (image == "remote")
    assert calls.splitlines()[-1].startswith('["rm", "-f", "pymacaron-test-')


def test_image_of_a_registry(tmp_path: Path) -> None:
    """A real engine pulls the image and runs it; nothing but the image is left of it."""
    require_engine()
    with run_registry(tmp_path / "registry") as registry:
        image = script_image(registry, "target", f'import os; os.environ["HOST"] = "0.0.0.0"\n{SERVER}')
        try:
            service = start_target(f"docker:{image}", tmp_path, "/ready")
            assert requests.get(f"{service.url}/x", timeout=5).status_code == 204
            assert docker("ps", "--quiet", "--filter", f"ancestor={image}")
            service.stop()
            assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={image}") == ""
        finally:
            docker("rmi", "--force", image)


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_no_image(folder: Path) -> None:
    """An image that docker does not find is told in docker's words."""
    with pytest.raises(TargetError) as caught:
        start_target("docker:absent", folder, "/")
    assert str(caught.value) == (
        "docker:absent: pull access denied for absent. Name an image that docker can run here."
    )


def test_no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without docker the message says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TargetError) as caught:
        start_target("docker:x", tmp_path, "/")
    assert str(caught.value) == "docker:x: there is no command docker. Install Docker."
