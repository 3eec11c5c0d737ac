"""What exists is learnt from answers and found again for paths."""

from __future__ import annotations

import pytest

from pymacaron_testing.resources import Resources, normalise, singular


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param("pets", "pet", id="s"),
        pytest.param("categories", "category", id="ies"),
        pytest.param("addresses", "address", id="sses"),
        pytest.param("boxes", "box", id="xes"),
        pytest.param("access", "access", id="ss stays"),
        pytest.param("order-items", "orderitem", id="two words"),
        pytest.param("news", "new", id="wrong, and always the same"),
    ],
)
def test_singular(word: str, expected: str) -> None:
    """Plurals become a name that a property or path may use too."""
    assert singular(word) == expected


def test_normalise() -> None:
    """Spelling does not matter."""
    assert normalise("petId") == normalise("pet_id") == normalise("Pet-ID") == "petid"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param("/pets", {}, id="nothing asked"),
        pytest.param("/pets/{id}", {"id": "7"}, id="id"),
        pytest.param("/pets/{pet_id}", {"pet_id": "7"}, id="named after the thing"),
        pytest.param("/animals/{petId}", {"petId": "7"}, id="by the parameter's name alone"),
        pytest.param("/pets/{name}", {"name": "Tom"}, id="another property"),
        pytest.param("/owners/{id}", None, id="unknown thing"),
        pytest.param("/pets/{id}/toys/{toy_id}", None, id="unknown inner thing"),
    ],
)
def test_find(template: str, expected: dict[str, str] | None) -> None:
    """A created pet is found for every path that names one."""
    resources = Resources()
    resources.learn("POST", "/pets", {}, sent={"name": "Tom"}, answered={"id": 7, "name": "Tom"})
    assert resources.find(template) == expected


def test_long_lists_push_out_nothing_own() -> None:
    """What the run itself made stays known after more answers than are remembered."""
    resources = Resources()
    resources.learn("POST", "/pets", {}, sent=None, answered={"id": 7})
    for number in range(50):
        resources.learn("GET", "/toys", {}, sent=None, answered=[{"id": number * 20 + inner} for inner in range(20)])
    assert resources.find("/pets/{pet_id}") == {"pet_id": "7"}


@pytest.mark.parametrize(
    "answered",
    [
        pytest.param([{"slug": "a-b"}], id="list"),
        pytest.param({"articles": [{"slug": "a-b"}], "articlesCount": 1}, id="list below its name"),
        pytest.param({"items": [{"slug": "a-b"}], "next": None}, id="list below items"),
        pytest.param({"article": {"slug": "a-b", "author": {"username": "x"}}}, id="one below its name"),
    ],
)
def test_shapes(answered: object) -> None:
    """Things are found in lists and below wrappers."""
    resources = Resources()
    resources.learn("GET", "/articles", {}, sent=None, answered=answered)
    assert resources.find("/articles/{slug}") == {"slug": "a-b"}


def test_inner_things_keep_their_parents() -> None:
    """A comment is only asked for below its own article."""
    resources = Resources()
    resources.learn("POST", "/articles", {}, sent=None, answered={"slug": "one"})
    resources.learn("POST", "/articles/{slug}/comments", {"slug": "one"}, sent=None, answered={"comment": {"id": 5}})
    resources.learn("POST", "/articles", {}, sent=None, answered={"slug": "two"})
    for _ in range(3):
        assert resources.find("/articles/{slug}/comments/{id}") == {"slug": "one", "id": "5"}


def test_own_things_come_first() -> None:
    """What the run created is preferred to what it saw in a list."""
    resources = Resources()
    resources.learn("POST", "/pets", {}, sent=None, answered={"id": 1})
    resources.learn("GET", "/pets", {}, sent=None, answered=[{"id": 2}, {"id": 3}])
    assert [resources.find("/pets/{id}") for _ in range(2)] == [{"id": "1"}] * 2


def test_things_take_turns() -> None:
    """Several own things are used by turns."""
    resources = Resources()
    for number in (1, 2):
        resources.learn("POST", "/pets", {}, sent=None, answered={"id": number})
    found = [resources.find("/pets/{id}") for _ in range(4)]
    assert {str(values) for values in found} == {"{'id': '1'}", "{'id': '2'}"}


@pytest.mark.parametrize(
    ("path", "is_gone"),
    [
        pytest.param("/pets/{id}", True, id="the thing itself"),
        pytest.param("/pets/{id}/likes", False, id="something of it"),
    ],
)
def test_delete(path: str, is_gone: bool) -> None:
    """A deleted thing is forgotten; one that only lost something is not."""
    resources = Resources()
    resources.learn("POST", "/pets", {}, sent=None, answered={"id": 7})
    resources.learn("DELETE", path, {"id": "7"}, sent=None, answered=None)
    assert (resources.find("/pets/{id}") is None) is is_gone


def test_forget_needs_a_parameter() -> None:
    """A path without parameters names nothing to forget."""
    resources = Resources()
    resources.learn("POST", "/pets", {}, sent=None, answered={"id": 7})
    resources.forget("/pets", {})
    assert resources.find("/pets/{id}") == {"id": "7"}


def test_put_creates() -> None:
    """A PUT that succeeded shows that its path exists."""
    resources = Resources()
    resources.learn("PUT", "/buckets/{name}", {"name": "b1"}, sent=None, answered=None)
    assert resources.find("/buckets/{name}") == {"name": "b1"}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        pytest.param("/jobs/17", {"id": "17"}, id="path"),
        pytest.param("http://host:80/v1/jobs/a%20b?x=1", {"id": "a b"}, id="URL"),
        pytest.param("/somewhere", None, id="another place"),
    ],
)
def test_location(location: str, expected: dict[str, str] | None) -> None:
    """The Location header of a creation names the new thing."""
    resources = Resources()
    resources.learn_location("/jobs", location, "/jobs/{id}")
    assert resources.find("/jobs/{id}") == expected


def test_fields_and_references() -> None:
    """Fields of one thing are found together, also those that were only sent; references by their name."""
    resources = Resources()
    sent = {"user": {"email": "a@b.c", "password": "pw"}}
    resources.learn("POST", "/users", {}, sent=sent, answered={"user": {"id": 3, "email": "a@b.c"}})
    assert resources.find_fields(frozenset({"email", "password"})) == {"email": "a@b.c", "password": "pw"}
    assert resources.find_fields(frozenset({"email", "phone"})) is None
    assert resources.find_reference("user_id") == 3
    assert resources.find_reference("pet_id") is None
    assert resources.find_reference("id") is None


def test_what_was_sent_is_enough() -> None:
    """A creation whose answer tells nothing is still known by what was sent."""
    resources = Resources()
    resources.learn("POST", "/users", {}, sent={"email": "a@b.c", "password": "pw"}, answered=None)
    assert resources.find_fields(frozenset({"email", "password"})) == {"email": "a@b.c", "password": "pw"}


def test_memory_is_bounded() -> None:
    """However much a target tells, only the newest things are kept."""
    resources = Resources()
    for number in range(1000):
        resources.learn("GET", "/pets", {}, sent=None, answered={"id": number})
    assert len(resources._records) == 400
    assert resources.find("/pets/{id}") == {"id": "999"}


def test_long_lists_push_out_nothing_else() -> None:
    """However many things of one name answers tell of, the few of another name stay known."""
    resources = Resources()
    resources.learn("POST", "/pets/{pet_id}/toys", {"pet_id": "1"}, sent={}, answered={"id": 7})
    for number in range(1000):
        resources.learn("GET", "/users", {}, sent=None, answered=[{"id": number}])
    assert resources.find("/pets/{pet_id}/toys/{toy_id}") == {"pet_id": "1", "toy_id": "7"}
    assert resources.find("/users/{user_id}") == {"user_id": "999"}
