"""Tests of `pymacaron.spec.upgrade`, `swagger` and `swagger_security`: old versions become one shape."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pymacaron.json_types import JsonObject
from pymacaron.spec import Api
from pymacaron.spec.swagger_security import upgrade_scheme

SWAGGER = """\
swagger: 2.0
info: {title: 7, version: 1.0, description: ~}
host: example.com
basePath: /v1/
schemes: [https, http]
consumes: [application/json, application/vnd.pet+json]
produces: [application/json]
tags: [{name: pets}]
x-root: 1
paths:
  /pets/{id}:
    parameters:
      - {$ref: "#/parameters/Id"}
      - {$ref: "#/parameters/Pet"}
    put:
      operationId: putPet
      schemes: [https]
      responses:
        200: {description: done, schema: {$ref: "#/definitions/Pet"}, headers: {X-Rate: {type: integer, description: left}}, examples: {application/json: {a: 1}}}
        404: {$ref: "#/responses/None"}
    post:
      operationId: upload
      consumes: [multipart/form-data]
      parameters:
        - {name: photo, in: formData, type: file, required: true}
        - {name: tags, in: formData, type: array, items: {type: string}, collectionFormat: multi, description: words}
        - {name: note, in: formData, type: string, x-nullable: true}
      produces: [text/plain]
      responses:
        default: {$ref: "#/responses/None"}
  /files:
    get:
      parameters:
        - {name: ids, in: query, type: array, items: {type: integer}, collectionFormat: pipes}
        - {name: names, in: header, type: array, items: {type: string}, x-mandatory: true}
        - {name: size, in: query, type: integer, minimum: 1, exclusiveMinimum: true, default: 5, allowEmptyValue: true}
      responses:
        200: {description: file, schema: {type: file}}
    delete:
      consumes: []
      parameters:
        - {name: form, in: formData, type: string}
        - {name: b, in: query, type: string}
      responses: {204: {}}
parameters:
  Id: {name: id, in: path, type: string, required: true}
  Pet: {name: pet, in: body, required: true, schema: {$ref: "#/definitions/Pet"}}
responses:
  None: {description: none, schema: {$ref: "#/definitions/Error"}}
definitions:
  Error: {type: object, properties: {why: {type: string}}}
  Pet:
    type: object
    discriminator: kind
    properties: {kind: {type: string}, born: {type: string, x-nullable: true}}
securityDefinitions:
  basic: {type: basic}
  key: {type: apiKey, in: header, name: X-Key}
"""  # noqa: E501


def test_swagger_root(parse: Callable[[str], Api]) -> None:
    """Host, basePath and schemes become servers; scalars where text must stand become text."""
    api = parse(SWAGGER)
    document = api.document
    assert document["openapi"] == "3.1.1"
    assert document["servers"] == [{"url": "https://example.com/v1"}, {"url": "http://example.com/v1"}]
    assert (api.title, api.version, api.base_path, api.extensions) == ("7", "1.0", "/v1", {"x-root": 1})
    assert document["components"]["securitySchemes"]["basic"] == {"type": "http", "scheme": "basic"}
    assert api.schemas["Pet"]["discriminator"] == {"propertyName": "kind"}
    assert api.schemas["Pet"]["properties"]["born"] == {"type": ["string", "null"], "x-nullable": True}


def test_swagger_body(parse: Callable[[str], Api]) -> None:
    """A body parameter, even one of the path and by reference, becomes the body, under all that is consumed."""
    operation = parse(SWAGGER).get_operation("putPet")
    assert [parameter.name for parameter in operation.parameters] == ["id"]
    assert operation.body is not None
    assert operation.body.is_required
    assert [(media.media_type, media.model_name) for media in operation.body.media] == [
        ("application/json", "Pet"),
        ("application/vnd.pet+json", "Pet"),
    ]
    assert operation.body.pointer == "/paths/~1pets~1{id}/parameters/1"


def test_swagger_responses(parse: Callable[[str], Api]) -> None:
    """Answers get the media types that are produced, examples and headers; a file is bytes."""
    api = parse(SWAGGER)
    put = api.document["paths"]["/pets/{id}"]["put"]
    assert put["responses"]["200"]["content"]["application/json"] == {
        "schema": {"$ref": "#/components/schemas/Pet"},
        "example": {"a": 1},
    }
    assert put["responses"]["200"]["headers"] == {"X-Rate": {"description": "left", "schema": {"type": "integer"}}}
    assert put["responses"]["404"] == {"$ref": "#/components/responses/None"}
    upload = api.get_operation("upload")
    assert [media.media_type for media in upload.responses[0].media] == ["text/plain"]
    download = api.get_operation("get_files")
    assert [(media.media_type, media.schema) for media in download.responses[0].media] == [
        ("application/octet-stream", {"type": "string", "format": "binary"})
    ]
    assert api.get_operation("delete_files").responses[0].media == ()


def test_swagger_forms(parse: Callable[[str], Api]) -> None:
    """Form fields become parameters of the form; a file keeps out of their model."""
    api = parse(SWAGGER)
    upload = api.get_operation("upload")
    assert upload.body is None
    assert upload.form is not None
    assert [media.media_type for media in upload.form.media] == ["multipart/form-data"]
    assert [
        (parameter.name, parameter.location, parameter.is_required, parameter.is_file, parameter.explode)
        for parameter in upload.parameters
    ] == [
        ("id", "path", True, False, False),
        ("photo", "form", True, True, True),
        ("tags", "form", False, False, True),
        ("note", "form", False, False, True),
    ]
    assert upload.parameters[2].pointer == "/paths/~1pets~1{id}/post/parameters/1"
    assert upload.parameters_model == "UploadParameters"
    assert api.schemas["UploadParameters"] == {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}, "description": "words"},
            "note": {"type": ["string", "null"], "x-nullable": True},
        },
        "additionalProperties": False,
        "required": ["id"],
    }
    form = api.get_operation("delete_files").form
    assert form is not None
    assert [media.media_type for media in form.media] == ["application/x-www-form-urlencoded"]


def test_swagger_parameters(parse: Callable[[str], Api]) -> None:
    """Types of parameters become schemas, collectionFormat becomes style and explode; places stay as written."""
    parameters = parse(SWAGGER).get_operation("get_files").parameters
    assert [
        (parameter.name, parameter.style, parameter.explode, parameter.is_required, parameter.schema)
        for parameter in parameters
    ] == [
        ("ids", "pipeDelimited", False, False, {"type": "array", "items": {"type": "integer"}}),
        ("names", "simple", False, True, {"type": "array", "items": {"type": "string"}}),
        ("size", "form", True, False, {"type": "integer", "exclusiveMinimum": 1, "default": 5}),
    ]
    other = parse(SWAGGER).get_operation("delete_files").parameters
    assert [(parameter.name, parameter.pointer) for parameter in other] == [
        ("b", "/paths/~1files/delete/parameters/1"),
        ("form", "/paths/~1files/delete/parameters/0"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "collectionFormat: pipes",
            "collectionFormat: csw",
            "34#/paths/~1files/get/parameters/0/collectionFormat: 'csw' is unknown. Write csv, ssv, tsv, pipes, multi.",
            id="collectionFormat",
        ),
        pytest.param(
            "{name: b, in: query, type: string}",
            "{name: b, in: body, schema: {}}",
            "42#/paths/~1files/delete/parameters/0: an operation has one body, in: body or formData. Keep one.",
            id="body and form",
        ),
        pytest.param(
            "{name: b, in: query, type: string}",
            "{name: form, in: formData, type: string}",
            "43#/paths/~1files/delete/parameters/1: the form field form stands here twice. Remove one.",
            id="field twice",
        ),
        pytest.param(
            "{name: b, in: query, type: string}",
            "{name: b, in: path, type: string}",
            "43#/paths/~1files/delete/parameters/1: the path /files has no {b} for this parameter."
            " Add it to the path or remove the parameter.",
            id="place behind a form field",
        ),
        pytest.param(
            "type: integer, description: left",
            "type: int, description: left",
            "19#/paths/~1pets~1{id}/put/responses/200/headers/X-Rate/type: the text 'int' stands where one of string,"
            " number, integer, boolean, array, object, null, file must stand."
            " Write one of string, number, integer, boolean, array, object, null, file.",
            id="type",
        ),
        pytest.param(
            'schema: {$ref: "#/definitions/Error"}',
            "schema: {type: string, pattern: '['}",
            "49#/responses/None/schema/pattern: '[' is no regular expression. Correct it, in the syntax of ECMA-262.",
            id="schema of a shared answer",
        ),
        pytest.param(
            "born: {type: string,",
            "born: {type: string, pattern: '[',",
            "55#/definitions/Pet/properties/born/pattern: '[' is no regular expression."
            " Correct it, in the syntax of ECMA-262.",
            id="definition",
        ),
    ],
)
def test_faults_of_swagger(find_faults: Callable[[str], list[str]], old: str, new: str, fault: str) -> None:
    """Faults of a Swagger 2.0 document are told at their places in it."""
    assert SWAGGER.count(old) == 1
    assert find_faults(SWAGGER.replace(old, new)) == [f"api.yaml:{fault}"]


@pytest.mark.parametrize(
    ("server", "url"),
    [
        pytest.param("", "/", id="nothing"),
        pytest.param("basePath: /v1/", "/v1", id="path only"),
        pytest.param("host: a.b", "https://a.b", id="host only"),
    ],
)
def test_swagger_servers(parse: Callable[[str], Api], server: str, url: str) -> None:
    """Without host a server is relative, without schemes it is https."""
    api = parse(f"swagger: '2.0'\ninfo: {{title: a, version: b}}\npaths: {{}}\n{server}\n")
    assert api.document["servers"] == [{"url": url}]


def test_swagger_path_item_in_another_place(parse: Callable[[str], Api]) -> None:
    """A path item by reference is upgraded like any other, at its own place."""
    api = parse("""\
    swagger: '2.0'
    info: {title: a, version: b}
    paths:
      /a: {$ref: "#/x-items/one"}
      x-note: 5
    x-items:
      one:
        post:
          parameters: [{name: b, in: body, schema: {type: object, properties: {a: {type: string}}}}]
          responses: {x-note: 1, 200: {description: a, schema: {type: string}}}
    """)
    (post,) = api.operations
    assert (post.path, post.pointer) == ("/a", "/x-items/one/post")
    assert post.body is not None
    assert post.body.media[0].pointer == "/x-items/one/post/parameters/0"
    assert post.responses[0].media[0].schema == {"type": "string"}


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        pytest.param(
            {"type": "basic", "description": "d"}, {"type": "http", "scheme": "basic", "description": "d"}, id="basic"
        ),
        pytest.param(
            {"type": "apiKey", "in": "query", "name": "k"}, {"type": "apiKey", "in": "query", "name": "k"}, id="key"
        ),
        pytest.param(
            {"type": "oauth2", "flow": "accessCode", "tokenUrl": "t", "authorizationUrl": "a", "scopes": {"r": "read"}},
            {
                "type": "oauth2",
                "flows": {"authorizationCode": {"tokenUrl": "t", "authorizationUrl": "a", "scopes": {"r": "read"}}},
            },
            id="accessCode",
        ),
        pytest.param(
            {"type": "oauth2", "flow": "application", "tokenUrl": "t"},
            {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "t", "scopes": {}}}},
            id="application",
        ),
        pytest.param(
            {"type": "oauth2", "flow": "implicit"},
            {"type": "oauth2", "flows": {"implicit": {"scopes": {}}}},
            id="implicit",
        ),
    ],
)
def test_swagger_security(scheme: JsonObject, expected: JsonObject) -> None:
    """Security schemes get their names of OpenAPI 3."""
    assert upgrade_scheme(scheme) == expected


@pytest.mark.parametrize("version", ["3.0.0", "3.0.4", "3.1.0", "3.1.1", "3.2.0"])
def test_versions_of_openapi_3(parse: Callable[[str], Api], version: str) -> None:
    """All versions of OpenAPI 3 end in one; null is written in the way of each."""
    null = "type: string, nullable: true" if version.startswith("3.0") else "type: [string, 'null']"
    api = parse(f"""\
    openapi: {version}
    info: {{title: a, version: b}}
    paths:
      /a:
        get:
          parameters: [{{name: a, in: query, x-mandatory: true, schema: {{{null}}}}}]
          responses: {{"200": {{description: a}}}}
    """)
    assert api.document["openapi"] == "3.1.1"
    (parameter,) = api.operations[0].parameters
    assert (parameter.is_required, parameter.schema) == (True, {"type": ["string", "null"]})


def test_methods_of_openapi_3_2(parse: Callable[[str], Api]) -> None:
    """OpenAPI 3.2 knows the method QUERY, and any other by name."""
    api = parse("""\
    openapi: 3.2.0
    info: {title: a, version: b}
    paths:
      /a:
        query: {summary: find}
        additionalOperations: {COPY: {summary: copy}}
    """)
    assert [(operation.method, operation.operation_id) for operation in api.operations] == [
        ("QUERY", "query_a"),
        ("COPY", "copy_a"),
    ]
    assert api.operations[1].pointer == "/paths/~1a/additionalOperations/COPY"


@pytest.mark.parametrize(
    ("written", "style", "explode"),
    [
        pytest.param("csv", "form", False, id="csv"),
        pytest.param("ssv", "spaceDelimited", False, id="ssv"),
        pytest.param("tsv", "tabDelimited", False, id="tsv"),
        pytest.param("pipes", "pipeDelimited", False, id="pipes"),
        pytest.param("multi", "form", True, id="multi"),
    ],
)
def test_collection_formats(parse: Callable[[str], Api], written: str, style: str, *, explode: bool) -> None:
    """Each collectionFormat of a query parameter has a style."""
    api = parse(f"""\
    swagger: "2.0"
    info: {{title: a, version: b}}
    paths:
      /a:
        get:
          parameters: [{{name: q, in: query, type: array, items: {{type: string}}, collectionFormat: {written}}}]
          responses: {{200: {{description: a}}}}
    """)
    (parameter,) = api.operations[0].parameters
    assert (parameter.style, parameter.explode) == (style, explode)


@pytest.mark.parametrize(
    ("written", "style"),
    [
        pytest.param("csv", "simple", id="csv"),
        pytest.param("ssv", "spaceDelimited", id="ssv"),
        pytest.param("pipes", "pipeDelimited", id="pipes"),
    ],
)
def test_collection_formats_of_paths_and_headers(parse: Callable[[str], Api], written: str, style: str) -> None:
    """In a path and a header lists are separated as they are in a query, which OpenAPI 3 has no style for."""
    rest = f"type: array, items: {{type: string}}, collectionFormat: {written}"
    api = parse(f"""\
    swagger: "2.0"
    info: {{title: a, version: b}}
    paths:
      /a/{{p}}:
        get:
          parameters:
            - {{name: p, in: path, required: true, {rest}}}
            - {{name: h, in: header, {rest}}}
          responses: {{200: {{description: a}}}}
    """)
    assert [(parameter.style, parameter.explode) for parameter in api.operations[0].parameters] == [(style, False)] * 2
