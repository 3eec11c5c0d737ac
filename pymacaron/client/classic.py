"""Clients as pymacaron 2 had them: ``apipool.login.client.get_user(id="1")``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack, cast

from pymacaron.client.caller import Client, ClientOptions
from pymacaron.client.wire import HttpRequest, HttpResponse, Patience
from pymacaron.exceptions import Call, Finding, SpecError

if TYPE_CHECKING:
    from pymacaron.spec import Api

Send = Callable[..., HttpResponse]
Decorator = Callable[[Send], Send]
_KEY = "x-decorate-request"
# What every method of pymacaron 2's clients took besides the operation's own parameters.
_EXTRAS = frozenset({"max_attempts", "read_timeout", "connect_timeout", "request_headers"})


class ClassicClient(Client):
    """A client whose requests the document's ``x-decorate-request`` decorates.

    The decorated function takes ``headers``, a dict, and may add to it; see `pymacaron.auth.add_auth`. Methods also
    take ``max_attempts``, ``read_timeout`` and ``connect_timeout`` (seconds) and ``request_headers``.
    """

    def __init__(self, api: Api, base_url: str | None = None, **options: Unpack[ClientOptions]) -> None:
        """Take a document of this service's own: the functions that it names are imported.

        Raises: SpecError: with every function that is not there.
        """
        super().__init__(api, base_url, **options)
        self._decorators = _import_decorators(api)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method that calls an operation."""
        return partial(self._call_classic, self._find_id(name))

    def _call_classic(self, operation_id: str, /, *body: object, **parameters: Any) -> Any:
        operation = self._find(operation_id)
        own = {key for parameter in operation.parameters for key in (parameter.name, parameter.keyword)}
        extras = {key: parameters.pop(key) for key in _EXTRAS - own if key in parameters}
        client = self.with_options(**_translate(extras, self._settings.patience)) if extras else self
        return client.call(operation_id, *body, **parameters)

    def _carry(self, request: HttpRequest, patience: Patience, call: Call) -> HttpResponse:
        carry = super()._carry

        def send(*_: object, headers: Mapping[str, str], **__: object) -> HttpResponse:
            return carry(replace(request, headers=headers), patience, call)

        for decorate in self._decorators.get(call.operation_id, ()):
            send = decorate(send)
        return send(headers=dict(request.headers))


def _translate(extras: Mapping[str, Any], patience: Patience) -> ClientOptions:
    options: ClientOptions = {}
    if "max_attempts" in extras:
        options["retries"] = int(extras["max_attempts"]) - 1
    if "request_headers" in extras:
        options["headers"] = extras["request_headers"]
    if {"read_timeout", "connect_timeout"} & set(extras):
        connect_s = extras.get("connect_timeout", patience.connect_s)
        options["timeout_s"] = (connect_s, extras.get("read_timeout", patience.read_s))
    return options


def _import_decorators(api: Api) -> dict[str, list[Decorator]]:
    """Return operation id -> what its request goes through, innermost first."""
    decorators: dict[str, list[Decorator]] = {}
    findings: list[Finding] = []
    for operation in api.operations:
        named = operation.extensions.get(_KEY) or []
        for dotted in [named] if isinstance(named, str) else named:
            module, _, name = str(dotted).rpartition(".")
            try:
                found = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError, ValueError):
                where = api.place_of(f"{operation.pointer}/{_KEY}")
                fix = "Write it as package.module.function, and put it where the service finds it"
                findings.append(Finding(where, f"there is no function {str(dotted)!r}", fix))
                continue
            decorators.setdefault(operation.operation_id, []).append(cast("Decorator", found))
    if findings:
        raise SpecError(findings)
    return decorators
