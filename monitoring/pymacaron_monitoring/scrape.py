"""Shows the page of metrics: on the service's own port, or on another; to everybody, or to who has a token."""

from __future__ import annotations

import hmac
import logging
import os
import socket
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TypeVar

from flask import Response as FlaskResponse
from flask import request as flask_request
from prometheus_client.exposition import choose_encoder
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from pymacaron.service import Service
from pymacaron_monitoring.page import Page
from pymacaron_monitoring.store import Store

log = logging.getLogger(__name__)

_RETRY_S = 2.0
_EXTENSION = "pymacaron_monitoring.port"
ResponseT = TypeVar("ResponseT", bound=Response)


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """Answers who asks for *page*. token: that they must have, None: none."""

    page: Page
    token: str | None

    def answer(self, asked: Request, response_class: type[ResponseT]) -> ResponseT:
        """Return the page in the format that the scraper prefers, or 401. Source: RFC 6750."""
        if self.token is not None and not has_token(asked, self.token):
            refusal = response_class("This page needs the bearer token that metrics_token says.\n", 401)
            refusal.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
            refusal.mimetype = "text/plain"
            return refusal
        _, content_type = choose_encoder(asked.headers.get("Accept", ""))
        text = self.page.write(is_openmetrics=content_type.startswith("application/openmetrics-text"))
        return response_class(text, content_type=content_type)


def serve_page(service: Service, page: Page, store: Store) -> None:
    """Show *page* as the configuration of *service* says."""
    config = service.config
    keeper = Gatekeeper(page, config.metrics_token.get_secret_value() if config.metrics_token else None)
    if config.metrics_port is None:
        service.app.add_url_rule(
            config.metrics_path, "pymacaron_metrics", lambda: keeper.answer(flask_request, FlaskResponse)
        )
        return
    port = OwnPort(keeper, (config.metrics_host, config.metrics_port), config.metrics_path, store)
    service.app.extensions[_EXTENSION] = port
    _ports.add(port)
    port.start()


class OwnPort:
    """Shows the page on a port of its own: one process does, and when it ends, another one goes on at once."""

    def __init__(self, keeper: Gatekeeper, address: tuple[str, int], path: str, store: Store) -> None:
        """Prepare. address: host and port. store: its folder tells which processes share the port."""
        self._keeper = keeper
        self._address = address
        self._path = path
        self._store = store
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Serve in a thread, or wait in it until the process that serves has ended."""
        threading.Thread(target=self._run, name="pymacaron-metrics", daemon=True).start()

    def restart(self) -> None:
        """Leave the port to the parent, after a fork."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.start()

    def _run(self) -> None:
        if self._store.slots is not None:
            self._store.slots.wait_for_port()
        host, port = self._address
        with self._listen() as listener:
            server: BaseWSGIServer = make_server(
                host,
                port,
                Request.application(self._answer),
                threaded=True,
                request_handler=_QuietHandler,
                fd=listener.fileno(),
            )
        self._listener = server.socket  # a duplicate of the other, and the only one now
        server.serve_forever()

    def _listen(self) -> socket.socket:
        """Return a socket that listens, as soon as the port is free."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        is_told = False
        while True:
            try:
                return socket.create_server(self._address, family=family)
            except OSError as error:
                if not is_told:
                    words = "Metrics cannot be shown on %s:%d yet, it is tried again: %s"
                    log.warning(words, *self._address, os.strerror(error.errno or 0))
                is_told = True
                time.sleep(_RETRY_S)

    def _answer(self, asked: Request) -> Response:
        if asked.path != self._path:
            return Response(f"Metrics are at {self._path}.\n", 404, mimetype="text/plain")
        return self._keeper.answer(asked, Response)


class _QuietHandler(WSGIRequestHandler):
    timeout = 30  # seconds that a scraper may say nothing

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing: what is watched often should not fill the log."""


def has_token(asked: Request, token: str) -> bool:
    """Tell whether *asked* comes with the bearer *token*; compared in constant time."""
    scheme, _, given = asked.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


_ports: weakref.WeakSet[OwnPort] = weakref.WeakSet()


def _restart_all() -> None:
    for port in list(_ports):
        port.restart()


os.register_at_fork(after_in_child=_restart_all)
