"""Documents that others wrote, and one API in three versions, compared with themselves in other clothes."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import pytest

from pymacaron.diff import compare
from pymacaron.spec import load_spec, parse_spec

SPECS = Path(__file__).parents[4] / "shared" / "specs"
VERSIONS = Path(__file__).parent / "versions"
PARTS = {"NewPet", "Pet", "parameters", "Error"}
DOCUMENTS = [
    file
    for folder in ("oai", "realworld", "twilio")
    for file in sorted((SPECS / folder).rglob("*"))
    if file.suffix in {".yaml", ".json"} and file.stem not in PARTS
]
# The twins of these say something else: a type is missing, another one, a parameter and a status are missing.
DIFFERENT = {"v2.0/yaml/petstore.yaml": 0, "v2.0/yaml/uber.yaml": 2, "v3.1/tictactoe.yaml": 2}
# What 2.0 adds: pymacaron closes the bodies of such documents.
BY_VERSION = {"request-closed-by-version", "request-object-opened"}


def test_the_documents_are_there() -> None:
    """Without them the tests below would test nothing."""
    if not SPECS.is_dir():
        pytest.skip(f"{SPECS} is not there: the documents of others are not part of this repository")
    assert len(DOCUMENTS) == 39


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(SPECS)))
def test_a_document_equals_itself(file: Path) -> None:
    """Nothing changed in the document as it is, nor as OpenAPI 3.2, apart from what its version implies."""
    api = load_spec(file)
    assert compare(api, load_spec(file)) == ()
    upgraded = parse_spec(json.dumps(api.document | {"openapi": "3.2.0"}), source="upgraded.json")
    for changes in (compare(api, upgraded), compare(upgraded, api)):
        assert {change.rule for change in changes} <= BY_VERSION


@pytest.mark.parametrize(
    "file",
    [file for file in DOCUMENTS if file.suffix == ".yaml" and "separate" not in str(file)],
    ids=lambda file: str(file.relative_to(SPECS)),
)
def test_yaml_and_json_are_the_same(file: Path) -> None:
    """A document in YAML equals its twin in JSON, where there is one that says the same."""
    twin = Path(str(file).replace("/yaml/", "/json/")).with_suffix(".json")
    if not twin.exists():
        return
    known = DIFFERENT.get(str(file.relative_to(SPECS / "oai")) if "oai" in file.parts else "")
    changes = compare(load_spec(file), load_spec(twin))
    if known is None:
        assert changes == ()
    else:
        assert [change.severity for change in changes].count("breaking") == known


@pytest.mark.parametrize(("old", "new"), list(permutations(("2.0", "3.0", "3.1", "3.2"), 2)), ids=str)
def test_versions_of_one_api_are_the_same(old: str, new: str) -> None:
    """One API, written in each version of OpenAPI, does not change with the version."""
    changes = compare(load_spec(VERSIONS / f"{old}.yaml"), load_spec(VERSIONS / f"{new}.yaml"))
    assert [change.sentence for change in changes if change.rule not in BY_VERSION] == []
