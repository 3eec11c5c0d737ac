"""Each operation of a document becomes a route of the Flask app."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from pymacaron.answer import Answerer
from pymacaron.endpoint import Endpoint
from pymacaron.exceptions import Finding, StartupError
from pymacaron.guards import build_guard
from pymacaron.raw_path import EncodedSlashes, RawPath
from pymacaron.request_reader import RequestReader
from pymacaron.response_check import ResponseCheck

if TYPE_CHECKING:
    from flask import Flask

    from pymacaron.handlers import BoundHandler
    from pymacaron.service import Service
    from pymacaron.spec import Api, Operation

_VARIABLE = re.compile(r"\{([^{}]+)\}")
_IMPLICIT = {"HEAD": 0, "OPTIONS": 0}


class Handlers(Protocol):
    """Where the handlers of one api come from; *findings* holds why some do not come."""

    findings: list[Finding]

    def bind(self, operation: Operation) -> BoundHandler | None:
        """Return the handler of *operation*, or None after noting why there is none."""
        ...


def bind_api(service: Service, api: Api, models: Mapping[str, type], handlers: Handlers) -> list[Finding]:
    """Add a route for each operation of *api* and return what stands in the way; with findings no route is added.

    models: class name -> generated class.
    """
    findings: list[Finding] = []
    prefix = api.base_path if service.config.use_base_path else ""
    endpoints: list[tuple[str, Endpoint]] = []
    for operation in sorted(api.operations, key=lambda operation: _IMPLICIT.get(operation.method, 1)):
        rule, path_names = to_rule(f"{prefix}{operation.path}")
        handler = handlers.bind(operation)
        check = _response_check(service, api, operation, findings)
        try:
            guard = build_guard(service, api, operation)
        except StartupError as error:
            findings += error.findings
            continue
        if handler is None:
            continue
        path = RawPath(f"{prefix}{operation.path}", path_names)
        reader = RequestReader(
            api,
            operation,
            models=models,
            path=path,
            optional=handler.optional,
            refuses_unknown=service.config.unknown_parameters == "refuse",
        )
        answerer = Answerer(service, api, operation, models=models, check=check)
        endpoint = Endpoint(
            service, operation, handler=handler, guard=guard, reader=reader, answerer=answerer, path=path
        )
        endpoints.append((rule, endpoint))
    findings += handlers.findings
    if not findings:
        _add_routes(service, api, endpoints)
    return findings


def _add_routes(service: Service, api: Api, endpoints: list[tuple[str, Endpoint]]) -> None:
    has_options = {rule for rule, endpoint in endpoints if endpoint.operation.method == "OPTIONS"}
    for rule, endpoint in endpoints:
        operation = endpoint.operation
        service.operations[operation.operation_id] = operation
        service.app.add_url_rule(
            rule,
            endpoint=f"{api.name}:{operation.operation_id}",
            view_func=endpoint,
            methods=[operation.method],
            provide_automatic_options=False if rule in has_options else None,
        )


def keep_encoded_slashes(app: Flask) -> None:
    """Let %2F in a path parameter of a document's operation be a part of its value."""

    def find_paths() -> Iterator[RawPath]:
        return (view.path for view in app.view_functions.values() if isinstance(view, Endpoint))

    app.wsgi_app = EncodedSlashes(app.wsgi_app, find_paths)  # type: ignore[method-assign]


def to_rule(path: str) -> tuple[str, dict[str, str]]:
    """Turn a path template into a rule of Werkzeug; return it and the map parameter name -> variable of the rule."""
    names: dict[str, str] = {}

    parts = _VARIABLE.split(path)
    for index, part in enumerate(parts):
        parts[index] = f"<{names.setdefault(part, f'p{len(names)}')}>" if index % 2 else unquote(part)
    return "".join(parts), names


def body_models(api: Api, models: Mapping[str, type]) -> dict[str, type]:
    """Return operation id -> class of the JSON request body."""
    found: dict[str, type] = {}
    for operation in api.operations:
        for media in operation.body.media if operation.body else ():
            if media.model_name and media.model_name in models:
                found.setdefault(operation.operation_id, models[media.model_name])
    return found


def _response_check(service: Service, api: Api, operation: Operation, findings: list[Finding]) -> ResponseCheck:
    mode = operation.extensions.get("x-response-validation", service.response_validation)
    if not ResponseCheck.is_mode(mode):
        where = api.place_of(f"{operation.pointer}/x-response-validation")
        findings.append(Finding(where, f"{mode!r} is no mode", "Write enforce, observe, off or sample:0.01"))
        return ResponseCheck("off")
    return ResponseCheck(str(mode))
