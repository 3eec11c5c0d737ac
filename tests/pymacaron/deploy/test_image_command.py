"""`pymacaron build`, `pymacaron push`, and their old names, on a real registry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from images import Registry, base_image
from pymacaron.cli import main
from pymacaron.deploy.image_command import pymdocker, pymversion
from pymacaron.scaffold import write_service


@pytest.fixture
def shop(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a service whose configuration says where images go, and go into its folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "shop"
    write_service("shop", folder)
    (folder / "requirements.txt").write_text("")
    config = folder / "pym-config.prod.yaml"
    config.write_text(f"{config.read_text()}docker_repo: {registry.host}/team\ndocker_base: {base_image(registry)}\n")
    monkeypatch.chdir(folder)
    return folder


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_builds_and_pushes(shop: Path, registry: Registry, tmp_path: Path) -> None:
    """`build` tells the digest, `push` pushes what was built, and both agree; the bill lies where it was wanted."""
    bill = tmp_path / "bill.json"
    built = run("build", "--version", "v1", "--sbom", str(bill))
    pushed = run("push")

    assert built.exit_code == 0, built.output
    digest = re.search(r"PYM_ENV=prod: (sha256:\w+)\n\Z", built.output)
    assert digest, built.output
    assert built.output.startswith("Built shop:v1 for linux/")
    assert pushed.output == f"{registry.host}/team/shop@{digest[1]}\n"
    tags = requests.get(f"http://{registry.host}/v2/team/shop/tags/list", timeout=30).json()["tags"]
    assert "v1" in tags
    assert json.loads(bill.read_text())["bomFormat"] == "CycloneDX"
    (shop / "server.py").write_text("# another\n")
    again = run("build", "--version", "v2", "--push")
    assert again.output.splitlines()[-1].startswith(f"{registry.host}/team/shop@sha256:")
    assert again.output.splitlines()[-1] != pushed.output.strip()


def test_lists_what_goes_in(shop: Path) -> None:
    """--list names the files, and builds nothing."""
    (shop / ".env").write_text("TOKEN=1")
    assert run("build", "--list").output.splitlines() == [
        "README.md",
        "apis/shop.yaml",
        "apis/shop_models.py",
        "pym-config.prod.yaml",
        "requirements.txt",
        "server.py",
        "shop/__init__.py",
        "shop/handlers.py",
        "shop/store.py",
    ]
    assert run("push").exit_code == 2


def test_writes_one_file(shop: Path, tmp_path: Path) -> None:
    """--output writes an OCI layout with every blob under its digest, and Docker's manifest beside it."""
    file = tmp_path / "shop.tar"
    built = run("build", "--version", "v1", "--output", str(file))
    with tarfile.open(file) as archive:
        names = archive.getnames()
        index = json.load(archive.extractfile("index.json") or pytest.fail("it is a folder"))
        docker = json.load(archive.extractfile("manifest.json") or pytest.fail("it is a folder"))
    assert index["manifests"][0]["digest"] in built.output
    assert f"blobs/{index['manifests'][0]['digest'].replace(':', '/')}" in names
    assert docker[0]["RepoTags"] == ["shop:v1"]
    assert {docker[0]["Config"], *docker[0]["Layers"]} <= set(names)
    assert shop.name == "shop"


def test_old_names_do_the_same(shop: Path, registry: Registry) -> None:
    """`pymdocker` builds and pushes, `pymversion` prints a version that a release can have."""
    runner = CliRunner()
    assert re.fullmatch(r"\d{8}-\d{6}\n", runner.invoke(pymversion).output)
    first = runner.invoke(pymdocker, ["--version", "v1"])
    assert first.output.startswith("Built shop:v1"), first.output
    assert runner.invoke(pymdocker, ["--no-build", "--push"]).output.startswith(f"{registry.host}/team/shop@sha256:")
    command = [sys.executable, "-c", "from pymacaron.deploy.image_command import run_pymdocker as r; r()", "--no-build"]
    told = subprocess.run(command, cwd=shop, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert told.stderr == "pymdocker: there is nothing to do. Leave out --no-build, or write --push.\n"
