"""Tests of `pymacaron.spec.rules` and `pymacaron.spec.schema_rules`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pymacaron.spec import Api

GOOD = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: integer}}
    get:
      operationId: getPet
      parameters:
        - {name: limit, in: query, style: form, schema: {type: integer}}
      security: [{token: []}]
      responses:
        "200": {description: one, content: {application/json: {}}}
    put:
      operationId: putPet
      requestBody: {content: {application/json: {schema: {type: object}}}}
      responses: {"204": {description: done}}
  /dogs:
    get: {responses: {default: {description: all}}}
components:
  securitySchemes:
    token: {type: http, scheme: bearer}
    key: {type: apiKey, in: header, name: X-Key}
  schemas:
    Pet: {type: object, required: [name], properties: {name: {type: string, pattern: "^a"}}}
"""


def test_good_document(parse: Callable[[str], Api]) -> None:
    """The document that the other tests break is good."""
    assert [operation.operation_id for operation in parse(GOOD).operations] == ["getPet", "putPet", "get_dogs"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "  /dogs:",
            "  dogs:",
            "18#/paths/dogs: the path 'dogs' does not begin with /. Write '/dogs'.",
            id="path without slash",
        ),
        pytest.param(
            "  /dogs:\n    get: ",
            '  "/pets/{petId}":\n    parameters: [{name: petId, in: path, required: true, schema: {}}]\n    get: ',
            "18#/paths/~1pets~1{petId}: the path differs from /pets/{id} in names of parameters only. Merge the two.",
            id="equal paths",
        ),
        pytest.param(
            "  /dogs:",
            '  "/dogs/{":',
            "18#/paths/~1dogs~1{: a brace of the path has no partner. Write parameters as {name}.",
            id="open brace",
        ),
        pytest.param(
            "/pets/{id}:",
            "/pets/{id}/{id}:",
            "4#/paths/~1pets~1{id}~1{id}: {id} in the path is empty or stands there twice. Name each part once.",
            id="name twice in the path",
        ),
        pytest.param(
            "    get: {responses",
            "    GET: {responses",
            "19#/paths/~1dogs/GET: GET is no field of a path item. Write get.",
            id="method in capitals",
        ),
        pytest.param(
            "operationId: putPet",
            "operationId: getPet",
            "15#/paths/~1pets~1{id}/put/operationId: operationId getPet is that of GET /pets/{id} too."
            " Choose another one.",
            id="operationId twice",
        ),
        pytest.param(
            "operationId: putPet",
            "operationId: ''",
            "15#/paths/~1pets~1{id}/put/operationId: operationId is empty. Write a name or remove it.",
            id="empty operationId",
        ),
        pytest.param(
            "  /dogs:",
            "  /dogs/{dog}:",
            "19#/paths/~1dogs~1{dog}/get: the path's {dog} is not declared. Add a parameter dog with in: path.",
            id="path parameter not declared",
        ),
        pytest.param(
            "name: limit, in: query, style: form",
            "name: limit, in: path, required: true",
            "10#/paths/~1pets~1{id}/get/parameters/0: the path /pets/{id} has no {limit} for this parameter."
            " Add it to the path or remove the parameter.",
            id="path parameter not in the path",
        ),
        pytest.param(
            "        - {name: limit,",
            "        - {name: limit, in: query, schema: {}}\n        - {name: limit,",
            "11#/paths/~1pets~1{id}/get/parameters/1: the parameter limit stands here twice. Remove one of them.",
            id="parameter twice",
        ),
        pytest.param(
            "in: query, style: form",
            "in: body",
            "10#/paths/~1pets~1{id}/get/parameters/0/in: no parameter can be in: body."
            " Write path, query, querystring, header, cookie.",
            id="bad in",
        ),
        pytest.param(
            "style: form",
            "style: matrix",
            "10#/paths/~1pets~1{id}/get/parameters/0/style: a parameter in: query cannot have style matrix."
            " Write one of form, spaceDelimited, pipeDelimited, deepObject.",
            id="bad style",
        ),
        pytest.param(
            ", style: form, schema: {type: integer}",
            "",
            "10#/paths/~1pets~1{id}/get/parameters/0: neither schema nor content stands in the parameter limit."
            " Write one of them, schema.",
            id="parameter without schema",
        ),
        pytest.param(
            "style: form, schema",
            "content: {a/b: {}}, schema",
            "10#/paths/~1pets~1{id}/get/parameters/0: both schema and content stand in the parameter limit."
            " Write one of them, schema.",
            id="parameter with schema and content",
        ),
        pytest.param(
            "style: form, schema: {type: integer}",
            "content: {a/b: {}, a/c: {}}",
            "10#/paths/~1pets~1{id}/get/parameters/0/content: a parameter has exactly one media type. Keep one.",
            id="parameter with two media types",
        ),
        pytest.param(
            "[{token: []}]",
            "[{cookie: []}]",
            "11#/paths/~1pets~1{id}/get/security/0/cookie: no security scheme cookie is declared"
            " (declared: token, key). Declare it.",
            id="unknown security scheme",
        ),
        pytest.param(
            '"200"',
            '"600"',
            "13#/paths/~1pets~1{id}/get/responses/600: '600' is no status. Write one like 200, 4XX, or default.",
            id="no status",
        ),
        pytest.param(
            "content: {application/json: {schema: {type: object}}}",
            "content: {}",
            "16#/paths/~1pets~1{id}/put/requestBody/content: the body has no media type."
            " Add one like application/json.",
            id="body without media type",
        ),
        pytest.param(
            "{application/json: {schema: {type: object}}}",
            "{json: {}}",
            "16#/paths/~1pets~1{id}/put/requestBody/content/json: 'json' is no media type."
            " Write one like application/json.",
            id="no media type",
        ),
        pytest.param(
            "{type: http, scheme: bearer}",
            "{type: jwt}",
            "22#/components/securitySchemes/token/type: the security scheme type jwt is unknown."
            " Write apiKey, http, oauth2, openIdConnect, mutualTLS.",
            id="unknown scheme type",
        ),
        pytest.param(
            "{type: http, scheme: bearer}",
            "{type: oauth2}",
            "22#/components/securitySchemes/token: a security scheme of type oauth2 needs flows. Add flows.",
            id="scheme without its fields",
        ),
        pytest.param(
            "in: header, name: X-Key",
            "in: body, name: X-Key",
            "23#/components/securitySchemes/key/in: no key can be in: body. Write header, query or cookie.",
            id="key in the body",
        ),
        pytest.param(
            "[name]",
            "[name, name]",
            "25#/components/schemas/Pet/required: name stands in required twice. Remove one of them.",
            id="required twice",
        ),
        pytest.param(
            '"^a"',
            '"["',
            "25#/components/schemas/Pet/properties/name/pattern: '[' is no regular expression."
            " Correct it, in the syntax of ECMA-262.",
            id="bad pattern",
        ),
        pytest.param(
            'pattern: "^a"',
            "minLength: 3, maxLength: 2",
            "25#/components/schemas/Pet/properties/name/minLength: minLength is above maxLength. Swap or correct them.",
            id="bounds swapped",
        ),
        pytest.param(
            'pattern: "^a"',
            "allOf: []",
            "25#/components/schemas/Pet/properties/name/allOf: allOf is empty. Add an entry or remove it.",
            id="empty allOf",
        ),
        pytest.param(
            'pattern: "^a"',
            "multipleOf: 0",
            "25#/components/schemas/Pet/properties/name/multipleOf: multipleOf is not above 0. Write a number above 0.",
            id="multipleOf 0",
        ),
    ],
)
def test_rules(find_faults: Callable[[str], list[str]], old: str, new: str, fault: str) -> None:
    """A document that breaks one rule gets one finding: where, what, what to do."""
    assert GOOD.count(old) == 1
    assert find_faults(GOOD.replace(old, new)) == [f"api.yaml:{fault}"]


def test_extensions_are_free(parse: Callable[[str], Api]) -> None:
    """Keys that begin with x- may hold anything, among paths and statuses too."""
    text = GOOD.replace("  /dogs:", "  x-note: [1]\n  /dogs:").replace(
        '"200": {', 'x-note: 5\n        "200": {x-note: [], '
    )
    assert len(parse(text).operations) == 3


def test_equal_parameters_by_reference(find_faults: Callable[[str], list[str]]) -> None:
    """A parameter that stands there once by name and once by $ref stands there twice."""
    text = GOOD.replace(
        "components:\n", "components:\n  parameters: {l: {name: limit, in: query, schema: {}}}\n"
    ).replace("        - {name: limit,", "        - $ref: '#/components/parameters/l'\n        - {name: limit,")
    assert find_faults(text) == [
        "api.yaml:11#/paths/~1pets~1{id}/get/parameters/1: the parameter limit stands here twice. Remove one of them."
    ]
