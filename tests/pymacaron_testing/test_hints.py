"""What a document cannot tell is told beside it, and mistakes in that are explained."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml

from pymacaron.exceptions import ConfigError
from pymacaron.spec import parse_spec
from pymacaron_testing.hints import FILE_NAME, Hints, Waiver, load_hints

KEYS = "shared, key, creates, ignore, skip, values"
FIX = "Write {checks: [latency], reason: why, until: 2030-01-31}"


def build_document(**hints: Any) -> dict[str, Any]:
    """Return a document of two operations. hints: x-pymacaron of the ``document``, the ``path``, the ``operation``."""
    answers = {"responses": {"200": {"description": "ok"}}}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Pets", "version": "1"},
        "paths": {
            "/pets": {"get": {"operationId": "listPets", **answers}, "post": {"operationId": "createPet", **answers}}
        },
    }
    path = document["paths"]["/pets"]
    for place, node in {"document": document, "path": path, "operation": path["get"]}.items():
        if place in hints:
            node["x-pymacaron"] = hints[place]
    return document


def load(folder: Path, document: dict[str, Any], file: object = None) -> dict[str, Hints]:
    """Return the hints of each operation. file: content of the file beside the tests, text or data."""
    api = parse_spec(yaml.safe_dump(document), source="pets.yaml")
    if file is not None:
        (folder / FILE_NAME).write_text(file if isinstance(file, str) else yaml.safe_dump(file))
    book = load_hints(api, "pets.yaml", folder)
    return {operation.operation_id: book.of(operation) for operation in api.operations}


def test_nothing_is_told(tmp_path: Path) -> None:
    """Without hints every operation has empty ones."""
    assert load(tmp_path, build_document()) == {"listPets": Hints(), "createPet": Hints()}


def test_levels_add_up(tmp_path: Path) -> None:
    """The file counts more than the document, an operation more than its path; lists and values of all add up."""
    document = build_document(
        document={"ignore": ["etag"], "shared": True, "values": {"region": "eu", "size": 1}},
        path={"ignore": ["rank"], "key": "code"},
        operation={"shared": False},
    )
    waiver = {"checks": ["latency"], "reason": "is being rewritten", "until": dt.date(2030, 1, 31)}
    file = {
        "all": {"skip": [waiver]},
        "paths": {"/pets": {"values": {"size": 2}}},
        "operations": {"GET /pets": {"key": "slug"}, "createPet": {"creates": "pet"}},
    }
    found = load(tmp_path, document, file)
    skip = (Waiver(frozenset({"latency"}), "is being rewritten", dt.date(2030, 1, 31)),)
    values = {"region": "eu", "size": 2}
    ignore = frozenset({"etag", "rank"})
    assert found == {
        "listPets": Hints(shared=False, key="slug", ignore=ignore, skip=skip, values=values),
        "createPet": Hints(shared=True, key="code", creates="pet", ignore=ignore, skip=skip, values=values),
    }


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param("yes", f": it is 'yes'. Write a mapping with some of {KEYS}.", id="text"),
        pytest.param({"own": 1}, f": own: there is no such hint. Use {KEYS}.", id="key"),
        pytest.param({"shared": "no"}, ": shared: it is 'no'. Write true or false.", id="type"),
        pytest.param({"skip": ["auth"]}, f": skip: 'auth' is no waiver. {FIX}.", id="waiver"),
        pytest.param(
            {"skip": [{"checks": ["auth"], "reason": "why", "until": "soon"}]},
            f": skip: until: 'soon' is no date. {FIX}.",
            id="date",
        ),
        pytest.param(
            {"skip": [{"checks": ["auth"], "reason": " ", "until": "2030-01-31"}]},
            f": skip: a waiver without a reason. {FIX}.",
            id="reason",
        ),
    ],
)  # fmt: skip
def test_mistakes_in_the_document(tmp_path: Path, told: object, expected: str) -> None:
    """A hint that means nothing is refused with its place and what to write."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, build_document(operation=told))
    assert str(caught.value) == f"pets.yaml: GET /pets: x-pymacaron{expected}"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param("{", "it cannot be read", id="no yaml"),
        pytest.param(["all"], f"{FILE_NAME}: it is no mapping of mappings. Write all:, paths: or", id="list"),
        pytest.param({"pets": {}}, f"{FILE_NAME}: pets: it is no section. Use all, paths or operations.", id="section"),
        pytest.param(
            {"paths": {"/dogs": {}}},
            f"{FILE_NAME}: paths: /dogs: the document has no such path. Write it as in the document.",
            id="path",
        ),
        pytest.param(
            {"operations": {"PUT /pets": {}}},
            f"{FILE_NAME}: operations: PUT /pets: the document has no such operation. Name it by operationId, "
            "or as GET /path.",
            id="operation",
        ),
    ],
)  # fmt: skip
def test_mistakes_in_the_file(tmp_path: Path, file: object, expected: str) -> None:
    """What the file says of things that do not exist is refused."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, build_document(), file)
    assert expected in str(caught.value)
