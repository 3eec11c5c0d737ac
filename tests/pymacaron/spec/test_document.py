"""Tests of `pymacaron.spec.document` on documents that others wrote, and on damaged ones."""

from __future__ import annotations

import copy
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pymacaron.exceptions import Finding, SpecError
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec import RESOURCES_KEY, Api, load_spec, parse_spec
from pymacaron.spec.grammar import OPENAPI_3_2
from pymacaron.spec.load import SourceText, parse_data
from pymacaron.spec.schemas import rebuild


def documents(folder: Path) -> list[Path]:
    """Return the documents below *folder* that are whole, not parts of others."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in (".json", ".yaml") and ("petstore-separate" not in path.parts or path.stem == "swagger")
    )


def referred_names(schema: JsonObject) -> set[str]:
    """Return every $ref in *schema*."""
    found: set[str] = set()

    def collect(_kind: str, node: JsonObject) -> JsonObject:
        found.update({node["$ref"]} if "$ref" in node else ())
        return node

    rebuild(OPENAPI_3_2, "schema", schema, collect)
    return found


def check_api(api: Api) -> None:
    """Compare the parts of *api* with each other."""
    assert all(name.isidentifier() for name in api.schemas)
    known = {f"#/components/schemas/{name}" for name in api.schemas}
    stubs = {schema["$ref"] for schema in api.schemas.values() if RESOURCES_KEY in schema}
    assert all(referred_names(schema) <= known | stubs for schema in api.schemas.values())
    json.dumps([api.document, dict(api.schemas)])
    ids = [operation.operation_id for operation in api.operations]
    assert len(ids) == len(set(ids))
    for operation in api.operations:
        keywords = [parameter.keyword for parameter in operation.parameters]
        assert len(keywords) == len(set(keywords))
        names = [media.model_name for response in operation.responses for media in response.media]
        names += [media.model_name for media in operation.body.media] if operation.body else []
        assert {*names, operation.parameters_model} <= {*api.schemas, None}
        assert ":" in api.place_of(operation.pointer)


@pytest.mark.parametrize("folder", ["oai", "realworld"])
def test_documents_of_others_load(shared_specs: Path, folder: str) -> None:
    """Every whole document of the OpenAPI Initiative's examples and of RealWorld loads."""
    paths = documents(shared_specs / folder)
    assert paths
    for path in paths:
        check_api(load_spec(path))


def test_json_and_yaml_say_the_same(shared_specs: Path) -> None:
    """A document that exists in JSON and in YAML gives the same operations."""
    compared = 0
    for path in documents(shared_specs / "oai"):
        twin = Path(str(path).replace("/yaml/", "/json/")).with_suffix(".json")
        if path.suffix == ".yaml" and twin != path and twin.exists():
            ours, theirs = load_spec(path), load_spec(twin)
            assert [one.operation_id for one in ours.operations] == [one.operation_id for one in theirs.operations]
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("name", ["taskrouter_v1", "api_v2010"])
def test_large_documents(shared_specs: Path, name: str) -> None:
    """A document of two megabytes loads in a few seconds."""
    start = time.process_time()
    api = load_spec(shared_specs / "twilio" / f"{name}.json")
    assert time.process_time() - start < 10
    assert len(api.operations) > 50


@pytest.mark.parametrize(
    ("folder", "accepted"),
    [
        pytest.param("pass", 0.8, id="pass"),
        pytest.param("fail", 0.2, id="fail"),
        pytest.param("malicious", 1.0, id="malicious"),
    ],
)
def test_good_bad_and_ugly(shared_specs: Path, folder: str, accepted: float) -> None:
    """Good documents load, bad ones are refused with findings, nothing ends in another exception."""
    outcomes = Counter[bool]()
    findings: list[Finding] = []
    for path in (shared_specs / "openapi3-examples").rglob(f"{folder}/**/*"):
        if path.suffix not in (".json", ".yaml"):
            continue
        try:
            check_api(load_spec(path))
            outcomes[True] += 1
        except SpecError as error:
            outcomes[False] += 1
            findings += error.findings
    assert all(finding.where and finding.found and finding.fix for finding in findings)
    share = outcomes[True] / outcomes.total()
    assert share >= accepted if folder == "pass" else share <= accepted


SMALL = """\
openapi: 3.0.3
info: {title: a, version: "1"}
servers: [{url: "/{v}", variables: {v: {default: v1}}}]
security: [{key: []}]
paths:
  /a/{id}:
    parameters: [{$ref: "#/components/parameters/Id"}]
    post:
      operationId: send
      tags: [t]
      parameters: [{name: q, in: query, style: form, schema: {type: array, items: {type: integer}}}]
      requestBody: {$ref: "#/components/requestBodies/Form"}
      responses:
        "200": {description: d, headers: {X: {schema: {type: string}}}, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
        default: {$ref: "#/components/responses/Bad"}
      callbacks: {done: {"{$request.body#/url}": {post: {responses: {"200": {description: d}}}}}}
components:
  parameters: {Id: {name: id, in: path, required: true, schema: {type: string}}}
  requestBodies: {Form: {content: {multipart/form-data: {schema: {type: object, required: [f], properties: {f: {type: string, format: binary}}}, encoding: {f: {contentType: a/b}}}}}}
  responses: {Bad: {description: b, content: {application/json: {schema: {oneOf: [{type: string}, {$ref: "#/components/schemas/Pet"}]}}}}}
  securitySchemes: {key: {type: apiKey, in: header, name: K}, o: {type: oauth2, flows: {implicit: {authorizationUrl: u, scopes: {a: b}}}}}
  schemas:
    Base: {type: object, discriminator: {propertyName: k, mapping: {p: Pet}}, properties: {k: {type: string, nullable: true}}}
    Pet: {allOf: [{$ref: "#/components/schemas/Base"}, {type: object, properties: {next: {$ref: "#/components/schemas/Pet"}, n: {type: number, minimum: 0, exclusiveMinimum: true}}}]}
"""  # noqa: E501
SWAGGER = """\
swagger: "2.0"
info: {title: a, version: "1"}
basePath: /v1
consumes: [application/json]
paths:
  /a/{id}:
    parameters: [{$ref: "#/parameters/Id"}, {$ref: "#/parameters/Pet"}]
    post: {operationId: send, produces: [a/b], responses: {200: {description: d, schema: {$ref: "#/definitions/Pet"}}, default: {$ref: "#/responses/Bad"}}}
    put:
      consumes: [multipart/form-data]
      parameters: [{name: f, in: formData, type: file}, {name: t, in: formData, type: array, items: {type: string}, collectionFormat: multi}]
      responses: {200: {description: d, schema: {type: file}, headers: {X: {type: integer}}, examples: {a/b: 1}}}
parameters: {Id: {name: id, in: path, required: true, type: string}, Pet: {name: pet, in: body, schema: {$ref: "#/definitions/Pet"}}}
responses: {Bad: {description: b, schema: {type: object, properties: {w: {type: string}}}}}
definitions:
  Base: {type: object, discriminator: k, properties: {k: {type: string, x-nullable: true}}}
  Pet: {allOf: [{$ref: "#/definitions/Base"}, {type: object, properties: {next: {$ref: "#/definitions/Pet"}}}]}
securityDefinitions: {key: {type: apiKey, in: header, name: K}, o: {type: oauth2, flow: implicit, authorizationUrl: a, scopes: {a: b}}}
"""  # noqa: E501
NEWEST = """\
openapi: 3.2.0
$self: https://a.example/api.json
jsonSchemaDialect: https://json-schema.org/draft/2020-12/schema
info: {title: a, version: "1"}
tags: [{name: t}, {name: u, parent: t}]
paths:
  /a:
    query:
      parameters: [{name: q, in: querystring, content: {application/json: {$ref: "#/components/mediaTypes/M"}}}]
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Tree"}}}}
      responses: {"200": {content: {application/jsonl: {itemSchema: {$ref: "https://a.example/pet#name"}, prefixEncoding: [{contentType: a/b}]}}, links: {l: {operationId: o}}}}
    additionalOperations: {COPY: {operationId: o, callbacks: {c: {"{$url}": {post: {}}}}}}
components:
  mediaTypes: {M: {schema: {$ref: "#draft"}, examples: {e: {dataValue: 1}}}}
  schemas:
    Tree: {$id: tree, $dynamicAnchor: node, type: object, properties: {kids: {type: array, items: {$dynamicRef: "#node"}}, pet: {$ref: pet}}}
    Pet: {$id: pet, type: object, properties: {name: {$ref: "#name"}, kind: {$ref: "#/$defs/kind"}}, $defs: {n: {$anchor: name, type: string}, kind: {enum: [a, b]}}}
    Draft: {$anchor: draft, type: array, $ref: "#/components/schemas/Old"}
    Old: {$schema: "http://json-schema.org/draft-07/schema#", $id: old, items: [{type: string}], additionalItems: {$ref: "#/definitions/a"}, definitions: {a: {type: integer}}}
    Any: {oneOf: [{$ref: pet}, {$ref: "#/components/schemas/Tree"}], discriminator: {propertyName: kind, mapping: {a: Pet}, defaultMapping: Tree}}
"""  # noqa: E501
JUNK: list[Json] = [
    None, True, 0, 1.5, "x", "", [], {}, [1], ["a"], {"a": 1}, [{}], [[]], {"": {}}, "#/info", "get",
    {"$ref": "#"}, {"$ref": "#/paths"}, {"$ref": "#/info"}, {"$ref": "#/components"}, {"$ref": "x.yaml"}, {"$ref": 5},
    {"type": "object", "properties": {"a": {"$ref": "#"}}}, {"$ref": "#/x-pymacaron-files"}, {"$id": "pet"}, {"$id": 5},
    {"$anchor": "name"}, {"$dynamicRef": "#x"}, {"$ref": "#name"}, {"$ref": "https://a.example/tree"}, {"$schema": "x"},
]  # fmt: skip
KEYS = [
    "$id",
    "$anchor",
    "$dynamicAnchor",
    "$schema",
    "$defs",
    "$ref",
    "parameters",
    "schema",
    "x-y",
    "type",
    "items",
    "allOf",
    "in",
    "content",
    "nullable",
    "discriminator",
]


def places(node: Json, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(child, (*path, key))


def damage(document: Json, chance: random.Random) -> None:
    """Break one node of *document*: take it away, put junk or another node there, or make it refer to somewhere."""
    all_places = list(places(document))
    *parents, key = chance.choice(all_places[1:])
    holder = document
    for parent in parents:
        holder = holder[parent]
    other = chance.choice(all_places)
    what = chance.randrange(4)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[chance.choice(KEYS)] = copy.deepcopy(chance.choice(JUNK))
    elif what == 2:
        holder[key] = {"$ref": "#" + "".join(f"/{str(part).replace('/', '~1')}" for part in other)}
    else:
        holder[key] = copy.deepcopy(chance.choice(JUNK))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SMALL, id="OpenAPI 3.0"),
        pytest.param(SWAGGER, id="Swagger 2"),
        pytest.param(NEWEST, id="OpenAPI 3.2"),
    ],
)
def test_damaged_documents(text: str) -> None:
    """However a document is damaged, it loads or is refused with findings."""
    whole, _ = parse_data(SourceText("whole.yaml", text))
    chance = random.Random(2026)
    outcomes = Counter[bool]()
    for _ in range(300):
        document = copy.deepcopy(whole)
        for _ in range(chance.choice([1, 1, 2, 3])):
            damage(document, chance)
        try:
            check_api(parse_spec(json.dumps(document), source="damaged.json"))
            outcomes[True] += 1
        except SpecError:
            outcomes[False] += 1
    assert min(outcomes[True], outcomes[False]) > 30


def test_shared_yaml_nodes(parse: Callable[[str], Api]) -> None:
    """Nodes that YAML aliases share may be of several kinds, and broken ones are taken out once."""
    api = parse("""\
    openapi: 3.0.0
    info: {title: a, version: b}
    paths:
      /a: &item
        get:
          responses: &answers {"200": {description: d, content: {application/json: {schema: &text {type: string}}}}}
      /b: *item
      /c: {post: {responses: *answers}}
    components: {schemas: {Text: *text}}
    """)
    assert [one.operation_id for one in api.operations] == ["get_a", "get_b", "post_c"]
    with pytest.raises(SpecError, match="schemas/A/not: 5 stands where a schema") as caught:
        parse("openapi: 3.1.0\ninfo: {title: a, version: b}\ncomponents: {schemas: {B: &b {not: 5}, A: *b}}\n")
    assert len(caught.value.findings) == 1
