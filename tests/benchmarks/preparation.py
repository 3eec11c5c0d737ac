"""Writes the folders of the services that need one: documents, models, many operations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from peer import PEERS

from pymacaron.codegen import write_models
from pymacaron.spec import load_spec


def write_service(folder: Path, operations: int = 0) -> Path:
    """Write pymacaron's service, with its models and so many more *operations*, under *folder*; return where."""
    service = folder / f"orders{operations}"
    copy(PEERS / "pymacaron_service", service)
    if operations:
        (service / "apis" / "parts.json").write_text(json.dumps(make_document(operations)))
    for document in [one for one in (service / "apis").iterdir() if one.suffix in {".yaml", ".json"}]:
        write_models(load_spec(document), document.with_name(f"{document.stem}_models.py"))
    return service


def write_old_service(folder: Path) -> Path:
    """Write pymacaron 2's service, which generates code beside its document, under *folder*; return where."""
    service = folder / "orders_on_2"
    copy(PEERS / "pymacaron2_service", service)
    return service


def copy(source: Path, target: Path) -> None:
    """Copy a service, and the samples that it answers with."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(PEERS / "samples.py", target / "samples.py")


def make_document(operations: int) -> dict[str, Any]:
    """Return a document of so many operations that all have a parameter in the path and do the same."""
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    answer = {"description": "It.", "content": {"application/json": {"schema": schema}}}
    parameter = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    paths = {}
    for number in range(operations):
        operation = {"x-bind-server": "handlers.show_part", "parameters": [parameter], "responses": {"200": answer}}
        paths[f"/kind{number}/{{id}}"] = {"get": {"operationId": f"show_part{number}", **operation}}
    return {"openapi": "3.1.0", "info": {"title": "Parts", "version": "1"}, "paths": paths}
