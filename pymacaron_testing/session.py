"""HTTP to the target: a session bound to its URL that counts what it sends and never waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from pymacaron_testing.clock import Clock
from pymacaron_testing.watchdog import WATCHDOG, WATCHED_POOLS

TIMEOUT_S = 10.0
MAX_BODY_BYTES = 8 * 1024 * 1024
USER_AGENT = "pymacaron-test"
_CHUNK_BYTES = 64 * 1024
_MAX_REDIRECTS = 5
_SHORTEST_S = 0.5


class RequestCount:
    """How many requests reached the target; safe to share between threads."""

    def __init__(self) -> None:
        """Start at zero."""
        self._value = 0
        self._lock = threading.Lock()
        self._listener: Callable[[], None] | None = None

    def subscribe(self, listener: Callable[[], None] | None) -> None:
        """Call *listener* after each request of the main thread; None ends that."""
        self._listener = listener

    @property
    def value(self) -> int:
        """Requests so far."""
        return self._value

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            self._value += 1
        if self._listener is not None and threading.current_thread() is threading.main_thread():
            self._listener()


class _CountingAdapter(HTTPAdapter):
    """Counts a request when the target had it: an answer came, or none came in time."""

    def __init__(self, count: RequestCount) -> None:
        self._count = count
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:  # noqa: FBT001, FBT002
        super().init_poolmanager(connections, maxsize, block, **options)
        self.poolmanager.pool_classes_by_scheme = WATCHED_POOLS

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        try:
            response = super().send(
                request, stream=stream, timeout=timeout or TIMEOUT_S, verify=verify, cert=cert, proxies=proxies
            )
        except (requests.ReadTimeout, KeyboardInterrupt):
            self._count.add()
            raise
        self._count.add()
        return response


class TargetSession(requests.Session):
    """A requests.Session whose relative URLs start at the target: ``http.get("/pets")``."""

    def __init__(
        self,
        base_url: str,
        count: RequestCount | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Clock | None = None,
    ) -> None:
        """Bind to *base_url*; *count* is shared by all sessions of a run.

        timeout_s: for `exchange` and `ask`; the end of *clock* shortens it.
        """
        super().__init__()
        self.server = ""
        self.timeout_s = timeout_s
        self.silences = 0
        self._clock = clock or Clock()
        self.base_url = base_url.rstrip("/")
        self._settings: dict[str, Any] = {}
        self.headers["User-Agent"] = USER_AGENT
        adapter = _CountingAdapter(count or RequestCount())
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Complete the URL and prepare as usual."""
        request.url = join_url(self.base_url, str(request.url))
        return super().prepare_request(request)

    def exchange(self, request: requests.PreparedRequest) -> requests.Response:
        """Send exactly *request*, following no redirect, and read the answer's body, both within the time limit.

        A body that is still coming then, or is larger than MAX_BODY_BYTES, is cut; such an answer has the
        attribute ``is_cut``. A connection that the target closed while it idled is opened anew, once. `silences` is
        the number of requests in a row that got no answer in time, `server` what the last answer calls its server.

        Raises: requests.RequestException: no answer came.
        """
        try:
            response = self._send_once(request)
        except requests.ConnectionError as error:
            if isinstance(error, requests.Timeout) or "refused" in str(error):
                raise
            response = self._send_once(request)
        answer = _read(response, self._limit_s())
        if answer is None:
            self.silences += 1
            raise requests.ReadTimeout("the body did not end in time", request=request)
        self.silences = 0
        self.server = answer.headers.get("Server", "")
        return answer

    def ask(
        self, url: str, method: str = "GET", *, headers: Mapping[str, str] | None = None, follows: bool = False
    ) -> requests.Response:
        """Send a plain request with the limits of `exchange`. follows: redirects too, but to no other host.

        Raises: requests.RequestException: no answer came.
        """
        for _ in range(_MAX_REDIRECTS):
            response = self.exchange(self.prepare_request(requests.Request(method, url, headers=headers)))
            there = urljoin(str(response.url), response.headers.get("Location", ""))
            is_near = urlsplit(there).netloc == urlsplit(str(response.url)).netloc
            if not follows or not response.is_redirect or not is_near:
                return response
            url = there
        return response

    def knock(self, url: str = "") -> None:
        """Ask for *url* and wait for the head of the answer only. Raises: requests.RequestException: none came."""
        self._send_once(self.prepare_request(requests.Request("GET", url))).close()

    def _limit_s(self) -> float:
        return min(self.timeout_s, max(_SHORTEST_S, self._clock.left_s))

    def _send_once(self, request: requests.PreparedRequest) -> requests.Response:
        if not self._settings:
            url = request.url or self.base_url
            self._settings.update(self.merge_environment_settings(url, {}, stream=True, verify=None, cert=None))
        start = time.perf_counter()
        # Without the session's own send: what it adds, hooks, redirects and cookies, costs as much as the rest.
        try:
            response = self.get_adapter(request.url or "").send(request, timeout=self._limit_s(), **self._settings)
        except requests.ReadTimeout:
            self.silences += 1
            raise
        response.elapsed = timedelta(seconds=time.perf_counter() - start)
        return response


def join_url(base_url: str, url: str) -> str:
    """Return *url* below *base_url*, or *url* itself if it is absolute."""
    if url.startswith(("http://", "https://")):
        return url
    return f"{base_url.rstrip('/')}/{url.lstrip('/')}"


def _read(response: requests.Response, timeout_s: float) -> requests.Response | None:
    """Read the body into the response, up to the limits; None if one whose length is declared does not come."""
    deadline = time.monotonic() + timeout_s
    chunks: list[bytes] = []
    size = 0
    is_cut = False
    with WATCHDOG.watch(getattr(response.raw, "watched_socket", None), timeout_s) as watch:
        try:
            for chunk in response.iter_content(_CHUNK_BYTES):
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_BODY_BYTES or time.monotonic() > deadline:
                    is_cut = True
                    response.close()
                    break
        except (requests.RequestException, OSError):
            if watch is None or not watch.has_ended:
                raise
    if watch is not None and watch.has_ended:
        response.close()
        if "Content-Length" in response.headers:
            return None
        is_cut = True
    response._content = b"".join(chunks)  # noqa: SLF001 - requests has no other way to hand over a body read in parts
    response.is_cut = is_cut  # type: ignore[attr-defined]
    return response
