"""Rules of the code base that no linter knows."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "pymacaron": ROOT / "pymacaron",
    "pymacaron_testing": ROOT / "pymacaron_testing",
    "pymacaron_monitoring": ROOT / "monitoring" / "pymacaron_monitoring",
}
MOST_MODULE_LINES = 400
MOST_FUNCTION_LINES = 50
# Exceptions, each with its reason: file or file:function -> reason.
LONGER: dict[str, str] = {}
NAMELESS = {"utils", "helpers", "common", "base", "manager", "misc"}
OPTIONAL = [
    "schemathesis",
    "hypothesis",
    "pytest",
    "sqlalchemy",
    "celery",
    "boto3",
    "sentry_sdk",
    "prometheus_client",
    "opentelemetry",
]
OPTIONAL += ["google.api_core", "grpc", "kubernetes"]
OPTIONAL += ["datamodel_code_generator", "granian", "flask_openapi3", "flask_openapi3_swagger"]


def modules() -> Iterator[Path]:
    for folder in PACKAGES.values():
        for file in sorted(folder.rglob("*.py")):
            if "templates" not in file.parts and not file.stem.endswith("_models"):
                yield file


@pytest.mark.parametrize("file", list(modules()), ids=lambda file: str(file.relative_to(ROOT)))
def test_modules_are_small_and_named(file: Path) -> None:
    """A module has at most 400 lines, a function at most 50, and its name says something."""
    text = file.read_text()
    name = str(file.relative_to(ROOT))
    assert file.stem not in NAMELESS
    assert text.count("\n") <= MOST_MODULE_LINES or name in LONGER
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MOST_FUNCTION_LINES or f"{name}:{node.name}" in LONGER, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_front_door_is_complete_and_sorted(package: str) -> None:
    """__all__ names exactly what __init__.py imports, in order, and each has a docstring."""
    door = importlib.import_module(package)
    tree = ast.parse((PACKAGES[package] / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert door.__all__ == sorted(imported)
    for name in door.__all__:
        assert getattr(door, name).__doc__, name


def test_importing_pymacaron_loads_no_optional_dependency() -> None:
    """What only some services need is loaded by those."""
    code = f"import sys, pymacaron; print([name for name in {OPTIONAL} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    """Each package has the marker that type checkers look for."""
    assert (PACKAGES[package] / "py.typed").exists()
