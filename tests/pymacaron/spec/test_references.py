"""Tests of `pymacaron.spec.bundle`, `gather` and `renaming`: references of every kind, other files among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from pymacaron.exceptions import SpecError
from pymacaron.spec import Api, load_spec


def write(folder: Path, **files: str) -> Path:
    """Write *files*, ``__`` for a slash in their names; return the path of the first."""
    paths = [folder / f"{name.replace('__', '/')}.yaml" for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return paths[0]


def test_schemas_anywhere(parse: Callable[[str], Api]) -> None:
    """A schema that a $ref finds elsewhere than in components/schemas gets a name there."""
    api = parse("""\
    openapi: 3.1.0
    info: {title: a, version: b}
    paths:
      /a b~/{x}:
        get:
          parameters: [{name: x, in: path, required: true, schema: {type: string}}]
          responses:
            "200": {description: a, content: {application/json: {schema: {type: array, items: {type: integer}}}}}
    components:
      responses:
        Bad: {description: b, content: {application/problem+json: {schema: {type: boolean}}}}
      schemas:
        Node: {type: object, properties: {next: {$ref: "#/components/schemas/Node"}, with space: {type: number}}}
        All:
          type: object
          properties:
            a: {$ref: "#/components/responses/Bad/content/application~1problem+json/schema"}
            b: {$ref: "#/components/schemas/Node/properties/with%20space"}
            c: {$ref: "#/paths/~1a%20b~0~1{x}/get/responses/200/content/application~1json/schema"}
            d: {$ref: "#/components/schemas/All/properties/e"}
            e: {type: object, properties: {f: {$ref: "#/components/schemas/All/properties/e"}}}
    """)
    folder = "#/components/schemas/"
    assert {name: ref["$ref"] for name, ref in api.schemas["All"]["properties"].items() if "$ref" in ref} == {
        "a": f"{folder}BadApplicationProblemJson",
        "b": f"{folder}NodeWithSpace",
        "c": f"{folder}ABXGet200ApplicationJson",
        "d": f"{folder}AllE",
    }
    assert api.schemas["BadApplicationProblemJson"] == {"type": "boolean"}
    assert api.schemas["NodeWithSpace"] == {"type": "number"}
    assert api.schemas["AllE"]["properties"]["f"] == {"$ref": f"{folder}AllE"}
    assert api.schemas["Node"]["properties"]["next"] == {"$ref": f"{folder}Node"}


def test_parts_of_every_kind(parse: Callable[[str], Api]) -> None:
    """Parameters, bodies, answers, headers, path items and chains of references are followed."""
    api = parse("""\
    openapi: 3.1.0
    info: {title: a, version: b}
    paths:
      /a: {$ref: "#/components/pathItems/A"}
      /b:
        $ref: "#/paths/~1c"
        parameters: [{name: own, in: query, schema: {type: string}}]
        get: {operationId: ownGet}
      /c:
        get: {operationId: getC}
        put: {operationId: putC, parameters: [{$ref: "#/paths/~1c/put/x-kept"}], x-kept: {name: k, in: query, schema: {}}}
    components:
      pathItems:
        A:
          parameters: [{$ref: "#/components/parameters/P1"}]
          post:
            requestBody: {$ref: "#/components/requestBodies/B"}
            responses: {"201": {$ref: "#/components/responses/R"}}
      parameters:
        P1: {$ref: "#/components/parameters/P2"}
        P2: {name: p, in: header, required: true, schema: {type: integer}}
      requestBodies:
        B: {required: true, content: {application/json: {schema: {type: object, properties: {a: {}}}}}}
      responses:
        R: {description: made, headers: {X-A: {$ref: "#/components/headers/H"}}, content: {application/json: {schema: {type: string}}}}
      headers: {H: {required: true, schema: {type: integer}}}
    """)  # noqa: E501
    post, own, put, get_c, put_c = api.operations
    assert [parameter.keyword for parameter in post.parameters] == ["p"]
    assert post.pointer == "/components/pathItems/A/post"
    assert post.body is not None
    assert (post.body.is_required, post.body.media[0].model_name) == (True, "B")
    assert post.responses[0].media[0].model_name == "R"
    assert post.responses[0].headers == {"X-A": {"required": True, "schema": {"type": "integer"}}}
    assert (own.operation_id, own.pointer) == ("ownGet", "/paths/~1b/get")
    assert [parameter.keyword for parameter in own.parameters] == ["own"]
    assert (put.operation_id, put.handler, put.path) == ("putC", "putC", "/b")
    assert [parameter.keyword for parameter in put.parameters] == ["own", "k"]
    assert (get_c.operation_id, put_c.operation_id, put_c.handler) == ("getC", "putC_2", "putC")


def test_other_files(tmp_path: Path) -> None:
    """Files next to the document, what they refer to, and the way back to the document become one."""
    path = write(
        tmp_path,
        spec__api="""\
        openapi: 3.1.0
        info: {title: a, version: b}
        paths:
          /pets: {$ref: "paths/pets.yaml"}
        components:
          schemas:
            Tag: {type: string}
            Pet: {type: object, title: own}
        """,
        spec__paths__pets="""\
        get:
          operationId: getPets
          parameters: [{$ref: "../../parts.yaml#/limit"}]
          responses:
            "200": {description: a, content: {application/json: {schema: {$ref: "../../models/Pet.yaml"}}}}
        """,
        parts="limit: {name: limit, in: query, schema: {type: integer}}\n",
        models__Pet="""\
        type: object
        properties:
          tag: {$ref: "../spec/api.yaml#/components/schemas/Tag"}
          name: {$ref: "#/$defs/name"}
          mother: {$ref: "Pet.yaml"}
        $defs:
          name: {type: string}
        """,
    )
    api = load_spec(path)
    assert sorted(api.files) == ["../models/Pet.yaml", "../parts.yaml", "paths/pets.yaml"]
    assert api.operations[0].responses[0].media[0].model_name == "Pet2"
    folder = "#/components/schemas/"
    assert api.schemas["Pet2"]["properties"] == {
        "tag": {"$ref": f"{folder}Tag"},
        "name": {"$ref": f"{folder}Name"},
        "mother": {"$ref": f"{folder}Pet2"},
    }
    assert api.operations[0].pointer == "paths/pets.yaml#/get"
    assert api.place_of(api.operations[0].pointer) == f"{tmp_path}/spec/paths/pets.yaml:1#/get"
    assert api.place_of("/paths/~1pets") == f"{path}:4#/paths/~1pets"
    limit = api.operations[0].parameters[0]
    assert api.place_of(limit.pointer) == f"{tmp_path}/spec/paths/pets.yaml:3#/get/parameters/0"


def test_digest_covers_all_files(tmp_path: Path) -> None:
    """A change in another file changes the digest."""
    api = 'openapi: 3.1.0\ninfo: {title: a, version: b}\ncomponents: {schemas: {A: {$ref: "b.yaml"}}}\n'
    path = write(tmp_path, api=api, b="type: string\n")
    before = load_spec(path).sha256
    (tmp_path / "b.yaml").write_text("type: integer\n")
    assert load_spec(path).sha256 != before


@pytest.mark.parametrize(
    ("ref", "files", "faults"),
    [
        pytest.param(
            "b.yaml#/x",
            {},
            [
                (
                    "api.yaml:5#/components/schemas/A/$ref: $ref 'b.yaml#/x' cannot be used:"
                    " this file cannot be read (No such file or directory). Correct the path or the file."
                )
            ],
            id="missing file",
        ),
        pytest.param(
            "b.yaml#/x",
            {"b": "y: {}\n"},
            [
                (
                    "api.yaml:5#/components/schemas/A/$ref: $ref 'b.yaml#/x' leads to nothing."
                    " Define that part or correct the reference."
                )
            ],
            id="missing part",
        ),
        pytest.param(
            "b.yaml",
            {"b": "type: string\nmaxLength: a\n$ref: 5\n"},
            [
                (
                    "b.yaml:2#/maxLength: the text 'a' stands where a count, 0 or more must stand."
                    " Write a count, 0 or more."
                ),
                "b.yaml:3#/$ref: 5 stands where the text of a $ref must stand. Write text like '#/…'.",
            ],
            id="faults inside",
        ),
        pytest.param(
            "b.yaml",
            {"b": "type: string\npattern: '['\n"},
            ["b.yaml:2#/pattern: '[' is no regular expression. Correct it, in the syntax of ECMA-262."],
            id="broken rule inside",
        ),
        pytest.param(
            "b.yaml",
            {"b": "type: string\ntype: string\n"},
            ["b.yaml:2: the key 'type' stands here twice. Remove one of them."],
            id="key twice",
        ),
        pytest.param(
            "b.yaml",
            {"b": "a: [\n"},
            [
                (
                    "api.yaml:5#/components/schemas/A/$ref: $ref 'b.yaml' leads to nothing (null) where a schema must"
                    " stand. Refer to a schema."
                ),
                (
                    "b.yaml:2: this is no valid YAML: while parsing a flow node did not find expected node content."
                    " Correct the line or the one before."
                ),
            ],
            id="no YAML",
        ),
    ],
)
def test_faults_in_other_files(tmp_path: Path, ref: str, files: dict[str, str], faults: list[str]) -> None:
    """Faults in other files are told with their place there."""
    text = f"openapi: 3.1.0\ninfo: {{title: a, version: b}}\ncomponents:\n  schemas:\n    A: {{$ref: '{ref}'}}\n"
    path = write(tmp_path, api=text, **files)
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert [str(finding).replace(f"{tmp_path}/", "") for finding in caught.value.findings] == faults


def test_names_of_schemas(parse: Callable[[str], Api]) -> None:
    """Schemas get class names, in references and discriminators too; the Api knows what they were called."""
    api = parse("""\
    openapi: 3.1.0
    info: {title: a, version: b}
    components:
      schemas:
        new-pet: {type: object, properties: {kind: {$ref: "#/components/schemas/field"}}}
        field: {type: string}
        anything: true
        nothing: false
        pet:
          oneOf: [{$ref: "#/components/schemas/new-pet"}]
          discriminator: {propertyName: kind, mapping: {a: new-pet}}
    """)
    assert api.model_names == {
        "new-pet": "NewPet", "field": "FieldModel", "anything": "Anything", "nothing": "Nothing", "pet": "Pet",
    }  # fmt: skip
    assert api.schemas == {
        "NewPet": {"type": "object", "properties": {"kind": {"$ref": "#/components/schemas/FieldModel"}}},
        "FieldModel": {"type": "string"},
        "Anything": {},
        "Nothing": {"not": {}},
        "Pet": {
            "oneOf": [{"$ref": "#/components/schemas/NewPet"}],
            "discriminator": {"propertyName": "kind", "mapping": {"a": "#/components/schemas/NewPet"}},
        },
    }
    assert api.document["components"]["schemas"].keys() == api.schemas.keys()


def test_parts_of_every_kind_in_another_file(tmp_path: Path) -> None:
    """Whatever may be referred to may stand in another file, escapes in its name included."""
    path = write(
        tmp_path,
        api="""\
        openapi: 3.0.3
        info: {title: a, version: b}
        security: [{key: []}]
        paths:
          /a:
            post:
              operationId: send
              parameters: [{$ref: "parts.yaml#/a~1b%20c"}]
              requestBody: {$ref: "parts.yaml#/body"}
              responses:
                "200":
                  description: d
                  headers: {X-A: {$ref: "parts.yaml#/header"}}
                  content: {application/json: {schema: {type: string}, examples: {one: {$ref: "parts.yaml#/example"}}}}
                  links: {next: {$ref: "parts.yaml#/link"}}
              callbacks: {done: {$ref: "parts.yaml#/callback"}}
        components:
          securitySchemes: {key: {$ref: "parts.yaml#/scheme"}}
          schemas: {A: {$ref: "parts.yaml#/list/1"}}
        """,
        parts="""\
        a/b c: {name: q, in: query, schema: {type: integer}}
        body: {content: {text/plain: {schema: {$ref: "#/list/1"}}}}
        header: {$ref: "#/other"}
        other: {schema: {type: integer}}
        example: {value: x}
        link: {operationId: send}
        callback: {"{$request.body#/url}": {post: {responses: {"200": {description: d}}}}}
        scheme: {type: apiKey, in: header, name: K}
        list: [{type: string}, {type: object, properties: {more: {$ref: "#/list/1"}}}]
        """,
    )
    api = load_spec(path)
    (send,) = api.operations
    assert [parameter.name for parameter in send.parameters] == ["q"]
    assert send.body is not None
    assert send.body.media[0].schema == api.schemas["A"] == {"$ref": "#/components/schemas/List1"}
    assert api.schemas["List1"]["properties"] == {"more": {"$ref": "#/components/schemas/List1"}}
    assert send.responses[0].headers == {"X-A": {"schema": {"type": "integer"}}}
    assert send.responses[0].media[0].examples == {"one": "x"}
    assert (api.security_schemes["key"].location, api.security_schemes["key"].key) == ("header", "K")
    assert api.document["paths"]["/a"]["post"]["callbacks"]["done"] == {"$ref": "#/components/callbacks/callback"}
