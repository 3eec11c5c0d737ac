"""Tests of `pymacaron.spec.opaque_parts`: which properties of forms become text, and which stay."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pymacaron.json_types import JsonObject
from pymacaron.spec import Api
from pymacaron.spec.model import Media

XML = {"contentType": "application/xml; charset=utf-8"}
TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
POINT = {"type": "object", "properties": {"x": {"type": "integer"}}}
POINT_REF = {"$ref": "#/components/schemas/Point"}
NULLABLE_POINT = {"anyOf": [POINT_REF, {"type": "null"}]}
SCHEMAS: JsonObject = {
    "Point": {**POINT, "description": "Where.", "title": "Point"},
    "Points": {"type": "array", "items": POINT_REF, "maxItems": 2},
    "Form": {"type": "object", "required": ["meta"], "properties": {"meta": POINT_REF, "name": TEXT}},
    "Untouched": {"type": "object", "properties": {"name": TEXT}},
    "Circle": {"allOf": [{"$ref": "#/components/schemas/Circle"}, {"type": "object", "properties": {"meta": POINT}}]},
}

Read = Callable[..., Media]


@pytest.fixture
def read(parse: Callable[[str], Api]) -> Read:
    """Return the media type of a body of that *schema*; text beside it keeps its fields from being keywords."""

    def read_media(schema: object, encoding: JsonObject, media_type: str = "multipart/form-data") -> Media:
        content = {
            media_type: {"schema": schema, "encoding": encoding},
            "text/plain": {"schema": TEXT},
        }
        responses = {"200": {"description": "Taken."}}
        document = {
            "openapi": "3.1.0",
            "info": {"title": "a", "version": "1"},
            "paths": {
                "/a": {"post": {"operationId": "send", "requestBody": {"content": content}, "responses": responses}}
            },
            "components": {"schemas": SCHEMAS},
        }
        api = parse(json.dumps(document))
        assert {name: api.schemas[name] for name in SCHEMAS} == SCHEMAS
        assert api.document["components"]["schemas"] == SCHEMAS
        body = api.operations[0].body
        assert body is not None
        return body.media[0]

    return read_media


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(POINT, TEXT, id="object"),
        pytest.param({"properties": {"x": TEXT}}, TEXT, id="object without a type"),
        pytest.param(
            {"type": "object", "description": "d", "x-a": 1}, {**TEXT, "description": "d", "x-a": 1}, id="labels"
        ),
        pytest.param(POINT_REF, {**TEXT, "description": "Where.", "title": "Point"}, id="reference"),
        pytest.param(
            {**POINT_REF, "description": "Own.", "deprecated": True},
            {**TEXT, "description": "Own.", "title": "Point", "deprecated": True},
            id="reference with labels of its own",
        ),
        pytest.param({"allOf": [POINT, {"required": ["x"]}]}, TEXT, id="allOf"),
        pytest.param({"type": ["object", "null"]}, {"type": ["string", "null"]}, id="nullable"),
        pytest.param(
            NULLABLE_POINT,
            {"type": ["string", "null"], "description": "Where.", "title": "Point"},
            id="nullable reference",
        ),
        pytest.param({"type": "array", "items": POINT, "minItems": 1}, {**TEXTS, "minItems": 1}, id="array"),
        pytest.param({"$ref": "#/components/schemas/Points"}, {**TEXTS, "maxItems": 2}, id="reference to an array"),
        pytest.param({"type": "array", "items": {"type": "array", "items": TEXT}}, TEXTS, id="array of arrays"),
        pytest.param({"items": POINT}, TEXTS, id="array without a type"),
        pytest.param({"type": "array", "items": TEXT}, TEXTS, id="array of texts"),
        pytest.param({"type": "array"}, {"type": "array"}, id="array of anything"),
        pytest.param({**TEXT, "format": "binary"}, {**TEXT, "format": "binary"}, id="file"),
        pytest.param({"type": "integer"}, {"type": "integer"}, id="number"),
        pytest.param(True, True, id="anything"),
    ],
)
def test_what_becomes_text(read: Read, written: object, expected: object) -> None:
    """Objects become text, arrays of them arrays of texts; their labels stay, and all other schemas."""
    media = read({"type": "object", "properties": {"meta": written, "other": POINT}}, {"meta": XML})
    assert media.schema == {"type": "object", "properties": {"meta": expected, "other": POINT}}
    assert media.opaque_parts == (frozenset({"meta"}) if expected != written else frozenset())


@pytest.mark.parametrize(
    ("encoding", "media_type", "is_opaque"),
    [
        pytest.param(XML, "multipart/form-data", True, id="XML"),
        pytest.param(XML, "application/x-www-form-urlencoded", True, id="urlencoded"),
        pytest.param(XML, "multipart/mixed", True, id="another multipart"),
        pytest.param({"contentType": "application/xml, text/xml"}, "multipart/mixed", True, id="two types"),
        pytest.param(
            {"contentType": "application/xml, application/vnd.a+json"}, "multipart/mixed", False, id="also JSON"
        ),
        pytest.param({"contentType": "application/*"}, "multipart/mixed", False, id="range with JSON in it"),
        pytest.param({"contentType": " , "}, "multipart/mixed", False, id="no type"),
        pytest.param({**XML, "style": "deepObject"}, "multipart/form-data", False, id="style"),
        pytest.param({**XML, "explode": True}, "multipart/form-data", False, id="explode"),
        pytest.param({**XML, "allowReserved": True}, "multipart/form-data", False, id="allowReserved"),
        pytest.param(XML, "application/json", False, id="no form"),
    ],
)
def test_which_encodings_are_opaque(read: Read, encoding: JsonObject, media_type: str, *, is_opaque: bool) -> None:
    """Only a content type without JSON, without a style, in a form makes text of an object."""
    media = read({"type": "object", "properties": {"meta": POINT}}, {"meta": encoding}, media_type)
    assert media.schema == {"type": "object", "properties": {"meta": TEXT if is_opaque else POINT}}
    assert media.opaque_parts == (frozenset({"meta"}) if is_opaque else frozenset())


LABELLED = {**TEXT, "description": "Where.", "title": "Point"}
FORM = {"type": "object", "required": ["meta"], "properties": {"meta": LABELLED, "name": TEXT}}
FORM_REF = {"$ref": "#/components/schemas/Form"}
UNTOUCHED_REF = {"$ref": "#/components/schemas/Untouched"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(FORM_REF, FORM, id="reference"),
        pytest.param({**FORM_REF, "description": "d"}, {**FORM, "description": "d"}, id="reference with a label"),
        pytest.param(
            {**FORM_REF, "minProperties": 2}, {"minProperties": 2, "allOf": [FORM]}, id="reference and a rule"
        ),
        pytest.param({"allOf": [UNTOUCHED_REF, FORM_REF]}, {"allOf": [UNTOUCHED_REF, FORM]}, id="allOf"),
        pytest.param(
            {"oneOf": [UNTOUCHED_REF, FORM_REF], "discriminator": {"propertyName": "name"}},
            {"oneOf": [UNTOUCHED_REF, FORM]},
            id="oneOf with a discriminator",
        ),
        pytest.param(UNTOUCHED_REF, UNTOUCHED_REF, id="no such property"),
        pytest.param(True, {}, id="anything"),
    ],
)
def test_forms_behind_references(read: Read, written: object, expected: object) -> None:
    """The form gets a schema of its own where it needs one; what a reference leads to stays as it is."""
    assert read(written, {"meta": XML}).schema == expected


def test_recursive_forms_end(read: Read) -> None:
    """A form that is part of itself is rewritten once."""
    schema = read({"$ref": "#/components/schemas/Circle"}, {"meta": XML}).schema
    own = {"type": "object", "properties": {"meta": TEXT}}
    assert schema == {"allOf": [{"$ref": "#/components/schemas/Circle"}, own]}


DOCUMENT = """\
openapi: 3.0.3
info: {title: a, version: "1"}
paths:
  /fields:
    post:
      operationId: sendFields
      requestBody:
        content:
          multipart/form-data:
            schema: {$ref: "#/components/schemas/Form"}
            encoding: {meta: {contentType: text/xml}, all: {contentType: text/xml}}
      responses: {"200": {description: Taken.}}
  /either:
    post:
      operationId: sendEither
      requestBody:
        content:
          application/json: {schema: {$ref: "#/components/schemas/Form"}}
          multipart/form-data:
            schema: {$ref: "#/components/schemas/Form"}
            encoding: {meta: {contentType: text/xml}}
      responses: {"200": {description: Taken.}}
components:
  schemas:
    Form:
      allOf:
        - type: object
          properties:
            meta: {type: object, nullable: true}
            all: {type: array, items: {type: object}}
"""


def test_keywords_are_text(parse: Callable[[str], Api]) -> None:
    """Fields that become keywords are text too, at their place in the document."""
    meta, every = parse(DOCUMENT).get_operation("sendFields").parameters
    assert (meta.schema, every.schema) == ({"type": ["string", "null"]}, TEXTS)
    assert meta.pointer == "/components/schemas/Form/allOf/0/properties/meta"


def test_json_beside_a_form_keeps_its_model(parse: Callable[[str], Api]) -> None:
    """The form has a model of its own; JSON has that of the component."""
    api = parse(DOCUMENT)
    body = api.get_operation("sendEither").body
    assert body is not None
    assert [media.model_name for media in body.media] == ["Form", "SendEitherRequest"]
    assert api.schemas["Form"]["allOf"][0]["properties"]["meta"] == {"type": ["object", "null"]}
    assert api.schemas["SendEitherRequest"]["allOf"][0]["properties"]["meta"] == {"type": ["string", "null"]}
