"""Values are exchanged for others: fresh, usual, or known ones."""

from __future__ import annotations

import unicodedata
from typing import Any

import jsonschema_rs
import pytest

from pymacaron_testing.declared import keep_declared
from pymacaron_testing.freshen import freshen, make_distinct, renew_key, vary
from pymacaron_testing.rescue import fill_in, use_usual_values
from pymacaron_testing.resources import Resources


@pytest.mark.parametrize(
    ("value", "keep", "expected"),
    [
        pytest.param({"name": "old", "n": 1}, (), {"name": "new", "n": 2}, id="texts and numbers"),
        pytest.param({"name": "old", "n": 1}, ("name",), {"name": "old", "n": 2}, id="what the case is about stays"),
        pytest.param({"name": "old", "extra": 5}, (), {"name": "new", "extra": 5}, id="unknown keys stay"),
        pytest.param({"n": 1}, (), {"n": 2}, id="missing keys stay missing"),
        pytest.param({"name": 5}, (), {"name": 5}, id="wrong types stay"),
        pytest.param({"is_new": True}, (), {"is_new": True}, id="booleans stay"),
        pytest.param({"user": {"a": "1", "b": "2"}}, ("user", "b"), {"user": {"a": "x", "b": "2"}}, id="inner"),
        pytest.param([1], (), [1], id="no object"),
    ],
)
def test_freshen(value: Any, keep: tuple[str, ...], expected: Any) -> None:
    """A body gets new values but for what it is about."""
    fresh = {"name": "new", "n": 2, "is_new": False, "user": {"a": "x", "b": "y"}}
    assert freshen(value, fresh, keep) == expected


def test_vary() -> None:
    """A varied text has the same form, and another number gives another text."""
    assert vary("ab-12-ÅÄÖ", 3) == "da-00-ÅÄÖ"
    assert vary("AB-12-x", 3) == "DA-00-a"
    assert vary("ab-12-ÅÄÖ", 4) != vary("ab-12-ÅÄÖ", 3)
    assert len({vary("0baaaaa", number) for number in range(2000)}) == 2000
    assert vary("", 3) == ""
    assert vary("ø🤿", 3) == "ü🥀"
    assert unicodedata.category(vary("🤿", 4)) == "So"


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        pytest.param(20, "0baaaaa", id="longer"),
        pytest.param(1, "1", id="as long"),
        pytest.param(0, "0", id="nothing else fits"),
    ],
)
def test_make_distinct(most: int, expected: str) -> None:
    """A text is made unlike others as far as its schema allows."""
    body = {"user": {"name": "0"}, "tags": ["0"], "n": 1}

    def fits(changed: Any) -> bool:
        return changed != body and len(changed["user"]["name"]) <= most

    assert make_distinct(body, 1, fits) == {"user": {"name": expected}, "tags": ["0"], "n": 1}


def test_make_distinct_varies_long_texts() -> None:
    """A long text keeps its length and its ends: an address stays an address."""
    assert make_distinct({"email": "someone@example.com"}, 5, lambda _: True) == {"email": "faaaaae@example.com"}


def test_fill_in() -> None:
    """Objects are filled from one known thing, references from another, the rest stays."""
    resources = Resources()
    resources.learn("POST", "/users", {}, sent={"email": "a@b.c", "password": "pw"}, answered={"id": 4})
    resources.learn("POST", "/pets", {}, sent=None, answered={"id": 9})
    value = {"user": {"email": "x", "password": "y"}, "pet_id": 1, "note": "z", "tags": ["t"]}
    assert fill_in(value, resources) == {
        "user": {"email": "a@b.c", "password": "pw"},
        "pet_id": 9,
        "note": "z",
        "tags": ["t"],
    }
    assert fill_in({"pet_id": "text"}, resources) == {"pet_id": "text"}
    assert fill_in("text", resources) == "text"


def test_usual_values() -> None:
    """Well-known names get what people write there, other names and types stay."""
    value = {"user": {"email": "x", "userName": "y", "age": 3, "email_count": 1}, "colour": "z"}
    assert use_usual_values(value, 5) == {
        "user": {"email": "user-5@example.com", "userName": "user5", "age": 3, "email_count": 1},
        "colour": "z",
    }
    assert use_usual_values([1], 5) == [1]


DOCUMENT = {
    "components": {
        "schemas": {
            "Pet": {"type": "object", "properties": {"name": {}, "mother": {"$ref": "#/components/schemas/Pet"}}},
            "Open": {"type": "object", "properties": {"name": {}}, "additionalProperties": {"type": "integer"}},
            "Loop": {"$ref": "#/components/schemas/Loop"},
        }
    }
}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        pytest.param({"$ref": "#/components/schemas/Pet"}, {"name": 1, "x": 2}, {"name": 1}, id="reference"),
        pytest.param(
            {"$ref": "#/components/schemas/Pet"},
            {"mother": {"mother": {"x": 1, "name": 2}}},
            {"mother": {"mother": {"name": 2}}},
            id="recursive",
        ),
        pytest.param({"$ref": "#/components/schemas/Open"}, {"name": 1, "x": 2}, {"name": 1, "x": 2}, id="open"),
        pytest.param({"type": "object"}, {"x": 2}, {"x": 2}, id="no property is named"),
        pytest.param({"$ref": "#/components/schemas/Loop"}, {"x": 2}, {"x": 2}, id="loop"),
        pytest.param({"$ref": "#/nowhere"}, {"x": 2}, {"x": 2}, id="reference to nothing"),
        pytest.param(
            {"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]},
            {"a": 1, "b": 2, "x": 3},
            {"a": 1, "b": 2},
            id="allOf",
        ),
        pytest.param({"items": {"properties": {"a": {}}}}, [{"a": 1, "x": 2}, 5], [{"a": 1}, 5], id="list"),
        pytest.param({}, [1], [1], id="list of anything"),
    ],
)
def test_keep_declared(schema: Any, value: Any, expected: Any) -> None:
    """Properties that the schema does not speak of are left out."""
    assert keep_declared(value, schema, DOCUMENT) == expected


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"type": "string"}, "00000000-0000-4000-8000-000000000005", id="any text"),
        pytest.param({"type": "string", "maxLength": 20}, "ab0faaaaa", id="not longer than"),
        pytest.param({"type": "string", "maxLength": 3}, "fa0", id="as long"),
        pytest.param({"type": "string", "enum": ["ab0"]}, None, id="no other one"),
    ],
)
def test_renew_key(schema: Any, expected: str | None) -> None:
    """A key gets a form that its schema allows."""
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert renew_key("ab0", 5, validator.is_valid) == expected
