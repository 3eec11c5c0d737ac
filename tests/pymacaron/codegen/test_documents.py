"""Documents that others wrote, all the way to classes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pymacaron.codegen import load_models, write_models
from pymacaron.spec import load_spec

_ENDINGS = {".json", ".yaml"}


def find_documents(folder: Path) -> list[Path]:
    """Return the files under *folder* that are whole documents."""
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in _ENDINGS]
    return [path for path in files if any(word in path.read_text()[:200] for word in ("openapi", "swagger"))]


@pytest.mark.parametrize("folder", ["oai", "realworld"])
def test_documents_of_others(shared_specs: Path, tmp_path: Path, folder: str) -> None:
    """Every schema has its class, from a file that is loaded a second time without being written."""
    documents = find_documents(shared_specs / folder)
    assert documents
    for number, document in enumerate(documents):
        api = load_spec(document)
        file = tmp_path / str(number) / f"{api.name}_models.py"
        assert list(load_models(api, file, may_write=True)) == list(api.schemas)
        assert list(load_models(api, file, may_write=False)) == list(api.schemas)


def test_large_document(shared_specs: Path, tmp_path: Path) -> None:
    """A document of half a megabyte is written and loaded within seconds."""
    api = load_spec(shared_specs / "twilio" / "taskrouter_v1.json")
    start = time.perf_counter()
    write_models(api, tmp_path / "taskrouter_models.py")
    models = load_models(api, tmp_path / "taskrouter_models.py", may_write=False)
    assert list(models) == list(api.schemas)
    assert time.perf_counter() - start < 60
