"""Which files of a service go into its image: what it runs on, no tests, no rubbish, and never a secret."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pathspec

from pymacaron.exceptions import ConfigError, Finding

# What commands of pymacaron, pytest and the service itself write into the folder, from there on.
WRITTEN_HERE = ("/.pym", "/data", "/pymacaron-report*", "/junit.xml", "/verdict.json")
# Left out unless .dockerignore takes it back with a line that begins with !; patterns are those of .gitignore.
RUBBISH = (
    *(".hg", ".svn", ".venv", "venv", "__pycache__", "*.py[cod]", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
    *(".hypothesis", ".tox", ".nox", ".coverage*", "htmlcov", "node_modules", ".idea", ".vscode", ".DS_Store", "*.swp"),
    *("*.egg-info", "/build", "/dist", "/test", "/tests", "/testaccept", "/pytest.ini", "*.log"),
    *("Dockerfile*", ".dockerignore", ".gitignore", "docker-compose*", "/compose*.y*ml", ".github", ".gitlab-ci.yml"),
    *WRITTEN_HERE,
)
# Left out, whatever anybody says: they hold secrets and have no use in an image.
SECRETS = (
    *(".git", ".env", ".env.*", ".netrc", ".pypirc", ".npmrc", ".aws", ".docker", ".ssh", ".gnupg", ".kube"),
    *("*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "id_rsa*", "id_ed25519*", "id_ecdsa*", ".htpasswd"),
)
_PRIVATE_KEY = b"PRIVATE KEY-----"
_SHORTEST_SECRET = 8
# Files that say where packages come from; ${NAME} in an address is read from the environment by pip and uv.
_PACKAGE_FILES = ("*requirements*.txt", "*requirements*.in", "constraints*.txt", "*.lock", "pylock*.toml")
_PACKAGE_SETTINGS = ("pip.conf", "uv.toml", "pyproject.toml")
_PASSWORD = re.compile(rb"://[^\s/:@\"']+:(?!\$\{)[^\s/@\"']+@")


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file for the image. path: where it lies here. link: what a symbolic link points to, "" for a file."""

    path: Path
    is_executable: bool = False
    link: str = ""


def find_files(folder: Path, *, links: Sequence[str] = ()) -> dict[str, PackedFile]:
    """Return the files of the service in *folder* that its image needs, sorted: path in it, with slashes -> file.

    A ``.dockerignore`` there leaves more out, or takes back, as Docker reads it. links: symbolic links that are
    followed; others may only point into the folder. Raises: ConfigError: a link leads out of the folder.
    """
    selection = _Selection(folder)
    findings: list[Finding] = []
    files = dict(_walk(folder, PurePosixPath(), selection, _Links(folder.resolve(), frozenset(links), findings)))
    findings += [
        Finding(f"include_links: {name}", "there is no such link", "Name a symbolic link in the service's folder")
        for name in links
        if not (folder / name).exists()
    ]
    if findings:
        raise ConfigError(findings)
    return dict(sorted(files.items()))


@dataclass(frozen=True, slots=True)
class _Links:
    root: Path
    followed: frozenset[str]
    findings: list[Finding]


class _Selection:
    """Says what is left out."""

    def __init__(self, folder: Path) -> None:
        file = folder / ".dockerignore"
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        own = [_to_pattern(line.strip()) for line in lines if line.strip() and not line.startswith("#")]
        self._patterns = pathspec.PathSpec.from_lines("gitignore", [*RUBBISH, *own])
        self._secrets = pathspec.PathSpec.from_lines("gitignore", [*SECRETS, "!.env.example"])
        self._takes_back = any(pattern.startswith("!") for pattern in own)

    def leaves_out(self, path: str) -> bool:
        return self._secrets.match_file(path) or self._patterns.match_file(path)

    def leaves_out_folder(self, path: str) -> bool:
        """Tell whether nothing in that folder is wanted, so that it need not be read."""
        if self._secrets.match_file(f"{path}/"):
            return True
        return not self._takes_back and self._patterns.match_file(f"{path}/")


def _to_pattern(line: str) -> str:
    """Return a line of .dockerignore, which begins at the folder, as one of .gitignore, which begins anywhere."""
    sign, rest = ("!", line[1:]) if line.startswith("!") else ("", line)
    return f"{sign}/{rest.lstrip('/').removeprefix('./')}"


def _walk(place: Path, inside: PurePosixPath, selection: _Selection, links: _Links) -> Iterator[tuple[str, PackedFile]]:
    for entry in os.scandir(place):
        name = str(inside / entry.name)
        is_followed = name in links.followed
        if entry.is_symlink() and not is_followed:
            if not selection.leaves_out(name) and (target := _find_target(Path(entry.path), name, links)):
                yield name, PackedFile(Path(entry.path), link=target)
        elif entry.is_dir():
            if not selection.leaves_out_folder(name):
                yield from _walk(Path(entry.path), inside / entry.name, selection, links)
        elif entry.is_file() and not selection.leaves_out(name):
            yield name, PackedFile(Path(entry.path), bool(entry.stat().st_mode & 0o100))


def _find_target(link: Path, name: str, links: _Links) -> str:
    """Return what the link points to, from its own folder; "" with a finding if that is not in the service's folder."""
    target = link.resolve()
    if target.is_relative_to(links.root):
        return os.path.relpath(target, link.parent.resolve())
    found = f"it points to {link.readlink()}, which is not in the service's folder"
    fix = f"Write {name} under include_links in pym-config.yaml to have a copy in the image, or into .dockerignore"
    links.findings.append(Finding(name, found, fix))
    return ""


def find_leaks(files: Mapping[str, PackedFile], secrets: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each file that holds a private key, the value of a secret, or a package index's password.

    secrets: name of a variable -> its value here; values under eight characters are not looked for.
    """
    sought = {name: value.encode() for name, value in secrets.items() if len(value) >= _SHORTEST_SECRET}
    findings = []
    for place, file in files.items():
        if file.link:
            continue
        data = file.path.read_bytes()
        fix = "Write it into .dockerignore and give the secret to the service by env_secrets"
        if file.path.suffix in {".pem", ".crt", ".json", ""} and _PRIVATE_KEY in data:
            findings.append(Finding(place, "it holds a private key", fix))
        if any(file.path.match(name) for name in (*_PACKAGE_FILES, *_PACKAGE_SETTINGS)) and _PASSWORD.search(data):
            how = "Write ${NAME} for it, a variable that is set where images are built"
            findings.append(Finding(place, "it holds an address with a password", how))
        findings += [
            Finding(place, f"it holds the value of the secret {name}", fix)
            for name, value in sought.items()
            if value in data
        ]
    return findings
