"""From a document to its Api: `load_spec` and `parse_spec`."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from pymacaron.exceptions import Finding, SpecError, UnreadableSpecError
from pymacaron.spec.build import build_api
from pymacaron.spec.bundle import FILES_KEY, Bundle, Fault
from pymacaron.spec.files import FileFinder
from pymacaron.spec.gather import gather_parts, name_schemes
from pymacaron.spec.grammar import PATH_ITEMS_KEY
from pymacaron.spec.load import SourceText, is_url, parse_data, read_source
from pymacaron.spec.model import Api
from pymacaron.spec.renaming import rename_schemas
from pymacaron.spec.rules import check_document
from pymacaron.spec.shape import check_shape
from pymacaron.spec.upgrade import find_dialect, upgrade


def load_spec(source: str | Path, *, name: str | None = None, remote_ref_hosts: Collection[str] = ()) -> Api:
    """Read an OpenAPI document (Swagger 2.0, OpenAPI 3.0 to 3.2) from a file or an http(s) URL, YAML or JSON.

    name: what the Api is called; by default the file's name without its ending. A document in a file may refer to
    files in its folder and in the one above, with all that is in them; a document from a URL to others of its host.
    remote_ref_hosts: further hosts that references may lead to, ``example.com`` or ``example.com:8080``.
    Raises SpecError with every finding: ``file:line#/pointer``; UnreadableSpecError if there is nothing to judge.
    """
    finder = FileFinder(str(source), frozenset(remote_ref_hosts))
    return _read_api(read_source(source), name or _stem(str(source)), finder)


def parse_spec(text: str, *, source: str = "document", name: str | None = None) -> Api:
    """Read an OpenAPI document from *text*; *source* is how messages call it.

    Raises SpecError with every finding. References to other files are refused.
    """
    return _read_api(SourceText(source, text), name or _stem(source), FileFinder())


def _read_api(text: SourceText, name: str, finder: FileFinder) -> Api:
    bundle = _read_bundle(text, finder)
    dialect = find_dialect(bundle.root)
    if isinstance(dialect, Fault):
        raise SpecError([*bundle.findings, bundle.finding(dialect)])
    if dialect.has_addresses:
        bundle.open_addresses()
    shape = check_shape(bundle, dialect.rules, dialect.folders)
    shape.wholes.copy_files()
    # Faults are placed before the tree changes under them.
    findings = [bundle.finding(fault) for fault in (*shape.faults, *shape.wholes.check())]
    findings += [bundle.finding(fault) for fault in gather_parts(bundle, shape.references, dialect.folders)]
    name_schemes(shape.schemes)
    shape.wholes.put_stubs()
    upgraded = upgrade(bundle.root, dialect)
    findings += [bundle.finding(fault) for fault in upgraded.faults]
    bundle.moves.append(upgraded.moves)
    document, model_names, moves = rename_schemas(upgraded.document)
    bundle.moves.append(moves)
    findings += [bundle.finding(fault) for fault in check_document(document)]
    findings += bundle.findings
    if findings:
        raise SpecError(_sort(findings))
    return build_api(bundle, document, name, model_names=model_names, is_closed=dialect.is_closed)


def _read_bundle(text: SourceText, finder: FileFinder) -> Bundle:
    data, faults = parse_data(text)
    findings = [Finding.at(text.source, fault.line, None, found=fault.found, fix=fault.fix) for fault in faults]
    if data is None:
        empty = Finding(text.source, "it is empty", "Write an OpenAPI document", file=text.source)
        raise UnreadableSpecError(findings or empty)
    if not isinstance(data, dict):
        findings.append(Finding(text.source, "it holds no object", "Write an OpenAPI document", file=text.source))
        raise SpecError(findings)
    for key in (FILES_KEY, PATH_ITEMS_KEY):
        data.pop(key, None)
    return Bundle(text, data, finder, findings=findings)


def _sort(findings: list[Finding]) -> list[Finding]:
    """Return *findings* once each, in the order of the text."""

    def order(finding: Finding) -> tuple[str, int, str]:
        return (finding.file or finding.where, finding.line or 0, finding.where)

    return sorted(dict.fromkeys(findings), key=order)


def _stem(source: str) -> str:
    path = urlsplit(source).path if is_url(source) else source
    return re.sub(r"\.(yaml|yml|json)$", "", Path(path).name) or "api"
