"""Documents that others wrote load, give importable models and bind to handlers."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask

from pymacaron import API, Service, service_of
from pymacaron.codegen import write_models
from pymacaron.config import set_config
from pymacaron.spec import load_spec

SPECS = Path(__file__).parents[2] / "shared" / "specs"
# Parts of petstore-separate: files that its swagger.yaml refers to, no documents.
PARTS = {"NewPet", "Pet", "parameters", "Error"}
STUBS = """\
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *args, **keywords: None
"""
CONFIG = """\
jwt_secret: 0123456789abcdef0123456789abcdef
jwt_issuer: me.test
jwt_audience: all
response_validation: observe
"""
DOCUMENTS = [
    file
    for folder in ("oai", "realworld")
    for file in sorted((SPECS / folder).rglob("*"))
    if file.suffix in {".yaml", ".json"} and file.stem not in PARTS
]


@pytest.fixture
def service_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with a module of handlers for whatever operation there is."""
    modules, paths = set(sys.modules), list(sys.path)
    (tmp_path / "apis").mkdir()
    (tmp_path / "stubs.py").write_text(STUBS)
    (tmp_path / "pym-config.yaml").write_text(CONFIG)
    yield tmp_path
    set_config(None)
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if name == "stubs" or "_models" in name:
            del sys.modules[name]


def test_the_documents_are_there() -> None:
    """Without them the tests below would test nothing."""
    if not SPECS.is_dir():
        pytest.skip(f"{SPECS} is not there: the documents of others are not part of this repository")
    assert len(DOCUMENTS) == 37


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: str(file.relative_to(SPECS)))
def test_a_real_document_is_served(file: Path, service_folder: Path) -> None:
    """It loads, its models are written and import on their own, and every operation has a route that answers."""
    name = f"real_{uuid4().hex}"
    folder = service_folder / "apis"
    if "separate" in str(file):
        # References into ../common: the folders come along, outside of apis/ where each file would be a document.
        shutil.copytree(file.parent.parent, service_folder / "petstore", copy_function=shutil.copyfile)
        document = service_folder / "petstore" / file.parent.name / file.name
        folder = document.parent
    else:
        document = folder / f"{name}{file.suffix}"
        document.write_text(file.read_text())
    api = load_spec(document)
    models_file = document.with_name(f"{api.name}_models.py")
    write_models(api, models_file)
    spec = importlib.util.spec_from_file_location(f"{name}_models", models_file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"{name}_models"] = module
    spec.loader.exec_module(module)
    assert {cls for cls in api.schemas if not hasattr(module, cls)} == set()

    def resolve(_request: object, _scopes: tuple[str, ...]) -> str:
        return "alice"

    app = Flask("svc", root_path=str(service_folder))
    resolvers = dict.fromkeys(api.security_schemes, resolve)
    service = API(app, handlers="stubs", security_resolvers=resolvers)
    service.load_apis(folder, ignore=sorted(PARTS | {f.stem for f in folder.iterdir() if f.stem != document.stem}))
    service.start()
    bound = service_of(app)
    assert isinstance(bound, Service)
    assert {operation.operation_id for operation in api.operations} <= set(bound.operations)
    client = app.test_client()
    for operation in api.operations:
        answer = client.open(operation.path.replace("{", "").replace("}", ""), method=operation.method)
        assert answer.status_code in {200, 201, 202, 204, 400, 404, 415}, (operation.path, answer.text)
        assert "SERVER_ERROR" not in answer.text
