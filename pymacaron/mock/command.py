"""The command `pymacaron mock`."""

from __future__ import annotations

import contextlib
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click
from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from pymacaron.config import find_ref_hosts
from pymacaron.mock.credentials import DEFAULT_TOKEN, describe_credentials
from pymacaron.mock.service import create_mock
from pymacaron.server import find_development_port, reserve_port
from pymacaron.spec import load_spec
from pymacaron.spec.load import is_url

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class _RequestHandler(WSGIRequestHandler):
    """Leaves the line about each request to the service's own log, and lets all headers through."""

    def make_environ(self) -> WSGIEnvironment:
        """Add the headers whose names hold an underscore, as ``api_key``: Werkzeug fears proxies, a mock has none."""
        environ = super().make_environ()
        for name, value in self.headers.items():
            if "_" in name:
                environ.setdefault(f"HTTP_{name.upper().replace('-', '_')}", value)
        return environ

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


@click.command()
@click.argument("document", metavar="FILE|URL")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=None, help="Port; 0 is any free one. Default: $PORT or 8000."
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Another one gives other answers.")
@click.option(
    "--token", default=DEFAULT_TOKEN, show_default=True, help="What callers send where the document wants credentials."
)
def mock(document: str, host: str, port: int | None, seed: int, token: str) -> None:
    """Serve an OpenAPI document: requests are checked, answers are its examples or fit its schemas."""
    signal.signal(signal.SIGTERM, _interrupt)
    api = load_spec(document if is_url(document) else Path(document), remote_ref_hosts=find_ref_hosts())
    app = create_mock(api, seed=seed, token=token)
    server = start_server(app, host, find_development_port() if port is None else port)
    url = f"http://{host}:{server.server_port}"
    click.echo(f"Mocking {document} on {url} (docs at {url}/doc)")
    for line in describe_credentials(api, token):
        click.echo(f"Credentials: {line}")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    click.echo("Stopped.")


def start_server(app: Flask, host: str = "127.0.0.1", port: int = 0) -> BaseWSGIServer:
    """Return a server that listens for *app*, with a thread for each connection; ``serve_forever()`` starts it.

    port 0: any free one, ``server_port`` tells. Raises: ConfigError: it cannot listen there.
    """
    return make_server(host, reserve_port(host, port), app, threaded=True, request_handler=_RequestHandler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
