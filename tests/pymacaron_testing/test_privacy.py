"""Who may see a thing is judged by what strangers got and by the document's words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pymacaron.spec import Operation, load_spec
from pymacaron_testing.belongings import find_concealing
from pymacaron_testing.checks.own_account import name_same_user
from pymacaron_testing.disclosure import Trace, is_shown
from pymacaron_testing.privacy import Evidence, find_contradiction, why_not_change, why_not_list, why_not_read

if TYPE_CHECKING:
    from pymacaron.json_types import Json, JsonObject

PATH = "/notes/{id}"
READ, PATCH, DELETE, LIST = "GET", "PATCH", "DELETE", "LIST"


def write_document(
    folder: Path, *, said: str = "", forbidden: str | None = None, scopes: str = ""
) -> dict[str, Operation]:
    """Return operations by what they do; *said* is the summary of DELETE and of the list, *forbidden* DELETE's 403."""
    more = f"'403': {{description: {forbidden!r}}}, " if forbidden is not None else ""
    place = "parameters: [{name: id, in: path, required: true, schema: {type: string}}]"
    answer = "responses: {'200': {description: ok}}"
    file = folder / "notes.yaml"
    file.write_text(
        "openapi: 3.1.0\n"
        "info: {title: Notes, version: '1'}\n"
        f"security: [{{key: [{scopes}]}}]\n"
        "paths:\n"
        f"  /notes:\n    get: {{operationId: LIST, summary: {said!r}, {answer}}}\n"
        f"  {PATH}:\n    {place}\n    get: {{operationId: GET, {answer}}}\n"
        f"    patch: {{operationId: PATCH, {answer}}}\n"
        f"    delete: {{operationId: DELETE, summary: {said!r}, responses: {{{more}'204': {{description: gone}}}}}}\n"
        "components: {securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}}\n"
    )
    return {operation.operation_id: operation for operation in load_spec(file).operations}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Operation]:
    """Give operations of which the document says nothing."""
    return write_document(tmp_path_factory.mktemp("plain"))


def gather(operations: dict[str, Operation], seen: dict[str, object], told: bool | None = None) -> Evidence:
    refused = {name: (operations[name], status) for name, status in seen.items() if isinstance(status, int)}
    hidden = {name: operations[name] for name, word in seen.items() if word == "hides"}
    shown = frozenset(name for name, word in seen.items() if word == "shows")
    return Evidence(told, refused, shown, frozenset(name for name, word in seen.items() if word == "changes"), hidden)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        pytest.param({}, "", id="nothing is known"),
        pytest.param(
            {"GET": "shows", "LIST": "hides"}, "GET /notes shows it to its owner and not to others", id="list"
        ),
        pytest.param({"GET": "shows", "DELETE": 404}, f"DELETE {PATH} answers 404 to others", id="404 hides"),
        pytest.param({"GET": "shows", "DELETE": 403}, "", id="403 for changes leaves reading open"),
        pytest.param({"GET": "shows", "LIST": "shows", "DELETE": 404}, "", id="two against one"),
    ],
)
def test_read(plain: dict[str, Operation], seen: dict[str, object], why: str) -> None:
    """Reading is for the owner alone where lists or other operations hide the thing from others."""
    assert why_not_read(gather(plain, seen), plain[READ]) == why


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        pytest.param({}, "", id="nothing is known"),
        pytest.param(
            {"PATCH": "changes", "LIST": "hides"}, "GET /notes shows it to its owner and not to others", id="list"
        ),
        pytest.param({"PATCH": "changes", "GET": 403}, f"GET {PATH} answers 403 to others", id="unreadable"),
        pytest.param({"PATCH": "changes", "GET": "shows", "LIST": "hides"}, "", id="contradiction"),
        pytest.param({"PATCH": "changes", "GET": "shows", "DELETE": 403}, "", id="only deleting is the owner's"),
    ],
)
def test_change(plain: dict[str, Operation], seen: dict[str, object], why: str) -> None:
    """Changing is for the owner alone where others do not even see the thing."""
    assert why_not_change(gather(plain, seen), plain[PATCH], plain[READ]) == why


@pytest.mark.parametrize(
    ("said", "forbidden", "scopes", "why"),
    [
        pytest.param("Delete it", None, "", "", id="no words"),
        pytest.param("Delete it; only the owner may", None, "", "the document says", id="summary"),
        pytest.param("Delete it", "It is not yours.", "", "the document says of 403", id="words of the 403"),
        pytest.param("Delete it", "Refused", "", "the document declares 403 for it, and not for reading", id="a 403"),
        pytest.param("Delete it", "Refused", "write", "", id="a 403 may be about scopes"),
        pytest.param("Delete it", "Only administrators may.", "", "", id="a 403 about roles"),
        pytest.param("Delete it", "It is in use.", "", "", id="a 403 about something else"),
    ],
)
def test_words_of_a_change(tmp_path: Path, said: str, forbidden: str | None, scopes: str, why: str) -> None:
    """Changing is for the owner alone where the document says so, in words or by a 403 of its own."""
    operations = write_document(tmp_path, said=said, forbidden=forbidden, scopes=scopes)
    found = why_not_change(
        gather(operations, {"GET": "shows", "DELETE": "changes"}), operations[DELETE], operations[READ]
    )
    assert found.startswith(why) if why else found == ""


def test_two_changes(tmp_path: Path) -> None:
    """A 403 means nothing where strangers change the thing otherwise too."""
    operations = write_document(tmp_path, forbidden="Refused")
    evidence = gather(operations, {"GET": "shows", "DELETE": "changes", "PATCH": "changes"})
    assert why_not_change(evidence, operations[DELETE], operations[READ]) == ""


@pytest.mark.parametrize(
    ("said", "seen", "is_private"),
    [
        ("Some notes", {}, False),
        ("Some notes", {"GET": 404}, True),
        ("The caller's notes", {}, True),
        ("Your own notes, newest first", {}, True),
        ("Notes of the user who asks", {}, True),
        ("Everybody's notes", {"GET": 404}, False),
        ("All users' notes, yours and those of others", {}, False),
        ("Your notes", {"GET": "shows"}, False),
    ],
)
def test_list(tmp_path: Path, said: str, seen: dict[str, object], is_private: bool) -> None:
    """A list is one user's where its things are, or where the document says so."""
    operations = write_document(tmp_path, said=said)
    assert bool(why_not_list(gather(operations, seen), operations[LIST])) is is_private


def test_told(plain: dict[str, Operation]) -> None:
    """What somebody told decides."""
    shared = gather(plain, {"GET": "shows", "LIST": "hides"}, told=True)
    private = gather(plain, {"GET": "shows", "LIST": "shows", "PATCH": "changes"}, told=False)
    why = "x-pymacaron says that these things are not shared"
    assert why_not_read(shared, plain[READ]) == why_not_list(shared, plain[LIST]) == ""
    assert why_not_change(shared, plain[PATCH], plain[READ]) == ""
    assert why_not_read(private, plain[READ]) == why_not_list(private, plain[LIST]) == why
    assert why_not_change(private, plain[PATCH], plain[READ]) == why
    assert find_contradiction(shared) == find_contradiction(gather(plain, {"GET": 404, "LIST": "hides"})) == ""
    assert find_contradiction(gather(plain, {"GET": "shows", "LIST": "hides"})) == (
        "GET /notes hides from others what GET shows them; x-pymacaron: {shared: …} says what is right"
    )


TRACE = Trace("id", "7", {"title": "a telling text", "kind": "ordinary", "count": 3})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param([{"id": 7, "title": "a telling text"}], True, id="key and text"),
        pytest.param(
            {"hits": [{"id": "7", "label": "a telling text"}]}, True, id="key, and the text under another name"
        ),
        pytest.param({"title": "a telling text"}, True, id="text alone"),
        pytest.param({"q": "a telling text", "hits": []}, False, id="a repeated question"),
        pytest.param([{"id": 8, "title": "a telling text"}], False, id="another thing of the same text"),
        pytest.param([{"id": 7, "kind": "ordinary", "count": 3}], True, id="key and all else"),
        pytest.param([{"id": 7, "kind": "other", "count": 3}], False, id="another sort of thing with this key"),
        pytest.param([{"id": 7}], False, id="a short key alone"),
        pytest.param({"kind": "ordinary"}, False, id="a text of many things"),
        pytest.param(None, False, id="nothing"),
        pytest.param("a telling text", False, id="no object"),
    ],
)
def test_shown(answer: Json, expected: bool) -> None:
    """A thing is recognised by its key with its values, and by a text that is its own."""
    assert is_shown(TRACE, answer, frozenset({"ordinary"})) is expected


def test_long_key() -> None:
    """A long key is enough."""
    key = "0b1c2d3e-0000-4000-8000-000000000000"
    assert is_shown(Trace("id", key, {}), {"all": [{"id": key}]})
    assert not is_shown(Trace("", "", {}), {"all": [{"id": key}]})


@pytest.mark.parametrize(
    ("fields", "rules", "changes"),
    [
        ({}, {"public": {"type": "boolean"}}, {"public": False}),
        ({"public": False}, {"public": {"type": "boolean"}}, {}),
        ({"visibility": "public"}, {"visibility": {"enum": ["public", "private"]}}, {"visibility": "private"}),
        ({"isPrivate": False}, {"isPrivate": {"type": "boolean"}}, {"isPrivate": True}),
        ({"done": True}, {"done": {"type": "boolean"}, "republic": {"type": "string"}}, {}),
    ],
)
def test_concealing(fields: JsonObject, rules: dict[str, JsonObject], changes: JsonObject) -> None:
    """A thing that says itself who may see it is made private."""
    assert find_concealing(fields, rules) == changes


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"username": "a", "theme": "x"}, {"username": "a", "theme": "x"}, True),
        ({"data": {"id": 1}}, {"data": {"id": 1}}, True),
        ({"username": "a"}, {"username": "b"}, False),
        ({"theme": "x"}, {"theme": "x"}, False),
        ([], [], False),
    ],
)
def test_same_user(one: Json, other: Json, expected: bool) -> None:
    """Two answers name the same user if they are equal and say who that is."""
    assert name_same_user(one, other) is expected
