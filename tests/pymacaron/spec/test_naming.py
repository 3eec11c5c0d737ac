"""Tests of `pymacaron.spec.naming`."""

from __future__ import annotations

import keyword

import pytest

from pymacaron.spec.naming import (
    class_name,
    derive_operation_id,
    name_classes,
    name_keywords,
    snake_case,
    unique_name,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("NewPet", "NewPet", id="as it is"),
        pytest.param("new-pet", "NewPet", id="dash"),
        pytest.param("new_pet", "NewPet", id="underscore"),
        pytest.param("find pet by id", "FindPetById", id="spaces"),
        pytest.param("api.v2010.account", "ApiV2010Account", id="dots"),
        pytest.param("v4NewChat", "V4NewChat", id="small letter first"),
        pytest.param("HTTPError", "HTTPError", id="capitals stay"),
        pytest.param("404", "Model404", id="digits"),
        pytest.param("用户", "Unnamed", id="no Latin letter"),
        pytest.param("", "Unnamed", id="nothing"),
        pytest.param("none", "NoneModel", id="word of the language"),
        pytest.param("field", "FieldModel", id="name of pydantic"),
    ],
)
def test_class_name(text: str, name: str) -> None:
    """Any text becomes the name of a class."""
    assert class_name(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("petId", "pet_id", id="humps"),
        pytest.param("X-Request-ID", "x_request_id", id="header"),
        pytest.param("HTTPStatusCode", "http_status_code", id="capitals"),
        pytest.param("filter[name]", "filter_name", id="brackets"),
        pytest.param("class", "class_", id="word of the language"),
        pytest.param("2nd", "value_2nd", id="digit first"),
        pytest.param("$", "value", id="no letter"),
        pytest.param("DateCreated<", "date_created", id="sign at the end"),
    ],
)
def test_snake_case(text: str, name: str) -> None:
    """Any text becomes a keyword of Python."""
    assert snake_case(text) == name
    assert name.isidentifier()
    assert not keyword.iskeyword(name)


def test_unique_name() -> None:
    """A name that is taken gets the first free number."""
    assert unique_name("Pet", {"Dog"}) == "Pet"
    assert unique_name("Pet", {"Pet", "Pet2"}) == "Pet3"
    assert unique_name("get_pet", {"get_pet"}, "_") == "get_pet_2"


def test_name_classes() -> None:
    """Names that are fine keep theirs, whatever the order; others get a number where they clash."""
    assert name_classes(["pet", "Pet", "new-pet", "new_pet"]) == {
        "pet": "Pet2",
        "Pet": "Pet",
        "new-pet": "NewPet",
        "new_pet": "NewPet2",
    }


@pytest.mark.parametrize(
    ("parameters", "has_body", "keywords"),
    [
        pytest.param([("petId", "path"), ("limit", "query")], False, ["pet_id", "limit"], id="no clash"),
        pytest.param([("id", "query"), ("id", "path")], False, ["id_query", "id"], id="path keeps its name"),
        pytest.param([("id", "query"), ("ID", "header")], False, ["id_query", "id_header"], id="none in the path"),
        pytest.param(
            [("petId", "query"), ("pet_id", "query")], False, ["pet_id_query", "pet_id_query_2"], id="one place"
        ),
        pytest.param([("body", "query")], True, ["body_query"], id="body is taken"),
        pytest.param([("body", "query")], False, ["body"], id="body is free"),
        pytest.param(
            [("id", "query"), ("id", "cookie"), ("id_query", "query")],
            False,
            ["id_query", "id_cookie", "id_query_query"],
            id="suffix is taken",
        ),
    ],
)
def test_name_keywords(parameters: list[tuple[str, str]], has_body: bool, keywords: list[str]) -> None:
    """Each parameter of an operation gets a keyword of its own."""
    assert name_keywords(parameters, has_body=has_body) == keywords


def test_derive_operation_id() -> None:
    """An operation without an id gets one made of method and path."""
    assert derive_operation_id("GET", "/pets/{petId}") == "get_pets_pet_id"
    assert derive_operation_id("POST", "/") == "post"
