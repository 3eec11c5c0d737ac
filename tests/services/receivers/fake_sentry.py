"""A Sentry on a free port of this machine: takes envelopes as the real one does, and can be slow, full or broken."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_AUTH = re.compile(r"Sentry sentry_key=(?P<key>\w+), sentry_version=7, sentry_client=[\w./-]+\Z")
KEY = "0123456789abcdef0123456789abcdef"


class FakeSentry:
    """Listens until `stop`.

    events: those that came, oldest first. raw: every byte that came, headers included. status, delay_s, retry_after:
    of its answers. refusals: why it answered 400. ports: from which each request came.
    """

    def __init__(self, status: int = 200, delay_s: float = 0.0, retry_after: str | None = None) -> None:
        """Start."""
        self.events: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.refusals: list[str] = []
        self.ports: list[int] = []
        self.status, self.delay_s, self.retry_after = status, delay_s, retry_after
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _make_handler(self))
        self.dsn = f"http://{KEY}@127.0.0.1:{self._server.server_port}/42"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[dict[str, Any]]:
        """Return the events as soon as there are so many, or after that time."""
        end = time.monotonic() + timeout_s
        while len(self.events) < count and time.monotonic() < end:
            time.sleep(0.005)
        return self.events

    def stop(self) -> None:
        """Stop listening, and waiting before answers; the port refuses connections then."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, headers: str, auth: str, body: bytes) -> int:
        """Take what was posted and return the status to answer with."""
        self.raw.append(f"{path}\n{headers}\n".encode() + body)
        if self.delay_s:
            self._stopping.wait(self.delay_s)
        if self.status != 200:
            return self.status
        match = _AUTH.match(auth)
        if path != "/api/42/envelope/" or match is None or match["key"] != KEY:
            self.refusals.append(f"{path} with {auth}")
            return 403
        try:
            self.events += read_envelope(body)
        except ValueError as error:
            self.refusals.append(str(error))
            return 400
        return 200


def read_envelope(body: bytes) -> list[dict[str, Any]]:
    """Return the events in an envelope. Raises ValueError: it is none.

    Source: https://develop.sentry.dev/sdk/data-model/envelopes/: a line of JSON for the envelope, then for each item a
    line of JSON, and so many bytes as that says.
    """
    head, _, rest = body.partition(b"\n")
    event_id = json.loads(head)["event_id"]
    events = []
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        item = json.loads(line)
        payload, rest = rest[: item["length"]], rest[item["length"] :]
        if len(payload) != item["length"] or rest[:1] not in (b"", b"\n"):
            raise ValueError("the length of an item is wrong")
        if item["type"] == "event":
            event = json.loads(payload)
            if event["event_id"] != event_id or not re.fullmatch("[0-9a-f]{32}", event_id):
                raise ValueError("the ids differ")
            events.append(event)
    return events


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went away."""


def _make_handler(sentry: FakeSentry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sentry.ports.append(self.client_address[1])
            auth = self.headers.get("X-Sentry-Auth", "")
            del self.headers["X-Sentry-Auth"]
            status = sentry.take(self.path, str(self.headers), auth, body)
            answer = b'{"id":"1"}'
            self.send_response(status)
            if sentry.retry_after:
                self.send_header("Retry-After", sentry.retry_after)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    return Handler
