from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from pymacaron.service import service_of
from pymacaron_monitoring.release import find_release, find_revision, hash_documents

COMMIT = [
    "git",
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.com",
    "commit",
    "-q",
    "--allow-empty",
    "-m",
    "One",
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return the folder of a service in a repository of one commit."""
    folder = tmp_path / "services" / "pets"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(COMMIT, cwd=tmp_path, check=True)
    return folder


def ask_git(folder: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["branch", "other"], id="branch"),
        pytest.param(["checkout", "-q", "--detach"], id="no branch"),
        pytest.param(["pack-refs", "--all"], id="packed refs"),
    ],
)
def test_the_revision_is_what_is_checked_out(checkout: Path, command: list[str]) -> None:
    """The commit is found as git finds it."""
    subprocess.run(["git", *command], cwd=checkout, check=True)
    assert find_revision(checkout, {}) == ask_git(checkout)


def test_the_environment_says_the_revision(checkout: Path) -> None:
    """PYM_REVISION goes before the checkout: images have none."""
    assert find_revision(checkout, {"PYM_REVISION": "abc"}) == "abc"


@pytest.mark.parametrize(
    "head", [pytest.param(None, id="no HEAD"), pytest.param("ref: refs/heads/none\n", id="no commit yet")]
)
def test_an_unknown_revision_is_empty(tmp_path: Path, head: str | None) -> None:
    """A repository without a commit, or a broken one, stops nothing."""
    (tmp_path / ".git").mkdir()
    if head:
        (tmp_path / ".git" / "HEAD").write_text(head)
    assert find_revision(tmp_path, {}) == ""


def test_the_hash_is_that_of_the_document(make_app: Callable[..., Flask], pets_text: str) -> None:
    """The hash of a service's one document is the one in the header of its models; other texts have others."""
    service, other = service_of(make_app()), service_of(make_app(pets_text.replace("one", "two")))
    assert hash_documents(service) == service.apis["pets"].sha256
    assert hash_documents(service) != hash_documents(other)


def test_a_release_is_named_by_the_configuration(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is the one that /version shows."""
    monkeypatch.setenv("PYM_VERSION", "1.4.2")
    assert find_release(service_of(make_app())).version == "1.4.2"
