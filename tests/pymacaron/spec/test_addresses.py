"""Tests of `pymacaron.spec.addresses`, `whole` and `resources`: JSON Schema's own ways to name a schema."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import jsonschema_rs
import pytest

from pymacaron.exceptions import SpecError
from pymacaron.json_types import Json, JsonObject
from pymacaron.spec import RESOURCES_KEY, Api, find_resources, load_spec
from pymacaron.validation import SchemaCheck

SHARED_SPECS = Path(__file__).parents[4] / "shared" / "specs"
SUITE = SHARED_SPECS / "json-schema-test-suite" / "draft2020-12"
HEAD = 'openapi: 3.1.0\ninfo: {title: a, version: "1"}\n'
POST = """\
paths:
  /a:
    post:
      requestBody: {content: {application/json: {schema: {$ref: SCHEMA}}}}
      responses: {"204": {description: Done.}}
"""
FOLDER = "#/components/schemas/"


def load(folder: Path, text: str, **files: Json) -> Api:
    """Load a document beside JSON *files*."""
    for name, data in files.items():
        (folder / f"{name}.json").write_text(json.dumps(data))
    (folder / "api.yaml").write_text(HEAD + dedent(text))
    return load_spec(folder / "api.yaml")


def test_ids_and_anchors_in_the_document(tmp_path: Path) -> None:
    """References go by the $id around them; what is named is a component, and nothing else of the names is left."""
    api = load(
        tmp_path,
        """\
        components:
          schemas:
            Pet:
              $id: https://pets.example/pet.json
              type: object
              properties:
                name: {$ref: "#name"}
                toy: {$ref: toys.json}
                part: {$ref: "toys.json#/properties/size"}
                $ref: {type: string}
                same: {const: {$ref: "#nowhere"}}
              $defs:
                name: {$anchor: name, type: string}
                toys: {$id: toys.json, type: object, properties: {size: {type: integer}, on: {$ref: pet.json}}}
            Other: {type: array, items: {$ref: "https://pets.example/pet.json#name"}}
            Size: {$anchor: size, type: integer}
            Many: {type: array, items: {$ref: "#size"}}
        """,
    )
    assert api.schemas["Pet"]["properties"] == {
        "name": {"$ref": f"{FOLDER}PetName"},
        "toy": {"$ref": f"{FOLDER}PetToys"},
        "part": {"$ref": f"{FOLDER}PetToysSize"},
        "$ref": {"type": "string"},
        "same": {"const": {"$ref": "#nowhere"}},
    }
    assert api.schemas["Pet"].keys() == {"type", "properties"}
    assert api.schemas["PetName"] == {"type": "string"}
    assert api.schemas["PetToys"]["properties"]["on"] == {"$ref": f"{FOLDER}Pet"}
    assert api.schemas["Other"]["items"] == {"$ref": f"{FOLDER}PetName"}
    assert api.schemas["Many"]["items"] == {"$ref": f"{FOLDER}Size"}
    assert find_resources(api.schemas) == {}


def test_a_file_that_is_a_schema(tmp_path: Path) -> None:
    """A bare JSON Schema is read with its own $id, anchors and definitions, and of an older draft."""
    api = load(
        tmp_path,
        POST.replace("SCHEMA", "pet.json"),
        pet={
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$id": "https://pets.example/deep/pet.json",
            "properties": {"a": {"$ref": "#/definitions/a"}, "b": {"$ref": "/b.json"}},
            "definitions": {"a": {"type": "integer"}, "b": {"$id": "https://pets.example/b.json", "type": "string"}},
        },
    )
    assert api.schemas["Pet"]["properties"] == {
        "a": {"$ref": f"{FOLDER}DefinitionsA".replace("Definitions", "")},
        "b": {"$ref": f"{FOLDER}B"},
    }
    assert (api.schemas["A"], api.schemas["B"]) == ({"type": "integer"}, {"type": "string"})


TREE: JsonObject = {
    "$id": "https://trees.example/tree",
    "$dynamicAnchor": "node",
    "type": "object",
    "properties": {"data": True, "children": {"type": "array", "items": {"$dynamicRef": "#node"}}},
}
STRICT: JsonObject = {
    "$id": "https://trees.example/strict-tree",
    "$dynamicAnchor": "node",
    "$ref": "tree.json",
    "unevaluatedProperties": False,
}
RIGHT: Json = {"children": [{"data": 1}]}
WRONG: Json = {"children": [{"daat": 1}]}


@pytest.mark.parametrize(
    ("text", "files"),
    [
        pytest.param(
            POST.replace("SCHEMA", "strict.json"),
            {"strict": STRICT | {"$id": "strict-tree"}, "tree": TREE | {"$id": "tree.json"}},
            id="files",
        ),
        pytest.param(
            POST.replace("SCHEMA", '"#/components/schemas/Strict"')
            + f"components: {{schemas: {json.dumps({'Tree': TREE, 'Strict': STRICT | {'$ref': 'tree'}})}}}\n",
            {},
            id="components with $id",
        ),
        pytest.param(
            POST.replace("SCHEMA", '"#/components/schemas/Strict"')
            + "components:\n  schemas:\n    Strict:\n      $dynamicAnchor: node\n      type: object\n"
            + "      properties: {data: true, children: {type: array, items: {$dynamicRef: '#node'}}}\n"
            + "      additionalProperties: false\n",
            {},
            id="components without $id",
        ),
        pytest.param(
            POST.replace("{$ref: SCHEMA}", json.dumps(STRICT)),
            {"tree": TREE | {"$id": "https://trees.example/tree.json"}},
            id="inline, known by a reference elsewhere",
        ),
    ],
)
def test_dynamic_references_stay_exact(tmp_path: Path, text: str, files: dict[str, Json]) -> None:
    """A schema with $dynamicRef is kept whole, and the check of bodies holds values to it."""
    if "tree" in files and "strict" not in files:
        text += "components: {schemas: {Known: {$ref: tree.json}}}\n"
    api = load(tmp_path, text, **files)
    body = api.operations[0].body
    assert body is not None
    schema = body.media[0].schema
    assert schema is not None
    check = SchemaCheck.build(schema, api.schemas)
    assert check is not None
    assert (check.find_faults(RIGHT), check.find_faults({"children": 1})) == ([], ["/children: breaks type"])
    assert check.find_faults(WRONG) != []
    assert str(tmp_path) not in json.dumps(find_resources([schema, api.schemas]))


def test_metaschemas_and_older_dialects(tmp_path: Path) -> None:
    """A reference to a metaschema needs no network; draft 7 keeps its meaning where 2020-12 has another one."""
    pair = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "items": [{"type": "string"}],
        "additionalItems": False,
    }
    api = load(
        tmp_path,
        """\
        components:
          schemas:
            Schema: {$ref: https://json-schema.org/draft/2020-12/schema}
            Pair: {type: array, $ref: pair.json}
        """,
        pair=pair,
    )
    assert api.schemas["Schema2"] == {
        "$ref": "https://json-schema.org/draft/2020-12/schema",
        RESOURCES_KEY: {"file:///-/-/pair.json": pair},
    }
    for name, right, wrong in (("Schema", {"type": "object"}, {"type": 5}), ("Pair", ["a"], ["a", "b"])):
        check = SchemaCheck.build(api.schemas[name], api.schemas)
        assert check is not None
        assert (check.find_faults(right), bool(check.find_faults(wrong))) == ([], True)


def test_the_dialect_of_the_document(tmp_path: Path) -> None:
    """Where the document names an older draft, its schemas mean what that says; an unknown dialect is looked for."""
    text = "jsonSchemaDialect: DIALECT\ncomponents: {schemas: {A: {items: [{type: string}], additionalItems: false}}}"
    api = load(tmp_path, text.replace("DIALECT", "http://json-schema.org/draft-07/schema#"))
    check = SchemaCheck.build(api.schemas["A"], api.schemas)
    assert check is not None
    assert (check.find_faults(["a"]), bool(check.find_faults(["a", "b"]))) == ([], True)
    with pytest.raises(SpecError, match=r"api.yaml:3#/jsonSchemaDialect: \$ref 'https://a.example/own' cannot be used"):
        load(tmp_path, text.replace("DIALECT", "https://a.example/own"))


def test_dialects_of_ones_own_and_names_that_come_later(tmp_path: Path) -> None:
    """A dialect may be a schema of the bundle, even one of a file that only a later reference leads to."""
    core = "https://json-schema.org/draft/2020-12/vocab/core"
    meta = {
        "$id": "https://a.example/meta",
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$vocabulary": {core: True, "https://json-schema.org/draft/2020-12/vocab/applicator": True},
        "$dynamicAnchor": "meta",
        "$ref": "https://json-schema.org/draft/2020-12/meta/core",
    }
    own = {"$schema": "https://a.example/meta", "properties": {"small": {"minimum": 5}, "no": False}}
    for order in ("Own: {$ref: own.json}, Meta: {$ref: meta.json}", "Meta: {$ref: meta.json}, Own: {$ref: own.json}"):
        api = load(tmp_path, f"components: {{schemas: {{{order}}}}}", own=own, meta=meta)
        check = SchemaCheck.build(api.schemas["Own"], api.schemas)
        assert check is not None
        assert (check.find_faults({"small": 1}), bool(check.find_faults({"no": 1}))) == ([], True)
    later = "components: {schemas: {A: {$ref: 'https://a.example/meta#/$vocabulary'}, Meta: {$ref: meta.json}}}"
    assert load(tmp_path, later, meta=meta).schemas["Vocabulary"] == meta["$vocabulary"]


@pytest.mark.parametrize(
    ("schema", "place", "fault"),
    [
        pytest.param(
            "{$id: 'https://a.example/a', $ref: '#/components/schemas/A'}",
            "/$ref",
            "$ref '#/components/schemas/A' leads to nothing. Define that part or correct the reference.",
            id="pointer into the document from a schema with an $id",
        ),
        pytest.param(
            "{$dynamicRef: '#a'}",
            "/$dynamicRef",
            "$ref '#a' names an anchor that is nowhere. Define it, or refer to the part by a JSON pointer, #/….",
            id="dynamic anchor that is nowhere",
        ),
        pytest.param(
            "{$dynamicAnchor: a, minLength: x}",
            "",
            'this is no schema: "x" is not of type "integer". Correct it.',
            id="kept schema that is none",
        ),
        pytest.param(
            "{$schema: 'https://a.example/own'}",
            "/$schema",
            "$ref 'https://a.example/own' cannot be used: references to the host a.example are not allowed."
            " Copy the part into the document, or allow the host: remote_ref_hosts: [a.example] in pym-config.yaml,"
            " --allow-host a.example of pymacaron check.",
            id="unknown dialect",
        ),
        pytest.param(
            "{x-pymacaron-resources: {}}",
            "/x-pymacaron-resources",
            "an object stands where nothing (the name is pymacaron's own) must stand."
            " Write nothing (the name is pymacaron's own).",
            id="reserved key",
        ),
    ],
)
def test_faults(tmp_path: Path, schema: str, place: str, fault: str) -> None:
    """What is wrong with names of schemas is told where it stands."""
    with pytest.raises(SpecError) as caught:
        load(tmp_path, f"components: {{schemas: {{A: {schema}}}}}")
    assert str(caught.value) == f"{tmp_path}/api.yaml:3#/components/schemas/A{place}: {fault}"


def suite_groups() -> list[Json]:
    """Return the groups of the JSON Schema Test Suite that need no server of the suite's own."""
    files = [file for file in sorted(SUITE.glob("*.json")) if file.stem != "refRemote"]
    return [
        pytest.param(group, id=f"{file.stem}: {group['description']}")
        for file in files
        for group in json.loads(file.read_text())
    ]


def test_every_schema_of_the_suite_keeps_its_meaning(tmp_path: Path) -> None:
    """Each is a file that a request body refers to; only those that need the suite's own server are refused."""
    if not SUITE.is_dir():
        pytest.skip(f"no documents in {SUITE}")
    refused, misjudged = [], []
    for number, parameters in enumerate(suite_groups()):
        (group,) = parameters.values
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            api = load(folder, POST.replace("SCHEMA", "schema.json"), schema=group["schema"])
        except SpecError as error:
            refused.append(str(error))
            continue
        body = api.operations[0].body
        assert body is not None
        document = {"allOf": [body.media[0].schema], "components": {"schemas": dict(api.schemas)}}
        registry = jsonschema_rs.Registry(list(find_resources(document).items()))
        validator = jsonschema_rs.Draft202012Validator(document, registry=registry, offline=True)
        misjudged += [case for case in group["tests"] if validator.is_valid(case["data"]) != case["valid"]]
    assert [text for text in refused if "references to the host localhost:1234 are not allowed" not in text] == []
    assert len(refused) == 7
    assert misjudged == []
