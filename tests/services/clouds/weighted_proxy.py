"""One address of loopback in front of several: each request goes to one of them, by weight."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_TIMEOUT_S = 30
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class WeightedProxy:
    """A reverse proxy. Requests are dealt so that after each one the shares are as close as can be."""

    def __init__(self, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        """Listen at *address*, by default a free port; with nothing behind, every request is answered 503."""
        self._weights: dict[str, int] = {}
        self._credit: dict[str, int] = {}
        self._lock = threading.Lock()
        proxy = self

        class Handler(_ProxyHandler):
            def choose(self) -> str | None:
                return proxy.choose()

        self._server = _Server(address, Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def split(self, weights: Mapping[str, int]) -> None:
        """Send requests that come from now on to *weights*: URL -> percent."""
        with self._lock:
            wanted = {url: weight for url, weight in weights.items() if weight > 0}
            if wanted != self._weights:
                self._weights, self._credit = wanted, dict.fromkeys(wanted, 0)

    def choose(self) -> str | None:
        """Return the URL whose turn it is, None without any."""
        with self._lock:
            if not self._weights:
                return None
            for url, weight in self._weights.items():
                self._credit[url] += weight
            chosen = max(self._credit, key=self._credit.__getitem__)
            self._credit[chosen] -= sum(self._weights.values())
            return chosen

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def choose(self) -> str | None:
        raise NotImplementedError

    def handle_one_request(self) -> None:
        """Pass one request on: whatever its method is."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = self.choose()
        if url is None:
            self._answer(503, [], b"nothing is behind this address")
            return
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_S)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(self.command, self.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            self._answer(answer.status, answer.getheaders(), answer.read())
        except OSError as error:
            self._answer(503, [], f"no instance answers: {error}".encode())
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
