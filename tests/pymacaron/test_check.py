"""Tests of `pymacaron check`: what it says, in which form, with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pymacaron.cli import main

GOOD = """\
openapi: 3.1.0
info: {title: Pets, version: "1"}
paths:
  /pets:
    get: {responses: {"200": {description: All., content: {application/json: {schema: {$ref: "parts/Pet.yaml"}}}}}}
"""
BROKEN = """\
openapi: 3.1.0
info: {title: Pets}
components: {schemas: {Pet: {type: objct}}}
"""
TYPES = "string, number, integer, boolean, array, object, null"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in the folder of a service with one good document, which refers to a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "apis" / "parts").mkdir(parents=True)
    (tmp_path / "apis" / "pets.yaml").write_text(GOOD)
    (tmp_path / "apis" / "parts" / "Pet.yaml").write_text("type: object\n")
    return tmp_path


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments])


def test_every_document_under_apis(folder: Path) -> None:
    """Without arguments all documents are checked, parts of them with them."""
    done = check()
    assert (done.exit_code, done.output) == (
        0,
        (
            "1 document: 1 operation, 1 schema, no findings\n"
            "Metrics: 74 of 10,000 lines are declared; 9,926 are left for sections, tasks and undeclared statuses\n"
        ),
    )
    (folder / "apis" / "lost.yaml").write_text("type: object\n")
    done = check()
    assert (done.exit_code, done.output) == (
        1,
        (
            "apis/lost.yaml:1#: neither openapi nor swagger says which version this is."
            " Add a line like openapi: 3.1.0.\n"
            "2 documents: 1 operation, 1 schema, 1 finding\n"
        ),
    )


def test_metrics_over_their_budget(folder: Path) -> None:
    """What to do about too many lines of metrics is said before they are there."""
    (folder / "pym-config.yaml").write_text("metrics_series_budget: 50\n")
    assert check().output.splitlines()[1] == (
        "Metrics: 74 of 50 lines are declared; raise metrics_series_budget, or new label values become _OTHER"
    )


def test_a_senseless_objective_is_a_finding(folder: Path) -> None:
    """What other packages read of a document is checked with it."""
    file = folder / "apis" / "pets.yaml"
    file.write_text(file.read_text() + "x-slo: {availability: 101}\n")
    done = check()
    assert done.exit_code == 1
    assert "#/x-slo/availability: 101 is no availability" in done.output


def test_findings_as_text(folder: Path) -> None:
    """Each finding is a line: where, what, what to do."""
    (folder / "broken.yaml").write_text(BROKEN)
    done = check("broken.yaml", "apis/pets.yaml")
    assert (done.exit_code, done.output) == (
        1,
        (
            "broken.yaml:2#/info: version is missing. Add version.\n"
            f"broken.yaml:3#/components/schemas/Pet/type: the text 'objct' stands where one of {TYPES} must stand."
            f" Write one of {TYPES}.\n"
            "2 documents: 1 operation, 1 schema, 2 findings\n"
        ),
    )


def test_findings_as_json(folder: Path) -> None:
    """In JSON file, line, pointer, what and fix are fields."""
    (folder / "broken.yaml").write_text(BROKEN)
    done = check("--format", "json", "broken.yaml", "apis/pets.yaml", "nowhere.yaml")
    assert (done.exit_code, json.loads(done.output)) == (
        2,
        {
            "version": 1,
            "files": [
                {"file": "broken.yaml", "verdict": "broken", "operations": None, "schemas": None},
                {"file": "apis/pets.yaml", "verdict": "clean", "operations": 1, "schemas": 1},
                {"file": "nowhere.yaml", "verdict": "unusable", "operations": None, "schemas": None},
            ],
            "findings": [
                {
                    "file": "broken.yaml",
                    "line": 2,
                    "pointer": "/info",
                    "found": "version is missing",
                    "fix": "Add version",
                },
                {
                    "file": "broken.yaml",
                    "line": 3,
                    "pointer": "/components/schemas/Pet/type",
                    "found": f"the text 'objct' stands where one of {TYPES} must stand",
                    "fix": f"Write one of {TYPES}",
                },
                {
                    "file": "nowhere.yaml",
                    "line": None,
                    "pointer": "",
                    "found": "this file cannot be read (No such file or directory)",
                    "fix": "Give the path of an OpenAPI document",
                },
            ],
        },
    )


@pytest.mark.parametrize(
    ("text", "exit_code", "line"),
    [
        pytest.param("a: [", 2, "bad.yaml:2: this is no valid YAML", id="no YAML"),
        pytest.param("- a", 1, "bad.yaml: it holds no object. Write an OpenAPI document.", id="no object"),
        pytest.param("# nothing", 2, "bad.yaml: it is empty. Write an OpenAPI document.", id="only a comment"),
        pytest.param(" \n", 0, "bad.yaml: it is empty, there is nothing to check.", id="empty"),
    ],
)
def test_what_is_no_document(folder: Path, text: str, exit_code: int, line: str) -> None:
    """What cannot be judged is told apart from what is wrong; an empty file is neither."""
    (folder / "bad.yaml").write_text(text)
    done = check("bad.yaml")
    assert (done.exit_code, done.output.startswith(line), done.output.count("\n")) == (exit_code, True, 2), done.output


def test_no_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is nothing to check that is told."""
    monkeypatch.chdir(tmp_path)
    done = check()
    expected = "apis: there is no document in it. Run this in the service's folder, or name the files.\n"
    assert (done.exit_code, done.output) == (2, expected)
