"""Carries requests over HTTP, by requests and urllib3, or into a WSGI app of this process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ReadTimeoutError, ResponseError
from urllib3.util.retry import Retry
from werkzeug.test import Client as WsgiClient
from werkzeug.test import EnvironBuilder

from pymacaron.client.wire import HttpRequest, HttpResponse, Patience
from pymacaron.exceptions import CallConnectionError, CallError, CallTimeoutError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from pymacaron.exceptions import Call

# Source: RFC 9110, section 15.6, RFC 6585, section 4: the request may succeed later.
_WORTH_REPEATING = frozenset({429, 502, 503, 504})
_BACKOFF_S = 0.1
_LONGEST_PAUSE_S = 10.0
_PIECE_BYTES = 65536
_POOL_SIZE = 32


class HttpTransport:
    """Sends requests over pooled connections. Cookies are never kept, and passwords never taken from ~/.netrc."""

    def __init__(self) -> None:
        """Connect to nothing yet."""
        self._sessions: dict[tuple[int, float], requests.Session] = {}
        self._lock = threading.Lock()

    def send(self, request: HttpRequest, patience: Patience, call: Call) -> HttpResponse:
        """See `Transport.send`."""
        retries = patience.retries if request.is_repeatable else 0
        session = self._session(retries, patience.retry_budget_s)
        with _translate(call, patience):
            answer = session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.content,
                timeout=(patience.connect_s, patience.read_s),
                auth=_keep_headers,
                allow_redirects=False,
                stream=True,
            )
        return HttpResponse(answer.status_code, answer.headers, _iterate(answer, patience, call), answer.close)

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        with self._lock:
            for session in self._sessions.values():
                session.close()
            self._sessions.clear()

    def _session(self, retries: int, budget_s: float) -> requests.Session:
        with self._lock:
            session = self._sessions.get((retries, budget_s))
            if session is None:
                session = self._sessions[retries, budget_s] = _open_session(retries, budget_s)
            return session


def _open_session(retries: int, budget_s: float) -> requests.Session:
    session = requests.Session()
    # Answers to one user must not make cookies of another one's requests.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    policy: Retry | int = 0
    if retries:
        policy = BoundedRetry(
            total=retries,
            backoff_factor=_BACKOFF_S,
            backoff_max=_LONGEST_PAUSE_S,
            backoff_jitter=_BACKOFF_S,
            status_forcelist=_WORTH_REPEATING,
            allowed_methods=None,
            raise_on_status=False,
        )
        policy.budget_s = budget_s
    adapter = HTTPAdapter(pool_connections=_POOL_SIZE, pool_maxsize=_POOL_SIZE, max_retries=policy)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class BoundedRetry(Retry):
    """Ends when the time for repetitions is over, or when a pause would end after it, such as a long Retry-After."""

    budget_s = 30.0
    deadline_s: float | None = None

    def new(self, **changes: Any) -> Self:
        """Return a changed copy."""
        copy = super().new(**changes)
        copy.budget_s = self.budget_s
        copy.deadline_s = self.deadline_s
        return copy

    def increment(self, *args: Any, **details: Any) -> Self:
        """Return what is left after one more failure. Raises MaxRetryError: nothing."""
        following = super().increment(*args, **details)
        now = time.monotonic()
        following.deadline_s = self.deadline_s or now + self.budget_s
        response = details.get("response")
        pause_s = following.get_retry_after(response) if response is not None else None
        if now + (pause_s or following.get_backoff_time()) > following.deadline_s:
            url = args[1] if len(args) > 1 else None
            raise MaxRetryError(details["_pool"], url, details.get("error") or ResponseError("out of time"))
        return following


def _hide_values(record: logging.LogRecord) -> bool:
    """Take the URL, which holds values of parameters, out of what urllib3 logs about our repetitions."""
    if isinstance(record.args, tuple) and record.args and isinstance(record.args[0], BoundedRetry):
        record.args = tuple("…" if isinstance(arg, str) else arg for arg in record.args)
    return True


logging.getLogger("urllib3.connectionpool").addFilter(_hide_values)


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand in for an authentication: without one, requests replaces Authorization by what ~/.netrc says."""
    return request


def _iterate(answer: requests.Response, patience: Patience, call: Call) -> Iterator[bytes]:
    """Yield content as it arrives; requests' own way waits for a whole piece."""
    with _translate(call, patience):
        while piece := answer.raw.read1(_PIECE_BYTES, decode_content=True):
            yield piece


@contextmanager
def _translate(call: Call, patience: Patience) -> Iterator[None]:
    """Raise what went wrong on the way as one of our errors; the originals hold URLs with the values of parameters."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _to_call_error(call, patience, error) from None


def _to_call_error(call: Call, patience: Patience, error: Exception) -> CallError:
    causes = list(_causes(error))
    is_refused = any(isinstance(cause, NewConnectionError) for cause in causes)
    if not is_refused and any(isinstance(cause, (ConnectTimeoutError, requests.ConnectTimeout)) for cause in causes):
        found = f"there was no connection within {patience.connect_s:g} s"
        return CallTimeoutError(call, found, "Check that the service runs there, or raise timeout_s")
    if any(isinstance(cause, (ReadTimeoutError, requests.ReadTimeout, TimeoutError)) for cause in causes):
        found = f"it did not answer within {patience.read_s:g} s"
        return CallTimeoutError(call, found, "See why the service is slow, or raise timeout_s")
    reason = next((cause for cause in reversed(causes) if isinstance(cause, OSError) and cause.strerror), None)
    what = reason.strerror if isinstance(reason, OSError) else type(causes[-1]).__name__
    found = f"the connection failed: {what}"
    return CallConnectionError(call, found, "Check that the service runs there, and base_url")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what led to it, wherever requests and urllib3 keep it."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        cause = waiting.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__]
        waiting += [part for part in inner if isinstance(part, BaseException)]


class WsgiTransport:
    """Calls a WSGI app of this process, for tests; there are no time-outs and no retries."""

    def __init__(self, app: WSGIApplication) -> None:
        """Take the *app*; a Flask app is one."""
        self._app = app

    def send(self, request: HttpRequest, patience: Patience, call: Call) -> HttpResponse:  # noqa: ARG002 - the protocol's
        """See `Transport.send`."""
        response = WsgiClient(self._app, use_cookies=False).open(_build(request))
        headers = CaseInsensitiveDict(response.headers.items())
        return HttpResponse(response.status_code, headers, response.iter_encoded(), response.close)


def _build(request: HttpRequest) -> EnvironBuilder:
    url = urlsplit(request.url)
    return EnvironBuilder(
        path=url.path,
        base_url=f"{url.scheme}://{url.netloc}",
        query_string=url.query,
        method=request.method,
        headers=list(request.headers.items()),
        data=request.content or b"",
    )
