"""The command `pymacaron check`: everything that is wrong with documents, for people or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal

import click

from pymacaron.config import find_ref_hosts
from pymacaron.exceptions import Finding, SpecError, UnreadableSpecError
from pymacaron.json_types import JsonObject
from pymacaron.spec import Api, load_spec

FORMAT_VERSION = 1
Verdict = Literal["clean", "broken", "unusable", "empty"]
_EXIT_CODES: dict[Verdict, int] = {"clean": 0, "empty": 0, "broken": 1, "unusable": 2}
_SUFFIXES = {".yaml", ".yml", ".json"}
_NO_VERSION = "neither openapi nor swagger says which version this is"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came out for one document. operations, schemas: how many it has, None if it is not clean.

    parts: paths of the files that it refers to. api: what was read, if it is clean.
    """

    file: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    operations: int | None = None
    schemas: int | None = None
    parts: frozenset[Path] = frozenset()
    api: Api | None = None


def check_document(source: str, *, remote_ref_hosts: Collection[str] = ()) -> Checked:
    """Return what is wrong with the document at *source*, a path or a URL.

    A file without any text is ``empty``: nothing can be wrong in it, though no service can be made of it.
    """
    try:
        api = load_spec(source, remote_ref_hosts=remote_ref_hosts)
        for entry in entry_points(group="pymacaron.checks"):
            entry.load()(api)
    except UnreadableSpecError as error:
        return Checked(
            source, "empty" if _is_blank(source) else "unusable", () if _is_blank(source) else error.findings
        )
    except SpecError as error:
        return Checked(source, "broken", error.findings)
    parts = frozenset((Path(source).parent / key).resolve() for key in api.files if "://" not in key)
    return Checked(source, "clean", (), len(api.operations), len(api.model_names), parts, api)


def find_documents(folder: Path) -> list[str]:
    """Return the files under *folder* that may be documents, sorted. Raises SpecError if there are none."""
    files = [str(file) for file in sorted(folder.rglob("*")) if file.suffix in _SUFFIXES and file.is_file()]
    if not files:
        fix = "Run this in the service's folder, or name the files"
        raise SpecError(Finding(str(folder), "there is no document in it", fix))
    return files


def drop_parts(results: Sequence[Checked]) -> list[Checked]:
    """Return *results* without files that are parts of the other documents and say no version."""
    parts = frozenset[Path]().union(*(result.parts for result in results))
    return [
        result
        for result in results
        if not (Path(result.file).resolve() in parts and any(_NO_VERSION in str(found) for found in result.findings))
    ]


def find_notes(results: Sequence[Checked]) -> list[str]:
    """Return what other packages have to say of documents, such as how many metrics come of them, if all are clean."""
    apis = [one.api for one in results if one.api is not None]
    if not apis or any(one.findings for one in results):
        return []
    return [entry.load()(apis) for entry in entry_points(group="pymacaron.notes")]


def render_json(results: Sequence[Checked]) -> str:
    """Return the results as JSON.

    ``{version: 1, files: [{file, verdict, operations, schemas}], findings: [{file, line, pointer, found, fix}]}``;
    line is null where it is unknown, pointer is ``""`` for the whole file.
    """
    report: JsonObject = {
        "version": FORMAT_VERSION,
        "files": [
            {"file": one.file, "verdict": one.verdict, "operations": one.operations, "schemas": one.schemas}
            for one in results
        ],
        "findings": [
            {
                "file": finding.file or finding.where,
                "line": finding.line,
                "pointer": finding.pointer,
                "found": finding.found,
                "fix": finding.fix,
            }
            for one in results
            for finding in one.findings
        ],
    }
    return json.dumps(report, indent=2, ensure_ascii=False)


def render_text(results: Sequence[Checked]) -> str:
    """Return one line a finding, and a summary."""
    lines = [str(finding) for one in results for finding in one.findings]
    found = _count(len(lines), "finding") if lines else "no findings"
    lines += [f"{one.file}: it is empty, there is nothing to check." for one in results if one.verdict == "empty"]
    operations = _count(sum(one.operations or 0 for one in results), "operation")
    schemas = _count(sum(one.schemas or 0 for one in results), "schema")
    return "\n".join([*lines, f"{_count(len(results), 'document')}: {operations}, {schemas}, {found}"])


@click.command()
@click.argument("files", nargs=-1)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="A host that references may lead to, besides remote_ref_hosts of pym-config.yaml. May be repeated.",
)
def check(files: tuple[str, ...], style: str, hosts: tuple[str, ...]) -> None:
    """Tell everything that is wrong with FILES, by default with every document under apis/.

    The exit code is 0 if nothing is, 1 if there are findings, 2 if a file cannot be read or is neither YAML nor JSON.
    """
    allowed = find_ref_hosts() | set(hosts)
    results = [check_document(file, remote_ref_hosts=allowed) for file in files or find_documents(Path("apis"))]
    results = results if files else drop_parts(results)
    click.echo(render_json(results) if style == "json" else "\n".join([render_text(results), *find_notes(results)]))
    sys.exit(max(_EXIT_CODES[one.verdict] for one in results))


def _is_blank(source: str) -> bool:
    path = Path(source)
    return path.is_file() and not path.read_bytes().strip()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
