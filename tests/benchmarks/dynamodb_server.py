"""Serves DynamoDB's protocol by moto, one call after the other: ``python dynamodb_server.py PORT``.

Moto itself looks at a condition and writes afterwards, with other threads in between; DynamoDB does both as one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class QuietHandler(WSGIRequestHandler):
    """Keeps connections open, as DynamoDB does, and says nothing of each call."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, *_: object) -> None:
        """Say nothing."""


def main(port: int) -> None:
    """Serve until the process is ended."""
    moto = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with lock:
            return list(moto(environ, start_response))

    run_simple("127.0.0.1", port, serve, threaded=True, request_handler=QuietHandler)


if __name__ == "__main__":
    main(int(sys.argv[1]))
