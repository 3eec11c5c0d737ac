"""From a document to its Api: `load_spec` and `parse_spec`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from pymacaron.exceptions import Finding, SpecError
from pymacaron.spec.build import build_api
from pymacaron.spec.bundle import FILES_KEY, Bundle, Fault
from pymacaron.spec.gather import gather_parts
from pymacaron.spec.grammar import PATH_ITEMS_KEY
from pymacaron.spec.load import SourceText, is_url, parse_data, read_source
from pymacaron.spec.model import Api
from pymacaron.spec.renaming import rename_schemas
from pymacaron.spec.rules import check_document
from pymacaron.spec.shape import check_shape
from pymacaron.spec.upgrade import find_dialect, upgrade


def load_spec(source: str | Path, *, name: str | None = None) -> Api:
    """Read an OpenAPI document (Swagger 2.0, OpenAPI 3.0 to 3.2) from a file or an http(s) URL, YAML or JSON.

    name: what the Api is called; by default the file's name without its ending. A document in a file may refer to
    other files by relative path. Raises SpecError with every finding: ``file:line#/pointer``.
    """
    folder = None if is_url(source) else Path(source).parent
    return _read_api(read_source(source), name or _stem(str(source)), folder)


def parse_spec(text: str, *, source: str = "document", name: str | None = None) -> Api:
    """Read an OpenAPI document from *text*; *source* is how messages call it.

    Raises SpecError with every finding. References to other files are refused.
    """
    return _read_api(SourceText(source, text), name or _stem(source), None)


def _read_api(text: SourceText, name: str, folder: Path | None) -> Api:
    data, faults = parse_data(text)
    findings = [
        Finding(f"{text.source}:{fault.line}" if fault.line else text.source, fault.found, fault.fix)
        for fault in faults
    ]
    if not isinstance(data, dict):
        what = "it is empty" if data is None else "it holds no object"
        raise SpecError(findings or Finding(text.source, what, "Write an OpenAPI document"))
    for key in (FILES_KEY, PATH_ITEMS_KEY):
        data.pop(key, None)
    bundle = Bundle(text, data, folder)
    dialect = find_dialect(data)
    if isinstance(dialect, Fault):
        raise SpecError([*findings, bundle.finding(dialect)])
    shape = check_shape(bundle, dialect.rules, dialect.folders)
    # Faults are placed before the tree changes under them.
    findings += [bundle.finding(fault) for fault in shape.faults]
    findings += [bundle.finding(fault) for fault in gather_parts(bundle, shape.references, dialect.folders)]
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


def _sort(findings: list[Finding]) -> list[Finding]:
    """Return *findings* once each, in the order of the text."""

    def order(finding: Finding) -> tuple[str, int, str]:
        file, _, _ = finding.where.partition("#")
        stem, _, line = file.rpartition(":")
        return (stem, int(line), finding.where) if line.isdecimal() else (file, 0, finding.where)

    return sorted(dict.fromkeys(findings), key=order)


def _stem(source: str) -> str:
    path = urlsplit(source).path if is_url(source) else source
    return re.sub(r"\.(yaml|yml|json)$", "", Path(path).name) or "api"
