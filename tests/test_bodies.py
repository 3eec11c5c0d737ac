"""Every kind of body and answer over HTTP: granian as `pymacaron run` starts it, Werkzeug's server, requests."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from werkzeug.serving import make_server

BODIES = Path(__file__).parent / "services" / "bodies"
SERVING = re.compile(r"Serving \S+ on (http://\S+)")
START_LIMIT_S = 60
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the service: its models are written beside its document."""
    copy = tmp_path_factory.mktemp("bodies") / "service"
    shutil.copytree(BODIES, copy, copy_function=shutil.copyfile)
    return copy


@pytest.fixture(scope="module")
def granian(folder: Path) -> Iterator[str]:
    """Serve it as `pymacaron run` does; yield its URL."""
    log = folder.parent / "service.log"
    command = [sys.executable, "-m", "pymacaron.cli", "run", "--port", "0"]
    with log.open("w") as file, subprocess.Popen(command, cwd=folder, stdout=file, stderr=file) as process:
        try:
            yield _wait_for_url(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _wait_for_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        found = SERVING.search(log.read_text())
        if found and _answers(found[1]):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"the service did not start: {log.read_text()}")


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/ping", timeout=2).ok
    except requests.ConnectionError:
        return False


@pytest.fixture
def werkzeug(bodies_app: Flask) -> Iterator[str]:
    """Serve the same app with the server that Flask comes with; yield its URL."""
    server = make_server("127.0.0.1", 0, bodies_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["granian", "werkzeug"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of each server."""
    return str(request.getfixturevalue(request.param))


def test_files_and_json_parts(url: str) -> None:
    """What requests sends as multipart arrives: JSON parts, files, several of one name, texts."""
    files: Any = [
        ("meta", (None, json.dumps({"name": "Rex"}), "application/json")),
        ("photo", ("a.png", io.BytesIO(b"\x89PNG" * 10_000), "image/png", {"X-Checksum": "7"})),
        ("docs", ("1.txt", "one")),
        ("docs", ("2.txt", "two")),
        ("points", (None, '{"x": 1}', "application/json")),
    ]
    answer = requests.post(f"{url}/upload", files=files, data={"caption": "né"}, timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "meta": {"name": "Rex"},
        "photo": ["a.png", "image/png", 40_000],
        "docs": ["one", "two"],
        "points": [{"x": 1}],
        "caption": "né",
    }


def test_events_arrive_while_they_are_made(url: str) -> None:
    """The first line is there long before the last; leaving early closes the generator."""
    before = requests.get(f"{url}/closed", timeout=10).json()
    with requests.get(f"{url}/ticks?count=1000", headers={"X-Pause": "0.1"}, stream=True, timeout=10) as answer:
        lines = answer.iter_lines(chunk_size=1)
        events = [next(lines).decode() for _ in range(9)]
        assert requests.get(f"{url}/closed", timeout=10).json() == before  # all of them take 100 s
    assert events[:6] == [": hello", "", "event: tick", "id: 0", 'data: {"n":0}', ""]
    deadline = time.monotonic() + 10
    while requests.get(f"{url}/closed", timeout=10).json() == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert requests.get(f"{url}/closed", timeout=10).json() == before + 1


def test_ranges(url: str) -> None:
    """A part of a file comes with its place in the whole."""
    answer = requests.get(f"{url}/file", headers={"Range": "bytes=-7"}, timeout=10)
    assert (answer.status_code, answer.content, answer.headers["Content-Range"]) == (206, b"range!\n", "bytes 7-13/14")
    assert requests.get(f"{url}/file", headers={"Range": "bytes=50-"}, timeout=10).status_code == 416


@pytest.mark.parametrize(
    ("kind", "accept", "status", "content_type"),
    [
        pytest.param("model", "*/*", 200, "application/json", id="anything"),
        pytest.param("model", "application/vnd.note+json", 200, "application/vnd.note+json", id="exact"),
        pytest.param("text", "text/csv", 200, "text/csv; charset=utf-8", id="text"),
        pytest.param("bytes", "image/*", 200, "image/png", id="image"),
        pytest.param("model", "audio/ogg", 406, "application/json", id="none"),
    ],
)
def test_negotiation(granian: str, kind: str, accept: str, status: int, content_type: str) -> None:
    """Accept decides, over HTTP as in process."""
    answer = requests.get(f"{granian}/pets?kind={kind}", headers={"Accept": accept}, timeout=10)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)


@pytest.mark.parametrize(
    ("headers", "data", "status", "hint"),
    [
        pytest.param({"Content-Type": "text/csv"}, b"a", 415, "Accept", id="media type"),
        pytest.param(JSON | {"Content-Encoding": "br"}, b"a", 415, "Accept-Encoding", id="br"),
        pytest.param(JSON, b" " * 100_001, 413, "Content-Length", id="too large"),
        pytest.param(JSON, iter([b" " * 60_000] * 2), 413, "Content-Length", id="chunks"),
        pytest.param(JSON, b"\xff", 400, "Content-Length", id="no UTF-8"),
    ],
)
def test_refusals(granian: str, headers: dict[str, str], data: Any, status: int, hint: str) -> None:
    """Each refusal has the error body and tells what would be taken."""
    answer = requests.post(f"{granian}/json", data=data, headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["status"], hint in answer.headers) == (status, status, True)


def test_encoded_slashes(werkzeug: str) -> None:
    """A server that hands over the path as it was sent lets %2F be part of a value."""
    assert requests.get(f"{werkzeug}/files/a%2Fb.txt", timeout=10).json() == ["a/b", "txt"]


def test_streams_over_http(url: str) -> None:
    """Lines, an asynchronous generator, and nothing at all."""
    assert requests.get(f"{url}/notes", timeout=10).content == b'{"name":"a"}\n{"name":"b"}\n'
    assert requests.get(f"{url}/later", timeout=10).text == "one two"
    assert requests.post(f"{url}/reset", timeout=10).content == b""


@pytest.mark.unmeasured
def test_the_service_keeps_its_document(granian: str, folder: Path, tmp_path: Path) -> None:
    """The contract run of the test plugin finds nothing."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--pymacaron-target={granian}"]
    command += [f"--pymacaron-spec={folder / 'apis' / 'bodies.yaml'}", f"--rootdir={tmp_path}"]
    command += ["--pymacaron-max-examples=5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
