"""What a document leaves open is no fault of the target: other statuses, credentials in other places, odd values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request

from pymacaron.spec import parse_spec
from pymacaron_testing.checks import GROUPS
from pymacaron_testing.credentials import Credentials, Identity
from pymacaron_testing.generation import Generator
from pymacaron_testing.resources import Resources
from pymacaron_testing.sendable import PathValues
from pymacaron_testing.session import TargetSession
from pymacaron_testing.suite import Suite
from pymacaron_testing.wire import Wire

LIMIT = "{name: limit, in: query, required: true, schema: {type: integer, minimum: 1, maximum: 9}}"


def build_suite(url: str, operation: str, *, schemes: str = "{}", credentials: tuple[Credentials, ...] = ()) -> Suite:
    """Return the suite of a document with one operation, ``GET /``."""
    text = (
        'openapi: 3.1.0\ninfo: {title: T, version: "1"}\n'
        f"paths: {{/: {{get: {operation}}}}}\ncomponents: {{securitySchemes: {schemes}}}\n"
    )
    api = parse_spec(text)
    generator = Generator(api, url, seed=0, max_examples=6)
    identity = Identity(lambda: credentials[0] if credentials else None, credentials[1:])
    return Suite(api, generator, Wire(generator, TargetSession(url), (identity,)), Resources(), "t.yaml", run_salt=1)


def find_checks(suite: Suite) -> list[str]:
    """Return the names of the failed checks, one for a cause, and why groups were not run; access needs two users."""
    [operation] = suite.api.operations
    groups = [group for group in GROUPS if group.applies(suite.api, operation) and group.name != "access"]
    outcomes = [group.check(suite, operation) for group in groups]
    causes = {failure.cause: failure.check for one in outcomes for failure in one.failures}
    return [*causes.values(), *(one.not_run for one in outcomes if one.not_run)]


def make_service(status: int, success: int = 200) -> Flask:
    """Return a service that answers *success* to a limit within 1 to 9, else *status*."""
    app = Flask("limits")

    @app.get("/")
    def read() -> Response:
        text = request.args.get("limit", "")
        is_right = len(request.args.getlist("limit")) == 1 and text.isascii() and text.isdigit() and 1 <= int(text) <= 9
        return Response(status=success if is_right else status)

    return app


@pytest.mark.parametrize(
    ("responses", "status", "checks"),
    [
        pytest.param('{"200": {description: x}}', 400, [], id="no refusal is declared"),
        pytest.param('{"200": {description: x}, "404": {description: x}}', 422, [], id="another error is declared"),
        pytest.param('{"200": {description: x}, "422": {description: x}}', 400, ["status_code"], id="other refusal"),
        pytest.param('{"200": {description: x}, "412": {description: x}}', 412, [], id="a refusal of another kind"),
        pytest.param('{"200": {description: x}, "default": {description: x}}', 400, [], id="default"),
        pytest.param('{"200": {description: x}}', 409, ["status_code"], id="no refusal of content"),
        pytest.param("{}", 400, [], id="nothing is declared"),
    ],
)
def test_refusals(serve: Callable[[Any], str], responses: str, status: int, checks: list[str]) -> None:
    """An invalid request may be refused with an undeclared status where the document has none for that."""
    operation = f"{{parameters: [{LIMIT}], responses: {responses}}}"
    assert find_checks(build_suite(serve(make_service(status)), operation)) == checks


def test_undeclared_success(serve: Callable[[Any], str]) -> None:
    """A valid request must get a declared status."""
    operation = f'{{parameters: [{LIMIT}], responses: {{"200": {{description: x}}}}}}'
    assert "status_code" in find_checks(build_suite(serve(make_service(400, success=202)), operation))


def test_marks_of_a_place_in_a_list(serve: Callable[[Any], str]) -> None:
    """A cursor that the target did not give out may be refused, whatever its schema allows."""
    app = Flask("cursors")

    @app.get("/")
    def read() -> Response:
        return Response(status=400 if "cursor" in request.args else 200)

    operation = (
        "{parameters: [{name: cursor, in: query, schema: {type: string}}], "
        'responses: {"200": {description: x}, "400": {description: x}}}'
    )
    assert find_checks(build_suite(serve(app), operation)) == []


def test_text_that_looks_like_more(serve: Callable[[Any], str]) -> None:
    """A text is a text, also where it could be parsed as YAML."""
    app = Flask("texts")
    app.add_url_rule("/", "read", lambda: Response("a: 1", content_type="text/x-yaml"))
    content = "content: {text/x-yaml: {schema: {type: string, format: binary}}}"
    operation = f'{{responses: {{"200": {{description: x, {content}}}}}}}'
    assert "schema" not in find_checks(build_suite(serve(app), operation))


SCHEMES = "{key: {type: apiKey, in: query, name: key}, app: {type: apiKey, in: header, name: X-App}}"
SECURED = '{security: [{key: [], app: []}], responses: {"204": {description: x}}}'
LINES = (
    Credentials("Authorization", "Bearer none", ""),
    Credentials("?key", "secret-1", ""),
    Credentials("X-App", "secret-2", ""),
)


def make_secured(*, is_lax: bool) -> Flask:
    """Return a service that wants a key in the query and one in a header; if *is_lax*, any key of the query will do."""
    app = Flask("secured")

    @app.get("/")
    def read() -> Response:
        key = request.args.get("key")
        is_right = request.headers.get("X-App") == "secret-2" and (key == "secret-1" or (is_lax and bool(key)))
        return Response(status=204) if is_right else jsonify(error="who are you?")

    @app.after_request
    def refuse(response: Response) -> Response:
        response.status_code = 401 if response.status_code == 200 else response.status_code
        return response

    return app


def test_two_keys(serve: Callable[[Any], str]) -> None:
    """Each operation gets all credentials that it asks for; a 401 need not be declared where there is security."""
    suite = build_suite(serve(make_secured(is_lax=False)), SECURED, schemes=SCHEMES, credentials=LINES)
    assert find_checks(suite) == []


def test_one_of_two_keys_is_not_looked_at(serve: Callable[[Any], str]) -> None:
    """The first key is spoilt while the other stays right, and no failure shows either."""
    suite = build_suite(serve(make_secured(is_lax=True)), SECURED, schemes=SCHEMES, credentials=LINES)
    [operation] = suite.api.operations
    [failure] = next(group for group in GROUPS if group.name == "auth").check(suite, operation).failures
    assert failure.check == "ignored_auth"
    assert "pymacaron-garbage" in failure.curl
    assert "X-App: $TOKEN" in failure.curl


def test_nothing_to_send(serve: Callable[[Any], str]) -> None:
    """Without a valid request nothing is judged, and the reason is told."""
    body = "{content: {application/x-nobody-writes-this: {schema: {type: object, properties: {a: {type: string}}}}}}"
    operation = f'{{requestBody: {body}, responses: {{"200": {{description: x}}}}}}'
    checks = find_checks(build_suite(serve(make_service(400)), operation))
    assert "no valid request could be generated" in checks
    assert "never_succeeded" not in checks


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        pytest.param("{type: array, items: {type: array, items: {type: string}}}", "[[a], [b]]", id="list in a list"),
        pytest.param("{type: object, properties: {a: {type: object}}}", "{a: {b: c}}", id="object in an object"),
    ],
)
def test_values_without_a_text(serve: Callable[[Any], str], schema: str, example: str) -> None:
    """OpenAPI does not say how nested values are written into a query: services may refuse whatever is sent."""
    app = Flask("nested")
    app.add_url_rule("/", view_func=lambda: Response(status=400 if request.args else 200))
    parameter = f"{{name: deep, in: query, schema: {schema}, example: {example}}}"
    operation = f'{{parameters: [{parameter}], responses: {{"200": {{description: x}}, "400": {{description: x}}}}}}'
    assert find_checks(build_suite(serve(app), operation)) == []


def test_values_of_other_things() -> None:
    """A value that was learnt elsewhere is only put into a path that allows it."""
    text = """\
openapi: 3.1.0
info: {title: T, version: "1"}
paths:
  /{id}/{name}:
    get:
      parameters:
        - {name: id, in: path, required: true, schema: {$ref: "#/components/schemas/Id"}}
        - {name: name, in: path, required: true, schema: {type: string, pattern: "^a"}}
      responses: {"200": {description: x}}
components: {schemas: {Id: {type: integer, maximum: 9}}}
"""
    api = parse_spec(text)
    [operation] = api.operations
    path_values = PathValues(api)
    fits = [path_values.fit(operation, {"id": number, "name": "ab"}) for number in ("9", "10", "x")]
    assert fits == [True, False, False]
    assert not path_values.fit(operation, {"id": "9", "name": "b"})
