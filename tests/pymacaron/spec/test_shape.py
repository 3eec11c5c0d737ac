"""Tests of `pymacaron.spec.shape` and of the grammar it goes by."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pymacaron.spec import Api

GOOD = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
servers: [{url: /v1}]
tags: [{name: pets}]
security: [{token: []}]
paths:
  /pets:
    parameters: [{$ref: "#/components/parameters/limit"}]
    get:
      operationId: listPets
      tags: [pets]
      responses:
        "200": {description: all, content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
components:
  parameters: {limit: {name: limit, in: query, required: false, schema: {type: integer, minimum: 1}}}
  securitySchemes: {token: {type: http, scheme: bearer}}
  schemas:
    Pet: {type: object, required: [name], properties: {name: {type: string, maxLength: 5}}, additionalProperties: true}
"""


def test_good_document(parse: Callable[[str], Api]) -> None:
    """The document that the other tests break is good."""
    assert [operation.operation_id for operation in parse(GOOD).operations] == ["listPets"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param(
            "title: Pets, ",
            "",
            "api.yaml:2#/info: title is missing. Add title.",
            id="missing field",
        ),
        pytest.param(
            'version: "1"',
            "version: 1.5",
            "api.yaml:2#/info/version: 1.5 stands where text must stand. Write text.",
            id="number for text",
        ),
        pytest.param(
            "{url: /v1}",
            "/v1",
            "api.yaml:3#/servers/0: the text '/v1' stands where a server (an object) must stand."
            " Write a server (an object).",
            id="text for object",
        ),
        pytest.param(
            "[{name: pets}]",
            "{name: pets}",
            "api.yaml:4#/tags: an object stands where a list must stand. Write a list.",
            id="object for list",
        ),
        pytest.param(
            "[{token: []}]",
            "[[token]]",
            "api.yaml:5#/security/0: a list stands where an object must stand. Write an object.",
            id="list for mapping",
        ),
        pytest.param(
            "required: false",
            "required: 'no'",
            "api.yaml:15#/components/parameters/limit/required: the text 'no' stands where true or false must stand."
            " Write true or false.",
            id="text for boolean",
        ),
        pytest.param(
            "maxLength: 5",
            "maxLength: -5",
            "api.yaml:18#/components/schemas/Pet/properties/name/maxLength:"
            " -5 stands where a count, 0 or more must stand. Write a count, 0 or more.",
            id="negative count",
        ),
        pytest.param(
            "minimum: 1",
            "minimum: true",
            "api.yaml:15#/components/parameters/limit/schema/minimum: true stands where a number must stand."
            " Write a number.",
            id="boolean for number",
        ),
        pytest.param(
            "type: integer",
            "type: int",
            "api.yaml:15#/components/parameters/limit/schema/type: the text 'int' stands where one of string, number,"
            " integer, boolean, array, object, null must stand."
            " Write one of string, number, integer, boolean, array, object, null.",
            id="unknown type",
        ),
        pytest.param(
            "type: integer",
            "type: []",
            "api.yaml:15#/components/parameters/limit/schema/type: a list stands where one of string, number,"
            " integer, boolean, array, object, null must stand."
            " Write one of string, number, integer, boolean, array, object, null.",
            id="no type",
        ),
        pytest.param(
            "additionalProperties: true",
            "additionalProperties: ~",
            "api.yaml:18#/components/schemas/Pet/additionalProperties: nothing (null) stands where a schema (an object)"
            " must stand. Write a schema (an object).",
            id="null for schema",
        ),
        pytest.param(
            "[pets]",
            "[5]",
            "api.yaml:11#/paths/~1pets/get/tags/0: 5 stands where text must stand. Write text.",
            id="number in a list",
        ),
    ],
)
def test_wrong_nodes(find_faults: Callable[[str], list[str]], old: str, new: str, fault: str) -> None:
    """A node of the wrong type is told with its place, what it is and what it must be."""
    assert GOOD.count(old) == 1
    assert find_faults(GOOD.replace(old, new)) == [fault]


SCHEMA_REF = '"#/components/schemas/Pet"'
SCHEMA_PLACE = "api.yaml:13#/paths/~1pets/get/responses/200/content/application~1json/schema/$ref: "


@pytest.mark.parametrize(
    ("ref", "found"),
    [
        pytest.param(
            "'#/components/schemas/Pets'",
            "$ref '#/components/schemas/Pets' leads to nothing."
            " Define it, or write '#/components/schemas/Pet' if you meant that.",
            id="nearly right",
        ),
        pytest.param(
            "'#/nowhere'",
            "$ref '#/nowhere' leads to nothing. Define that part or correct the reference.",
            id="unknown",
        ),
        pytest.param(
            "'#Pet'",
            "$ref '#Pet' names an anchor that is nowhere. Define it, or refer to the part by a JSON pointer, #/….",
            id="anchor",
        ),
        pytest.param(
            "5",
            "5 stands where the text of a $ref must stand. Write text like '#/…'.",
            id="number",
        ),
        pytest.param(
            "'#/components/parameters/limit'",
            "$ref '#/components/parameters/limit' leads to a parameter where a schema must stand. Refer to a schema.",
            id="another kind",
        ),
        pytest.param(
            "'#/info/title'",
            "$ref '#/info/title' leads to a text where a schema must stand. Refer to a schema.",
            id="no object",
        ),
        pytest.param(
            "'https://example.com/pet.yaml'",
            "$ref 'https://example.com/pet.yaml' cannot be used: references to the host example.com are not allowed."
            " Copy the part into the document, or allow the host: remote_ref_hosts: [example.com] in pym-config.yaml,"
            " --allow-host example.com of pymacaron check.",
            id="another server",
        ),
        pytest.param(
            "'/etc/passwd#/x'",
            "$ref '/etc/passwd#/x' cannot be used: it names another file, which only a document in a file can do."
            " Copy the part into the document.",
            id="absolute path",
        ),
        pytest.param(
            "'pet.yaml'",
            "$ref 'pet.yaml' cannot be used: it names another file, which only a document in a file can do."
            " Copy the part into the document.",
            id="file, document in memory",
        ),
    ],
)
def test_wrong_references(find_faults: Callable[[str], list[str]], ref: str, found: str) -> None:
    """A $ref that leads nowhere useful is told, with what may have been meant."""
    assert find_faults(GOOD.replace(SCHEMA_REF, ref)) == [SCHEMA_PLACE + found]


def test_reference_where_none_can_stand(find_faults: Callable[[str], list[str]]) -> None:
    """Some objects cannot be a reference."""
    assert find_faults(GOOD.replace("info: {title: Pets, ", "info: {title: Pets, $ref: '#/x', ")) == [
        "api.yaml:2#/info/$ref: no $ref can stand in an info. Write out what it leads to."
    ]


def test_loops(find_faults: Callable[[str], list[str]]) -> None:
    """References that only lead to each other are told, each of them."""
    looped = GOOD.replace(
        "    Pet: ", "    A: {$ref: '#/components/schemas/B'}\n    B: {$ref: '#/components/schemas/A'}\n    Pet: "
    )
    found = "this $ref leads back to itself. Let it end at a real part."
    assert find_faults(looped) == [
        f"api.yaml:18#/components/schemas/A/$ref: {found}",
        f"api.yaml:19#/components/schemas/B/$ref: {found}",
    ]


def test_everything_at_once(find_faults: Callable[[str], list[str]]) -> None:
    """All faults come together, in the order of the text, and a broken part brings no others with it."""
    text = (
        GOOD.replace("  /pets:", "  /pets/{id}:")
        .replace("#/components/parameters/limit", "#/components/parameters/id")
        .replace("token: []", "key: []")
        .replace('"200"', '"20"')
        .replace(", scheme: bearer", "")
        .replace("info: {title: Pets, ", "info: {title: Pets, title: Pets, ")
    )
    assert [fault.partition(": ")[0] for fault in find_faults(text)] == [
        "api.yaml:2",
        "api.yaml:5#/security/0/key",
        "api.yaml:8#/paths/~1pets~1{id}/parameters/0/$ref",
        "api.yaml:13#/paths/~1pets~1{id}/get/responses/20",
        "api.yaml:16#/components/securitySchemes/token",
    ]


_NO_SCHEMA = " names no schema. Write the name of a schema or a $ref to it."


@pytest.mark.parametrize(
    ("mapped", "fault"),
    [
        pytest.param("Cat", None, id="name"),
        pytest.param("'#/components/schemas/Cat'", None, id="reference"),
        pytest.param("Dog", "'Dog'" + _NO_SCHEMA, id="unknown name"),
        pytest.param("'#/components/schemas/Pet/oneOf/0'", None, id="schema elsewhere"),
        pytest.param(
            "'#/info'",
            "this leads to an info where a schema must stand. Refer to a schema.",
            id="object of another kind",
        ),
        pytest.param("'#/info/title'", "'#/info/title'" + _NO_SCHEMA, id="no schema"),
        pytest.param("7", "7 stands where text must stand. Write text.", id="number"),
    ],
)
def test_discriminators(
    parse: Callable[[str], Api], find_faults: Callable[[str], list[str]], mapped: str, fault: str | None
) -> None:
    """The mapping of a discriminator holds names of schemas or references to them."""
    text = f"""\
    openapi: 3.0.0
    info: {{title: Pets, version: "1"}}
    paths: {{}}
    components:
      schemas:
        Cat: {{type: object}}
        Pet:
          oneOf: [{{$ref: "#/components/schemas/Cat"}}]
          discriminator: {{propertyName: kind, mapping: {{a: {mapped}}}}}
    """
    if fault is None:
        ref = parse(text).schemas["Pet"]["discriminator"]["mapping"]["a"]
        assert ref in ("#/components/schemas/Cat", "#/components/schemas/Pet0")
    else:
        assert find_faults(text) == [f"api.yaml:9#/components/schemas/Pet/discriminator/mapping/a: {fault}"]


def test_mapping_that_is_no_object(find_faults: Callable[[str], list[str]]) -> None:
    """A mapping of another type is told."""
    text = GOOD.replace("{type: object, ", "{discriminator: {propertyName: kind, mapping: [a]}, type: object, ")
    assert find_faults(text) == [
        (
            "api.yaml:18#/components/schemas/Pet/discriminator/mapping:"
            " a list stands where an object must stand. Write an object."
        )
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "api.yaml: it is empty. Write an OpenAPI document.", id="empty"),
        pytest.param("[1]", "api.yaml: it holds no object. Write an OpenAPI document.", id="list"),
        pytest.param(
            "info: {}",
            "api.yaml:1#: neither openapi nor swagger says which version this is. Add a line like openapi: 3.1.0.",
            id="no version",
        ),
        pytest.param(
            "openapi: 4.0.0",
            "api.yaml:1#/openapi: version 4.0.0 is unknown. Write swagger 2.0, or openapi 3.0, 3.1 or 3.2.",
            id="future version",
        ),
        pytest.param(
            "swagger: 3.0.0",
            "api.yaml:1#/swagger: version 3.0.0 is unknown. Write swagger 2.0, or openapi 3.0, 3.1 or 3.2.",
            id="version under the wrong name",
        ),
        pytest.param(
            "a: [",
            "api.yaml:2: this is no valid YAML: while parsing a flow node did not find expected node content."
            " Correct the line or the one before.",
            id="broken",
        ),
        pytest.param(
            "openapi: 3.0.0\ninfo: {title: a, version: b}",
            "api.yaml:1#: paths is missing. Add paths.",
            id="3.0 without paths",
        ),
        pytest.param(
            "openapi: 3.1.0\ninfo: {title: a, version: b}",
            "api.yaml:1#: neither paths nor components nor webhooks stand here. Add paths.",
            id="3.1 with nothing",
        ),
        pytest.param("openapi: 3.1.0\npaths: {}", "api.yaml:1#: info is missing. Add info.", id="without info"),
        pytest.param(
            "openapi: 3.0.0\ninfo: {title: a, version: b}\npaths: {/a: {get: {}}}",
            "api.yaml:3#/paths/~1a/get: responses is missing. Add responses.",
            id="3.0 without responses",
        ),
    ],
)
def test_documents_that_are_none(find_faults: Callable[[str], list[str]], text: str, fault: str) -> None:
    """What is no document at all is told in one line."""
    assert find_faults(text) == [fault]
