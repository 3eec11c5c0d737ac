"""Lock and journal in a bucket whose answers get lost, through Google's own client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

from clouds.cloud_storage import run_cloud_storage
from pymacaron.deploy.gcs_shelf import GcsShelf
from pymacaron.deploy.journal import Journal
from pymacaron.deploy.lock import Lock

KEY = "deploys/20261127-180000-abcd"


class Line(ThreadingHTTPServer):
    """What is between client and server. lost: writes whose answers still get lost."""

    daemon_threads = True
    lost = 0

    def __init__(self, server_url: str) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Passing)
        self.server_url = server_url

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Passing(BaseHTTPRequestHandler):
    server: Line

    def _pass(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {key: value for key, value in self.headers.items() if key.lower() not in {"host", "connection"}}
        answer = requests.request(
            self.command, self.server.server_url + self.path, data=data, headers=headers, timeout=10
        )
        if self.path.startswith("/upload") and answer.ok and self.server.lost:
            self.server.lost -= 1
            self.close_connection = True
            return
        self.send_response(answer.status_code)
        for key, value in answer.headers.items():
            if key.lower() not in {"content-length", "transfer-encoding", "content-encoding", "connection"}:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _pass  # noqa: N815 - names that http.server asks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def run_line() -> Iterator[Line]:
    """Run the storage, and the line to it."""
    with run_cloud_storage() as url, Line(url) as line:
        thread = threading.Thread(target=line.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield line
        finally:
            line.shutdown()
            thread.join()


def test_lost_answers_are_no_conflicts() -> None:
    """The client sends what it had no answer to again, and meets its own write: journal and lock know it for theirs."""
    with run_line() as line:
        shelf = GcsShelf(project="acme", bucket="acme-pymacaron", folder="shop", location="EU", endpoint=line.url)
        lock, journal = Lock(shelf, 60, print), Journal(shelf, KEY)
        for write in (lock.take, lambda: journal.write("plan", "done"), lambda: journal.write("stage", "begin")):
            line.lost = 1
            write()
            assert line.lost == 0
        lock.check()
        assert [record.step for record in Journal(shelf, KEY).records] == ["plan", "stage"]
        lock.release()
        assert shelf.get("lock") is None
