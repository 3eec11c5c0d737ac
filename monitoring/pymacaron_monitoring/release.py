"""What runs here: version and revision of the service, and what its documents say."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pymacaron.builtin import BUILTIN_FOLDER
from pymacaron.builtin.ping import find_version
from pymacaron.config import PymConfig
from pymacaron.service import Service
from pymacaron.spec import Operation

REVISION_VARIABLE = "PYM_REVISION"
_DEFAULT_ENVIRONMENT = "production"  # as Sentry calls it where nothing is said


@dataclass(frozen=True, slots=True)
class Release:
    """version: as ``/version`` says it. revision: of the code, empty if unknown. spec_sha256: of all documents."""

    version: str
    revision: str
    spec_sha256: str


def find_release(service: Service) -> Release:
    """Return what runs here."""
    return Release(
        version=find_version(service.config),
        revision=find_revision(service.config.folder),
        spec_sha256=hash_documents(service),
    )


def find_environment(config: PymConfig) -> str:
    """Return what PYM_ENV says."""
    return config.env or _DEFAULT_ENVIRONMENT


def find_revision(folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return PYM_REVISION, else the commit that is checked out in *folder*, else nothing.

    Source: gitrepository-layout: HEAD holds a commit, or the name of a ref, which is a file or in packed-refs.
    """
    stated = environment.get(REVISION_VARIABLE)
    if stated:
        return stated
    git = next((parent / ".git" for parent in (folder, *folder.parents) if (parent / ".git").is_dir()), None)
    try:
        return _read_head(git) if git else ""
    except (OSError, UnicodeError):
        return ""


def hash_documents(service: Service) -> str:
    """Return the SHA-256 of the service's document, of several that of their names and hashes, in hex."""
    apis = [api for _, api in sorted(service.apis.items()) if Path(api.source).parent != BUILTIN_FOLDER]
    served = [api for api in apis if any(is_served(service, operation) for operation in api.operations)]
    if len(served) == 1:
        return served[0].sha256
    return hashlib.sha256("".join(f"{api.name} {api.sha256}\n" for api in served).encode()).hexdigest()


def is_served(service: Service, operation: Operation) -> bool:
    """Tell whether *service* answers *operation*, and has not only taken the models of its document."""
    return service.operations.get(operation.operation_id) == operation


def _read_head(git: Path) -> str:
    head = (git / "HEAD").read_text(encoding="ascii").strip()
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    if (git / name).is_file():
        return (git / name).read_text(encoding="ascii").strip()
    refs = (line.split() for line in (git / "packed-refs").read_text(encoding="ascii").splitlines())
    return next((fields[0] for fields in refs if fields[1:] == [name]), "")
