"""Tests of `pymacaron.spec.build`, `bodies`, `parameters`, `operations` and `closing`: what an Api holds."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from textwrap import dedent

import pytest

from pymacaron.json_types import JsonObject
from pymacaron.spec import Api, SecurityScheme, parse_spec

HEAD = 'openapi: 3.1.0\ninfo: {title: a, version: "1"}\n'


def test_models_of_bodies(parse: Callable[[str], Api]) -> None:
    """Models are called after schema, component or operation; what says nothing or is no JSON has none."""
    api = parse(
        HEAD
        + dedent("""\
        paths:
          /a:
            post:
              operationId: make-it
              requestBody:
                content:
                  application/json: {schema: {type: object, properties: {a: {type: string}}}}
                  application/vnd.a+json: {schema: {type: object, properties: {a: {type: string}}}}
                  application/x-www-form-urlencoded: {schema: {type: object, properties: {b: {type: string}}}}
                  text/plain: {schema: {type: string}}
                  "*/*": {}
              responses:
                "400": {$ref: "#/components/responses/Bad"}
                "201": {description: d, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
                "200": {description: d, content: {application/json: {schema: {type: array, items: {type: string}}}}}
                4XX: {description: d, content: {application/json: {schema: {title: anything}}}}
                5xx: {description: d, content: {application/json: {schema: {const: 5}}}}
                default: {description: d, content: {application/json: {schema: {type: boolean}}}}
            get:
              operationId: makeIt2
              responses:
                "200": {description: d, content: {application/json: {schema: {type: number}}}}
                "400": {$ref: "#/components/responses/Bad"}
        components:
          responses: {Bad: {description: b, content: {application/json: {schema: {type: object, required: [why]}}}}}
          schemas:
            Pet: {type: object}
            MakeIt2Response: {type: string}
        """)
    )
    post, get = api.operations
    assert post.body is not None
    assert [(media.media_type, media.model_name) for media in post.body.media] == [
        ("application/json", "MakeItRequest"),
        ("application/vnd.a+json", "MakeItRequest"),
        ("application/x-www-form-urlencoded", "MakeItRequest2"),
        ("text/plain", None),
        ("*/*", None),
    ]
    assert post.body.media[4].schema is None
    assert {response.status: response.media[0].model_name for response in post.responses} == {
        "400": "Bad",
        "201": "Pet",
        "200": "MakeItResponse200",
        "4XX": None,
        "5xx": "MakeItResponse5XX",
        "default": "MakeItResponseDefault",
    }
    assert [response.media[0].model_name for response in get.responses] == ["MakeIt2Response2", "Bad"]
    assert api.schemas["MakeIt2Response"] == {"type": "string"}
    assert api.schemas["MakeIt2Response2"] == {"type": "number"}
    assert post.statuses == ("400", "201", "200", "4XX", "5xx", "default")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(200, "200", id="exact"),
        pytest.param(404, "4XX", id="range"),
        pytest.param(503, "5xx", id="range in small letters"),
        pytest.param(302, "default", id="default"),
    ],
)
def test_find_response(parse: Callable[[str], Api], status: int, expected: str) -> None:
    """An answer is found by its status, by a range, or as the default."""
    api = parse(HEAD + 'paths: {/a: {get: {responses: {"200": &d {description: d}, 4XX: *d, 5xx: *d, default: *d}}}}\n')
    response = api.operations[0].find_response(status)
    assert response is not None
    assert response.status == expected


def test_find_no_response(parse: Callable[[str], Api]) -> None:
    """A status that is not declared has no answer."""
    api = parse(HEAD + 'paths: {/a: {get: {responses: {"200": {description: d}}}}}\n')
    assert api.operations[0].find_response(201) is None


def test_operations(parse: Callable[[str], Api]) -> None:
    """An operation knows its handler, its words, its security and its extensions."""
    api = parse(
        HEAD
        + dedent("""\
        x-slo: {availability: 99.9}
        servers: [{url: "https://{host}/{base}/", variables: {host: {default: a.b}, base: {default: v2}}}]
        security: [{key: []}]
        paths:
          /a:
            get: {summary: s, description: d, tags: [t], deprecated: true, x-slo: {availability: 90}}
            put: {operationId: putA, x-bind-server: svc.put_a, security: []}
            post: {operationId: svc.post, security: [{}, {key: [], jwt: [read, write]}]}
          /a/: {get: {}}
        components:
          securitySchemes:
            key: {type: apiKey, in: header, name: X-Key}
            jwt: {$ref: "#/components/securitySchemes/jwt2"}
            jwt2: {type: http, scheme: Bearer, bearerFormat: JWT}
        """)
    )
    get, put, post, other = api.operations
    assert (get.operation_id, get.handler, get.method, get.path) == ("get_a", None, "GET", "/a")
    assert (get.summary, get.description, get.tags, get.is_deprecated) == ("s", "d", ("t",), True)
    assert get.extensions == {"x-slo": {"availability": 90}}
    assert get.security == ({"key": ()},)
    assert (put.operation_id, put.handler, put.security) == ("putA", "svc.put_a", ())
    assert (post.handler, post.security) == ("svc.post", ({}, {"key": (), "jwt": ("read", "write")}))
    assert other.operation_id == "get_a_2"
    assert api.base_path == "/v2"
    assert api.extensions == {"x-slo": {"availability": 99.9}}
    assert api.security_schemes == {
        "key": SecurityScheme("key", "apiKey", location="header", key="X-Key"),
        "jwt": SecurityScheme("jwt", "http", scheme="bearer", bearer_format="JWT"),
        "jwt2": SecurityScheme("jwt2", "http", scheme="bearer", bearer_format="JWT"),
    }
    assert api.get_operation("putA") is put
    with pytest.raises(KeyError, match=r"api has no operation nothing; it has get_a, get_a_2, putA, svc\.post"):
        api.get_operation("nothing")


@pytest.mark.parametrize(
    ("servers", "base_path"),
    [
        pytest.param("[]", "", id="none"),
        pytest.param("[{url: /}]", "", id="root"),
        pytest.param("[{url: 'https://a.b/c/d/'}, {url: /e}]", "/c/d", id="first counts"),
        pytest.param("[{url: 'v1'}]", "", id="relative"),
        pytest.param("[{url: 'http://[/x'}]", "", id="no URL"),
    ],
)
def test_base_path(parse: Callable[[str], Api], servers: str, base_path: str) -> None:
    """The base path is that of the first server."""
    assert parse(HEAD + f"paths: {{}}\nservers: {servers}\n").base_path == base_path


def test_names_and_digest() -> None:
    """An Api is called as asked, else after its source; its digest is that of its text."""
    text = HEAD + "paths: {}\n"
    assert parse_spec(text, source="apis/pets.v1.yaml").name == "pets.v1"
    assert parse_spec(text, source="https://a.b/c/openapi.json?x=1").name == "openapi"
    assert parse_spec(text, source="https://a.b/").name == "api"
    api = parse_spec(text, source="a.yml", name="pets")
    assert (api.name, api.text, api.sha256) == ("pets", text, sha256(text.encode()).hexdigest())


PARAMETERS = HEAD + dedent("""\
paths:
  /a/{id}:
    parameters:
      - {name: id, in: path, required: true, schema: {type: string}}
      - {name: limit, in: query, schema: {type: integer}, description: of the path}
    get:
      operationId: getA
      parameters:
        - {name: limit, in: query, schema: {type: integer, default: 5}, description: own}
        - {name: petId, in: query, required: true, schema: true}
        - {name: id, in: header, style: simple, explode: true, schema: {type: object}}
        - {name: Authorization, in: header, schema: {type: string}}
        - {name: filter, in: query, style: deepObject, schema: {type: object}}
        - {name: session, in: cookie, schema: {$ref: "#/components/schemas/session"}}
        - {name: json, in: query, content: {application/json: {schema: {type: array}}}}
        - {name: sparql, in: query, content: {application/sparql-query: {schema: {type: array}}}}
    put: {parameters: []}
  /b: {get: {parameters: [{name: accept, in: header, schema: {}}]}}
components: {schemas: {session: {type: string}}}
""")


def test_parameters(parse: Callable[[str], Api]) -> None:
    """Parameters carry keyword, style and place; an operation's own replace those of its path."""
    api = parse(PARAMETERS)
    get, put, other = api.operations
    assert [
        (one.keyword, one.location, one.is_required, one.style, one.explode, one.schema) for one in get.parameters
    ] == [
        ("id", "path", True, "simple", False, {"type": "string"}),
        ("limit", "query", False, "form", True, {"type": "integer", "default": 5}),
        ("pet_id", "query", True, "form", True, {}),
        ("id_header", "header", False, "simple", True, {"type": "object"}),
        ("filter", "query", False, "deepObject", True, {"type": "object"}),
        ("session", "cookie", False, "form", True, {"$ref": "#/components/schemas/Session"}),
        ("json", "query", False, "content", False, {"type": "array"}),
        ("sparql", "query", False, "simple", False, {"type": "string"}),
    ]
    assert get.parameters[1].description == "own"
    assert get.parameters[0].pointer == "/paths/~1a~1{id}/parameters/0"
    assert get.parameters[1].pointer == "/paths/~1a~1{id}/get/parameters/0"
    assert get.parameters_model == "GetAParameters"
    assert api.schemas["GetAParameters"] == {
        "type": "object",
        "properties": {one.keyword: one.schema for one in get.parameters},
        "additionalProperties": False,
        "required": ["id", "pet_id"],
    }
    assert put.parameters_model == "PutAIdParameters"
    assert (other.parameters, other.parameters_model) == ((), None)


FORM = HEAD + dedent("""\
paths:
  /a:
    post:
      operationId: send
      parameters: [{name: note, in: query, schema: {type: string}}]
      requestBody: {$ref: "#/components/requestBodies/Form"}
components:
  requestBodies:
    Form:
      required: true
      content:
        multipart/form-data:
          schema: {$ref: "#/components/schemas/Form"}
          encoding: {tags: {style: spaceDelimited, explode: false}}
  schemas:
    Base: {type: object, required: [note], properties: {note: {type: string, description: words}}}
    Form:
      allOf: [{$ref: "#/components/schemas/Base"}, {$ref: "#/components/schemas/Form"}]
      required: [photo]
      properties:
        photo: {contentMediaType: image/png}
        icon: {type: string, format: binary}
        text: {type: string, contentMediaType: text/html, contentEncoding: base64}
        files: {type: array, items: {type: string, format: binary}}
        raw: {}
        tags: {type: array, items: {type: string}}
""")


def test_forms(parse: Callable[[str], Api]) -> None:
    """The fields of a form are parameters, found through references and compositions; files are told apart."""
    api = parse(FORM)
    (send,) = api.operations
    assert [
        (one.keyword, one.location, one.is_required, one.is_file, one.style, one.explode) for one in send.parameters
    ] == [
        ("note_query", "query", False, False, "form", True),
        ("note_form", "form", True, False, "form", True),
        ("photo", "form", True, True, "form", True),
        ("icon", "form", False, True, "form", True),
        ("text", "form", False, False, "form", True),
        ("files", "form", False, True, "form", True),
        ("raw", "form", False, True, "form", True),
        ("tags", "form", False, False, "spaceDelimited", False),
    ]
    assert send.parameters[1].description == "words"
    assert send.parameters[1].pointer == "/components/schemas/Base/properties/note"
    assert send.body is None
    assert send.form is not None
    assert (send.form.is_required, [media.model_name for media in send.form.media]) == (True, [None])
    assert list(api.schemas["SendParameters"]["properties"]) == ["note_query", "note_form", "text", "tags"]


def test_form_of_files_only(parse: Callable[[str], Api]) -> None:
    """Files alone need no model of parameters."""
    api = parse(
        HEAD
        + dedent("""\
        paths:
          /a:
            post:
              requestBody:
                content:
                  multipart/form-data: {schema: {type: object, properties: {file: {type: string, format: binary}}}}
        """)
    )
    assert api.operations[0].parameters_model is None
    assert api.schemas == {}


@pytest.mark.parametrize(
    ("content", "model_name"),
    [
        pytest.param("{multipart/form-data: {schema: {type: object}}}", "SendRequest", id="no fields"),
        pytest.param("{multipart/form-data: {}}", None, id="no schema"),
        pytest.param("{multipart/form-data: {schema: true}}", None, id="anything"),
        pytest.param(
            "{multipart/form-data: {schema: {properties: {a: {}}}}, application/json: {}}", "SendRequest", id="or JSON"
        ),
    ],
)
def test_forms_that_stay_bodies(parse: Callable[[str], Api], content: str, model_name: str | None) -> None:
    """A form without fields, or one of several ways to send a body, is a body."""
    api = parse(HEAD + f"paths: {{/a: {{post: {{operationId: send, requestBody: {{content: {content}}}}}}}}}\n")
    (send,) = api.operations
    assert (send.parameters, send.form) == ((), None)
    assert send.body is not None
    assert send.body.media[0].model_name == model_name


def closed_schemas(definitions: str) -> dict[str, JsonObject]:
    """Return the schemas of a Swagger 2.0 document with *definitions*, whose body is Body."""
    text = f"""\
    swagger: '2.0'
    info: {{title: a, version: b}}
    paths:
      /a:
        post:
          operationId: send
          parameters: [{{name: body, in: body, schema: {{$ref: '#/definitions/Body'}}}}]
          responses: {{200: {{description: a, schema: {{$ref: '#/definitions/Answer'}}}}}}
    definitions: {{Answer: {{type: object, properties: {{a: {{type: string}}}}}}, {definitions}}}
    """
    return dict(parse_spec(dedent(text)).schemas)


TEXT = {"type": "string"}
OPEN = {"type": "object", "properties": {"a": TEXT}}
CLOSED = {**OPEN, "additionalProperties": False}


@pytest.mark.parametrize(
    ("definitions", "expected"),
    [
        pytest.param("Body: {type: object, properties: {a: {type: string}}}", {"Body": CLOSED}, id="object"),
        pytest.param("Body: {type: object}", {"Body": {"type": "object"}}, id="object that names nothing"),
        pytest.param(
            "Body: {type: object, properties: {a: {type: string}}, additionalProperties: true}",
            {"Body": {**OPEN, "additionalProperties": True}},
            id="open by its own word",
        ),
        pytest.param(
            "Body: {type: array, items: {$ref: '#/definitions/Inner'}},"
            " Inner: {type: object, properties: {a: {type: string}}}",
            {"Body": {"type": "array", "items": {"$ref": "#/components/schemas/Inner"}}, "Inner": CLOSED},
            id="object inside",
        ),
        pytest.param(
            "Body: {type: object, properties: {a: {type: object, properties: {a: {type: string}}}}}",
            {"Body": {"type": "object", "properties": {"a": CLOSED}, "additionalProperties": False}},
            id="object inside, without a name",
        ),
        pytest.param(
            "Body: {allOf: [{$ref: '#/definitions/Base'}, {type: object, properties: {a: {type: string}}}]},"
            " Base: {type: object, properties: {a: {type: string}}}",
            {
                "Body": {"allOf": [{"$ref": "#/components/schemas/Base"}, OPEN], "unevaluatedProperties": False},
                "Base": OPEN,
            },
            id="composition",
        ),
        pytest.param(
            "Body: {type: object, discriminator: a, properties: {a: {type: string}}}",
            {"Body": {**OPEN, "discriminator": {"propertyName": "a"}}},
            id="parent of others",
        ),
        pytest.param(
            "Body: {discriminator: a, allOf: [{type: object, properties: {a: {type: string}}}]}",
            {"Body": {"discriminator": {"propertyName": "a"}, "allOf": [OPEN]}},
            id="composition that is parent of others",
        ),
    ],
)
def test_bodies_of_swagger_are_closed(definitions: str, expected: dict[str, JsonObject]) -> None:
    """In Swagger 2.0 bodies refuse properties that they do not name; answers do not."""
    assert closed_schemas(definitions) == {"Answer": OPEN, **expected}


def test_inline_bodies_of_swagger_are_closed(parse: Callable[[str], Api]) -> None:
    """A body without a name is closed too; the document itself stays as written."""
    api = parse("""\
    swagger: '2.0'
    info: {title: a, version: b}
    paths:
      /a:
        post:
          operationId: send
          parameters: [{name: body, in: body, schema: {type: object, properties: {a: {type: string}}}}]
          responses: {200: {description: a}}
    """)
    body = api.operations[0].body
    assert body is not None
    assert body.media[0].schema == CLOSED == api.schemas["SendRequest"]
    assert api.document["paths"]["/a"]["post"]["requestBody"]["content"]["application/json"]["schema"] == OPEN
