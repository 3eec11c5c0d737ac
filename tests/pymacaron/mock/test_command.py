from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

COMMAND = [sys.executable, "-m", "pymacaron.cli", "mock"]
DOCUMENT = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
security: [{key: []}]
paths:
  /pets/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      responses:
        "200": {description: one, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
components:
  schemas: {Pet: {type: object, properties: {id: {type: integer}}}}
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "pets.yaml"
    file.write_text(DOCUMENT)
    return file


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Give the process of a mock and its URL."""
    command = [*COMMAND, "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r" on (http://\S+) \(docs at (\S+)\)", process.stdout.readline())
            assert found
            assert found[2] == f"{found[1]}/doc"
            yield process, found[1]
        finally:
            process.kill()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_mock(document: Path, stop: signal.Signals) -> None:
    """It tells URL and credentials, answers, logs a line for each request, and stops cleanly."""
    with running(str(document), "--token", "abc", "--seed", "3") as (process, url):
        assert process.stdout is not None
        assert process.stdout.readline() == "Credentials: X-Key: abc\n"
        assert requests.get(f"{url}/pets/7", timeout=10).status_code == 401
        assert requests.get(f"{url}/pets/7", headers={"X-Key": "abc"}, timeout=10).json() == {"id": 7}
        assert requests.get(f"{url}/doc", timeout=10).status_code == 200
        process.send_signal(stop)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, "Stopped.\n")
    assert "Traceback" not in errors
    lines = re.findall(r"INFO +pymacaron\.access: (GET \S+ \d+)", errors)
    assert lines == ["GET /pets/7 401", "GET /pets/7 200", "GET /doc 200"]
    assert sorted(file.name for file in document.parent.iterdir()) == ["pets.yaml"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_broken_document(tmp_path: Path) -> None:
    """All findings, exit code 2."""
    file = tmp_path / "bad.yaml"
    file.write_text(DOCUMENT.replace('version: "1"', 'x: "1"').replace("in: path", "in: url"))
    done = run(str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{file}:2#/info: version is missing. Add version.\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) >= 2


def test_no_document(tmp_path: Path) -> None:
    done = run(str(tmp_path / "none.yaml"))
    assert done.returncode == 2
    assert "this file cannot be read" in done.stderr


def test_taken_port(document: Path) -> None:
    """A port that another program has is told in one line."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run(str(document), "--port", str(port))
    assert done.returncode == 2
    assert done.stderr == (
        f"127.0.0.1:{port}: cannot listen there: Address already in use."
        " Choose another with --port, or stop what uses it.\n"
    )


def test_document_from_a_url(document: Path) -> None:
    """The document may come from a server, another mock for one."""
    with running(str(document)) as (_, first), running(f"{first}/doc/pets.json") as (_, url):
        assert requests.get(f"{url}/pets/7", headers={"X-Key": "mock-token"}, timeout=10).json() == {"id": 7}


def test_slow_callers_do_not_hold_others_up(document: Path) -> None:
    """A connection that says nothing does not keep the mock from answering."""
    with running(str(document)) as (_, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))):
            before = time.monotonic()
            assert requests.get(f"{url}/pets/7", timeout=10).status_code == 401
            assert time.monotonic() - before < 5
