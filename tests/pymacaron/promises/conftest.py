"""Runs a scenario on plain Flask and on operations of a document, and compares what it saw.

The views of the plain app call the same functions as the operations do, under the same rules and endpoints, so that an
extension that looks at ``request.url_rule`` or ``request.endpoint`` sees the same there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol
from uuid import uuid4

import pytest
from flask import Flask, jsonify, request, stream_with_context
from flask.typing import ResponseReturnValue
from werkzeug.test import TestResponse

from pymacaron import API
from pymacaron.config import load_config, set_config
from pymacaron.dispatch import LeanDispatch

DOCUMENT = """\
openapi: 3.1.0
info: {title: Shop, version: "1"}
paths:
  /items:
    post:
      operationId: createItem
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Item"}}}}
      responses: {"201": {description: It., content: {application/json: {schema: {$ref: "#/components/schemas/Item"}}}}}
  /items/{itemId}:
    get:
      operationId: getItem
      parameters: [{name: itemId, in: path, required: true, schema: {type: integer}}]
      responses: {"200": {description: It., content: {application/json: {schema: {$ref: "#/components/schemas/Item"}}}}}
  /page:
    get:
      operationId: getPage
      responses: {"200": {description: It., content: {text/html: {schema: {type: string}}}}}
  /stream:
    get:
      operationId: getStream
      responses: {"200": {description: Lines., content: {text/html: {schema: {type: string}}}}}
components:
  schemas:
    Item: {type: object, required: [id], properties: {id: {type: integer}, name: {type: string}}}
"""
NOT_COMPARED = {"Content-Length", "Content-Type", "Date", "X-Request-Id", "Set-Cookie"}
SetUp = Callable[[Flask], object]
MakeApp = Callable[..., Flask]


class Log:
    """What a scenario saw, in order."""

    def __init__(self) -> None:
        """Start empty."""
        self.entries: list[Any] = []

    def __call__(self, *words: Any) -> None:
        """Note *words*, as a tuple if there are several."""
        self.entries.append(words[0] if len(words) == 1 else words)

    def answer(self, response: TestResponse) -> None:
        """Note status, type, headers, names of cookies and content; of an error's own text only that it is one."""
        body: Any = response.get_json() if response.is_json and response.text else response.text
        is_default_error = response.status_code >= 400 and ("<!doctype html>" in body or "error_description" in body)
        self(
            response.status_code,
            "error" if is_default_error else (response.mimetype, body),
            sorted(
                (name, ", ".join(sorted(value.split(", "))))
                for name, value in response.headers
                if name not in NOT_COMPARED
            ),
            [
                re.sub(r"=[^;]+|Expires=[^;]+; ", "", cookie, count=2)
                for cookie in response.headers.getlist("Set-Cookie")
            ],
        )


class SameAsFlask(Protocol):
    """Run a scenario and return what it saw; fails unless plain Flask shows the same."""

    def __call__(
        self, set_up: SetUp, drive: SetUp, *, make_app: MakeApp = ..., **handlers: Callable[..., Any]
    ) -> list[Any]:
        """Build apps with *make_app* and *handlers*, ``get_item=…``; *set_up* each and *drive* it.

        A service is tried twice: set up before it starts, and after.
        """
        ...


@pytest.fixture
def log() -> Log:
    """Return the log that `same_as_flask` reads."""
    return Log()


@pytest.fixture(scope="session")
def service_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the service that is compared with plain Flask."""
    folder = tmp_path_factory.mktemp("promises")
    (folder / "apis").mkdir()
    (folder / "apis" / "shop.yaml").write_text(DOCUMENT)
    (folder / "pym-config.yaml").write_text("name: shop\ncompress: false\n")
    return folder


@pytest.fixture
def handlers_module() -> Iterator[ModuleType]:
    """Return the module in which the operations find their functions; a test may put others there."""
    module = ModuleType(f"handlers_{uuid4().hex}")
    module.get_item = lambda item_id: {"id": item_id}  # type: ignore[attr-defined]
    module.create_item = lambda body: {"id": body.id}  # type: ignore[attr-defined]
    module.get_page = lambda: "page"  # type: ignore[attr-defined]
    module.get_stream = lambda: iter(["one\n", "two\n"])  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.fixture
def same_as_flask(log: Log, service_folder: Path, handlers_module: ModuleType) -> Iterator[SameAsFlask]:
    """Compare plain Flask, a service that is set up before it starts, and one that is set up after."""

    def compare(set_up: SetUp, drive: SetUp, *, make_app: MakeApp = Flask, **handlers: Callable[..., Any]) -> list[Any]:
        vars(handlers_module).update(handlers)

        def make() -> Flask:
            log.entries.clear()
            app = make_app("shop", root_path=str(service_folder))
            app.secret_key = "of no importance"
            app.url_map.merge_slashes = False  # as in a service
            return app

        def start(app: Flask) -> None:
            config = load_config(service_folder)
            API(app, handlers=handlers_module.__name__, config=config).load_apis().start()

        set_up_after, set_up_before, plain = make(), make(), make()
        start(set_up_after)
        assert isinstance(set_up_after.wsgi_app, LeanDispatch) or make_app is not Flask
        rules = [rule for rule in set_up_after.url_map.iter_rules() if rule.endpoint.startswith("shop:")]
        for rule in rules:
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            view = make_view(plain, rule.endpoint.partition(":")[2], handlers_module)
            plain.add_url_rule(rule.rule, rule.endpoint, view, methods=methods)
        seen = {}
        for name, app in {"Flask": plain, "set up before": set_up_before, "set up after": set_up_after}.items():
            log.entries.clear()
            set_up(app)
            if app is set_up_before:
                start(app)
            drive(app)
            seen[name] = log.entries[:]
        assert seen["set up before"] == seen["Flask"]
        assert seen["set up after"] == seen["Flask"]
        return seen["Flask"]

    paths = sys.path[:]
    yield compare
    sys.path[:] = paths
    set_config(None)


def make_view(app: Flask, operation_id: str, module: ModuleType) -> Callable[..., ResponseReturnValue]:
    """Return a view as one writes it for plain Flask around the function of an operation."""

    def call(name: str, *arguments: Any, **keywords: Any) -> Any:
        return app.ensure_sync(getattr(module, name))(*arguments, **keywords)

    views: dict[str, Callable[..., ResponseReturnValue]] = {
        "createItem": lambda: (jsonify(call("create_item", SimpleNamespace(**request.get_json()))), 201),
        "getItem": lambda **path_values: call("get_item", item_id=int(*path_values.values())),
        "getPage": lambda: call("get_page"),
        "getStream": lambda: stream_with_context(call("get_stream")),
    }
    return views[operation_id]
