"""Sends cases to the target as a user of it, and tells a failing request from a target that is gone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from pymacaron_testing.clock import Clock
from pymacaron_testing.credentials import Place
from pymacaron_testing.exchange import Case, Exchange, Redaction, describe_request
from pymacaron_testing.session import TargetSession
from pymacaron_testing.timings import Timings

if TYPE_CHECKING:
    from pymacaron.spec import Operation, SecurityScheme
    from pymacaron_testing.credentials import Credentials, Identity
    from pymacaron_testing.generation import Generator

_UNAUTHORISED = 401
_PARAMETER = re.compile(r"\{[^{}]+\}")
_MAX_SILENCES = 4
_PROBE_LIMIT_S = 5.0
_PROBES = 3
_PROBE_PAUSE_S = 0.3


SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
TIME_RAN_OUT = "time ran out"
READ_ONLY = "the profile live changes nothing"
# What libraries write of failures, and what that means.
_EXPLANATIONS = (
    ("refused", "connection refused"),
    ("Name or service not known", "there is no such host"),
    ("resolve", "there is no such host"),
    ("RemoteDisconnected", "it closed the connection without an answer"),
    ("BadStatusLine", "its answer is no HTTP"),
    ("got more than 100 headers", "it sends more than 100 headers"),
    ("LineTooLong", "it sends a header of more than 65,536 bytes"),
    ("got more than 65536 bytes", "it sends a header of more than 65,536 bytes"),
    ("InvalidChunkLength", "its chunks do not have the length that they declare"),
    ("IncompleteRead", "its body is shorter than it declares"),
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
    ("SSL", "TLS failed"),
    ("failed to decode", "its body does not have the Content-Encoding that it declares"),
    ("reset", "it closed the connection without an answer"),
)


class NotSentError(Exception):
    """A request was not sent, because the run may not; ``str()`` says why."""


class TargetLostError(Exception):
    """The target stopped answering; ``str()`` says during which operation."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is changed in a request that was sent. None, or no entry: left as it is.

    url: the whole new one, as it is sent. body: b"" for none. headers: name -> new value, None: left out.
    """

    method: str | None = None
    url: str | None = None
    body: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wire:
    """The way to the target for the cases of one document.

    users: everything is sent as the first one unless told otherwise. hidden: hides what is nobody's credentials.
    is_read_only: nothing is sent that may change data. clock: nothing is sent after its end. observe: is told of each
    answer and who asked (`name_caller`). timings: how long answers took.
    """

    generator: Generator
    session: TargetSession
    users: tuple[Identity, ...]
    hidden: Redaction = field(default_factory=Redaction)
    is_read_only: bool = False
    clock: Clock = field(default_factory=Clock)
    observe: Callable[[Exchange, str], None] = field(default=lambda _exchange, _caller: None)
    timings: Timings = field(default_factory=Timings)

    @property
    def identity(self) -> Identity:
        """The first user."""
        return self.users[0]

    @property
    def redaction(self) -> Redaction:
        """What hides the secrets of all users in texts."""
        return reduce(or_, (user.redaction for user in self.users), self.hidden)

    def send(
        self, case: Case, path_values: Mapping[str, str] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Exchange:
        """Send *case*. path_values: instead of the case's own. headers: instead of the user's credentials.

        Raises: TargetLostError.
        """
        added = self.headers_for(case.operation) if headers is None else headers
        exchange = self._send_with(case, added, path_values)
        if exchange.status == _UNAUTHORISED and headers is None and added and case.is_valid:
            self.identity.renew()
            renewed = self.headers_for(case.operation)
            if renewed != added:
                return self._send_with(case, renewed, path_values)
        return exchange

    def repeat(self, exchange: Exchange) -> Exchange:
        """Send the same bytes again. Raises: TargetLostError."""
        return self._send_request(exchange.case, exchange.request, exchange.path_values)

    def send_as(self, exchange: Exchange, method: str) -> Exchange:
        """Send the same request with another *method*. Raises: TargetLostError."""
        request = exchange.request.copy()
        request.method = method
        return self._send_request(exchange.case, request, exchange.path_values)

    def send_changed(self, exchange: Exchange, change: Change, case: Case | None = None) -> Exchange:
        """Send the same request, changed. case: what that is, where it is no longer a case of its own.

        Raises: TargetLostError.
        """
        request = exchange.request.copy()
        request.method = change.method or request.method
        if change.url:
            request.url = change.url
        if change.body is not None:
            request.headers.pop("Content-Length", None)
            request.headers.pop("Transfer-Encoding", None)
            request.prepare_body(change.body, None)
        for name, value in change.headers.items():
            if value is None:
                request.headers.pop(name, None)
            else:
                request.headers[name] = value
        return self._send_request(case or exchange.case, request, exchange.path_values)

    def headers_for(self, operation: Operation, user: int = 0) -> dict[str, str]:
        """Return a user's credentials as headers if *operation* asks for any. user: index of `users`."""
        return {credentials.name: credentials.value for credentials in self.credentials_for(operation, user)}

    def credentials_for(self, operation: Operation, user: int = 0) -> tuple[Credentials, ...]:
        """Return those of a user's credentials that *operation* asks for."""
        if not takes_credentials(operation):
            # A document that speaks of no credentials at all leaves out that they are needed.
            is_silent = not any(takes_credentials(other) for other in self.generator.api.operations)
            return self.users[user].choose(()) if is_silent and user < len(self.users) else ()
        schemes = self.generator.api.security_schemes
        needs = [need for need in operation.security if need]
        return self.users[user].choose([_place_of(schemes[name]) for name in need if name in schemes] for need in needs)

    def ask_plainly(self, operation: Operation) -> requests.Response:
        """Ask for the path of a GET, with 1 for each parameter in it, as the first user.

        Raises: requests.RequestException.
        """
        sent = self.headers_for(operation)
        headers = {name: value for name, value in sent.items() if name[0] != "?"}
        query = urlencode({name[1:]: value for name, value in sent.items() if name[0] == "?"})
        url = self.generator.base_url + _PARAMETER.sub("1", operation.path)
        return self.session.ask(f"{url}?{query}" if query else url, headers=headers)

    def _send_with(self, case: Case, headers: Mapping[str, str], path_values: Mapping[str, str] | None) -> Exchange:
        request = self.generator.build_request(case, headers, path_values)
        return self._send_request(case, request, {**self.generator.path_values(case), **(path_values or {})})

    def _send_request(
        self, case: Case, request: requests.PreparedRequest, path_values: Mapping[str, str] | None
    ) -> Exchange:
        if self.is_read_only and str(request.method).upper() not in SAFE_METHODS:
            raise NotSentError(READ_ONLY)
        if self.clock.is_over:
            raise NotSentError(TIME_RAN_OUT)
        started = time.monotonic()
        try:
            response = self.session.exchange(request)
        except requests.RequestException as error:
            self._ensure_target(case.operation, error)
            return Exchange(case, request, None, explain(error), path_values)
        exchange = Exchange(case, request, response, "", path_values)
        self.timings.record(exchange, started)
        self.observe(exchange, self._name_caller(exchange))
        return exchange

    def _name_caller(self, exchange: Exchange) -> str:
        """Return who asked: ``user 1``, ``anonymous`` or ``wrong credentials``; empty where nobody is asked for."""
        operation, request = exchange.case.operation, exchange.request
        if not takes_credentials(operation):
            return ""
        sent = {**request.headers, **{f"?{name}": value for name, value in parse_qsl(urlsplit(str(request.url)).query)}}
        for user in range(len(self.users)):
            wanted = self.headers_for(operation, user)
            if wanted and all(sent.get(name) == value for name, value in wanted.items()):
                return f"user {user + 1}"
        names = {"authorization", "cookie", *(one.name.lower() for user in self.users for one in user.all)}
        return "wrong credentials" if any(name.lower() in names for name in sent) else "anonymous"

    def _ensure_target(self, operation: Operation, error: requests.RequestException) -> None:
        """Raise TargetLostError if nobody listens any more, or if nothing is answered for long."""
        is_silent = isinstance(error, requests.Timeout)
        if self.clock.is_over:
            raise NotSentError(TIME_RAN_OUT) from error
        if not isinstance(error, requests.ConnectionError | requests.Timeout):
            return
        if is_silent and self.session.silences < _MAX_SILENCES:
            return
        with TargetSession(self.session.base_url, timeout_s=_PROBE_LIMIT_S) as probe:
            second = _knock(probe)
        if second is None or (isinstance(second, requests.Timeout) and not is_silent):
            self.session.silences = 0
            return
        sent = error.request
        last = describe_request(sent, self.redaction) if isinstance(sent, requests.PreparedRequest) else "unknown"
        raise TargetLostError(
            f"{self.session.base_url} stopped answering during {name_of(operation)} ({explain(second)}). "
            f"Look at what the service printed last, and start it again. The request was:\n    {last}"
        ) from error


def _knock(probe: TargetSession) -> requests.RequestException | None:
    """Return why the target answers nothing at all, None if it does; it may take a moment to come back."""
    error: requests.RequestException | None = None
    for _ in range(_PROBES):
        try:
            probe.ask("", "HEAD")
        except requests.Timeout as silence:
            return silence
        except requests.RequestException as broken:
            error = broken
            time.sleep(_PROBE_PAUSE_S)
        else:
            return None
    return error


def _place_of(scheme: SecurityScheme) -> Place:
    """Return where credentials of *scheme* stand in a request."""
    if scheme.type == "apiKey":
        names = {"query": f"?{scheme.key}", "cookie": "Cookie"}
        return Place(names.get(scheme.location, scheme.key))
    return Place("Authorization", scheme.scheme if scheme.type == "http" else "Bearer")


def name_of(operation: Operation) -> str:
    """Return ``GET /pets/{id}``."""
    return f"{operation.method.upper()} {operation.path}"


def takes_credentials(operation: Operation) -> bool:
    """Tell whether the document lets credentials matter for *operation*."""
    return any(operation.security) or _is_decorated(operation)


def requires_credentials(operation: Operation) -> bool:
    """Tell whether the document refuses callers without credentials."""
    return (bool(operation.security) and all(operation.security)) or _is_decorated(operation)


def explain(error: requests.RequestException) -> str:
    """Return what went wrong in a few words."""
    if isinstance(error, requests.Timeout):
        return "it took too long"
    text = str(error)
    return next((words for sign, words in _EXPLANATIONS if sign in text), type(error).__name__)


def _is_decorated(operation: Operation) -> bool:
    """Tell whether the handler's decorator asks for a token, as documents of pymacaron 2 write it."""
    return "requires_auth" in str(operation.extensions.get("x-decorate-server", ""))
