"""The command line tells what is wrong in one line, and writes models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pymacaron.cli import main


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pets_document: str) -> Path:
    """Stand in the folder of a service."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "apis").mkdir()
    (tmp_path / "apis" / "pets.yaml").write_text(pets_document)
    return tmp_path


def test_generate_writes_the_models_of_every_document(in_folder: Path) -> None:
    """Without arguments everything under apis/ is generated."""
    done = CliRunner().invoke(main, ["generate"])
    assert (done.exit_code, done.output) == (0, "apis/pets_models.py: 6 models\n")
    assert "class NewPet(PymacaronBaseModel):" in (in_folder / "apis" / "pets_models.py").read_text()


def test_generate_takes_files(in_folder: Path) -> None:
    """Named files are generated where they stand."""
    document = in_folder / "other.yaml"
    document.write_text((in_folder / "apis" / "pets.yaml").read_text())
    assert CliRunner().invoke(main, ["generate", "other.yaml"]).output == "other_models.py: 6 models\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["generate", "nothing.yaml"], "nothing.yaml", id="no file"),
        pytest.param(["run", "--folder", "nowhere"], "nowhere: there is no such folder", id="no folder"),
    ],
)
def test_bad_input_is_one_line_and_code_2(in_folder: Path, arguments: list[str], message: str) -> None:
    """No traceback for a user's mistake."""
    assert in_folder.is_dir()
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.output.startswith(message), done.output.count("\n")) == (2, True, 1), done.output


def test_generate_without_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder is told where to run the command."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["generate"])
    expected = "apis: there is no document in it. Run this in the service's folder, or name the files.\n"
    assert (done.exit_code, done.output) == (2, expected)


def test_the_commands_of_all_packages_are_listed() -> None:
    """Commands of the other packages come through entry points."""
    output = CliRunner().invoke(main, ["--help"]).output
    assert [name for name in ("demo", "gate", "generate", "new", "run", "test") if f"\n  {name} " not in output] == []


def test_an_unknown_command_is_told() -> None:
    """Click's own message, exit code 2."""
    done = CliRunner().invoke(main, ["fly"])
    assert (done.exit_code, "No such command 'fly'" in done.output) == (2, True)


def test_a_command_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    """Where an optional dependency is missing, the other commands and --help work."""
    (tmp_path / "schemathesis.py").write_text(
        "raise ModuleNotFoundError('No module named schemathesis', name='schemathesis')"
    )
    (tmp_path / "pytest.py").write_text("raise ModuleNotFoundError('No module named pytest', name='pytest')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "pymacaron.cli"]
    helped = subprocess.run([*command, "--help"], env=environment, capture_output=True, text=True, check=False)
    tested = subprocess.run([*command, "test", "-q"], env=environment, capture_output=True, text=True, check=False)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert tested.returncode == 2
    assert (
        tested.stderr == "pymacaron test needs pytest, which is not installed. Run: pip install 'pymacaron[testing]'\n"
    )
