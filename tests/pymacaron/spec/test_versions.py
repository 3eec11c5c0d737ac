"""Each version of the specification has its own fields; those of OpenAPI 3.2 are all read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pymacaron.exceptions import SpecError
from pymacaron.spec import Api, load_spec

HEAD = 'openapi: {version}\ninfo: {{title: a, version: "1"{info}}}\n'
NEWEST = """\
openapi: 3.2.0
$self: https://example.com/apis/api.yaml
jsonSchemaDialect: https://spec.openapis.org/oas/3.2/dialect/2025-09-17
info: {title: a, version: "1", summary: b, license: {name: MIT, identifier: MIT}}
servers: [{url: "https://example.com/v1", name: live}]
tags: [{name: a, summary: A, kind: nav}, {name: b, parent: a}]
security: [{o: [read]}]
paths:
  /pets:
    query:
      operationId: findPets
      parameters:
        - {name: all, in: querystring, content: {application/x-www-form-urlencoded: {schema: {type: object}}}}
        - {name: session, in: cookie, style: cookie, schema: {type: string}}
      requestBody: {content: {application/json: {$ref: "#/components/mediaTypes/Pet"}}}
      responses:
        "200":
          summary: The pets.
          content:
            application/jsonl: {$ref: "#/components/mediaTypes/Pets"}
            multipart/mixed:
              itemSchema: {type: object}
              prefixEncoding: [{contentType: application/json}]
              itemEncoding: {contentType: image/png, headers: {X: {schema: {type: string}}}}
            multipart/form-data:
              schema: {type: object, properties: {a: {type: object}}}
              encoding: {a: {contentType: multipart/mixed, encoding: {b: {contentType: text/plain}}}}
    additionalOperations:
      COPY: {operationId: copyPets, responses: {"204": {}}}
    get: {operationId: getPets, responses: {"200": {$ref: "https://example.com/apis/api.yaml#/components/responses/Done"}}}
webhooks:
  newPet: {post: {operationId: newPet, requestBody: {content: {application/json: {}}}, responses: {"200": {}}}}
components:
  responses: {Done: {summary: Done.}}
  mediaTypes:
    Pets:
      itemSchema: {$ref: "#/components/schemas/Pet"}
      examples: {a: {dataValue: {kind: dog}, serializedValue: "{}"}}
    Pet: {$ref: "#/components/mediaTypes/Own"}
    Own: {schema: {$ref: "#/components/schemas/Pet"}}
  schemas:
    Pet:
      oneOf: [{$ref: "#/components/schemas/dog"}, {$ref: "#/components/schemas/cat"}]
      discriminator: {propertyName: kind, mapping: {d: dog}, defaultMapping: cat}
      xml: {nodeType: element}
    dog: {type: object, properties: {kind: {const: d}}}
    cat: {type: object}
  securitySchemes:
    o:
      type: oauth2
      deprecated: true
      oauth2MetadataUrl: https://example.com/meta
      flows: {deviceAuthorization: {deviceAuthorizationUrl: https://a.b, tokenUrl: https://a.b, scopes: {read: Read.}}}
"""


def test_everything_of_the_newest_version(tmp_path: Path) -> None:
    """A document with each thing that came with OpenAPI 3.2 is read, what is served of it is in the Api."""
    (tmp_path / "api.yaml").write_text(NEWEST)
    api = load_spec(tmp_path / "api.yaml")
    assert [(operation.method, operation.operation_id) for operation in api.operations] == [
        ("QUERY", "findPets"),
        ("GET", "getPets"),
        ("COPY", "copyPets"),
    ]
    find, get, _ = api.operations
    assert [(parameter.location, parameter.style) for parameter in find.parameters] == [
        ("querystring", "form"),
        ("cookie", "cookie"),
    ]
    assert find.body is not None
    assert find.body.media[0].model_name == "Pet"
    lines = find.responses[0].media[0]
    assert (lines.item_model_name, lines.examples) == ("Pet", {"a": {"kind": "dog"}})
    assert find.responses[0].media[2].encoding["a"]["encoding"] == {"b": {"contentType": "text/plain"}}
    assert get.responses[0].pointer == "/paths/~1pets/get/responses/200"
    assert api.schemas["Pet"]["discriminator"] == {
        "propertyName": "kind",
        "mapping": {"d": "#/components/schemas/Dog"},
        "defaultMapping": "#/components/schemas/Cat",
    }


def test_files_beside_a_document_that_says_where_it_is_published(tmp_path: Path) -> None:
    """What $self makes of relative references are the files that lie here."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "pet.yaml").write_text("properties: {tag: {$ref: ../tag.yaml}}\n")
    (tmp_path / "tag.yaml").write_text("type: string\n")
    text = "openapi: 3.2.0\n$self: https://example.com/apis/api.yaml\ninfo: {title: a, version: b}\n"
    text += "components: {schemas: {A: {$ref: more/pet.yaml}, B: {$ref: 'https://example.com/apis/tag.yaml'}}}\n"
    (tmp_path / "api.yaml").write_text(text)
    api = load_spec(tmp_path / "api.yaml")
    assert sorted(api.files) == ["more/pet.yaml", "tag.yaml"]
    assert api.schemas["Pet"]["properties"]["tag"] == api.schemas["B"]


def test_security_schemes_by_uri(tmp_path: Path) -> None:
    """A requirement of OpenAPI 3.2 may name a scheme by the URI of it; names of components go first."""
    (tmp_path / "schemes.yaml").write_text("bearer: {type: http, scheme: bearer}\n")
    text = """\
openapi: 3.2.0
info: {title: a, version: b}
security: [{schemes.yaml#/bearer: [], "#key": []}, {"#/components/securitySchemes/own": [a]}]
components: {securitySchemes: {"own": {type: http, scheme: basic}}}
paths: {/a: {get: {}}}
"""
    (tmp_path / "api.yaml").write_text(text.replace(', "#key": []', ""))
    api = load_spec(tmp_path / "api.yaml")
    assert api.operations[0].security == ({"bearer": ()}, {"own": ("a",)})
    assert {name: scheme.scheme for name, scheme in api.security_schemes.items()} == {
        "own": "basic",
        "bearer": "bearer",
    }
    (tmp_path / "api.yaml").write_text(text)
    with pytest.raises(SpecError, match="/security/0/#key/\\$ref: \\$ref '#key' names an anchor that is nowhere"):
        load_spec(tmp_path / "api.yaml")


@pytest.mark.parametrize(
    ("version", "info", "text", "fault"),
    [
        pytest.param(
            "3.0.3",
            ", summary: x",
            "paths: {}",
            "2#/info/summary: summary came with OpenAPI 3.1. Write openapi: 3.1.0, or remove it.",
            id="info.summary in 3.0",
        ),
        pytest.param(
            "3.0.3",
            "",
            "paths: {}\nwebhooks: {}",
            "4#/webhooks: webhooks came with OpenAPI 3.1. Write openapi: 3.1.0, or remove it.",
            id="webhooks in 3.0",
        ),
        pytest.param(
            "3.1.0",
            "",
            "paths: {/a: {query: {}}}",
            "3#/paths/~1a/query: query came with OpenAPI 3.2. Write openapi: 3.2.0, or remove it.",
            id="query in 3.1",
        ),
        pytest.param(
            "3.1.0",
            "",
            "paths: {/a: {get: {reponses: {}}}}",
            "3#/paths/~1a/get/reponses: reponses is no field of an operation. Write responses.",
            id="misspelt field",
        ),
        pytest.param(
            "3.0.3",
            "",
            "paths: {}\ncomponents: {schemas: {A: {propertys: {}}}}",
            "4#/components/schemas/A/propertys: propertys is no field of a schema. Write properties.",
            id="misspelt keyword in 3.0",
        ),
        pytest.param(
            "3.0.3",
            "",
            "paths: {/a: {get: {responses: {'200': {content: {}}}}}}",
            "3#/paths/~1a/get/responses/200: description is missing. Add description.",
            id="answer without description",
        ),
        pytest.param(
            "3.1.0",
            "",
            "components: {mediaTypes: {}}",
            "3#/components/mediaTypes: mediaTypes came with OpenAPI 3.2. Write openapi: 3.2.0, or remove it.",
            id="mediaTypes in 3.1",
        ),
        pytest.param(
            "3.1.0",
            "",
            "components: {schemas: {'a b': {}}}",
            "3#/components/schemas/a b: 'a b' is no name for a part. Write letters, digits, dots, - and _ only.",
            id="name of a part",
        ),
        pytest.param(
            "3.1.0",
            "",
            "paths: {}\nwebhooks: {a: {post: {requestBody: {$ref: '#/components/requestBodies/A'}}}}",
            "4#/webhooks/a/post/requestBody/$ref: $ref '#/components/requestBodies/A' leads to nothing."
            " Define that part or correct the reference.",
            id="webhooks are checked",
        ),
    ],
)
def test_fields_of_versions(
    find_faults: Callable[[str], list[str]], version: str, info: str, text: str, fault: str
) -> None:
    """A field that is unknown, misspelt or from a later version is told."""
    assert find_faults(f"{HEAD.format(version=version, info=info)}{text}\n") == [f"api.yaml:{fault}"]


def test_keywords_of_newer_schemas_pass(parse: Callable[[str], Api]) -> None:
    """Schemas of OpenAPI 3.1 may have keywords of anybody; those of 3.0 may have JSON Schema's."""
    newer = parse(HEAD.format(version="3.1.0", info="") + "components: {schemas: {A: {propertys: {}}}}\n")
    older = parse(HEAD.format(version="3.0.3", info="") + "paths: {}\ncomponents: {schemas: {A: {const: 1, id: a}}}\n")
    assert (newer.schemas["A"], older.schemas["A"]) == ({"propertys": {}}, {"const": 1, "id": "a"})
    assert parse(HEAD.format(version="3.1.0", info="") + "paths: {}\nwebhooks: {a: {post: {}}}\n").operations == ()
