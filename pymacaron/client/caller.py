"""Calls the operations of a document: `Client` by their names, `TypedClient` for the classes that are generated."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit, urlunsplit

from requests.structures import CaseInsensitiveDict
from typing_extensions import Unpack

from pymacaron.client.answers import Answer, AnswerReader
from pymacaron.client.arguments import ArgumentWriter, Outgoing
from pymacaron.client.credentials import Credential, Keyring, users_token
from pymacaron.client.expansion import check_header
from pymacaron.client.http import HttpTransport, WsgiTransport
from pymacaron.client.wire import HttpRequest, HttpResponse, Patience, Transport
from pymacaron.codegen import load_models, name_methods
from pymacaron.config import get_config
from pymacaron.exceptions import Call, CallArgumentsError, CallConnectionError, Finding, SpecError
from pymacaron.log import current_request_id, current_trace
from pymacaron.monitor import monitor
from pymacaron.response_check import ResponseCheck
from pymacaron.spec import Api, load_spec

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from pymacaron.spec import Operation
    from pymacaron.trace_context import TraceContext

_OWN_HEADERS = {"User-Agent": "pymacaron"}
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
_FOLLOWED = frozenset({301, 302, 303, 307, 308})
_HARMLESS = frozenset({"accept", "accept-encoding", "user-agent"})
_MOST_REDIRECTS = 5
_VARIABLE = re.compile(r"\{([^{}]+)\}")
_LOCAL_URL = "http://localhost"

Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]


class ClientOptions(TypedDict, total=False):
    """What a client is told once; `TypedClient.with_options` tells it something else for some calls.

    token: for operations that ask for a bearer token; a text or a function. Default: the token of the user whose
    request is being handled; None sends none.
    credentials: security scheme -> text or function; for HTTP basic ``user:password``.
    headers: sent with each call, or a function that returns them, such as a tracer's; they replace headers of the same
    name.
    timeout_s: seconds until there is a connection, and between two pieces of an answer: a pair, or one number for both.
    total_s: seconds that the content of an answer may take, unless it is a stream.
    retries: how often a call that may be repeated is repeated. retry_budget_s: for how many seconds.
    response_validation: ``observe`` (log what breaks the document), ``enforce`` (raise UnexpectedAnswerError),
    ``sample:0.01`` or ``off``.
    transport: a WSGI app to call in this process, or a `Transport`.
    """

    token: Credential
    credentials: Mapping[str, Credential]
    headers: Headers
    timeout_s: float | tuple[float, float]
    total_s: float
    retries: int
    retry_budget_s: float
    response_validation: str
    transport: Transport | WSGIApplication


@dataclass(frozen=True, slots=True)
class _Settings:
    """Options that were checked."""

    check: ResponseCheck
    patience: Patience
    keyring: Keyring

    @classmethod
    def of(cls, api: Api, options: ClientOptions) -> _Settings:
        mode = options.get("response_validation", "observe")
        if not ResponseCheck.is_mode(mode):
            raise ValueError(f"response_validation is {mode!r}. Write enforce, observe, off or sample:0.01")
        keyring = Keyring(api, options.get("token", users_token), options.get("credentials", {}))
        return cls(ResponseCheck(mode), _read_patience(options), keyring)


class TypedClient:
    """Calls the operations of one document. Safe to use from several threads; ``with`` closes its connections.

    Errors: CallArgumentsError (nothing was sent), RemoteError, UnexpectedAnswerError, CallConnectionError,
    CallTimeoutError.
    """

    def __init__(
        self, document: str | Path | Api, base_url: str | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        """Take a file, a URL or an Api, and where the service is: by default the document's first server.

        Raises: SpecError: the document is broken, or it names no server and *base_url* is not given. ValueError: an
        option is wrong.
        """
        api = (
            document
            if isinstance(document, Api)
            else load_spec(document, remote_ref_hosts=get_config().remote_ref_hosts)
        )
        self._api = api
        self._models = _load_models(api)
        self._operations = {operation.operation_id: operation for operation in api.operations}
        self._writers: dict[str, ArgumentWriter] = {}
        self._readers: dict[str, AnswerReader] = {}
        self._options = options
        self._transport = _choose_transport(options.get("transport"))
        self._settings = _Settings.of(api, options)
        self._base_url = _find_base_url(api, base_url, is_local="transport" in options)

    def call(self, operation_id: str, /, *body: object, **parameters: object) -> Any:
        """Call an operation by its id, and return what it answers, as `send` puts it into ``Answer.value``."""
        return self.send(operation_id, *body, **parameters).value

    def send(self, operation_id: str, /, *body: object, **parameters: object) -> Answer:
        """Call an operation by its id, and return status, headers and value of the answer.

        The body, if there is one, comes first: a model, dict or list, text, bytes, or an open file. Parameters and
        fields of forms come by keyword in snake_case, or by their own names; None is as good as nothing.
        The value is an instance of the declared model, text, bytes, None where there is no body, or a `Stream`. Where
        JSON does not fit the model, and that is not enforced, it is what JSON says.
        """
        operation = self._find(operation_id)
        outgoing = self._writer(operation).write(body, parameters)
        reader = self._reader(operation)
        request = self._build(operation, outgoing, reader.accept)
        call = self._describe(operation)
        response = self._carry(request, self._settings.patience, call)
        response = self._follow(request, response, reader, call)
        return reader.read(response, call, self._settings.check, self._settings.patience.total_s)

    def with_options(self, **options: Unpack[ClientOptions]) -> Self:
        """Return a client with other *options*; it shares everything else, connections included."""
        changed = copy(self)
        all_options: ClientOptions = {**self._options, **options}
        transport = _choose_transport(options["transport"]) if "transport" in options else self._transport
        settings = _Settings.of(self._api, all_options)
        vars(changed).update(_options=all_options, _transport=transport, _settings=settings)
        return changed

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        close = getattr(self._transport, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._api.name} at {_without_secrets(self._base_url)}>"

    def _find(self, operation_id: str) -> Operation:
        if operation_id in self._operations:
            return self._operations[operation_id]
        close = difflib.get_close_matches(operation_id, self._operations, 1)
        hint = f"did you mean {close[0]}" if close else f"it has {', '.join(self._operations)}"
        raise CallArgumentsError(operation_id, [f"{self._api.name} has no such operation, {hint}"])

    def _writer(self, operation: Operation) -> ArgumentWriter:
        key = operation.operation_id
        if key not in self._writers:
            self._writers[key] = ArgumentWriter(operation, self._models, self._api.schemas)
        return self._writers[key]

    def _reader(self, operation: Operation) -> AnswerReader:
        key = operation.operation_id
        if key not in self._readers:
            self._readers[key] = AnswerReader(operation, self._models, self._api.schemas)
        return self._readers[key]

    def _describe(self, operation: Operation) -> Call:
        url = f"{_without_secrets(self._base_url)}{operation.path}"
        return Call(self._api.name, operation.operation_id, operation.method, url)

    def _build(self, operation: Operation, outgoing: Outgoing, accept: str) -> HttpRequest:
        written, proof = outgoing.written, self._settings.keyring.prove(operation)
        path = _VARIABLE.sub(lambda match: written.path[match[1]], operation.path)
        query = [*written.query, *(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in proof.query)]
        cookies = [f"{name}={value}" for name, value in (*written.cookies, *proof.cookies)]
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(_OWN_HEADERS | {"Accept": accept})
        request_id = current_request_id()
        if request_id:
            headers["X-Request-Id"] = request_id
        headers.update(proof.headers)
        headers.update(written.headers)
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        if outgoing.body.content_type:
            headers["Content-Type"] = outgoing.body.content_type
        headers.update(self._own_headers(operation))
        content = outgoing.body.content
        can_rewind = isinstance(content, bytes) or content is None or content.seekable()
        return HttpRequest(
            method=operation.method,
            url=f"{self._base_url}{path}{'?' if query else ''}{'&'.join(query)}",
            headers=headers,
            content=content,
            is_repeatable=can_rewind and (operation.method in _REPEATABLE or "Idempotency-Key" in headers),
        )

    def _own_headers(self, operation: Operation) -> Mapping[str, str]:
        given = self._options.get("headers", {})
        headers = given() if callable(given) else given
        for name, value in headers.items():
            try:
                check_header(value)
            except ValueError as error:
                raise CallArgumentsError(operation.operation_id, [f"header {name}: {error}"]) from None
        return headers

    def _carry(self, request: HttpRequest, patience: Patience, call: Call) -> HttpResponse:
        """Send one request; the place where `ClassicClient` lets decorators of the document take part."""
        with monitor("call", f"{call.api}.{call.operation_id}") as span:
            return self._transport.send(_pass_on(request, span or current_trace()), patience, call)

    def _follow(self, request: HttpRequest, response: HttpResponse, reader: AnswerReader, call: Call) -> HttpResponse:
        """Follow redirects of reading requests that the document does not declare; secrets stay with their host."""
        for _ in range(_MOST_REDIRECTS):
            location = response.headers.get("Location")
            is_followed = response.status in _FOLLOWED and request.method in {"GET", "HEAD"}
            if not location or not is_followed or reader.declares(response.status):
                return response
            response.close()
            target = urlsplit(urljoin(request.url, location))
            if target.scheme not in {"http", "https"}:
                break
            headers = _pass_on(request, current_trace()).headers
            if not _is_same_service(urlsplit(request.url), target):
                headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
            request = replace(request, url=urlunsplit(target._replace(fragment="")), headers=headers)
            response = self._transport.send(request, self._settings.patience, call)
        response.close()
        found = f"it redirects more than {_MOST_REDIRECTS} times, or to what is no web page"
        raise CallConnectionError(call, found, "Check base_url")


class Client(TypedClient):
    """Calls the operations of one document as methods: ``Client("apis/pets.yaml").get_pet(pet_id=3)``.

    A method is called as the operation's id in snake_case, as the id itself, or as its ``x-bind-client``. For methods
    that type checkers know, write a class with ``pymacaron generate --client``.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method that calls an operation. Raises AttributeError with a name that is close."""
        return partial(self.call, self._find_id(name))

    def _find_id(self, name: str) -> str:
        if name.startswith("_"):
            raise AttributeError(name)
        names = self._names()
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"did you mean {close[0]}" if close else f"it has {', '.join(names)}"
            raise AttributeError(f"{self._api.name} has no operation {name}, {hint}")
        return names[name]

    def __dir__(self) -> Iterable[str]:
        return [*super().__dir__(), *self._names()]

    def _names(self) -> dict[str, str]:
        """Return every name of every operation -> its id."""
        ids = {operation_id: operation_id for operation_id in self._operations}
        names = {name: operation_id for operation_id, name in name_methods(self._api.operations).items()}
        bound = {key: operation.extensions.get("x-bind-client") for key, operation in self._operations.items()}
        own = {name.rpartition(".")[2]: key for key, name in bound.items() if isinstance(name, str)}
        return {**ids, **names, **own}


def _pass_on(request: HttpRequest, trace: TraceContext | None) -> HttpRequest:
    """Return *request* with the headers of *trace*, unless it has such headers of its own."""
    if trace is None or "traceparent" in request.headers:
        return request
    return replace(request, headers=CaseInsensitiveDict({**request.headers, **trace.to_headers()}))


def _load_models(api: Api) -> dict[str, type]:
    """Return the models, from the file beside the document where there is one."""
    file = Path(api.source).with_name(f"{api.name}_models.py")
    return load_models(api, file if "://" not in api.source and file.is_file() else None, may_write=False)


def _find_base_url(api: Api, given: str | None, *, is_local: bool) -> str:
    url = given or (_LOCAL_URL if is_local else first_server(api))
    if "://" in api.source and "://" not in url:
        url = urljoin(api.source, url)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        where = "base_url" if given else f"{api.source}#/servers/0"
        found = f"{_without_secrets(url) or 'nothing'} is no address of a service"
        raise SpecError(Finding(where, found, "Give base_url, such as https://pets.example.com/v1"))
    return url.rstrip("/")


def first_server(api: Api) -> str:
    """Return the URL of the document's first server with the defaults of its variables, "" if it names none."""
    server = (api.document.get("servers") or [{}])[0]
    url = str(server.get("url", ""))
    for name, variable in server.get("variables", {}).items():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    return url


def _choose_transport(given: Transport | WSGIApplication | None) -> Transport:
    if given is None:
        return HttpTransport()
    return cast("Transport", given) if hasattr(given, "send") else WsgiTransport(given)


def _read_patience(options: ClientOptions) -> Patience:
    default = Patience()
    given = options.get("timeout_s", (default.connect_s, default.read_s))
    connect_s, read_s = given if isinstance(given, tuple) else (given, given)
    patience = Patience(
        connect_s=connect_s,
        read_s=read_s,
        total_s=options.get("total_s", default.total_s),
        retries=options.get("retries", default.retries),
        retry_budget_s=options.get("retry_budget_s", default.retry_budget_s),
    )
    times = (connect_s, read_s, patience.total_s)
    if not (all(0 < time_s < inf for time_s in times) and 0 <= patience.retry_budget_s < inf and patience.retries >= 0):
        raise ValueError("times must be above 0, retries and retry_budget_s 0 or above, and all of them finite")
    return patience


def _is_same_service(one: SplitResult, other: SplitResult) -> bool:
    """Tell whether a redirect stays on its host and port; going from http to https there is fine."""
    if one.hostname != other.hostname:
        return False
    is_upgrade = (one.scheme, other.scheme) == ("http", "https") and not (one.port or other.port)
    return is_upgrade or (one.scheme, one.port) == (other.scheme, other.port)


def _without_secrets(url: str) -> str:
    """Return *url* without user, password and query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
