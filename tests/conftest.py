"""What no test may leave behind for the next one, and the service with every kind of body."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from pymacaron.config import set_config

BODIES = Path(__file__).parent / "services" / "bodies"

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes golden files again."""
    parser.addoption("--rewrite-golden", action="store_true", help="Write tests/golden/ again; review the difference.")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a generated text with a file of tests/golden/, whole: ``golden("pets_client.txt", text)``."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / name
        if request.config.getoption("--rewrite-golden"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Undo what services that a test builds do to the process's logs."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture(scope="session")
def bodies_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Build the service that has an operation for every kind of body and answer, once."""
    folder = tmp_path_factory.mktemp("bodies") / "service"
    shutil.copytree(BODIES, folder, copy_function=shutil.copyfile)
    paths = list(sys.path)
    spec = importlib.util.spec_from_file_location("bodies_server", folder / "server.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["bodies_server"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module.app
    set_config(None)
    sys.path[:] = paths
    del sys.modules["bodies_server"]
