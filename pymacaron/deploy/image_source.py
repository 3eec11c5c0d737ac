"""What an image is made from: the service's name, its configuration without secrets, its commit, its documents."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from pydantic import SecretStr

from pymacaron.config import PymConfig
from pymacaron.config_file import ConfigFile, find_config_file, read_config_file
from pymacaron.deploy.image_files import WRITTEN_HERE, PackedFile, find_files, find_leaks
from pymacaron.exceptions import ConfigError, Finding
from pymacaron.json_types import Json

_ENVIRONMENTS = ("prod", "live")
_DOCUMENTS = frozenset({".yaml", ".yml", ".json"})
_NOT_ALLOWED = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Commit:
    """Where the code stands in Git. revision: "" without Git. is_clean: the folder is as it was committed."""

    revision: str = ""
    time: datetime | None = None
    is_clean: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A service to be put into an image.

    env: PYM_ENV in the image. settings: the configuration file's keys. files: path in the service -> file. spec_sha256:
    of its document; of what ``sha256sum`` prints of them if there are several. created: UTC.
    """

    folder: Path
    name: str
    env: str
    settings: Mapping[str, object] = field(repr=False)
    files: Mapping[str, PackedFile] = field(repr=False)
    commit: Commit
    spec_sha256: str
    created: datetime


def read_source(folder: Path, env: str | None = None) -> Source:
    """Read the service in *folder*; none of its secrets need be there.

    env: its environment; by default the first of prod and live that has a ``pym-config.ENV.yaml``, else prod.
    Raises: ConfigError: everything that must not go into an image, or is wrong with the configuration.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise ConfigError(Finding(str(folder), "there is no such folder", "Name the folder that holds server.py"))
    env = env or find_environment(folder)
    config = _read_config(folder, env)
    settings = config.values if config else {}
    links = settings.get("include_links") or []
    files = find_files(folder, links=[str(link) for link in links])
    findings = _find_open_secrets(config) if config else []
    files = {place: file for place, file in files.items() if not _is_other_config(folder / place, config)}
    names = [str(name) for name in settings.get("env_secrets") or []]
    findings += find_leaks(files, {name: os.environ[name] for name in names if os.environ.get(name)})
    if findings:
        raise ConfigError(findings)
    commit = find_commit(folder)
    return Source(
        folder=folder,
        name=_NOT_ALLOWED.sub("-", str(settings.get("name") or folder.name).lower()).strip("-") or "service",
        env=env,
        settings=settings,
        files=files,
        commit=commit,
        spec_sha256=_hash_documents(files, str(settings.get("apis_path") or "apis")),
        created=_find_time(files, commit),
    )


def find_environment(folder: Path) -> str:
    """Return what PYM_ENV is in an image of the service in *folder*, unless somebody says otherwise."""
    return find_configured_environment(folder) or _ENVIRONMENTS[0]


def find_configured_environment(folder: Path) -> str | None:
    """Return the first of prod and live that the service in *folder* has a ``pym-config.ENV.yaml`` for."""
    return next((env for env in _ENVIRONMENTS if (folder / f"pym-config.{env}.yaml").is_file()), None)


def find_version(commit: Commit, now: datetime | None = None) -> str:
    """Return a version as `deploy` makes them, ``20261127-181500-abc1234``.

    The time is the commit's if everything is committed, so that the same code gets the same version; else *now*.
    """
    is_known = commit.is_clean and commit.time is not None
    time = commit.time if is_known and commit.time else now or datetime.now(UTC)
    stamp = time.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{commit.revision[:7]}" if commit.revision else stamp


def find_commit(folder: Path) -> Commit:
    """Return where *folder* stands in Git; an empty commit outside of Git, or without Git.

    What tests, deploys and the service write into the folder is no change of it.
    """
    told = _ask_git(folder, "log", "-1", "--format=%H %ct").split()
    if len(told) != len(("revision", "time")):
        return Commit()
    ours = [f":(exclude){path.lstrip('/')}" for path in WRITTEN_HERE]
    changes = _ask_git(folder, "status", "--porcelain", "--", ".", *ours, ":(exclude,glob)**/__pycache__/**")
    return Commit(told[0], datetime.fromtimestamp(int(told[1]), UTC), is_clean=not changes.strip())


def _ask_git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)  # noqa: S603, S607 - git
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read_config(folder: Path, env: str) -> ConfigFile | None:
    found = find_config_file(folder, None, env)
    if found is None:
        return None
    file = read_config_file(found, needs_secrets=False)
    if file.findings:
        raise ConfigError(file.findings)
    return file


def _find_open_secrets(config: ConfigFile) -> list[Finding]:
    """Return a finding for each secret whose value stands in the file: keys that hold one, and addresses with one."""
    findings = []
    names = set(config.values.get("env_secrets") or [])
    for key, value in config.values.items():
        if key in config.secret_keys or (isinstance(value, str) and value in names) or key == "env_secrets":
            continue
        field_info = PymConfig.model_fields.get(key)
        is_secret = field_info is not None and SecretStr in get_args(field_info.annotation)
        is_open = is_secret and isinstance(value, str) and "://" not in value
        if is_open or any(_holds_password(text) for text in _find_texts(value)):
            fix = f"Put it into a variable, name that under env_secrets, and write its name as the value of {key}"
            findings.append(Finding(config.locate(key), f"{key} holds a secret, which would be in the image", fix))
    return findings


def _find_texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _find_texts(inner)


def _holds_password(text: str) -> bool:
    """Tell whether *text* is an address with user or password, ``postgresql://shop:pw@db/shop``."""
    try:
        return "://" in text and "@" in urlsplit(text).netloc
    except ValueError:
        return False


def _is_other_config(path: Path, config: ConfigFile | None) -> bool:
    """Tell whether *path* is a configuration that is not in force in the image; it may hold development's secrets."""
    return path.match("pym-config*.yaml") and (config is None or path.resolve() != config.path)


def _hash_documents(files: Mapping[str, PackedFile], folder: str) -> str:
    prefix = f"{folder.strip('./')}/"
    lines = [
        f"{hashlib.sha256(file.path.read_bytes()).hexdigest()}  {place}"
        for place, file in files.items()
        if place.startswith(prefix) and file.path.suffix in _DOCUMENTS and not file.link
    ]
    if len(lines) == 1:
        return lines[0].split()[0]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest() if lines else ""


def _find_time(files: Mapping[str, PackedFile], commit: Commit) -> datetime:
    """Return when the code was made: SOURCE_DATE_EPOCH, the commit's time, else the time of the newest file."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    if told.isdigit():
        return datetime.fromtimestamp(int(told), UTC)
    if commit.time and commit.is_clean:
        return commit.time
    newest = max((int(file.path.lstat().st_mtime) for file in files.values()), default=0)
    return datetime.fromtimestamp(newest, UTC)
