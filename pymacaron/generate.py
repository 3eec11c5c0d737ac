"""Writes what follows from documents: `pymacaron generate`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from pymacaron.codegen import generate_client, generate_models
from pymacaron.codegen.client import client_file_name
from pymacaron.codegen.files import write_whole
from pymacaron.config import find_ref_hosts
from pymacaron.exceptions import Finding, SpecError, StartupError
from pymacaron.handler_modules import HandlerModules, find_modules
from pymacaron.spec import Api, load_spec

_ENDINGS = frozenset({".yaml", ".yml", ".json"})
_SERVICE_FILES = ("server.py", "pym-config.yaml")
_STALE = 1


@dataclass(frozen=True, slots=True)
class Planned:
    """A file as it should be. summary: what it holds. fault: why the one on disk is not that, "" if it is."""

    path: Path
    data: bytes
    summary: str
    fault: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What is wanted. modules: where handlers stand, None for what server.py says.

    with_stubs: handlers that are missing. with_clients: also clients that were never written.
    """

    modules: tuple[str, ...] | None = None
    with_stubs: bool = True
    with_clients: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Every file that follows from the documents, and what could not be planned, in words."""

    files: tuple[Planned, ...]
    notes: tuple[str, ...]


def plan_files(documents: Sequence[Path], choice: Choice) -> Plan:
    """Return what `pymacaron generate` would write for *documents*; nothing is written.

    Raises: StartupError: with the findings of all documents and modules.
    """
    findings: list[Finding] = []
    files: list[Planned] = []
    stubs: dict[Path, HandlerModules] = {}
    for document in documents:
        try:
            api = load_spec(document, remote_ref_hosts=find_ref_hosts())
            models_text = generate_models(api)
            files += _plan_generated(document, api, models_text, choice)
            folder = _service_folder(document)
            if choice.with_stubs and (choice.modules is not None or _is_served(document, folder)):
                if folder not in stubs:
                    stubs[folder] = HandlerModules(folder, find_modules(folder, choice.modules))
                stubs[folder].add(document, api, models_text)
        except StartupError as error:
            findings += error.findings
    notes: list[str] = []
    for modules in stubs.values():
        try:
            for module in modules.plan():
                fault = f"{module.summary} missing" if module.summary else ""
                files.append(Planned(_short(module.path), module.data, f"wrote {module.names}", fault))
        except StartupError as error:
            findings += error.findings
        notes += modules.notes
    if findings:
        raise SpecError(findings)
    return Plan(tuple(files), tuple(notes))


def _plan_generated(document: Path, api: Api, models_text: str, choice: Choice) -> list[Planned]:
    files = [_compare(document.with_name(f"{api.name}_models.py"), models_text, f"{len(api.schemas)} models", document)]
    client = document.with_name(client_file_name(api))
    if choice.with_clients or (client.exists() and choice.with_stubs):
        text = generate_client(api, document.name, models_text)
        files.append(_compare(client, text, f"{len(api.operations)} operations", document))
    return files


def _compare(path: Path, text: str, summary: str, document: Path) -> Planned:
    data = text.encode()
    try:
        present = path.read_bytes()
    except FileNotFoundError:
        return Planned(path, data, summary, "it was never written")
    except OSError as error:
        raise SpecError(
            Finding(str(path), f"it cannot be read: {error.strerror}", "Correct its permissions")
        ) from error
    if present == data:
        return Planned(path, data, summary, "")
    is_same_document = present.splitlines()[:2] == data.splitlines()[:2]
    changed = "it was changed by hand, or another version of the generator wrote it"
    return Planned(path, data, summary, changed if is_same_document else f"it is older than {document}")


def _service_folder(document: Path) -> Path:
    """Return the folder of the service that *document* belongs to: the nearest one above with a service's files."""
    parents = document.resolve().parents
    return next((folder for folder in parents if any((folder / name).is_file() for name in _SERVICE_FILES)), parents[0])


def _is_served(document: Path, folder: Path) -> bool:
    """Tell whether the service serves *document*: it stands under apis/."""
    return folder / "apis" in document.resolve().parents


def _short(path: Path) -> Path:
    """Return *path* relative to the working folder, where it is in there."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--models", "only_models", is_flag=True, help="Models only.")
@click.option("--client", "with_clients", is_flag=True, help="Also a typed client, X_client.py, for each of FILES.")
@click.option("--handlers", "modules", multiple=True, help="Module for handlers. Default: what server.py says.")
@click.option("--check", "is_check", is_flag=True, help="Write nothing; exit code 1 if something is stale or missing.")
def generate(
    files: tuple[Path, ...],
    *,
    only_models: bool,
    with_clients: bool,
    modules: tuple[str, ...],
    is_check: bool,
) -> None:
    """Write the models of FILES, stubs of missing handlers, and clients that exist; default: all under apis/."""
    documents = files or tuple(file for file in sorted(Path("apis").rglob("*")) if file.suffix in _ENDINGS)
    if not documents:
        fix = "Run this in the service's folder, or name the files"
        raise SpecError(Finding("apis", "there is no document in it", fix))
    plan = plan_files(documents, Choice(modules or None, not only_models, with_clients))
    for note in plan.notes:
        click.echo(note, err=True)
    if is_check:
        sys.exit(_check(plan))
    for file in plan.files:
        if file.fault:
            write_whole(file.path, file.data)
        if file.summary:
            click.echo(f"{file.path}: {file.summary}")


def _check(plan: Plan) -> int:
    """Tell what is stale or missing, one line a file, and return the exit code."""
    faulty = [file for file in plan.files if file.fault]
    for file in faulty:
        click.echo(f"{file.path}: {file.fault}. Run pymacaron generate.")
    if not faulty:
        count = len(plan.files)
        click.echo("1 file is up to date." if count == 1 else f"{count} files are up to date.")
    return _STALE if faulty else 0
