"""A service that answers for a document without any handler."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask

import pymacaron
from pymacaron.app import API
from pymacaron.codegen import load_models
from pymacaron.codegen.parents import PARENT_KEYS
from pymacaron.config import PymConfig
from pymacaron.guards import is_decorated
from pymacaron.handlers import BoundHandler
from pymacaron.mock.answers import MockHandler
from pymacaron.mock.credentials import DEFAULT_TOKEN, build_resolver
from pymacaron.mock.refusals import Refusals
from pymacaron.spec import Api, SecurityScheme, load_spec

if TYPE_CHECKING:
    from flask import Response

    from pymacaron.exceptions import Finding
    from pymacaron.json_types import Json
    from pymacaron.spec import Operation

SERVER_NAME = "pymacaron-mock"
_DECORATED = "pymacaron.auth.requires_auth"


def create_mock(document: Api | str | Path, *, seed: int = 0, token: str = DEFAULT_TOKEN) -> Flask:
    """Return a Flask app that serves *document*, a loaded one, a file or a URL, with answers made from its schemas.

    It is the ordinary runtime with handlers of its own: requests and answers are checked, /doc is there. Nothing is
    written and nothing of the service is imported; the header ``Server`` says SERVER_NAME, so that tests know that
    nothing is kept. seed: other answers. token: what callers must send where the document asks for credentials.
    Raises: StartupError: with every finding in the document.
    """
    api = _stand_alone(document if isinstance(document, Api) else load_spec(document))
    # A root path from which Python imports anyway: nothing becomes importable because of a mock.
    app = Flask("mock", root_path=str(Path(pymacaron.__file__).parent.parent), static_folder=None)
    app.after_request(_name_server)
    service = API(
        app,
        error_callback=Refusals(api, seed),
        config=PymConfig(name=api.name, response_validation="enforce", log_format="text"),
        security_resolvers={name: build_resolver(scheme, token) for name, scheme in api.security_schemes.items()},
    )
    models = load_models(api, None, may_write=False)
    return service.add_api(api, models, _MockHandlers(api, seed)).start()


def _name_server(response: Response) -> Response:
    response.headers["Server"] = SERVER_NAME
    return response


@dataclass(slots=True)
class _MockHandlers:
    """Gives each operation of one document a handler."""

    api: Api
    seed: int
    findings: list[Finding] = field(default_factory=list)

    def bind(self, operation: Operation) -> BoundHandler:
        keywords = {parameter.keyword: parameter.keyword for parameter in operation.parameters}
        return BoundHandler(
            call=MockHandler(self.api, operation, self.seed),
            keywords=keywords,
            optional=frozenset(keywords),
            takes_body=operation.body is not None,
        )


def _stand_alone(api: Api) -> Api:
    """Return *api* without what leads into a service's own code: parents of models, decorators of handlers."""
    schemes = dict(api.security_schemes)
    operations = []
    for operation in api.operations:
        if is_decorated(operation) and not operation.security:
            schemes[_DECORATED] = SecurityScheme(_DECORATED, "http", "bearer")
            operation = replace(operation, security=({_DECORATED: ()},))  # noqa: PLW2901
        extensions = {key: value for key, value in operation.extensions.items() if key != "x-decorate-server"}
        operations.append(replace(operation, extensions=extensions))
    schemas = {name: _without_parents(schema) for name, schema in api.schemas.items()}
    return replace(api, operations=tuple(operations), schemas=schemas, security_schemes=schemes)


def _without_parents(schema: Json) -> Json:
    return {key: value for key, value in schema.items() if key not in PARENT_KEYS}
