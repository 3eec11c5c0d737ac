"""Whether a release answers: ``GET /ping`` below 500."""

from __future__ import annotations

import time
from collections.abc import Callable

import requests

_TIMEOUT_S = 10.0
_SERVER_ERRORS = 500


def ask_ping(url: str) -> str:
    """Return "" if the release at *url* answers, else what came instead: ``status 503``, ``ConnectionError``."""
    with requests.Session() as http:
        http.trust_env = not url.startswith("http://127.0.0.1")  # no proxy of the environment is for loopback
        try:
            status = http.get(f"{url}/ping", timeout=_TIMEOUT_S).status_code
        except requests.RequestException as error:
            return type(error).__name__
    return "" if status < _SERVER_ERRORS else f"status {status}"


def wait_until_answering(find_url: Callable[[], str], *, timeout_s: float, pause_s: float) -> str:
    """Wait until a release answers and return ""; after *timeout_s* return what came last instead.

    find_url: where it is, looked up before each attempt; "" while it has no address. An error that it raises ends the
    wait.
    """
    end_s = time.monotonic() + timeout_s
    while True:
        url = find_url()
        seen = ask_ping(url) if url else "no address yet"
        if not seen or time.monotonic() >= end_s:
            return seen
        time.sleep(pause_s)
