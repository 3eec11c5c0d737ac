"""Tests of `pymacaron.spec.bodies`: items of streams, encodings of parts, headers."""

from __future__ import annotations

from collections.abc import Callable

from pymacaron.spec import Api

DOCUMENT = """\
openapi: 3.2.0
info: {title: a, version: "1"}
paths:
  /events:
    post:
      operationId: send
      requestBody:
        content:
          application/jsonl:
            itemSchema: {type: object, properties: {n: {type: integer}}}
          multipart/form-data:
            schema: {type: object, properties: {file: {type: string}, tags: {type: array, items: {type: string}}}}
            encoding:
              file:
                contentType: image/png, image/jpeg
                headers: {X-Size: {$ref: "#/components/headers/Size"}, Content-Type: {schema: {type: string}}}
                x-own: 1
              tags: {style: pipeDelimited, explode: false, allowReserved: true}
      responses:
        "200":
          description: Events.
          headers: {X-Size: {$ref: "#/components/headers/Size"}, content-type: {schema: {type: string}}}
          content:
            text/event-stream: {itemSchema: {$ref: "#/components/schemas/Event"}}
            application/json-seq: {itemSchema: true}
components:
  headers:
    Size: {$ref: "#/components/headers/Bytes"}
    Bytes: {required: true, schema: {type: integer}}
  schemas:
    Event: {type: object, required: [data], properties: {data: {type: string}}}
"""


def test_items_of_streams_have_models(parse: Callable[[str], Api]) -> None:
    """The key itemSchema gives a schema and a model for each item, where it says something."""
    api = parse(DOCUMENT)
    (send,) = api.operations
    assert send.body is not None
    lines, form = send.body.media
    assert (lines.schema, lines.item_model_name) == (None, "SendRequestItem")
    assert lines.item_schema == api.schemas["SendRequestItem"]
    assert (form.item_schema, form.item_model_name) == (None, None)
    events, sequence = send.responses[0].media
    assert (events.item_schema, events.item_model_name) == ({"$ref": "#/components/schemas/Event"}, "Event")
    assert (sequence.item_schema, sequence.item_model_name) == ({}, None)


def test_encodings_and_headers_have_no_references(parse: Callable[[str], Api]) -> None:
    """What is written of an encoding is kept, references to headers are followed, Content-Type is ignored."""
    (send,) = parse(DOCUMENT).operations
    size = {"required": True, "schema": {"type": "integer"}}
    assert send.body is not None
    assert send.body.media[1].encoding == {
        "file": {"contentType": "image/png, image/jpeg", "headers": {"X-Size": size}},
        "tags": {"style": "pipeDelimited", "explode": False, "allowReserved": True},
    }
    assert send.responses[0].headers == {"X-Size": size}
