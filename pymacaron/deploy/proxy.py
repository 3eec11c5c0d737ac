"""The weighted proxy in front of releases in containers: ``python -m pymacaron.deploy.proxy FOLDER HOST:PORT``.

It runs on its own, whatever becomes of the command that started it, and goes by ``routes.json`` in FOLDER, which it
looks at before each request. Answers pass unchanged but for the headers of one connection (RFC 9110, section 7.6.1).
Each request has a connection of its own to the release: none is lost because a kept one was just closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path

import h11

from pymacaron.deploy.atomic_file import write_atomically
from pymacaron.deploy.routes import ROUTES_FILE, Deck, Route, Routes, read_routes

LOCK_FILE = "proxy.lock"
PLACE_FILE = "proxy.json"
TRAFFIC_FILE = "traffic.json"
_CONNECT_TIMEOUT_S = 3.0
_IDLE_TIMEOUT_S = 75.0
_STOP_TIMEOUT_S = 30.0
_TICK_S = 0.1
_LOCK_ATTEMPTS = 20
_RETRIES = 8
_RETRY_PAUSE_S = 0.05
_READ_BYTES = 65536
_MOST_HEAD_BYTES = 131072
# RFC 9110, section 7.6.1; transfer-encoding is h11's own business.
_OF_ONE_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"}
_FOR, _PROTO = b"x-forwarded-for", b"x-forwarded-proto"
_REPEATABLE = {b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"}  # RFC 9110, section 9.2.2

_Headers = list[tuple[bytes, bytes]]


class _UnreachableError(Exception):
    """The release took no connection, or closed it without a byte: the request may go to another one."""


@dataclass(slots=True)
class Traffic:
    """What went to one release since the proxy started. unreachable: attempts that it took no connection for."""

    in_flight: int = 0
    answered: int = 0
    unreachable: int = 0


class Proxy:
    """Serves clients and passes their requests to releases."""

    def __init__(self, folder: Path) -> None:
        """Take the *folder* with the routes."""
        self._folder = folder
        self._seen: object = None
        self._routes = Routes(0, ())
        self._deck = Deck(())
        self._traffic: dict[str, Traffic] = {}
        self._written = b""
        self._stopping = asyncio.Event()
        self._clients: dict[asyncio.Task[None], bool] = {}  # each with whether a request is under way

    async def run(self, host: str, port: int) -> None:
        """Serve until SIGTERM or SIGINT; requests under way then are finished."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        server = await asyncio.start_server(self._serve, host, port, backlog=1024)
        bound = server.sockets[0].getsockname()
        write_atomically(
            self._folder / PLACE_FILE, json.dumps({"host": host, "port": bound[1], "pid": os.getpid()}).encode()
        )
        while not self._stopping.is_set():
            self._look_at_routes()
            self._write_traffic()
            await asyncio.sleep(_TICK_S)
        server.close()
        for client in [client for client, is_busy in self._clients.items() if not is_busy]:
            client.cancel()
        if self._clients:
            await asyncio.wait(list(self._clients), timeout=_STOP_TIMEOUT_S)

    def _look_at_routes(self) -> None:
        """Read the routes if they changed; while they cannot be read, those that are known hold."""
        try:
            found = (self._folder / ROUTES_FILE).stat()
            seen = (found.st_ino, found.st_mtime_ns)
            if seen == self._seen:
                return
            self._routes = read_routes(self._folder)
        except OSError:
            return
        self._deck = Deck(self._routes.routes)
        self._seen = seen

    def _write_traffic(self) -> None:
        counts = {
            version: {"in_flight": one.in_flight, "answered": one.answered, "unreachable": one.unreachable}
            for version, one in self._traffic.items()
        }
        data = json.dumps({"tag": self._routes.tag, "routes": counts}).encode()
        if data == self._written:
            return
        with contextlib.suppress(OSError):  # counts that cannot be told now are no reason to serve nobody
            # waiting for a disk would hold requests
            write_atomically(self._folder / TRAFFIC_FILE, data, is_lasting=False)
            self._written = data

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = False
        client = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_HEAD_BYTES)
        try:
            async with _closing(writer):
                try:
                    await self._serve_requests(task, client, reader, writer)
                except h11.RemoteProtocolError as error:
                    with contextlib.suppress(h11.LocalProtocolError):
                        status = error.error_status_hint
                        await _answer(client, writer, status, "BAD_REQUEST", "The request is no HTTP/1.1.")
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the client is gone, silent for too long, or the proxy stops
        finally:
            del self._clients[task]
            writer.transport.abort()

    async def _serve_requests(
        self,
        task: asyncio.Task[None],
        client: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Serve one request after the other on a connection. Raises: RemoteProtocolError: what comes is no HTTP."""
        while True:
            async with asyncio.timeout(_IDLE_TIMEOUT_S):
                request = await _read_event(client, reader)
            if not isinstance(request, h11.Request):
                return
            self._clients[task] = True
            await self._pass_on(request, client, reader, writer)
            self._clients[task] = False
            if client.our_state is not h11.DONE or client.their_state is not h11.DONE or self._is_stopping:
                return
            client.start_next_cycle()

    @property
    def _is_stopping(self) -> bool:
        return self._stopping.is_set()

    async def _pass_on(
        self, request: h11.Request, client: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request by the release that is chosen, or another one while nothing of it was sent."""
        for attempt in range(_RETRIES):
            self._look_at_routes()
            route = self._deck.deal()
            if route is None:
                await _answer(client, writer, 503, "SERVICE_UNAVAILABLE", "No release has traffic.")
                return
            with self._count(route) as traffic:
                try:
                    await _exchange(request, route, client, reader, writer)
                except _UnreachableError:
                    traffic.unreachable += 1
                else:
                    traffic.answered += 1
                    return
            if client.their_state is h11.DONE and request.method not in _REPEATABLE:
                break
            await asyncio.sleep(_RETRY_PAUSE_S * attempt)
        await _answer(client, writer, 502, "BAD_GATEWAY", "The release took no connection.")

    @contextlib.contextmanager
    def _count(self, route: Route) -> Iterator[Traffic]:
        traffic = self._traffic.setdefault(route.version, Traffic())
        traffic.in_flight += 1
        try:
            yield traffic
        finally:
            traffic.in_flight -= 1


async def _exchange(
    request: h11.Request,
    route: Route,
    client: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Send *request* to the release at *route*, and its answer to the client, both as they come.

    Raises: _UnreachableError: nothing of it reached the release, or it may be sent again. OSError: the client is gone.
    """
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            inward, outward = await asyncio.open_connection(route.host, route.port)
    except (OSError, TimeoutError) as error:
        raise _UnreachableError from error
    async with _closing(outward):
        release = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD_BYTES)
        peer = writer.get_extra_info("peername")
        headers = [*forward(_passed_headers(request), str(peer[0]) if peer else ""), (b"Connection", b"close")]
        passed = h11.Request(method=request.method, target=request.target, headers=headers)
        outward.write(release.send(passed) or b"")
        body = asyncio.create_task(_send_body(client, reader, release, outward))
        try:
            await _send_answer(release, inward, client, writer, may_repeat=_is_repeatable(request, client))
        except (h11.RemoteProtocolError, ConnectionError, h11.LocalProtocolError):
            if client.our_state is h11.SEND_RESPONSE:
                await _answer(client, writer, 502, "BAD_GATEWAY", "The release closed its connection.")
            writer.transport.abort()  # what the client has is not complete, and it must see that
        finally:
            body.cancel()
            await asyncio.wait([body])


def forward(headers: _Headers, peer: str) -> _Headers:
    """Return *headers* with who asks, and how: X-Forwarded-For and X-Forwarded-Proto.

    Only what stands before the proxy can know better, and that has a private address: what it says is kept, its own
    address added. Of other clients nothing is believed. peer: the address that asks.
    """
    try:
        is_known = ipaddress.ip_address(peer.partition("%")[0]).is_private
    except ValueError:
        is_known = False
    said = [value for name, value in headers if name.lower() == _FOR and is_known]
    protocols = [value for name, value in headers if name.lower() == _PROTO and is_known]
    kept = [
        (name, value)
        for name, value in headers
        if name.lower() not in {_FOR, _PROTO}
        and (is_known or not name.lower().startswith((b"x-forwarded-", b"forwarded")))
    ]
    chain = b", ".join([*said, peer.encode()])
    return [*kept, (b"X-Forwarded-For", chain), (b"X-Forwarded-Proto", protocols[-1] if protocols else b"http")]


def _is_repeatable(request: h11.Request, client: h11.Connection) -> bool:
    """Tell whether the request can be sent again: twice is as good as once, and it has no body that is gone then."""
    framing = {bytes(name) for name, _ in request.headers} & {b"content-length", b"transfer-encoding"}
    return request.method in _REPEATABLE and not framing and client.our_state is h11.SEND_RESPONSE


async def _send_body(
    client: h11.Connection, reader: asyncio.StreamReader, release: h11.Connection, outward: asyncio.StreamWriter
) -> None:
    """Send the body of the request as it comes. If the release goes meanwhile, its answer tells."""
    if client.their_state is h11.DONE:  # sent before to another release, and it has no body
        outward.write(release.send(h11.EndOfMessage()) or b"")
        return
    with contextlib.suppress(ConnectionError, h11.RemoteProtocolError):
        while True:
            event = await _read_event(client, reader)
            if not isinstance(event, h11.Data | h11.EndOfMessage):
                outward.transport.abort()  # the client is gone
                return
            outward.write(release.send(event) or b"")
            await outward.drain()
            if isinstance(event, h11.EndOfMessage):
                return


async def _send_answer(
    release: h11.Connection,
    inward: asyncio.StreamReader,
    client: h11.Connection,
    writer: asyncio.StreamWriter,
    *,
    may_repeat: bool,
) -> None:
    is_first = True
    while True:
        try:
            event = await _read_event(release, inward)
        except (h11.RemoteProtocolError, ConnectionError) as error:
            if is_first and may_repeat and not release.trailing_data[0]:
                raise _UnreachableError from error
            raise
        is_first = False
        if isinstance(event, h11.Response | h11.InformationalResponse):
            headers = _passed_headers(event)
            event = type(event)(
                status_code=event.status_code, headers=headers, reason=event.reason, http_version=event.http_version
            )
        elif not isinstance(event, h11.Data | h11.EndOfMessage):
            raise ConnectionError("the release closed its connection before the end of its answer")
        writer.write(client.send(event) or b"")
        await writer.drain()
        if isinstance(event, h11.EndOfMessage):
            return


async def _read_event(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while True:
        event = connection.next_event()
        if event is not h11.NEED_DATA:
            return event
        connection.receive_data(await reader.read(_READ_BYTES))


def _passed_headers(message: h11.Request | h11.Response | h11.InformationalResponse) -> _Headers:
    named = {
        token.strip().lower()
        for name, value in message.headers
        if name == b"connection"
        for token in bytes(value).split(b",")
    }
    dropped = _OF_ONE_CONNECTION | (named - {b"content-length", b"transfer-encoding", b"host"})
    return [(bytes(name), bytes(value)) for name, value in message.headers.raw_items() if name.lower() not in dropped]


async def _answer(
    client: h11.Connection, writer: asyncio.StreamWriter, status: int, code: str, description: str
) -> None:
    """Answer in the place of a release, with an error body as services have it; the connection is closed then."""
    body = json.dumps({"status": status, "error": code, "error_description": description}).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
        writer.write(client.send(event) or b"")
    await writer.drain()


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


def is_running(folder: Path) -> bool:
    """Tell whether a proxy holds the lock of *folder*."""
    try:
        with (folder / LOCK_FILE).open(encoding="utf-8") as file:
            flock(file, LOCK_SH | LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _allow_files() -> None:
    """Allow this process as many open files as it may have: a request takes two, an idle client one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(arguments: list[str]) -> int:
    """Serve FOLDER HOST:PORT until the process is stopped; with a third, ``--detach``, in a process of its own.

    Returns: 1 if another proxy serves the folder.
    """
    folder, place, *detached = arguments
    host, _, port = place.rpartition(":")
    if detached and os.fork():
        return 0
    with (Path(folder) / LOCK_FILE).open("a", encoding="utf-8") as lock:
        for _ in range(_LOCK_ATTEMPTS):  # who asks whether one is running holds it for a moment
            try:
                flock(lock, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                time.sleep(_TICK_S)
                continue
            _allow_files()
            asyncio.run(Proxy(Path(folder)).run(host, int(port)))
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
