"""What no test may leave behind for the next one, and the service with every kind of body."""

from __future__ import annotations

import fcntl
import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import coverage
import pytest
from flask import Flask, has_app_context

from pymacaron.config import get_config, set_config
from pymacaron.log import current_request_id, current_user_id

BODIES = Path(__file__).parent / "services" / "bodies"

GOLDEN = Path(__file__).parent / "golden"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so begin jobs in the background, and whatever they start
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes golden files again."""
    parser.addoption("--rewrite-golden", action="store_true", help="Write tests/golden/ again; review the difference.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first: a long file that begins last keeps one process busy while the others have nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("unmeasured") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run tests that are marked so without measuring which code they reach: that doubles their time."""
    with _measuring_nothing() if item.get_closest_marker("unmeasured") else nullcontext():
        return (yield)


@contextmanager
def _measuring_nothing() -> Iterator[None]:
    """Stop measuring coverage, here and in processes that the block starts."""
    settings = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("COVERAGE_PROCESS_")}
    running = coverage.Coverage.current()
    if running:
        running.stop()
    yield
    if running:
        running.start()
    os.environ.update(settings)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a generated text with a file of tests/golden/, whole: ``golden("pets_client.txt", text)``."""

    def compare(name: str, text: str) -> None:
        file = GOLDEN / name
        if request.config.getoption("--rewrite-golden"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    return compare


@pytest.fixture(scope="session")
def check_types() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the type checker: ``check_types(folder, "use.py")``; by turns, all share what it learned of libraries."""
    cache = Path(__file__).parents[1] / ".mypy_cache" / "generated"
    cache.mkdir(parents=True, exist_ok=True)

    def run(folder: Path, *targets: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", f"--cache-dir={cache}"]
        with _measuring_nothing(), (cache / "in_use").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return subprocess.run([*command, *targets], cwd=folder, capture_output=True, text=True, check=False)

    return run


@contextmanager
def _restored_process() -> Iterator[None]:
    """Undo what a service that is built in the block does to the process: its logs, configuration and import path."""
    root = logging.getLogger()
    level, handlers, config, paths = root.level, root.handlers[:], get_config(), list(sys.path)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    set_config(config if config.is_chosen else None)
    sys.path[:] = paths


@pytest.fixture(autouse=True, scope="module")
def _restore_process() -> Iterator[None]:
    """Leave nothing of a module's services to the next one."""
    with _restored_process():
        yield


@pytest.fixture(autouse=True)
def _leave_nothing() -> Iterator[None]:
    """Undo what services that a test builds do to the process's logs; blame a test that lets a stream stay open."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    assert not has_app_context(), "a streamed answer was neither read nor closed: its context reaches other tests"
    assert not current_request_id(), "the id of a request stands in the logs after it"
    assert not current_user_id(), "the user of a request stands in the logs after it"


@pytest.fixture(scope="session")
def bodies_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Build the service that has an operation for every kind of body and answer, once."""
    folder = tmp_path_factory.mktemp("bodies") / "service"
    shutil.copytree(BODIES, folder, copy_function=shutil.copyfile)
    spec = importlib.util.spec_from_file_location("bodies_server", folder / "server.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["bodies_server"] = importlib.util.module_from_spec(spec)
    with _restored_process():
        spec.loader.exec_module(module)
    yield module.app
    del sys.modules["bodies_server"]
