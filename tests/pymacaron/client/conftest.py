"""Real servers on free ports that answer as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Seen:
    """A request that came. headers: names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """An answer.

    delay_s: time before it. is_hang_up: nothing comes. is_cut: less comes than was promised. pieces: what is sent one
    by one after the body, each when its event is set; is_chunked: with or without chunks.
    """

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    is_hang_up: bool = False
    is_cut: bool = False
    pieces: list[tuple[threading.Event, bytes]] = field(default_factory=list)
    is_chunked: bool = True


Behaviour = Callable[[Seen], Reply]


class ScriptedServer:
    """Answers as *behaviour* says and remembers every request."""

    def __init__(self, behaviour: Behaviour, host: str) -> None:
        """Listen on a free port of *host*."""
        self.seen: list[Seen] = []
        self.stopping = threading.Event()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.command, self.path, headers, self.rfile.read(length))
                scripted.seen.append(seen)
                reply = behaviour(seen)
                scripted.stopping.wait(reply.delay_s)
                if reply.is_hang_up:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                if reply.pieces:
                    self._send_pieces(reply)
                    return
                self.send_header("Content-Length", str(len(reply.body) + (100 if reply.is_cut else 0)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = reply.is_cut

            def _send_pieces(self, reply: Reply) -> None:
                name, value = ("Transfer-Encoding", "chunked") if reply.is_chunked else ("Connection", "close")
                self.send_header(name, value)
                self.end_headers()
                for event, piece in [(None, reply.body), *reply.pieces]:
                    if event is not None:
                        event.wait(5)
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if reply.is_chunked else piece)
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n" if reply.is_chunked else b"")
                self.close_connection = not reply.is_chunked

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _answer  # noqa: N815 - names of the base class

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                return

        self._server = Server((host, 0), Handler)
        self.url = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and waiting before answers."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


MakeServer = Callable[..., ScriptedServer]


@pytest.fixture
def serve() -> Iterator[MakeServer]:
    """Start a server: ``serve(lambda seen: Reply(503))``; host: another address of this machine."""
    servers: list[ScriptedServer] = []

    def start(behaviour: Behaviour, host: str = "127.0.0.1") -> ScriptedServer:
        servers.append(ScriptedServer(behaviour, host))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def reply() -> type[Reply]:
    """Return the class of the answers that such a server gives."""
    return Reply
