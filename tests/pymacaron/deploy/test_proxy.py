from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from pymacaron.deploy.atomic_file import write_atomically
from pymacaron.deploy.proxy import PLACE_FILE, TRAFFIC_FILE, forward, is_running
from pymacaron.deploy.routes import Route, write_routes


class _Release(BaseHTTPRequestHandler):
    """A release that answers with its name and tells what it was asked."""

    protocol_version = "HTTP/1.1"
    name = ""

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(0.5)
        if self.path == "/gone":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in (b"one", b"two"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")
            return
        self._answer(json.dumps({"name": self.name, "headers": dict(self.headers), "path": self.path}).encode())

    def do_HEAD(self) -> None:
        self.send_response(204)
        self.end_headers()

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(200, "Fine")
        self.send_header("X-Mixed-Case", "Kept  as it is")
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Stand:
    """A proxy that runs, and two releases behind it."""

    folder: Path
    url: str
    ports: dict[str, int]
    pid: int

    def share(self, **shares: int) -> int:
        """Set the shares and return the tag of the routes."""
        routes = [Route(name, "127.0.0.1", self.ports[name], share) for name, share in shares.items()]
        return write_routes(self.folder, routes).tag

    def ask(self) -> str:
        """Return who answers."""
        name: str = requests.get(self.url, timeout=10).json()["name"]
        return name


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """Run a proxy and two releases; the port ``closed`` takes no connections."""
    servers = {}
    for name in ("old", "new"):
        handler = type(name, (_Release,), {"name": name})
        servers[name] = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=servers[name].serve_forever, daemon=True).start()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = {name: server.server_port for name, server in servers.items()} | {"closed": closed.getsockname()[1]}
        command = [sys.executable, "-m", "pymacaron.deploy.proxy", str(tmp_path), "127.0.0.1:0"]
        with subprocess.Popen(command) as process:
            deadline = time.monotonic() + 30
            while not (tmp_path / PLACE_FILE).exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            place = json.loads((tmp_path / PLACE_FILE).read_text())
            yield Stand(tmp_path, f"http://127.0.0.1:{place['port']}/some?query=1", ports, process.pid)
            process.send_signal(signal.SIGTERM)
        assert process.returncode == 0
    for server in servers.values():
        server.shutdown()
        server.server_close()


def test_shares_are_exact(stand: Stand) -> None:
    """Of each twenty requests at 5 %, one goes to the candidate; a change counts from the next request on."""
    stand.share(old=95, new=5)
    assert Counter(stand.ask() for _ in range(60)) == {"old": 57, "new": 3}
    stand.share(old=0, new=100)
    assert {stand.ask() for _ in range(10)} == {"new"}


def test_answers_and_requests_pass_unchanged(stand: Stand) -> None:
    """Status, reason, headers and body of an answer are the release's; it sees the request as it was sent."""
    stand.share(old=100)
    answer = requests.get(stand.url, headers={"X-Own": "1", "Host": "shop.example"}, timeout=10)
    assert (answer.status_code, answer.reason) == (200, "Fine")
    assert answer.headers["X-Mixed-Case"] == "Kept  as it is"
    assert answer.cookies.get_dict() == {"a": "1", "b": "2"}
    assert answer.json()["path"] == "/some?query=1"
    assert answer.json()["headers"]["X-Own"] == "1"
    assert answer.json()["headers"]["Host"] == "shop.example"
    assert answer.json()["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert answer.json()["headers"]["X-Forwarded-Proto"] == "http"
    assert set(answer.headers) == {"Server", "Date", "X-Mixed-Case", "Set-Cookie", "Content-Length"}


def test_bodies_of_every_framing(stand: Stand) -> None:
    """Long bodies, chunks and answers without a body pass, on one connection that is kept."""
    stand.share(old=100)
    with requests.Session() as http:
        body = os.urandom(3_000_000)
        assert http.post(stand.url, data=body, timeout=30).content == body
        assert http.get(stand.url.replace("/some?query=1", "/chunks"), timeout=10).content == b"onetwo"
        assert http.head(stand.url, timeout=10).status_code == 204
        assert http.get(stand.url, timeout=10).json()["name"] == "old"


def test_nobody_notices_a_release_that_takes_no_connection(stand: Stand) -> None:
    """A request that never reached a release goes to another one, whatever its method."""
    stand.share(old=50, closed=50)
    assert {stand.ask() for _ in range(20)} == {"old"}
    assert requests.post(stand.url, data=b"once", timeout=10).content == b"once"


@pytest.mark.parametrize(
    ("shares", "path", "status", "code"),
    [
        pytest.param({}, "/", 503, "SERVICE_UNAVAILABLE", id="no release"),
        pytest.param({"closed": 100}, "/", 502, "BAD_GATEWAY", id="no connection"),
        pytest.param({"old": 100}, "/gone", 502, "BAD_GATEWAY", id="closed without an answer"),
    ],
)
def test_what_cannot_be_answered(stand: Stand, shares: dict[str, int], path: str, status: int, code: str) -> None:
    """The proxy answers in the place of a release with an error body as services have it."""
    stand.share(**shares)
    answer = requests.get(stand.url.replace("/some?query=1", path), timeout=20)
    assert (answer.status_code, answer.json()["error"], answer.json()["status"]) == (status, code, status)


def test_requests_under_way_are_counted(stand: Stand) -> None:
    """Who removes a release sees that a request is under way to it, and that the routes without it are known."""
    stand.share(old=100)
    asking = threading.Thread(target=requests.get, args=(stand.url.replace("/some?query=1", "/slow"),))
    asking.start()
    time.sleep(0.25)
    tag = stand.share(new=100)
    counts = []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        told = json.loads((stand.folder / TRAFFIC_FILE).read_text())
        if told["tag"] == tag:
            counts.append(told["routes"]["old"]["in_flight"])
            if counts[-1] == 0:
                break
        time.sleep(0.02)
    asking.join()
    assert counts[-1] == 0
    assert told["routes"]["old"]["answered"] == 1


@pytest.mark.parametrize(
    ("peer", "given", "told"),
    [
        pytest.param("8.8.8.8", [], [("X-Forwarded-For", "8.8.8.8"), ("X-Forwarded-Proto", "http")], id="a client"),
        pytest.param(
            "2a00::1",
            [("x-forwarded-for", "1.1.1.1"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=me"), ("X-Own", "1")],
            [("X-Own", "1"), ("X-Forwarded-For", "2a00::1"), ("X-Forwarded-Proto", "http")],
            id="a client that says who it is",
        ),
        pytest.param(
            "10.0.0.7",
            [("X-Forwarded-For", "8.8.8.8"), ("X-Forwarded-Host", "shop"), ("X-Forwarded-Proto", "https")],
            [("X-Forwarded-Host", "shop"), ("X-Forwarded-For", "8.8.8.8, 10.0.0.7"), ("X-Forwarded-Proto", "https")],
            id="what stands before the proxy",
        ),
    ],
)
def test_who_asks_is_told(peer: str, given: list[tuple[str, str]], told: list[tuple[str, str]]) -> None:
    """A client cannot give another address as its own; what stands before the proxy says whose request it is."""
    headers = forward([(name.encode(), value.encode()) for name, value in given], peer)
    assert [(name.decode(), value.decode()) for name, value in headers] == told


def test_one_proxy_a_folder(stand: Stand) -> None:
    """A second proxy for the same folder gives up."""
    assert is_running(stand.folder)
    command = [sys.executable, "-m", "pymacaron.deploy.proxy", str(stand.folder), "127.0.0.1:0"]
    assert subprocess.run(command, check=False, timeout=60).returncode == 1


def test_no_http_is_refused(stand: Stand) -> None:
    """What is no HTTP gets 400, and the connection is closed."""
    port = int(stand.url.split(":")[2].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        one.sendall(b"what is this?\r\n\r\n")
        said = b""
        while part := one.recv(4096):
            said += part
    assert said.startswith(b"HTTP/1.1 400 ")


def test_it_outlives_a_lack_of_files(stand: Stand) -> None:
    """Without a file left to open it answers 502, tells no counts for a while, and serves on as soon as it can."""
    stand.share(old=100)
    _, most = resource.prlimit(stand.pid, resource.RLIMIT_NOFILE)
    with requests.Session() as http:
        assert http.get(stand.url, timeout=10).status_code == 200
        assert resource.prlimit(stand.pid, resource.RLIMIT_NOFILE)[0] == most, "it allows itself all that it may have"
        resource.prlimit(stand.pid, resource.RLIMIT_NOFILE, (3, most))
        try:
            assert http.get(stand.url, timeout=30).status_code == 502
            tag = stand.share(old=50, new=50)
            time.sleep(0.5)
        finally:
            resource.prlimit(stand.pid, resource.RLIMIT_NOFILE, (most, most))
    assert {stand.ask() for _ in range(4)} == {"old", "new"}
    deadline = time.monotonic() + 10
    while (told := json.loads((stand.folder / TRAFFIC_FILE).read_text()))["tag"] != tag:
        assert time.monotonic() < deadline, told
        time.sleep(0.02)


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """A proxy that tries ten times a second would fill the disk that is full."""
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", b"data")
    assert [one.name for one in tmp_path.iterdir()] == ["taken"]
