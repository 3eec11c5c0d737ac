"""Real servers, and clients that put load on them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

PYMACARON = ("-m", "pymacaron.cli", "run", "--port", "0")
GUNICORN = (
    "-m",
    "gunicorn",
    "--no-control-socket",
    "-c",
    "python:pymacaron.gunicorn",
    "--bind=127.0.0.1:0",
    "server:app",
)
START_TIMEOUT_S = 30
SERVER = "from pymacaron import create_app\n\napp = create_app(__name__, handlers='svc')\n"
HANDLERS = """\
import os
import time

VERSION = 1

def get_pid():
    return {"pid": os.getpid(), "version": VERSION}

def sleep(seconds):
    time.sleep(seconds)
    return {"pid": os.getpid(), "version": VERSION}

def take(body):
    return {"pid": os.getpid(), "version": VERSION}

def count():
    def lines():
        for number in range(20):
            time.sleep(0.1)
            yield f"{number}\\n"
    return lines()
"""
DOCUMENT = """\
openapi: 3.1.0
info: {title: Pids, version: "1"}
paths:
  /pid:
    get: {operationId: get_pid, responses: &answers {"200": {description: ok, content: {application/json: {}}}}}
  /sleep:
    get:
      operationId: sleep
      parameters: [{name: seconds, in: query, required: true, schema: {type: number}}]
      responses: *answers
  /take:
    post:
      operationId: take
      requestBody: {required: true, content: {application/json: {schema: {type: object}}}}
      responses: *answers
  /count:
    get: {operationId: count, responses: {"200": {description: ok, content: {text/plain: {schema: {type: string}}}}}}
"""


@dataclass
class Service:
    """A running service. log: what it wrote."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path
    log: Path

    @property
    def port(self) -> int:
        """Return where it listens."""
        return int(self.url.rpartition(":")[2])

    def find_workers(self) -> set[int]:
        """Return the ids of its worker processes."""
        pid = self.process.pid
        return {int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def get(self, path: str, timeout: float = 20) -> dict[str, int]:
        """Return the JSON that *path* answers, over a connection of its own."""
        answer: dict[str, int] = requests.get(self.url + path, timeout=timeout).json()
        return answer

    def wait_for(self, is_so: Callable[[], object], timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait; fail with the log if it is not so in time."""
        end = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> int:
        """Terminate it; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


Serve = Callable[..., Service]


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a service with its models."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "apis").mkdir()
    (folder / "apis" / "pids.yaml").write_text(DOCUMENT)
    (folder / "server.py").write_text(SERVER)
    (folder / "svc.py").write_text(HANDLERS)
    subprocess.run([sys.executable, "-m", "pymacaron.cli", "generate"], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Serve]:
    """Start a service: ``serve(*PYMACARON, "--workers", "2", config="…")``."""
    with contextlib.ExitStack() as stack:

        def start(*command: str, config: str = "") -> Service:
            folder = tmp_path_factory.mktemp("service") / "pids"
            shutil.copytree(template, folder)
            (folder / "pym-config.yaml").write_text(f"name: pids\n{config}")
            log = folder.parent / "server.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, *command], cwd=folder, stdout=output, stderr=subprocess.STDOUT
                )
            service = Service(process, "", folder, log)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
            service.wait_for(lambda: process.poll() is not None or is_ready(service))
            assert process.poll() is None, log.read_text()
            return service

        yield start


def is_ready(service: Service) -> bool:
    found = re.search(r"(?:Serving \S+ on|Listening at:) (http://127\.0\.0\.1:[1-9]\d*)", service.log.read_text())
    if found is None:
        return False
    service.url = found[1]
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{service.url}/ping", timeout=5).ok
    return False


@dataclass
class Load:
    """Clients at work. faults: each request that was not answered with 200. versions: of the answers, in order."""

    faults: list[str] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)
    report: str = ""


@pytest.fixture
def put_load() -> Callable[..., contextlib.AbstractContextManager[Load]]:
    """Put load on a service while a block runs: wrk without a pause, and clients with pauses and open connections."""
    if shutil.which("wrk") is None:
        reason = "wrk is not installed"
        (pytest.fail if os.environ.get("PYMACARON_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)

    @contextlib.contextmanager
    def load(service: Service, seconds: int) -> Iterator[Load]:
        """Let wrk work for *seconds*, the other clients until the block ends."""
        result, is_over = Load(), threading.Event()
        clients = [threading.Thread(target=call_often, args=(service.port, is_over, result)) for _ in range(6)]
        command = ["wrk", "-t1", "-c12", "--timeout", "20", f"-d{seconds}", f"{service.url}/pid"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
            for client in clients:
                client.start()
            try:
                yield result
                result.report = wrk.communicate()[0]
            finally:
                is_over.set()
                for client in clients:
                    client.join()

    return load


def call_often(port: int, is_over: threading.Event, result: Load) -> None:
    """Ask again and again over a connection that stays open as long as the server says so, with pauses."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    while not is_over.is_set():
        time.sleep(random.choice([0, 0, 0.001, 0.02, 0.2]))
        try:
            connection.request("GET", "/pid")
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            result.faults.append(repr(error))
            connection.close()
            continue
        if answer.status != 200:
            result.faults.append(f"{answer.status} {body}")
        else:
            result.versions.append(body["version"])
            result.pids.add(body["pid"])
    connection.close()
