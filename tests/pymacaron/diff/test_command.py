"""The command `pymacaron diff` and what it prints."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pymacaron.cli import main
from pymacaron.diff import Witness

FOLDER = Path(__file__).parent


@pytest.fixture(autouse=True)
def in_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["diff", *arguments])


def test_text(golden: Callable[[str, str], None]) -> None:
    """Changes stand under their operations, the worst first, each in one sentence with its places; 1 for breaking."""
    result = run("pets.yaml", "pets-new.yaml")
    golden("diff_pets.txt", result.output)
    assert result.exit_code == 1


def test_json(golden: Callable[[str, str], None]) -> None:
    """The JSON form holds the same with a rule and a severity for programs."""
    result = run("pets.yaml", "pets-new.yaml", "--format", "json")
    golden("diff_pets.json", result.output)
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("old", "new", "code", "summary"),
    [
        pytest.param("pets.yaml", "pets.yaml", 0, "No changes from pets.yaml to pets.yaml.\n", id="nothing"),
        pytest.param(
            "pets-new.yaml",
            "pets.yaml",
            1,
            "From pets-new.yaml to pets.yaml: 3 breaking, 0 undecided, 4 non-breaking.\n",
            id="the other way",
        ),
    ],
)
def test_exit_codes(old: str, new: str, code: int, summary: str) -> None:
    """The exit code is 1 if something breaks, else 0; the last line counts."""
    result = run(old, new)
    assert (result.exit_code, result.output.splitlines(keepends=True)[-1]) == (code, summary)


def test_what_is_undecided_passes(tmp_path: Path) -> None:
    """Only what breaks stops a pipeline."""
    text = Path("pets.yaml").read_text()
    (tmp_path / "new.yaml").write_text(text.replace("            X-Note: {schema: {type: string}}\n", ""))
    result = run("pets.yaml", str(tmp_path / "new.yaml"))
    assert result.exit_code == 0
    assert "1 undecided" in result.output


def test_documents_that_cannot_be_used_are_told_together(tmp_path: Path) -> None:
    """Both documents' findings come at once, with exit code 2."""
    (tmp_path / "old.yaml").write_text("openapi: 3.1.0\ninfo: {title: T}\npaths: {}\n")
    result = run(str(tmp_path / "old.yaml"), str(tmp_path / "none.yaml"))
    assert result.exit_code == 2
    assert result.stderr == (
        f"{tmp_path}/old.yaml:2#/info: version is missing. Add version.\n"
        f"{tmp_path}/none.yaml: this file cannot be read (No such file or directory)."
        " Give the path of an OpenAPI document.\n"
    )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    """Return the address of a server of this folder."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(FOLDER))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_urls(url: str) -> None:
    """The old document may be the one that a live service publishes."""
    result = run(f"{url}/pets.yaml", "pets-new.yaml")
    assert result.exit_code == 1
    assert f"{url}/pets.yaml:48#/components" not in result.stderr
    assert f"From {url}/pets.yaml to pets-new.yaml: 1 breaking" in result.output


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("a", '"a"', id="short"),
        pytest.param("a" * 100, "a text of 100 characters", id="long text"),
        pytest.param([1] * 100, "a list of 100 items", id="long list"),
        pytest.param({"a": "b" * 100}, "such a value", id="long object"),
    ],
)
def test_witnesses_are_short(value: object, text: str) -> None:
    """A value that is too long for a sentence is described."""
    assert str(Witness(value)) == text


def test_json_is_documented() -> None:
    """Each field that docs name is there."""
    data = json.loads(run("pets.yaml", "pets-new.yaml", "--format", "json").output)
    assert list(data) == ["old", "new", "breaking", "undecided", "non_breaking", "changes"]
    assert {key for change in data["changes"] for key in change} == {
        "rule", "severity", "operation", "where", "what", "breaks", "why", "fix", "old_place", "new_place", "sentence",
        "witness",
    }  # fmt: skip
