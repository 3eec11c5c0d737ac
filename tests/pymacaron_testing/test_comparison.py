"""What two answers have in common."""

from __future__ import annotations

import pytest

from pymacaron_testing.comparison import (
    describe_shapes,
    differing_places,
    hide_keys,
    is_key,
    is_slower,
    mark,
    name_scalars,
    shape_of,
    translate_keys,
)


def test_a_shape_is_places_and_types() -> None:
    value = {"pets": [{"name": "Rex", "age": 3}, {"name": "Tom", "tags": []}], "next": None}
    assert shape_of(value) == {
        ("", "object"),
        ("/pets", "array"),
        ("/pets/*", "object"),
        ("/pets/*/name", "string"),
        ("/pets/*/age", "number"),
        ("/pets/*/tags", "array"),
    }


def test_shapes_are_compared_in_words() -> None:
    ours, theirs = shape_of({"name": "Rex", "age": "3"}), shape_of({"name": "Tom", "age": 3})
    assert describe_shapes(ours, theirs) == "/age (number) is missing, /age (string) is new"
    assert describe_shapes(ours, ours) == ""


def test_values_differ_in_value_or_type() -> None:
    ours = {"a": 1, "b": [1, 2], "c": True, "d": "x"}
    theirs = {"a": 1.0, "b": [1, 3], "c": 1, "e": "x"}
    assert differing_places(ours, theirs) == {"/a": (1, 1.0), "/b/1": (2, 3), "/c": (True, 1)}


def test_what_was_sent_compares_by_its_name() -> None:
    sent = name_scalars({"body": {"name": "Rex-17", "age": 3}, "path": {"id": "p-1"}})
    assert mark({"name": "Rex-17", "age": 3, "owner": {"pet": "p-1"}, "ok": True}, sent) == {
        "name": "⟨body /name⟩",
        "age": 3,
        "owner": {"pet": "⟨path /id⟩"},
        "ok": True,
    }


@pytest.mark.parametrize("name", ["id", "pet_id", "petId", "petID", "uuid", "api-key", "slug"])
def test_names_of_identifiers(name: str) -> None:
    assert is_key(name)


@pytest.mark.parametrize("name", ["paid", "valid", "grid", "monkey", "name", "idle"])
def test_names_of_values(name: str) -> None:
    assert not is_key(name)


def test_keys_are_translated_with_their_type() -> None:
    twins = {"3": "17", "abc": "xyz"}
    value = {"pet_id": 3, "ids": [3, 4], "owner": {"id": "abc"}, "age": 3}
    assert translate_keys(value, twins) == {"pet_id": 17, "ids": [17, 4], "owner": {"id": "xyz"}, "age": 3}
    assert hide_keys(value) == {"pet_id": "⟨key⟩", "ids": "⟨key⟩", "owner": {"id": "⟨key⟩"}, "age": 3}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        pytest.param([(0.1, 0.02)] * 16, True, id="five times"),
        pytest.param([(0.1, 0.02)] * 11, False, id="too few"),
        pytest.param([(0.1, 0.02)] * 13 + [(0.01, 0.02)] * 3, False, id="not always"),
        pytest.param([(0.006, 0.002)] * 16, False, id="three times very little"),
        pytest.param([(0.11, 0.08)] * 16, False, id="a third more"),
    ],
)
def test_only_gross_slowness_counts(pairs: list[tuple[float, float]], expected: bool) -> None:
    assert is_slower(pairs) is expected
