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
            "style: form",
            "style: tabDelimited",
            "10#/paths/~1pets~1{id}/get/parameters/0/style: a parameter in: query cannot have style tabDelimited."
            " Write one of form, spaceDelimited, pipeDelimited, deepObject.",
            id="a style of Swagger 2.0 only",
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


PARTS = """\
openapi: 3.2.0
info: {title: Parts, version: "1", license: {name: MIT, url: https://mit.example}, contact: {email: a@b.c}}
servers: [{url: "https://{host}/v1", variables: {host: {default: a, enum: [a, b]}}}]
tags: [{name: a}, {name: b, parent: a}]
externalDocs: {url: https://docs.example}
paths:
  /pets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}, example: x}]
    get:
      operationId: getPet
      responses:
        "200":
          headers: {X-Rate: {schema: {type: integer}}}
          content: {application/json: {examples: {a: {value: 1}}}}
          links: {self: {operationId: getPet, parameters: {id: "$response.body#/id"}}}
      callbacks: {done: {"{$request.body#/url}": {post: {operationId: done}}}}
    additionalOperations: {COPY: {}}
components:
  securitySchemes:
    o: {type: oauth2, flows: {clientCredentials: {tokenUrl: /token, scopes: {}}}}
"""
EXPRESSION = "Write one like $response.body#/id or $request.path.id."


def test_good_parts(parse: Callable[[str], Api]) -> None:
    """The document that the next tests break is good."""
    assert len(parse(PARTS).operations) == 2


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "url: https://mit.example",
            "url: https://mit.example, identifier: MIT",
            "2#/info/license: both identifier and url stand in the license. Keep one of them.",
            id="licence named twice",
        ),
        pytest.param(
            "https://mit.example",
            "'not a <url>'",
            "2#/info/license/url: the text 'not a <url>' stands where a URL must stand. Write a URL.",
            id="no URL",
        ),
        pytest.param(
            "a@b.c",
            "nobody",
            "2#/info/contact/email: the text 'nobody' stands where an email address must stand."
            " Write an email address.",
            id="no email address",
        ),
        pytest.param(
            "https://{host}/v1",
            "https://{host}/{version}",
            "3#/servers/0/url: the variable version is not declared. Add it to variables.",
            id="server variable not declared",
        ),
        pytest.param(
            "default: a, enum",
            "default: c, enum",
            "3#/servers/0/variables/host/default: the default 'c' is not in enum. Write one of its values.",
            id="default not in enum",
        ),
        pytest.param(
            "enum: [a, b]",
            "enum: []",
            "3#/servers/0/variables/host/enum: enum is empty. Add a value or remove it.",
            id="enum of a variable empty",
        ),
        pytest.param(
            "parent: a",
            "parent: c",
            "4#/tags/1/parent: no tag is called c. Declare it.",
            id="parent of a tag unknown",
        ),
        pytest.param(
            "parent: a",
            "parent: b",
            "4#/tags/1/parent: the tag is its own parent, or that of one above. Correct it.",
            id="tag below itself",
        ),
        pytest.param(
            "required: true, ",
            "",
            "8#/paths/~1pets~1{id}/parameters/0: a parameter in: path must be required. Write required: true.",
            id="path parameter not required",
        ),
        pytest.param(
            "example: x",
            "example: x, examples: {}",
            "8#/paths/~1pets~1{id}/parameters/0: both example and examples stand here. Keep one of them.",
            id="example and examples",
        ),
        pytest.param(
            "a: {value: 1}",
            "a: {value: 1, dataValue: 1}",
            "14#/paths/~1pets~1{id}/get/responses/200/content/application~1json/examples/a: both value and dataValue"
            " stand in the example. Keep one of them.",
            id="example with two values",
        ),
        pytest.param(
            "X-Rate: {schema: {type: integer}}",
            "X-Rate: {}",
            "13#/paths/~1pets~1{id}/get/responses/200/headers/X-Rate: neither schema nor content stands in the header."
            " Write one of them, schema.",
            id="header without schema",
        ),
        pytest.param(
            "operationId: getPet, parameters",
            "operationId: getDog, parameters",
            "15#/paths/~1pets~1{id}/get/responses/200/links/self/operationId: no operation has the id getDog."
            " Write the operationId of an operation.",
            id="link to no operation",
        ),
        pytest.param(
            "operationId: getPet, parameters",
            "operationRef: '#/paths/~1dogs/get', parameters",
            "15#/paths/~1pets~1{id}/get/responses/200/links/self/operationRef: '#/paths/~1dogs/get' leads to nothing."
            " Refer to an operation, or write its operationId.",
            id="link by a broken reference",
        ),
        pytest.param(
            "operationId: getPet, parameters",
            "parameters",
            "15#/paths/~1pets~1{id}/get/responses/200/links/self: no operationId stands in the link."
            " Write one of them, operationId.",
            id="link without operation",
        ),
        pytest.param(
            "$response.body#/id",
            "$response.bdy",
            "15#/paths/~1pets~1{id}/get/responses/200/links/self/parameters/id: '$response.bdy' is no runtime"
            f" expression. {EXPRESSION}",
            id="no runtime expression",
        ),
        pytest.param(
            "{$request.body#/url}",
            "{$request.url}",
            "16#/paths/~1pets~1{id}/get/callbacks/done/{$request.url}: '$request.url' is no runtime expression."
            f" {EXPRESSION}",
            id="callback with a wrong expression",
        ),
        pytest.param(
            "operationId: done",
            "operationId: getPet",
            "16#/paths/~1pets~1{id}/get/callbacks/done/{$request.body#~1url}/post/operationId: operationId getPet is"
            " that of another operation too. Choose another one.",
            id="operationId of a callback",
        ),
        pytest.param(
            "COPY",
            "post",
            "17#/paths/~1pets~1{id}/additionalOperations/post: post has a field of its own. Move it to post.",
            id="method with a field of its own",
        ),
        pytest.param(
            "tokenUrl: /token, ",
            "",
            "20#/components/securitySchemes/o/flows/clientCredentials: the flow clientCredentials needs tokenUrl."
            " Add tokenUrl.",
            id="flow without URL",
        ),
        pytest.param(
            "scopes: {}",
            "x-scopes: {}",
            "20#/components/securitySchemes/o/flows/clientCredentials: scopes is missing. Add scopes.",
            id="flow without scopes",
        ),
    ],
)
def test_rules_of_parts(find_faults: Callable[[str], list[str]], old: str, new: str, fault: str) -> None:
    """Each rule of the smaller parts has its finding."""
    assert PARTS.count(old) == 1
    assert find_faults(PARTS.replace(old, new)) == [f"api.yaml:{fault}"]
