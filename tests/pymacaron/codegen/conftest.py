"""Documents and models for each test that asks for them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pymacaron.codegen import load_models
from pymacaron.spec import Api, parse_spec

SHARED_SPECS = Path(__file__).parents[4] / "shared" / "specs"
Schemas = dict[str, Any]
MakeApi = Callable[[Schemas], Api]
MakeModels = Callable[[Schemas], Any]


@pytest.fixture
def make_api() -> MakeApi:
    """Return the Api of a document that holds nothing but the given schemas."""

    def make(schemas: Schemas) -> Api:
        document = {
            "openapi": "3.1.0",
            "info": {"title": "Pets", "version": "1"},
            "paths": {},
            "components": {"schemas": schemas},
        }
        return parse_spec(json.dumps(document), source="apis/pets.yaml", name="pets")

    return make


@pytest.fixture
def make_models(make_api: MakeApi) -> MakeModels:
    """Return the generated classes of the given schemas as attributes; nothing is written."""

    def make(schemas: Schemas) -> Any:
        return SimpleNamespace(**load_models(make_api(schemas), None, may_write=False))

    return make


@pytest.fixture
def service_folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on sys.path; what is imported from it is forgotten afterwards."""
    sys.path.insert(0, str(tmp_path))
    modules = set(sys.modules)
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(
            getattr(sys.modules[name], "__file__", "") or getattr(sys.modules[name], "__path__", "")
        ):
            del sys.modules[name]


@pytest.fixture
def shared_specs() -> Path:
    """Return the folder of documents that others wrote; skips where it is missing."""
    if not SHARED_SPECS.is_dir():
        pytest.skip(f"no documents in {SHARED_SPECS}")
    return SHARED_SPECS


@pytest.fixture(scope="session")
def everything() -> str:
    """Return a document with every kind of parameter, body and answer."""
    return (Path(__file__).parent / "everything.yaml").read_text()
