"""What goes one way only is demanded only there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pymacaron.codegen import generate_models, load_models
from pymacaron.codegen.generate import hash_schemas
from pymacaron.spec import Api, parse_spec
from pymacaron.validation import JsonReader, SchemaCheck

REF = "#/components/schemas/"
USER = {
    "type": "object",
    "required": ["id", "name", "password"],
    "properties": {
        "id": {"$ref": f"{REF}Id"},
        "name": {"type": "string"},
        "password": {"type": "string", "writeOnly": True},
    },
}
SCHEMAS: dict[str, Any] = {
    "Id": {"type": "integer", "readOnly": True},
    "User": USER,
    "Account": {"type": "object", "properties": {"user": {"$ref": f"{REF}User"}}},
    "Person": {"type": "object", "properties": {"id": {"type": "integer", "readOnly": True}}},
    "NewPerson": {"allOf": [{"$ref": f"{REF}Person"}, {"type": "object", "required": ["id"], "properties": {"a": {}}}]},
}


def make_api(sent: str, answered: str) -> Api:
    """Return a document with one operation that takes *sent* and answers *answered*."""
    content = {name: {"application/json": {"schema": {"$ref": f"{REF}{name}"}}} for name in (sent, answered)}
    operation = {
        "operationId": "change",
        "requestBody": {"content": content[sent]},
        "responses": {"200": {"description": "Done.", "content": content[answered]}},
    }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Users", "version": "1"},
        "paths": {"/users": {"post": operation}},
        "components": {"schemas": SCHEMAS},
    }
    return parse_spec(json.dumps(document), source="users.yaml", name="users")


@pytest.mark.parametrize(
    ("sent", "answered", "optional"),
    [
        pytest.param("User", "Id", {"id"}, id="sent"),
        pytest.param("Id", "User", {"password"}, id="answered"),
        pytest.param("User", "User", {"id", "password"}, id="both ways"),
        pytest.param("Account", "Id", {"id"}, id="inside of what is sent"),
        pytest.param("Id", "Id", set(), id="neither"),
    ],
)
def test_optional_properties(sent: str, answered: str, optional: set[str]) -> None:
    """A class of requests does not demand what is read-only, one of answers what is write-only."""
    model = load_models(make_api(sent, answered), None, may_write=False)["User"]
    fields = model.model_fields  # type: ignore[attr-defined]  # a generated class
    assert {name for name, field in fields.items() if not field.is_required()} == optional


def test_required_beside_a_part() -> None:
    """The mark counts where another part of the same schema demands the property."""
    text = generate_models(make_api("NewPerson", "Id"))
    assert "class NewPerson(Person):\n    a: Any | None = None" in text


def test_hash() -> None:
    """A file of models is stale when the way of a marked property changes."""
    assert hash_schemas(make_api("User", "Id")) != hash_schemas(make_api("Id", "User"))


@pytest.mark.parametrize(
    ("sent", "answered", "body", "faults"),
    [
        pytest.param("User", "User", {"name": "a", "password": "b"}, [], id="without what is read-only"),
        pytest.param("User", "User", {"id": 1, "name": "a", "password": "b"}, [], id="with what is read-only"),
        pytest.param("User", "User", {"name": "a"}, ["body /password: breaks required"], id="judged, for both ways"),
        pytest.param("User", "Id", {"name": "a"}, ["body /password: Field required"], id="said by the model"),
    ],
)
def test_requests(sent: str, answered: str, body: dict[str, Any], faults: list[str]) -> None:
    """What is write-only is demanded in requests, what is read-only is not, and may come."""
    api = make_api(sent, answered)
    models = load_models(api, None, may_write=False)
    found: list[str] = []
    JsonReader(models[sent], SchemaCheck.build(api.schemas[sent], api.schemas)).read(json.dumps(body).encode(), found)
    assert found == faults


@pytest.mark.parametrize(
    ("answer", "faults"),
    [
        pytest.param({"id": 1, "name": "a"}, [], id="right"),
        pytest.param({"name": "a"}, ["/id: breaks required"], id="without what is read-only"),
        pytest.param({"id": 1, "name": "a", "password": "b"}, ["/password: breaks writeOnly"], id="with a secret"),
    ],
)
def test_answers(answer: dict[str, Any], faults: list[str]) -> None:
    """What is write-only has no place in an answer."""
    api = make_api("User", "User")
    check = SchemaCheck.build(api.schemas["User"], api.schemas, direction="response")
    assert check is not None
    assert check.find_faults(answer) == faults
